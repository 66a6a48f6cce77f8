import Glibc
import TensorCore

// What poses are chosen by: comparisons, choices and angles. Comparisons have no gradient.
extension Variable {
  private static func constant(
    _ value: Tensor, of inputs: [Variable], _ operation: Operation
  ) -> Variable {
    Variable(value, inputs: inputs, operation: operation) { _ in inputs.map { _ in nil } }
  }

  /// 1 where it is greater, else 0, broadcast.
  public func isGreater(than other: Variable) -> Variable {
    .constant(value.isGreater(than: other.value), of: [self, other], .isGreater)
  }

  /// 1 where both are equal, else 0, broadcast.
  public func isEqual(to other: Variable) -> Variable {
    .constant(value.isEqual(to: other.value), of: [self, other], .isEqual)
  }

  /// The largest whole number that is no larger.
  public func roundedDown() -> Variable {
    let floors = value.elements.map { $0.rounded(.down) }
    return .constant(Tensor(floors, shape: shape), of: [self], .function(.roundDown))
  }

  /// 1 where the first of the largest numbers along the last axis is, else 0.
  ///
  /// Of numbers one of which is NaN that one counts as the largest.
  public func firstLargest() -> Variable {
    let (width, numbers) = (shape[-1], value.elements)
    var result = [Float](repeating: 0, count: numbers.count)
    for start in stride(from: 0, to: numbers.count, by: max(1, width)) {
      let row = start..<start + width
      let best =
        row.first { numbers[$0].isNaN } ?? row.reduce(start) { numbers[$1] > numbers[$0] ? $1 : $0 }
      result[best] = 1
    }
    return .constant(Tensor(result, shape: shape), of: [self], .firstLargest)
  }

  /// The `count` largest numbers along the last axis, the largest first.
  ///
  /// - Precondition: There are as many.
  public func largest(_ count: Int) -> Variable {
    let (width, numbers) = (shape[-1], value.elements)
    require(count <= width, "the \(count) largest of \(width)")
    let result = stride(from: 0, to: numbers.count, by: max(1, width)).flatMap { start in
      numbers[start..<start + width].sorted(by: >).prefix(count)
    }
    let extents = Array(shape.extents.dropLast()) + [count]
    return .constant(
      Tensor(result, shape: Shape(extents)), of: [self], .largest(count: count))
  }

  /// `a` where the condition is not 0, else `b`, broadcast; what is not chosen may be NaN.
  ///
  /// The gradient goes to what is chosen.
  public static func choose(_ condition: Variable, _ a: Variable, _ b: Variable) -> Variable {
    let shape = (condition.value * 0 + a.value * 0 + b.value * 0).shape
    let all = [condition, a, b].map { $0.value.broadcast(to: shape).elements }
    let value = Tensor(
      all[0].indices.map { all[0][$0] != 0 ? all[1][$0] : all[2][$0] }, shape: shape)
    let isChosen = Tensor(all[0].map { $0 != 0 ? 1 : 0 }, shape: shape)
    return Variable(value, inputs: [condition, a, b], operation: .choose) {
      [sa = a.shape, sb = b.shape] dy in
      [nil, (dy * isChosen).summed(to: sa), (dy * (Tensor(1) - isChosen)).summed(to: sb)]
    }
  }

  /// The angle of the vectors (`along`, `across`), −π to π; 0 of no vector.
  ///
  /// With *r*² the square of their length, d*θ* = (along d across − across d along) / *r*².
  ///
  /// - Precondition: Both have one shape.
  public static func arcTangent(across: Variable, along: Variable) -> Variable {
    require(across.shape == along.shape, "angles of \(across.shape) and \(along.shape)")
    let angles = zip(across.value.elements, along.value.elements).map { atan2($0, $1) }
    return Variable(
      Tensor(angles, shape: across.shape), inputs: [across, along], operation: .arcTangent
    ) { [y = across.value, x = along.value] dy in
      let share = dy / (x.squared() + y.squared())
      return [share * x, -(share * y)]
    }
  }
}
