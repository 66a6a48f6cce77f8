public import Autodiff
import Glibc
import Layers
public import Settings
public import Symmetry
public import TensorCore

/// The nonlinearity between steerable convolutions.
public enum SteerableNonlinearity: String, Sendable, CaseIterable, Codable {
  /// Batch norm and ReLU of lengths.
  case norm
  /// A ReLU of samples on the circle, after batch norm of lengths.
  case fourier
}

/// A learned canonicalizer for all rotations of images, SO(2), or with reflections, O(2).
///
/// A steerable network ends in vectors of the plane that turn with the image, averaged over all pixels:
/// the first one's direction is the angle, and for O(2) the side on which a second one lies tells the
/// reflection (Gram–Schmidt). Directions are projected from the plane without its origin, so that the
/// pose follows every turn once around (winding number 1). The gradient passes through the warp.
///
/// The margin is the length of the first vector; for O(2) at most the part of the second across it.
public struct SteerableCanonicalizer<Group: PlanarGroup>: ImageCanonicalizer
where Group.Element == PlanarIsometry {
  public typealias PoseGroup = Group
  public let action: ImageAction<Group>
  public let size, channels: Int
  public let alignment: ClassAlignment?
  /// The weight, in training, of how far the pose of a turned copy is from the turned pose: sampling
  /// leaves an error that the network can learn to make small.
  public let consistency: Float
  /// How many copies of an image, turned by parts of a quarter turn, poses are averaged over where nothing is
  /// learned: what sampling on a square grid adds to a direction changes its sign between them.
  public let copies: Int
  private let network: Sequential
  private let hasReflections: Bool
  private let mask: Tensor
  /// Binomial, `[5, 5, 1, channels]`.
  private let blur: Tensor

  /// Creates a canonicalizer with random weights.
  ///
  /// The group is `SO2()` or `O2()`, `size` the side of the images; every layer has `width` channels, each of
  /// frequencies 0…`largestFrequency`, and one of the `kernels`, without padding.
  public init(
    _ group: Group, size: Int, channels: Int = 1, width: Int = 6, largestFrequency: Int = 2,
    kernels: [Int] = [9, 5, 5], nonlinearity: SteerableNonlinearity = .norm,
    alignment: ClassAlignment? = nil, consistency: Float = 0, copies: Int = 1,
    border: BorderPolicy = .zero,
    using random: inout RandomStream
  ) {
    require(
      kernels.reduce(size) { $0 - $1 + 1 } > 0, "kernels \(kernels) on images of \(size)")
    require(copies > 0, "poses averaged over \(copies) copies")
    action = ImageAction(group, border: border)
    (self.size, self.channels, self.alignment) = (size, channels, alignment)
    (self.consistency, self.copies) = (consistency, copies)
    hasReflections = group.exactElements.contains { $0.isReflected }
    mask = discMask(height: size, width: size)
    let row: [Float] = [1, 4, 6, 4, 1].map { $0 / 16 }
    blur = Tensor(
      (0..<25 * channels).map { row[$0 / channels / 5] * row[$0 / channels % 5] },
      shape: [5, 5, 1, channels])
    let hidden = SteerableField(channels: width, largestFrequency: largestFrequency)
    let last = SteerableField(channels: hasReflections ? 2 : 1, largestFrequency: 1)
    var layers: [any Layer] = []
    var input = SteerableField.scalars(channels)
    for (i, kernel) in kernels.enumerated() {
      let isLast = i == kernels.count - 1
      layers.append(
        SteerableConvolution(
          input, isLast ? last : hidden, kernel: kernel, hasReflections: hasReflections,
          using: &random))
      if isLast { break }
      layers.append(SteerableNormReLU(hidden))
      if nonlinearity == .fourier { layers.append(FourierReLU(hidden)) }
      input = hidden
    }
    network = Sequential(layers)
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    network.parameters + (alignment?.parameters ?? [])
  }

  /// The vectors of each image, components *x* to the right and *y* up, averaged over the pixels and not
  /// of any length: `[batch, 1, 2]`, or `[batch, 2, 2]` with reflections.
  public func vectors(of batch: Variable, on tape: Tape) -> Variable {
    require(
      Array(batch.shape.extents.dropFirst()) == [size, size, channels],
      "images \(batch.shape) for a canonicalizer of \(size) × \(size) × \(channels)")
    // Smoothed first: strokes as thin as a pixel change when they are sampled anew.
    let smooth = (batch * Variable(mask)).convolved(
      with: Variable(blur), ConvolutionGeometry(padding: 2, groups: channels))
    return network(smooth, on: tape).mean([1, 2])
      .reshaped([batch.shape[0], -1, 3]).sliced(1..<3, axis: 2)
  }

  /// The vectors averaged over the turned copies, each turned back.
  private func averagedVectors(of images: Tensor) -> Tensor {
    func found(_ images: Tensor) -> Tensor { vectors(of: Variable(images), on: .inference()).value }
    return (1..<copies).reduce(found(images)) { sum, k in
      let angle = .pi / 2 * Double(k) / Double(copies)
      let turns = [PlanarIsometry](repeating: .init(residual: angle), count: images.shape[0])
      let (c, s) = (Float(cos(angle)), Float(sin(angle)))
      return sum
        + found(ImageAction(SO2()).act(turns, on: images))
        .matmul(Tensor([c, -s, s, c], shape: [2, 2]))
    }
  }

  public func poses(of batch: Tensor) -> [Pose<PlanarIsometry>] {
    action.group.exactPoses(of: batch * mask) { images in
      let vectors = averagedVectors(of: images)
      let numbers = vectors.elements.map { Double($0) }
      let stride = vectors.shape[1] * 2
      return (0..<images.shape[0]).map { n in pose(Array(numbers[n * stride..<(n + 1) * stride])) }
    }
  }

  private func pose(_ v: [Double]) -> Pose<PlanarIsometry> {
    let length = hypot(v[0], v[1])
    guard hasReflections else {
      return Pose(PlanarIsometry(residual: atan2(v[1], v[0])), margin: Float(length))
    }
    // The reflection left to right, the element's first part, leaves the canonical vectors' side
    // behind: a positive side is that of a rotation.
    let side = v[0] * v[3] - v[1] * v[2]
    let across = length > 0 ? abs(side) / length : 0
    let margin = Float(min(length, across))
    guard side < 0 else { return Pose(PlanarIsometry(residual: atan2(v[1], v[0])), margin: margin) }
    // (1, 0), mirrored to (−1, 0), is then turned to v.
    return Pose(PlanarIsometry(residual: atan2(-v[1], -v[0]), isReflected: true), margin: margin)
  }

  public func trainingForms(_ batch: Variable, on tape: Tape) -> TrainingForms {
    let vectors = vectors(of: batch, on: tape)
    let count = batch.shape[0]
    let unit = vectors.firstDirections()
    let (c, s) = (unit.sliced(0..<1, axis: 1), unit.sliced(1..<2, axis: 1))
    let numbers = vectors.value.elements
    // The sign of the side is piecewise constant: a reflection is not learned through it.
    let signs = (0..<count).map { n -> Float in
      guard hasReflections else { return 1 }
      let v = numbers[4 * n..<4 * n + 4].map { $0 }
      return v[0] * v[3] - v[1] * v[2] < 0 ? -1 : 1
    }
    // Undoing g samples at g's matrix: [c, s; −s, c], its second column mirrored with the sense.
    let sign = Variable(Tensor(signs, shape: [count, 1]))
    let matrices = Variable.concatenated([c, s * sign, -s, c * sign], axis: 1)
    let forms = batch.warped(by: matrices, border: action.border)
    let maps = matrices.value.elements
    let away = matrices - Variable(Tensor([1, 0, 0, 1]))
    var result = TrainingForms(
      forms: forms, priorLoss: away.squared().mean([1]),
      alignmentLoss: alignment.map { alignment in { alignment.loss(of: forms, $0, on: tape) } },
      regularization: consistency > 0 ? inconsistency(of: unit, batch, on: tape) : nil
    ) { quantity, targets in
      // Where forms look in the images is the inverse of how they are moved.
      let motions = (0..<count).map { n in
        Motion(map: AffineMap(matrix: maps[4 * n..<4 * n + 4].map { Double($0) }).inverse)
      }
      return Variable(quantity.act(motions, on: targets.value))
    }
    result.priorLossOfTurned = { turns in
      let wanted = turns.flatMap { $0.matrix.map { Float($0) } }
      return (matrices - Variable(Tensor(wanted, shape: [count, 4]))).squared().mean([1])
    }
    return result
  }

  /// How far the directions found in copies turned at random are from the turned directions, squared,
  /// times `consistency`, `[batch]`.
  private func inconsistency(of unit: Variable, _ batch: Variable, on tape: Tape) -> Variable {
    let count = batch.shape[0]
    let turns = tape.uniform([count]).elements.map {
      PlanarIsometry(residual: 2 * .pi * Double($0))
    }
    let copies = ImageAction(SO2(), border: action.border).act(turns, on: batch.value)
    let found = vectors(of: Variable(copies), on: tape).firstDirections()
    let (c, s) = (turns.map { Float(cos($0.angle)) }, turns.map { Float(sin($0.angle)) })
    let matrices = zip(c, s).flatMap { [$0, $1, -$1, $0] }
    let turned = unit.reshaped([count, 1, 2])
      .matmul(Variable(Tensor(matrices, shape: [count, 2, 2]))).reshaped([count, 2])
    return (found - turned).squared().sum([1]) * consistency
  }
}

