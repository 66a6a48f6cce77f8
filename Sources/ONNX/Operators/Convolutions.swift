import Autodiff
import Synchronization
import TensorCore

extension Operators {
  /// Convolutions of `[batch, channels, …]` along one to three axes.
  static let convolutions: [String: Body] = [
    "Conv": { [.floats(try $0.convolved())] },
    "ConvTranspose": { [.floats(try $0.transposedConvolution())] },
  ]
}

/// What is made ready once of a node's weights, until they change.
final class NodeCache: Sendable {
  private let kept = Mutex<Derived<PreparedWeights>?>(nil)
  private let lastImages = Mutex<Shape?>(nil)

  func weights(_ make: () -> Derived<PreparedWeights>) -> PreparedWeights {
    kept.withLock { kept in
      let found = kept ?? make()
      kept = found
      return found
    }.value
  }

  /// The convolution of images of a shape, where nothing else is to be done with them: see `keep`.
  func convolution(of images: Shape) -> PreparedConvolution? {
    guard lastImages.withLock({ $0 == images }),
      case .convolution(let convolution)? = kept.withLock({ $0 })?.value
    else { return nil }
    return convolution
  }

  /// Says that the convolution was found to fit images of a shape, as they are, with their channels last.
  func keep(_ images: Shape) { lastImages.withLock { $0 = images } }
}

/// Weights made ready for prediction.
enum PreparedWeights: Sendable {
  case convolution(PreparedConvolution)
  /// A number that each channel is multiplied by, and one that is added.
  case scales([Float], shifts: [Float])
}

extension Call {
  fileprivate func convolved() throws -> Variable {
    let x = try float(0)
    let isPrediction = !tape.isTraining && !x.requiresGradient
    if isPrediction, let convolution = node.cache.convolution(of: x.shape) {
      return try followed(convolution, x.value.permuted([0, 2, 3, 1]))
    }
    let (weight, bias) = (try float(1), try optionalFloat(2))
    let groups = int("group") ?? 1
    let (s, w) = (x.shape.extents, weight.shape.extents)
    try require(
      s.count >= 3 && s.count == w.count && groups > 0 && Self.product(w[1], groups) == s[1]
        && w[0] % groups == 0
        && bias.map { $0.shape.extents == [w[0]] } ?? true && w.allSatisfy { $0 > 0 },
      "a kernel of \(w) in \(groups) groups over \(s)")
    let windows = try Windows(self, image: Array(s[2...]), kernel: Array(w[2...]))
    try checked([s[0], w[0]] + windows.output)
    try checked([s[0], s[1]] + windows.padded(Array(s[2...])))
    guard s.count <= 4, let same = windows.uniform else {
      try checked([s[0]] + windows.output + Array(w[1...]) + [groups])
      return generally(x, weight, bias, groups, windows)
    }
    // As images with their channels last; a line is an image of one row.
    let isLine = s.count == 3
    let image = (isLine ? x.reshaped([s[0], s[1], 1, s[2]]) : x).permuted([0, 2, 3, 1])
    let padding = windows.before[0]
    // Padding that follows from the image's size is another for each: it is no part of what is made ready once.
    let isFixed = ["NOTSET", "VALID"].contains(string("auto_pad") ?? "NOTSET")
    let isEven = isFixed && !isLine && (windows.before + windows.after).allSatisfy { $0 == padding }
    let around =
      isEven
      ? image
      : image.surrounded(
        [0, isLine ? 0 : windows.before[0], windows.before[windows.before.count - 1], 0],
        [0, isLine ? 0 : windows.after[0], windows.after[windows.after.count - 1], 0], by: 0)
    let geometry = ConvolutionGeometry(
      stride: same.stride, padding: isEven ? padding : 0, dilation: same.dilation, groups: groups)
    @Sendable func kernel(_ weight: Variable) -> Variable {
      (isLine ? weight.reshaped([w[0], w[1], 1, w[2]]) : weight).permuted([2, 3, 1, 0])
    }
    let result: Variable
    if isPrediction, let own = parameter(1), bias == nil || parameter(2) != nil {
      let (offset, followers) = (parameter(2), node.followers)
      let norm = followers.epsilon == nil ? [] : (3...6).compactMap { parameter($0) }
      let prepared = node.cache.weights {
        Derived(from: [own] + (offset.map { [$0] } ?? []) + norm) {
          var weight = kernel(Variable(own.value)).value.contiguous
          var bias = offset?.value
          if let epsilon = followers.epsilon {
            // y = (x − mean) · scale / √(variance + ε) + shift
            let (scale, shift) = (norm[0].value, norm[1].value)
            let (mean, variance) = (norm[2].value, norm[3].value)
            let factor = scale / (variance + epsilon).squareRoot()
            weight = weight * factor
            bias = shift + ((bias ?? .zeros(mean.shape)) - mean) * factor
          }
          return .convolution(
            PreparedConvolution(weight, bias: bias, activation: followers.activation, geometry))
        }
      }
      guard case .convolution(let convolution) = prepared else { throw failure("no weights") }
      if isEven { node.cache.keep(x.shape) }
      if !isLine { return try followed(convolution, around.value) }
      result = Variable(convolution(around.value))
    } else {
      result = around.convolved(with: kernel(weight), bias: bias, geometry)
    }
    let y = result.permuted([0, 3, 1, 2])
    return isLine ? y.reshaped([s[0], w[0], windows.output[0]]) : y
  }

