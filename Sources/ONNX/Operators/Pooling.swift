import Autodiff
import Glibc
import TensorCore

extension Operators {
  /// One number of each window.
  static let pooling: [String: Body] = [
    "MaxPool": { call in
      guard case .integers(let x) = try call.value(0) else {
        return try call.maxPooled(call.float(0))
      }
      let pooled = try call.maxPooled(Variable(x.floats))
      return [try call.cast(pooled[0], to: x.type.rawValue)] + pooled.dropFirst()
    },
    "AveragePool": { [.floats(try $0.averagePooled())] },
    "LpPool": { call in
      let p = call.number("p") ?? 2
      let (windows, rows) = try call.windows(call.float(0), filler: 0)
      let sums = rows.mapped(
        { powf(abs($0), p) }, derivative: { p * powf(abs($0), p - 1) * ($0 < 0 ? -1 : 1) }
      )
      .sum([-1])
      return [
        .floats(
          try call.pooled(
            sums.mapped({ powf($0, 1 / p) }, derivative: { powf($0, 1 / p - 1) / p }), windows))
      ]
    },
    "GlobalMaxPool": { call in
      let x = try call.image()
      try call.require(!x.shape.extents.dropFirst(2).contains(0), "an empty image")
      let spread = x.shape.extents.dropFirst(2).map { _ in 1 }
      guard x.shape.count > 0 else {
        return [.floats(Variable(.zeros(Shape(x.shape.extents[..<2] + spread))))]
      }
      let all = x.reshaped([x.shape[0], x.shape[1], -1])
      try call.require(all.shape[2] > 0, "an empty image")
      return [
        .floats(
          all.maximum(2).reshaped(
            [x.shape[0], x.shape[1]] + x.shape.extents.dropFirst(2).map { _ in 1 }))
      ]
    },
    "GlobalAveragePool": { call in
      let x = try call.image()
      let order = x.value.memoryOrder
      let axes = (2..<x.shape.rank).map { axis in order.firstIndex(of: axis) ?? axis }
      return [
        .floats(x.permuted(order).mean(axes, keepingAxes: true).permuted(order.inversePermutation))
      ]
    },
    "GlobalLpPool": { call in
      let (x, p) = (try call.image(), call.number("p") ?? 2)
      let sums = x.mapped(
        { powf(abs($0), p) }, derivative: { p * powf(abs($0), p - 1) * ($0 < 0 ? -1 : 1) }
      )
      .sum(Array(2..<x.shape.rank), keepingAxes: true)
      return [.floats(sums.mapped({ powf($0, 1 / p) }, derivative: { powf($0, 1 / p - 1) / p }))]
    },
    "MaxUnpool": { try [$0.unpooled()] },
  ]
}

extension Call {
  fileprivate func image() throws -> Variable {
    let x = try float(0)
    try require(x.shape.rank >= 3, "its input is of \(x.shape)")
    return x
  }

  private func windows(over x: Variable) throws -> Windows {
    guard let kernel = ints("kernel_shape"), x.shape.rank == kernel.count + 2 else {
      throw failure("a kernel of \(ints("kernel_shape") ?? []) over \(x.shape)")
    }
    let windows = try Windows(self, image: Array(x.shape.extents[2...]), kernel: kernel)
    try checked([x.shape[0], x.shape[1]] + windows.padded(Array(x.shape.extents[2...])))
    return windows
  }

  /// What each window sees: `[batch, windows, channels, taps]`, the last two axes in one row each.
  fileprivate func windows(_ x: Variable, filler: Float) throws -> (Windows, Variable) {
    let windows = try windows(over: x)
    let taps = windows.kernel.reduce(1, *)
    try checked([x.shape[0], x.shape[1]] + windows.output + [taps])
    let around = x.surrounded([0, 0] + windows.before, [0, 0] + windows.after, by: filler)
    let places = windows.places(
      batch: x.shape[0], channels: 0..<x.shape[1], of: x.shape[1],
      padded: windows.padded(Array(x.shape.extents[2...])))
    return (windows, around.flat(at: places).reshaped([-1, taps]))
  }

  /// Numbers of all windows as an image.
  fileprivate func pooled(_ numbers: Variable, _ windows: Windows) throws -> Variable {
    let s = try float(0).shape
    let rank = windows.output.count
    return numbers.reshaped([s[0]] + windows.output + [s[1]]).permuted([0, rank + 1] + (1...rank))
  }