extension SteerableCanonicalizer: ExportableCanonicalizer {
  public func poseVariables(of batch: Variable, on tape: Tape) -> PoseVariables {
    let images = batch * Variable(mask)
    let sum = (1..<copies).reduce(vectors(of: images, on: tape)) { sum, k in
      let angle = .pi / 2 * Double(k) / Double(copies)
      let turned = images.warped(byEach: [PlanarIsometry(residual: angle).samplingMap])
      let (c, s) = (Float(cos(angle)), Float(sin(angle)))
      return sum
        + vectors(of: turned, on: tape).matmul(Variable(Tensor([c, -s, s, c], shape: [2, 2])))
    }
    let rows = sum.reshaped([-1, hasReflections ? 4 : 2])
    let (x, y) = (rows.column(0), rows.column(1))
    let length = (x.squared() + y.squared()).squareRoot()
    let (c, s) = (x.divided(by: length, orElse: 1), y.divided(by: length, orElse: 0))
    guard hasReflections else {
      return PoseVariables(cosine: c, sine: s, margin: length.reshaped([-1]))
    }
    let side = x * rows.column(3) - y * rows.column(2)
    let across = side.magnitude.divided(by: length, orElse: 0)
    let isMirrored = Variable(Tensor(0)).isGreater(than: side)
    return PoseVariables(
      cosine: c, sine: s, sense: isMirrored * -2 + 1,
      margin: Variable.smaller(length, across).reshaped([-1]))
  }
}