  /// A convolution of images, and what the node adds to it, with its channels where the format has them.
  private func followed(_ convolution: PreparedConvolution, _ images: Tensor) throws -> Variable {
    guard node.followers.isAdded else {
      return Variable(convolution(images).permuted([0, 3, 1, 2]))
    }
    let other = try float(inputs.count - 1)
    if other.shape.rank == 4 {
      let rows = other.value.permuted([0, 2, 3, 1])
      if rows.shape == convolution.outputShape(images.shape) {
        return Variable(convolution(images, adding: rows).permuted([0, 3, 1, 2]))
      }
    }
    // One of them is repeated to the other's shape.
    let (plain, activation) = convolution.parts
    let y = Variable(plain(images).permuted([0, 3, 1, 2]))
    let sum = try paired(y, other) { $0 + $1 }
    return activation.map { activation in sum.inMemoryOrder { Variable(activation($0.value)) } }
      ?? sum
  }

  /// Windows laid out as rows, and one product a group: for what the kernels of images do not do.
  private func generally(
    _ x: Variable, _ weight: Variable, _ bias: Variable?, _ groups: Int, _ windows: Windows
  ) -> Variable {
    let (s, w) = (x.shape.extents, weight.shape.extents)
    let around = x.surrounded([0, 0] + windows.before, [0, 0] + windows.after, by: 0)
    let padded = windows.padded(Array(s[2...]))
    let (width, out) = (w[1...].reduce(1, *), w[0] / groups)
    let parts = (0..<groups).map { group -> Variable in
      let places = windows.places(
        batch: s[0], channels: group * w[1]..<(group + 1) * w[1], of: s[1], padded: padded)
      let rows = around.flat(at: places).reshaped([-1, width])
      let kernel = weight.sliced(group * out..<(group + 1) * out).reshaped([out, width])
      return rows.matmul(kernel.permuted([1, 0]))
    }
    var y = Variable.concatenated(parts, axis: 1)
    if let bias { y = y + bias }
    let rank = windows.output.count
    return y.reshaped([s[0]] + windows.output + [w[0]])
      .permuted([0, rank + 1] + (1...rank))
  }

