import Autodiff
import Glibc
import TensorCore

extension Operators {
  /// Numbers as whole steps of a scale, and back: per tensor, along an axis, or in blocks.
  static let quantization: [String: Body] = [
    "QuantizeLinear": { call in
      let (x, scale) = (
        try call.float(0), try call.spread(call.value(1), over: call.float(0).shape.extents)
      )
      let zero = try call.optional(2).map { try call.spread($0, over: x.shape.extents) }
      let type =
        call.optional(2)?.type ?? call.int("output_dtype").flatMap { ElementType(rawValue: $0) }
        ?? .uint8
      try call.require(type.size < 4 && type != .bool, "results of \(type) are not supported")
      let range = type.range
      let (offsets, steps) = (zero?.elements, scale.elements)
      let numbers = x.value.elements.enumerated().map { n, number in
        let step = (number / steps[n]).rounded(.toNearestOrEven) + (offsets?[n] ?? 0)
        return min(max(Call.whole(Double(step)), range.lowerBound), range.upperBound)
      }
      return [.integers(Integers(numbers, shape: x.shape.extents, type: type))]
    },
    "DequantizeLinear": { call in
      let x = try call.integers(0)
      let scale = try call.spread(call.value(1), over: x.shape)
      let zero = try call.optional(2).map { try call.spread($0, over: x.shape) }
      return [.floats(Variable((zero.map { x.floats - $0 } ?? x.floats) * scale))]
    },
    "DynamicQuantizeLinear": { call in
      let x = try call.float(0).value.elements
      try call.require(!x.isEmpty && x.allSatisfy(\.isFinite), "nothing to take a range of")
      let (low, high) = (min(0, x.min() ?? 0), max(0, x.max() ?? 0))
      let scale = (high - low) / 255
      let zero = scale == 0 ? 0 : min(max((-low / scale).rounded(.toNearestOrEven), 0), 255)
      let numbers = x.map {
        scale == 0
          ? 0 : Call.whole(Double(min(max(($0 / scale).rounded(.toNearestOrEven) + zero, 0), 255)))
      }
      return [
        .integers(Integers(numbers, shape: try call.value(0).shape, type: .uint8)),
        .floats(Variable(Tensor(scale))),
        .integers(Integers([Int(zero)], shape: [], type: .uint8)),
      ]
    },
  ]
}

extension Call {
  /// A scale or offset for each number.
  fileprivate func spread(_ value: Value, over shape: [Int]) throws -> Tensor {
    let numbers: Tensor
    switch value {
    case .floats(let x): numbers = x.value
    case .integers(let x): numbers = x.floats
    }
    if numbers.shape.count == 1 { return numbers.reshaped([]).broadcast(to: Shape(shape)) }
    let axis = try axis(int("axis") ?? 1, rank: shape.count)
    if numbers.shape.rank == 1 {
      try require(numbers.shape[0] == shape[axis], "scales of \(numbers.shape) for \(shape)")
      let along = [numbers.shape[0]] + [Int](repeating: 1, count: shape.count - axis - 1)
      return numbers.reshaped(along).broadcast(to: Shape(shape))
    }
    let block = int("block_size") ?? 0
    try require(
      1...1 << 30 ~= block && numbers.shape.rank == shape.count
        && shape.indices.allSatisfy {
          numbers.shape[$0] == ($0 == axis ? (shape[$0] + block - 1) / block : shape[$0])
        }, "scales of \(numbers.shape) for \(shape) in blocks of \(block)")
    let steps = numbers.shape.extents.rowMajorSteps
    let tables = shape.indices.map { n -> (Int) -> Int? in
      let step = steps[n]
      return n == axis ? { $0 / block * step } : { $0 * step }
    }
    let all = numbers.elements
    return Tensor(tablePlaces(shape, tables).map { all[$0] }, shape: Shape(shape))
  }
}