extension Variable {
  /// The first of each image's vectors, of length 1: `[batch, vectors, 2]` → `[batch, 2]`.
  fileprivate func firstDirections() -> Variable {
    let first = sliced(0..<1, axis: 1).reshaped([shape[0], 2])
    return first / (first.squared().sum([1], keepingAxes: true) + 1e-20).squareRoot()
  }
}

/// The settings of `{kind: steerable}`.
public struct SteerableOptions: CanonicalizerOptions {
  public static let kind = "steerable"
  public static let summary =
    "A steerable network finds a direction that turns with an image by any angle."
  public static let isLearned = true
  public var group = "SO2"
  public var channels = 8
  public var nonlinearity = SteerableNonlinearity.norm
  public var consistency: Float = 0
  public var copies = 1
  public var pose = LearnedPose()
  public var prior: Float { pose.prior }
  public var teaching: [String] { pose.teaching + (consistency > 0 ? ["consistency"] : []) }

  public init() {}

  public mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {
    let images = try keys.images(domain, Self.kind)
    try keys.read(
      "group", &group, among: ["SO2", "O2"], "the group: rotations, with reflections (O2)")
    try keys.read("channels", &channels, in: 1...1024, "channels of each layer")
    try keys.read("nonlinearity", &nonlinearity, "what stands between convolutions")
    try keys.read(
      "consistency", &consistency, in: 0...1000,
      "the pose of a turned copy should be the turned pose")
    try keys.read("copies", &copies, in: 1...64, "average the pose over so many turned copies")
    try pose.readLosses(&keys)
    if images.size < 17 {
      throw keys.failure("'steerable' needs images of at least 17 pixels, not \(images.size)")
    }
    try keys.refuse(weights: 81, 9, channels, channels)
  }

  public func make(_ build: CanonicalizerBuild) throws(SettingsError) -> any TrainableCanonicalizer
  {
    let images = try build.images(Self.kind)
    func opened<G: PlanarGroup>(_ group: G) -> any TrainableCanonicalizer
    where G.Element == PlanarIsometry {
      var random = build.random()
      return SteerableCanonicalizer(
        group, size: images.size, channels: images.channels, width: channels,
        nonlinearity: nonlinearity, alignment: pose.classAlignment(build, images),
        consistency: consistency, copies: copies, border: images.border, using: &random)
    }
    return group == "O2" ? opened(O2()) : opened(SO2())
  }
}
