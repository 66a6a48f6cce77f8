import Autodiff
import TensorCore

// Images are `[batch, channels, height, width]` in the format, and lie in memory with their channels last: a convolution
// gives a view in the format's order. What is done number by number keeps that order, so that nothing is copied.
extension Variable {
  /// A function of each number, done in the order in which they lie in memory.
  func inMemoryOrder(_ body: (Variable) -> Variable) -> Variable {
    let order = value.memoryOrder
    guard order != Array(order.indices) else { return body(self) }
    return body(permuted(order)).permuted(order.inversePermutation)
  }

  /// A function of one number, with its derivative.
  func mapped(
    _ function: @escaping (Float) -> Float, derivative: @escaping (Float) -> Float
  ) -> Variable {
    inMemoryOrder { x in
      Variable(x.value.mapped(function), inputs: [x]) { [x = x.value] dy in
        [dy * x.mapped(derivative)]
      }
    }
  }

  /// A function of each number, computed of all at once, with the derivative of one.
  func computed(
    _ function: @escaping (Tensor) -> Tensor, derivative: @escaping (Float) -> Float
  ) -> Variable {
    inMemoryOrder { x in
      Variable(function(x.value), inputs: [x]) { [x = x.value] dy in [dy * x.mapped(derivative)] }
    }
  }

  /// With axes of extent 1 in front.
  func ofRank(_ rank: Int) -> Variable {
    shape.rank >= rank
      ? self : reshaped([Int](repeating: 1, count: rank - shape.rank) + shape.extents)
  }
}

extension Tensor {
  func mapped(_ function: (Float) -> Float) -> Tensor {
    Tensor(elements.map(function), shape: shape)
  }
}

extension [Int] {
  /// Of an order of axes, that which undoes it.
  var inversePermutation: [Int] {
    var result = self
    for (i, axis) in enumerated() { result[axis] = i }
    return result
  }

  /// The distances between neighbors along each axis of a shape, in row-major order.
  var rowMajorSteps: [Int] {
    var (steps, step) = (self, 1)
    for axis in indices.reversed() {
      steps[axis] = step
      step *= self[axis]
    }
    return steps
  }
}

extension Call {
  /// A function of the numbers of two, after they are repeated to one shape.
  func paired(
    _ a: Variable, _ b: Variable, _ body: (Variable, Variable) -> Variable
  ) throws -> Variable {
    let rank = try broadcast([a.shape.extents, b.shape.extents]).count
    let order = (a.shape.count >= b.shape.count ? a : b).ofRank(rank).value.memoryOrder
    guard order != Array(0..<rank) else { return body(a, b) }
    return body(a.ofRank(rank).permuted(order), b.ofRank(rank).permuted(order))
      .permuted(order.inversePermutation)
  }
}

/// For each number of a result, the place of the number of an operand that is repeated to it.
func places(of shape: [Int], in result: [Int]) -> [Int] {
  let lead = result.count - shape.count
  let steps = shape.rowMajorSteps
  let own = result.indices.map { $0 < lead || shape[$0 - lead] == 1 ? 0 : steps[$0 - lead] }
  return places(result, steps: own)
}

/// The sums of `steps` over all indices of a shape, in row-major order.
func places(_ shape: [Int], steps: [Int], from start: Int = 0) -> [Int] {
  if shape.contains(0) { return [] }
  var places = [start]
  for (extent, step) in zip(shape, steps) {
    places = places.flatMap { place in (0..<extent).map { place + $0 * step } }
  }
  return places
}