  /// The transposed map of a convolution: every number spreads the kernel over the result.
  fileprivate func transposedConvolution() throws -> Variable {
    let (x, weight, bias) = (try float(0), try float(1), try optionalFloat(2))
    let groups = int("group") ?? 1
    let (s, w) = (x.shape.extents, weight.shape.extents)
    try require(
      s.count >= 3 && s.count == w.count && groups > 0 && w[0] == s[1] && w[0] > 0
        && w[0] % groups == 0
        && bias.map { $0.shape.extents == [Self.product(w[1], groups)] } ?? true
        && w.allSatisfy { $0 > 0 },
      "a kernel of \(w) in \(groups) groups over \(s)")
    let (rank, kernel, image) = (s.count - 2, Array(w[2...]), Array(s[2...]))
    func list(_ name: String, atLeast least: Int) throws -> [Int] {
      let found = ints(name) ?? [Int](repeating: least, count: rank)
      try require(
        found.count == rank && found.allSatisfy { least...1 << 24 ~= $0 }, "\(name) of \(found)")
      return found
    }
    let (strides, dilations) = (
      try list("strides", atLeast: 1), try list("dilations", atLeast: 1)
    )
    let extra = try list("output_padding", atLeast: 0)
    let full = (0..<rank).map { axis -> Int in
      let span = dilations[axis] * (kernel[axis] - 1) + 1
      return (image[axis] - 1) * strides[axis] + span + extra[axis]
    }
    var pads = ints("pads") ?? [Int](repeating: 0, count: 2 * rank)
    try require(pads.count == 2 * rank && pads.allSatisfy { 0...1 << 24 ~= $0 }, "pads of \(pads)")
    let mode = try choice("auto_pad", ["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"])
    try require(
      ints("output_shape").map { $0.count >= rank && $0.allSatisfy { 1...1 << 24 ~= $0 } } ?? true,
      "an output_shape of \(ints("output_shape") ?? [])")
    var wanted: [Int]? = ints("output_shape").map { Array($0.suffix(rank)) }
    if wanted == nil, mode.hasPrefix("SAME") { wanted = zip(image, strides).map { $0 * $1 } }
    if let wanted {
      for axis in 0..<rank {
        let total = max(0, full[axis] - wanted[axis])
        let less = total / 2
        // The larger half before, but for SAME_UPPER.
        (pads[axis], pads[axis + rank]) =
          mode == "SAME_UPPER" ? (less, total - less) : (total - less, less)
      }
    } else if mode == "VALID" {
      pads = pads.map { _ in 0 }
    }
    let (out, all) = (w[1], w[1] * groups)
    let reached = try (0..<rank).map { axis -> Int in
      let most = max(full[axis], wanted.map { $0[axis] + pads[axis] } ?? 0)
      try require(
        most - pads[axis] - pads[axis + rank] > 0 || wanted != nil, "pads of \(pads) leave nothing")
      return most
    }
    try checked([s[0], all] + reached)
    if rank == 2, wanted == nil, s[0] > 0, Set(strides).count == 1, Set(dilations).count == 1,
      Set(pads).count == 1, extra.allSatisfy({ $0 < strides[0] }), strides[0] <= 16,
      // Around a small image the gradient takes a border of the kernel's span on both axes.
      (0..<2).allSatisfy({ dilations[0] * ((kernel.max() ?? 1) - 1) <= 64 + 4 * image[$0] })
    {
      let geometry = ConvolutionGeometry(
        stride: strides[0], padding: pads[0], dilation: dilations[0], groups: groups)
      let y = x.permuted([0, 2, 3, 1]).transposedConvolved(
        with: weight.permuted([2, 3, 1, 0]), geometry,
        to: [s[0], reached[0] - 2 * pads[0], reached[1] - 2 * pads[0], all])
      return (bias.map { y + $0 } ?? y).permuted([0, 3, 1, 2])
    }
    try checked([s[0]] + image + [all] + kernel)
    let steps = reached.rowMajorSteps
    let size = reached.reduce(1, *)
    let taps = kernel.reduce(1, *)
    let spread = [s[0]] + image + [out] + kernel
    let spreadSteps: [Int] =
      [out * size] + zip(strides, steps).map { $0 * $1 } + [size]
      + zip(dilations, steps).map { $0 * $1 }
    let targets = places(spread, steps: spreadSteps)
    let rows = x.permuted([0] + (2..<s.count) + [1]).reshaped([s[0] * image.reduce(1, *), s[1]])
    let parts = (0..<groups).map { group -> Variable in
      let own = group * s[1] / groups..<(group + 1) * s[1] / groups
      let columns = rows.sliced(own, axis: 1).matmul(
        weight.sliced(own).reshaped([own.count, out * taps]))
      return columns.summed(at: targets, count: s[0] * out * size).reshaped([s[0], out] + reached)
    }
    var y = Variable.concatenated(parts, axis: 1)
    for axis in 0..<rank {
      let end = wanted.map { $0[axis] + pads[axis] } ?? reached[axis] - pads[axis + rank]
      y = y.sliced(pads[axis]..<max(pads[axis], end), axis: axis + 2)
    }
    if let bias { y = y + bias.reshaped([all] + [Int](repeating: 1, count: rank)) }
    return y
  }
}