  fileprivate func maxPooled(_ x: Variable) throws -> [Value] {
    let windows = try windows(over: x)
    if node.outputs.count == 1, windows.kernel.count == 2, Set(windows.kernel).count == 1,
      windows.kernel[0] <= 16, let same = windows.uniform, same.dilation == 1
    {
      let around = x.permuted([0, 2, 3, 1]).surrounded(
        [0] + windows.before + [0], [0] + windows.after + [0], by: -.infinity)
      return [
        .floats(
          around.maxPooled(size: windows.kernel[0], stride: same.stride).permuted([0, 3, 1, 2]))
      ]
    }
    let (s, image, taps) = (
      x.shape.extents, Array(x.shape.extents[2...]), windows.kernel.reduce(1, *)
    )
    try checked([s[0], s[1]] + windows.output + [taps])
    let padded = windows.padded(image)
    let around = x.surrounded([0, 0] + windows.before, [0, 0] + windows.after, by: -.infinity)
    let places = windows.places(batch: s[0], channels: 0..<s[1], of: s[1], padded: padded)
    let rows = around.flat(at: places).reshaped([-1, taps])
    let rank = image.count
    func arranged(_ numbers: Value) throws -> Value {
      try reshaped(numbers, [s[0]] + windows.output + [s[1]]).permuted([0, rank + 1] + (1...rank))
    }
    let values = try arranged(.floats(rows.maximum(1)))
    guard node.outputs.count > 1 else { return [values] }
    // Where each maximum was, counted through the whole input.
    let (steps, own) = (padded.rowMajorSteps, image.rowMajorSteps)
    let counted =
      int("storage_order") == 1 ? Array(Array(image.reversed()).rowMajorSteps.reversed()) : own
    let size = padded.reduce(1, *)
    let indices = rows.value.largestColumn().enumerated().map { row, tap in
      let place = places[row * taps + tap]
      let inside = (0..<rank).map { place % size / steps[$0] % padded[$0] - windows.before[$0] }
      return place / size * image.reduce(1, *) + zip(inside, counted).map { $0 * $1 }.reduce(0, +)
    }
    return [values, try arranged(.integers(Integers(indices)))]
  }

  fileprivate func averagePooled() throws -> Variable {
    let x = try float(0)
    let windows = try windows(over: x)
    let counts = windows.counts(
      Array(x.shape.extents[2...]), withPadding: int("count_include_pad") == 1)
    let sums: Variable
    if windows.kernel.count == 2, let same = windows.uniform, x.shape.count > 0 {
      // Of each channel with a kernel of ones.
      let around = x.permuted([0, 2, 3, 1]).surrounded(
        [0] + windows.before + [0], [0] + windows.after + [0], by: 0)
      let ones = Variable(.ones(Shape(windows.kernel + [1, x.shape[1]])))
      sums = around.convolved(
        with: ones,
        ConvolutionGeometry(stride: same.stride, dilation: same.dilation, groups: x.shape[1])
      ).permuted([0, 3, 1, 2])
    } else {
      sums = try pooled(try self.windows(x, filler: 0).1.sum([1]), windows)
    }
    let weights = counts.reduce([Float(1)]) { all, own in
      all.flatMap { a in own.map { a / Float(max(1, $0)) } }
    }
    // Channels stay last in memory, as what comes next reads them.
    let order = [0] + (2..<x.shape.rank) + [1]
    return
      (sums.permuted(order) * Variable(Tensor(weights, shape: Shape(windows.output + [1]))))
      .permuted(order.inversePermutation)
  }

  fileprivate func unpooled() throws -> Value {
    let (x, at) = (try float(0), try integers(1))
    guard let kernel = ints("kernel_shape"), x.shape.rank == kernel.count + 2,
      at.elements.count == x.shape.count
    else { throw failure("maxima of \(x.shape) at \(at.shape)") }
    let rank = kernel.count
    let strides = ints("strides") ?? [Int](repeating: 1, count: rank)
    let pads = ints("pads") ?? [Int](repeating: 0, count: 2 * rank)
    try require(
      strides.count == rank && pads.count == 2 * rank
        && (strides + pads + kernel).allSatisfy { 0...1 << 24 ~= $0 },
      "strides \(strides), pads \(pads)")
    let natural =
      Array(x.shape.extents[..<2])
      + (0..<rank).map {
        (x.shape[$0 + 2] - 1) * strides[$0] + kernel[$0] - pads[$0] - pads[$0 + rank]
      }
    let shape = try checked(try list(2) ?? natural)
    try checked(natural)
    let count = natural.reduce(1, *)
    try require(
      at.elements.allSatisfy { 0..<count ~= $0 } && shape.count == natural.count
        && zip(shape, natural).allSatisfy { $0 >= $1 }, "places beyond \(natural)")
    let y = x.summed(at: at.elements, count: count).reshaped(natural)
    return .floats(
      y.surrounded(natural.map { _ in 0 }, zip(shape, natural).map { $0 - $1 }, by: 0))
  }
}
