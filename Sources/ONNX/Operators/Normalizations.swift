import Autodiff
import Glibc
import TensorCore

extension Operators {
  /// What is made comparable: by moments, by length, by sums.
  static let normalizations: [String: Body] = [
    "BatchNormalization": { [.floats(try $0.batchNormalized())] },
    "InstanceNormalization": { call in
      let (x, scale, bias) = (try call.float(0), try call.float(1), try call.float(2))
      try call.require(
        x.shape.rank > 2 && scale.shape.extents == [x.shape[1]] && bias.shape == scale.shape,
        "\(scale.shape) for \(x.shape)")
      let along = [x.shape[1]] + [Int](repeating: 1, count: x.shape.rank - 2)
      let y = x.standardized(Array(2..<x.shape.rank), epsilon: call.number("epsilon") ?? 1e-5).value
      return [.floats(y * scale.reshaped(along) + bias.reshaped(along))]
    },
    "LayerNormalization": { call in
      let (x, scale) = (try call.float(0), try call.float(1))
      let axis = try call.axis(call.int("axis") ?? -1, rank: x.shape.rank)
      if let y = try call.layerNormalized(x, scale, axis: axis) { return [.floats(y)] }
      let (y, mean, inverse) = x.standardized(
        Array(axis..<x.shape.rank), epsilon: call.number("epsilon") ?? 1e-5)
      var result = try call.paired(y, scale) { $0 * $1 }
      if let bias = try call.optionalFloat(2) { result = try call.paired(result, bias) { $0 + $1 } }
      return [result, mean, inverse].map { .floats($0) }
    },
    "RMSNormalization": { call in
      let (x, scale) = (try call.float(0), try call.float(1))
      let axis = try call.axis(call.int("axis") ?? -1, rank: x.shape.rank)
      let square = x.squared().mean(Array(axis..<x.shape.rank), keepingAxes: true)
      let y = x / (square + (call.number("epsilon") ?? 1e-5)).squareRoot()
      return [.floats(try call.paired(y, scale) { $0 * $1 })]
    },
    "GroupNormalization": { call in
      let (x, scale, bias) = (try call.float(0), try call.float(1), try call.float(2))
      let groups = call.int("num_groups") ?? 0
      try call.require(
        x.shape.rank > 2 && groups > 0 && x.shape[1] % groups == 0, "\(groups) groups of \(x.shape)"
      )
      guard x.shape.count > 0 else { return [.floats(x)] }
      let parts = x.reshaped([x.shape[0], groups, -1])
      let y = parts.standardized([2], epsilon: call.number("epsilon") ?? 1e-5).value.reshaped(
        x.shape.extents)
      // Of a channel, in old opsets of a group.
      func along(_ v: Variable) throws -> Variable {
        let spread = [Int](repeating: 1, count: x.shape.rank - 2)
        if v.shape.extents == [x.shape[1]] { return v.reshaped([x.shape[1]] + spread) }
        try call.require(v.shape.extents == [groups], "\(v.shape) for \(groups) groups")
        return v.reshaped([groups, 1]).repeated(to: [groups, x.shape[1] / groups]).reshaped(
          [x.shape[1]] + spread)
      }
      return [.floats(try y * along(scale) + along(bias))]
    },
    "MeanVarianceNormalization": { call in
      let x = try call.float(0)
      let axes = try call.axes(call.ints("axes") ?? [0, 2, 3], rank: x.shape.rank)
      return [.floats(x.standardized(axes, epsilon: 1e-18).value)]
    },
    "LpNormalization": { call in
      let x = try call.float(0)
      let axis = try call.axis(call.int("axis") ?? -1, rank: x.shape.rank)
      let isOfSums = call.int("p") == 1
      let sums =
        isOfSums
        ? (x.relu() + (x * -1).relu()).sum([axis], keepingAxes: true)
        : x.squared().sum([axis], keepingAxes: true)
      // Of zeros the result is zeros, and their gradient finite.
      let length = sums + Variable(sums.value.mapped { $0 == 0 ? 1 : 0 })
      return [.floats(x / (isOfSums ? length : length.squareRoot()))]
    },
    "LRN": { call in
      let x = try call.float(0)
      let size = call.int("size") ?? 1
      try call.require(x.shape.rank > 2 && 1...1 << 16 ~= size, "\(size) channels of \(x.shape)")
      let (alpha, beta, bias) = (
        call.number("alpha") ?? 0.0001, call.number("beta") ?? 0.75, call.number("bias") ?? 1
      )
      let (before, after) = ((size - 1) / 2, size - 1 - (size - 1) / 2)
      var pads = (
        [Int](repeating: 0, count: x.shape.rank), [Int](repeating: 0, count: x.shape.rank)
      )
      (pads.0[1], pads.1[1]) = (before, after)
      try call.checked(zip(x.shape.extents, zip(pads.0, pads.1)).map { $0 + $1.0 + $1.1 })
      let squares = x.squared().surrounded(pads.0, pads.1, by: 0)
      let sums = (1..<size).reduce(squares.sliced(0..<x.shape[1], axis: 1)) {
        $0 + squares.sliced($1..<$1 + x.shape[1], axis: 1)
      }
      let scale = sums * (alpha / Float(size)) + bias
      return [
        .floats(x * scale.mapped({ powf($0, -beta) }, derivative: { -beta * powf($0, -beta - 1) }))
      ]
    },
    "Softmax": { try [.floats($0.probabilities { $0.softmax() })] },
    "LogSoftmax": { try [.floats($0.probabilities { $0.logSoftmax() })] },
    "Hardmax": { call in
      try [
        .floats(
          call.probabilities { x in
            let columns = x.shape[-1]
            let best = x.value.reshaped([-1, columns]).largestColumn()
            var numbers = [Float](repeating: 0, count: x.shape.count)
            for (row, column) in best.enumerated() { numbers[row * columns + column] = 1 }
            return Variable(Tensor(numbers, shape: x.shape))
          })
      ]
    },
  ]
}

