import Autodiff
import TensorCore

extension Operators {
  /// Whether something holds at each place, and what is chosen by that.
  static let comparisons: [String: Body] = [
    "Equal": { try [$0.compared({ $0 == $1 }, { $0 == $1 })] },
    "Greater": { try [$0.compared({ $0 > $1 }, { $0 > $1 })] },
    "Less": { try [$0.compared({ $0 < $1 }, { $0 < $1 })] },
    "GreaterOrEqual": { try [$0.compared({ $0 >= $1 }, { $0 >= $1 })] },
    "LessOrEqual": { try [$0.compared({ $0 <= $1 }, { $0 <= $1 })] },
    "And": { try [$0.combined($0.integers(0), $0.integers(1), type: .bool, &)] },
    "Or": { try [$0.combined($0.integers(0), $0.integers(1), type: .bool, |)] },
    "Xor": { try [$0.combined($0.integers(0), $0.integers(1), type: .bool, ^)] },
    "Not": { [.integers(try $0.integers(0).map(type: .bool) { $0 == 0 ? 1 : 0 })] },
    "IsNaN": { call in
      let x = try call.float(0)
      return [.integers(Integers(x.value.elements.map(\.isNaN), shape: x.shape.extents))]
    },
    "IsInf": { call in
      let x = try call.float(0)
      let (isNegative, isPositive) = (
        call.int("detect_negative") != 0, call.int("detect_positive") != 0
      )
      let truth = x.value.elements.map { $0.isInfinite && ($0 < 0 ? isNegative : isPositive) }
      return [.integers(Integers(truth, shape: x.shape.extents))]
    },
    "Where": { try [$0.chosen()] },
  ]
}

extension Call {
  fileprivate func compared(
    _ floats: (Float, Float) -> Bool, _ integers: (Int, Int) -> Bool
  ) throws -> Value {
    switch (try value(0), try value(1)) {
    case (.integers(let a), .integers(let b)):
      return try combined(a, b, type: .bool) { integers($0, $1) ? 1 : 0 }
    case (.floats(let a), .floats(let b)):
      let shape = try broadcast([a.shape.extents, b.shape.extents])
      let pairs = zip(
        a.value.broadcast(to: Shape(shape)).elements, b.value.broadcast(to: Shape(shape)).elements)
      return .integers(Integers(pairs.map(floats), shape: shape))
    case (let a, let b): throw failure("its inputs are of \(a.type) and \(b.type)")
    }
  }

  fileprivate func chosen() throws -> Value {
    let (condition, a, b) = (try integers(0), try value(1), try value(2))
    let shape = try broadcast([condition.shape, a.shape, b.shape])
    let truth = places(of: condition.shape, in: shape).map { condition.elements[$0] != 0 }
    switch (a, b) {
    case (.integers(let a), .integers(let b)):
      let (left, right) = (places(of: a.shape, in: shape), places(of: b.shape, in: shape))
      return .integers(
        Integers(
          truth.indices.map { truth[$0] ? a.elements[left[$0]] : b.elements[right[$0]] },
          shape: shape, type: a.type))
    case (.floats(let a), .floats(let b)):
      let (x, y) = (
        a.value.broadcast(to: Shape(shape)).elements, b.value.broadcast(to: Shape(shape)).elements
      )
      let result = Tensor(truth.indices.map { truth[$0] ? x[$0] : y[$0] }, shape: Shape(shape))
      let mask = Tensor(truth.map { $0 ? 1 : 0 }, shape: Shape(shape))
      return .floats(
        Variable(result, inputs: [a, b]) { [sa = a.shape, sb = b.shape] dy in
          [(dy * mask).summed(to: sa), (dy * (Tensor(1) - mask)).summed(to: sb)]
        })
    default: throw failure("its inputs are of \(a.type) and \(b.type)")
    }
  }
}
