import Autodiff
import TensorCore

extension Operators {
  private static func reduction(
    _ floats: @escaping @Sendable (Variable, [Int]) -> Variable,
    _ integers: (@Sendable ([Int]) -> Int?)? = nil,
    ifEmpty: @escaping @Sendable (ClosedRange<Int>) -> Int = { $0.lowerBound }
  ) -> Body {
    { try [$0.reduced(floats, integers, ifEmpty)] }
  }

  /// Of all numbers along some axes one.
  static let reductions: [String: Body] = [
    "ReduceSum": reduction({ $0.sum($1, keepingAxes: true) }, { $0.reduce(0, &+) }),
    "ReduceMean": reduction({ $0.mean($1, keepingAxes: true) }),
    "ReduceMax": reduction({ $0.largest($1) }, { $0.max() }),
    "ReduceMin": reduction(
      { ($0 * -1).largest($1) * -1 }, { $0.min() }, ifEmpty: { $0.upperBound }),
    "ReduceProd": reduction({ $0.product($1) }, { $0.reduce(1, &*) }),
    "ReduceL1": reduction(
      { ($0.relu() + ($0 * -1).relu()).sum($1, keepingAxes: true) },
      { $0.reduce(0) { $0 &+ ($1 < 0 ? 0 &- $1 : $1) } }),
    "ReduceL2": reduction({ $0.squared().sum($1, keepingAxes: true).squareRoot() }),
    "ReduceSumSquare": reduction(
      { $0.squared().sum($1, keepingAxes: true) }, { $0.reduce(0) { $0 &+ $1 &* $1 } }),
    "ReduceLogSum": reduction({ $0.sum($1, keepingAxes: true).log() }),
    "ReduceLogSumExp": reduction { x, axes in
      guard x.shape.count > 0 else { return x.sum(axes, keepingAxes: true).log() }
      // Infinite numbers stay what they are: only finite ones are moved.
      let top = axes.reduce(x.value) { $0.maximum($1, keepingAxes: true) }
        .mapped { $0.isFinite ? $0 : 0 }
      return (x - Variable(top)).exp().sum(axes, keepingAxes: true).log() + Variable(top)
    },
    "ArgMax": { try $0.extremum(isLargest: true) },
    "ArgMin": { try $0.extremum(isLargest: false) },
  ]
}

extension Call {
  /// - Parameters:
  ///   - floats: What becomes of the numbers along some axes, which stay with extent 1.
  ///   - integers: The same of whole numbers.
  fileprivate func reduced(
    _ floats: (Variable, [Int]) -> Variable, _ integers: (([Int]) -> Int?)?,
    _ ifEmpty: (ClosedRange<Int>) -> Int
  ) throws -> Value {
    let x = try value(0)
    let given = try ints("axes", orInput: 1) ?? []
    if given.isEmpty && int("noop_with_empty_axes") == 1 {
      guard case .floats(let x) = x else {
        guard case .integers(let x) = x, let integers else {
          throw failure("whole numbers are not supported")
        }
        return .integers(x.map { integers([$0]) ?? 0 })
      }
      // Each number for itself.
      return .floats(
        floats(x.reshaped(x.shape.extents + [1]), [x.shape.rank]).reshaped(x.shape.extents))
    }
    let rank = x.shape.count
    let axes = try given.isEmpty ? Array(0..<rank) : axes(given, rank: rank)
    let kept = x.shape.indices.map { axes.contains($0) ? 1 : x.shape[$0] }
    let shape =
      int("keepdims") == 0
      ? x.shape.indices.filter { !axes.contains($0) }.map { x.shape[$0] } : kept
    switch x {
    case .floats(let x):
      guard rank > 0 else { return .floats(floats(x.reshaped([1]), [0]).reshaped([])) }
      let order = x.value.memoryOrder
      let result = floats(
        x.permuted(order), axes.map { axis in order.firstIndex(of: axis) ?? axis })
      return .floats(result.permuted(order.inversePermutation).reshaped(shape))
    case .integers(let x):
      guard let integers else { throw failure("whole numbers are not supported") }
      let steps = x.shape.rowMajorSteps
      let along = places(axes.map { x.shape[$0] }, steps: axes.map { steps[$0] })
      let starts = places(kept, steps: steps)
      return .integers(
        Integers(
          starts.map { start in
            integers(along.map { x.elements[start + $0] }).map(x.type.wrapped)
              ?? ifEmpty(x.type.range)
          },
          shape: shape, type: x.type))
    }
  }

  /// The place of the largest, or smallest, along an axis.
  fileprivate func extremum(isLargest: Bool) throws -> [Value] {
    let x = try value(0)
    try require(!x.shape.isEmpty, "its input has no axes")
    let axis = try axis(int("axis") ?? 0, rank: x.shape.count)
    try require(x.shape[axis] > 0, "the axis is empty")
    let takesLast = int("select_last_index") == 1
    let isLess = x.isLess
    let steps = x.shape.rowMajorSteps
    var kept = x.shape
    kept[axis] = 1
    let found = places(kept, steps: steps).map { start in
      (1..<max(1, x.shape[axis])).reduce(0) { best, n in
        let (old, new) = (start + best * steps[axis], start + n * steps[axis])
        let isBetter = isLargest ? isLess(old, new) : isLess(new, old)
        let isWorse = isLargest ? isLess(new, old) : isLess(old, new)
        return isBetter || (takesLast && !isWorse) ? n : best
      }
    }
    if int("keepdims") == 0 { kept.remove(at: axis) }
    return [.integers(Integers(found, shape: kept))]
  }
}

extension Variable {
  fileprivate func largest(_ axes: [Int]) -> Variable {
    axes.reduce(self) { x, axis in
      x.shape[axis] == 0
        ? Variable(Tensor(repeating: -.infinity, shape: x.shape.replacing(axis, with: 1)))
        : x.maximum(axis, keepingAxes: true)
    }
  }

  fileprivate func product(_ axes: [Int]) -> Variable {
    axes.reduce(self) { x, axis in
      (0..<x.shape[axis]).reduce(Variable(.ones(x.shape.replacing(axis, with: 1)))) {
        $0 * x.sliced($1..<$1 + 1, axis: axis)
      }
    }
  }
}