extension Variable {
  /// With mean 0 and variance 1 along some axes, with the means and the inverse deviations.
  func standardized(
    _ axes: [Int], epsilon: Float
  ) -> (value: Variable, mean: Variable, inverse: Variable) {
    let mean = mean(axes, keepingAxes: true)
    let centered = self - mean
    let variance = centered.squared().mean(axes, keepingAxes: true)
    let inverse = Variable(.ones([])) / (variance + epsilon).squareRoot()
    return (centered * inverse, mean, inverse)
  }
}

extension Call {
  fileprivate func batchNormalized() throws -> Variable {
    // What is joined is taken apart: see `Followers`.
    let count = node.followers.isJoined ? inputs.count - 4 : 1
    let parts = try (0..<count).map { try float($0) }
    try require(
      int("training_mode") != 1 && node.outputs.dropFirst().allSatisfy(\.isEmpty),
      "training is not supported")
    let vectors = try (count..<count + 4).map { try float($0) }
    try require(
      parts.allSatisfy { $0.shape.rank == parts[0].shape.rank },
      "\(parts.map { "\($0.shape)" }) beside each other")
    let channels = parts[0].shape.rank > 1 ? parts.map { $0.shape[1] }.reduce(0, +) : 1
    try require(
      parts[0].shape.rank > 1 && vectors.allSatisfy { $0.shape.extents == [channels] },
      "\(vectors.map { "\($0.shape)" }) for \(parts.map { "\($0.shape)" })")
    try checked(parts[0].shape.replacing(1, with: channels).extents)
    let epsilon = number("epsilon") ?? 1e-5
    // Channels last in memory, and nothing to learn: one pass, with the ReLU after it.
    let order = [0] + (2..<parts[0].shape.rank) + [1]
    let own = (count..<count + 4).compactMap { parameter($0) }
    let isPlain =
      !tape.isTraining && own.count == 4 && parts.allSatisfy { !$0.requiresGradient }
    func normalized(_ parts: [Variable]) throws -> Variable {
      let prepared = node.cache.weights {
        Derived(from: own) {
          let scale = own[0].value / (own[3].value + epsilon).squareRoot()
          let shift = own[1].value - own[2].value * scale
          return .scales(scale.elements, shifts: shift.elements)
        }
      }
      guard case .scales(let scales, let shifts) = prepared else { throw failure("no weights") }
      let y = Tensor.joined(
        parts.map { $0.value.permuted(order) }, scaledBy: scales, shift: shifts,
        relu: node.followers.activation == .relu)
      return Variable(y.permuted(order.inversePermutation))
    }
    let isAligned = parts.allSatisfy { part in
      part.value.memoryOrder == order
        && part.shape.replacing(1, with: 0) == parts[0].shape.replacing(1, with: 0)
    }
    if isPlain, isAligned { return try normalized(parts) }
    guard case .floats(let x) = try concatenated(parts.map { .floats($0) }, axis: 1) else {
      throw failure("nothing is joined")
    }
    if isPlain, x.value.memoryOrder == order { return try normalized([x]) }
    let scale = vectors[0] / (vectors[3] + epsilon).squareRoot()
    let along = [channels] + [Int](repeating: 1, count: x.shape.rank - 2)
    let offset = vectors[1] - vectors[2] * scale
    let scaled = try paired(x, scale.reshaped(along)) { $0 * $1 }
    let y = try paired(scaled, offset.reshaped(along)) { $0 + $1 }
    return node.followers.activation == .relu ? y.inMemoryOrder { $0.relu() } : y
  }

  /// A layer normalization over the last axis, where there is nothing to learn and its moments are not wanted.
  fileprivate func layerNormalized(
    _ x: Variable, _ scale: Variable, axis: Int
  ) throws -> Variable? {
    let bias = try optionalFloat(2)
    guard axis == x.shape.rank - 1, x.shape[axis] > 0, scale.shape.extents == [x.shape[axis]],
      bias == nil || bias?.shape == scale.shape, node.outputs.dropFirst().allSatisfy(\.isEmpty),
      !tape.isTraining, ![x, scale, bias ?? scale].contains(where: \.requiresGradient)
    else { return nil }
    return Variable(
      x.value.layerNormalized(
        scale: scale.value, shift: bias?.value, epsilon: number("epsilon") ?? 1e-5))
  }

  /// A function along one axis; before opset 13 along all axes from that one on.
  fileprivate func probabilities(_ body: (Variable) -> Variable) throws -> Variable {
    let x = try float(0)
    let shape = x.shape.extents
    guard !shape.isEmpty else { return body(x.reshaped([1])).reshaped([]) }
    guard !shape.contains(0) else { return x }
    let axis = try axis(int("axis") ?? (node.opset < 13 ? 1 : -1), rank: shape.count)
    if node.opset < 13 {
      return body(x.reshaped([shape[..<axis].reduce(1, *), shape[axis...].reduce(1, *)])).reshaped(
        shape)
    }
    guard axis < shape.count - 1 else { return body(x) }
    var order = Array(shape.indices)
    order.swapAt(axis, shape.count - 1)
    return body(x.permuted(order)).permuted(order)
  }
}
