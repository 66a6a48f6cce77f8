public import Autodiff
import Glibc
public import Layers
public import Settings
public import Symmetry
public import TensorCore

/// A canonicalizer of images under rotation that is a class-pose encoder: a plain network learns the pose from how
/// images differ from turned copies of themselves, with no class and no upright image (arXiv 2207.03116).
///
/// The network is not equivariant: how well it follows a turn is learned, and measured by `canon verify` and
/// `canon poses`. Quarter turns it follows exactly, as every canonicalizer of images here.
///
/// The pose of an orbit is free up to a turn of its own. Images that look alike have like frames, since the network is
/// smooth; those of an image with a symmetry cannot be smooth, whatever the network is. With `congealing` each canonical form
/// is to be like a mixture of a few templates, which the point of the sphere chooses: that is cheapest where like images are brought to
/// like forms (after Learned-Miller, Data driven image models through continuous joint alignment, PAMI 2006, with learned templates in
/// the place of one mean image). Directions are averaged over `turns` copies of the
/// image, turned evenly around the circle: the more, the less the pose depends on how the image is turned. The margin is the length
/// of their mean: 1 where all agree, 0 for an image that a quarter or half turn leaves as it is.
public struct ClassPoseCanonicalizer: ImageCanonicalizer {
  public typealias PoseGroup = SO2
  public let action: ImageAction<SO2>
  public let encoder: ClassPoseEncoder
  /// The temperature of the contrast between orbits.
  public let temperature: Float
  /// From points of the sphere to mixtures of templates, for congealing; `nil` without it.
  public let templates: (any Layer)?
  /// How much the squared difference of forms from these mixtures, summed over pixels, counts.
  public let congealing: Float
  /// How many turned copies of an image directions are averaged over, a multiple of four.
  public let turns: Int
  private let mask: Tensor

  /// Creates a canonicalizer of images of `size` pixels, from an encoder into sphere × circle.
  public init(
    _ encoder: ClassPoseEncoder, size: Int, temperature: Float = 0.8, border: BorderPolicy = .zero,
    turns: Int = 4, templates: (any Layer)? = nil, congealing: Float = 0
  ) {
    require(turns > 0 && turns % 4 == 0, "directions of \(turns) turns, no multiple of four")
    require(encoder.group.factors == [.circle], "a pose in \(encoder.group.factors) of an image")
    action = ImageAction(SO2(), border: border)
    (self.encoder, self.temperature) = (encoder, temperature)
    (self.turns, self.templates, self.congealing) = (turns, templates, congealing)
    mask = discMask(height: size, width: size)
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    encoder.parameters
      + (templates?.parameters ?? []).map { ("templates.\($0.name)", $0.parameter) }
  }

  /// Which orbit images lie on, and where.
  public func codes(of images: Tensor) -> ClassPoseCode {
    encoder(Variable(images * mask), on: .inference())
  }

  /// The mean direction over turned copies of each image, each turned back; the margin is its length.
  ///
  /// - Complexity: `turns` passes of the network.
  public func poses(of batch: Tensor) -> [Pose<PlanarIsometry>] {
    action.group.exactPoses(of: batch * mask) { images in
      let count = images.shape[0]
      var sums = [(x: Double, y: Double)](repeating: (0, 0), count: count)
      for turn in 0..<turns {
        let (quarters, rest) = (turn * 4).quotientAndRemainder(dividingBy: turns)
        let g = PlanarIsometry(
          quarterTurns: quarters, residual: .pi / 2 * Double(rest) / Double(turns))
        let turned = action.act([PlanarIsometry](repeating: g, count: count), on: images)
        for (n, direction) in directions(in: turned).enumerated() {
          let back = SO2().compose(SO2().inverse(g), direction)
          sums[n].x += cos(back.angle) / Double(turns)
          sums[n].y += sin(back.angle) / Double(turns)
        }
      }
      return sums.map {
        Pose(PlanarIsometry(residual: atan2($0.y, $0.x)), margin: Float(hypot($0.x, $0.y)))
      }
    }
  }

  /// What the network says of each image alone.
  private func directions(in images: Tensor) -> [PlanarIsometry] {
    let numbers = encoder(Variable(images), on: .inference()).pose.value.elements
    return (0..<images.shape[0]).map { n in
      PlanarIsometry(residual: atan2(Double(numbers[2 * n + 1]), Double(numbers[2 * n])))
    }
  }

  /// Forms at the poses that are found now, with the encoder's own loss on copies turned at random.
  public func trainingForms(_ batch: Variable, on tape: Tape) -> TrainingForms {
    let count = batch.shape[0]
    let inverses = poses(of: batch.value).map { action.group.inverse($0.element) }
    // Both views are turned, so that neither is the one that was sampled less.
    let angles = tape.uniform([2, count]).elements.map { 2 * .pi * Double($0) }
    let (a, b) = (Array(angles[0..<count]), Array(angles[count...]))
    let turned = [a, b].map { angles in
      action.act(angles.map { PlanarIsometry(residual: $0) }, on: batch.value)
    }
    // One pass for both: batch norm sees all of them.
    let both = Tensor.concatenated(turned) * mask
    let codes = encoder(Variable(both), on: tape)
    let elements = zip(a, b).map { encoder.group.exp([$1 - $0]) }
    var loss = encoder.loss(
      codes.sliced(0..<count), codes.sliced(count..<2 * count), elements: elements,
      temperature: temperature, isSymmetric: true)
    if let apart = difference(of: both, codes, on: tape) {
      loss = loss + (apart.sliced(0..<count) + apart.sliced(count..<2 * count)) * (congealing / 2)
    }
    return TrainingForms(
      forms: act(inverses, on: batch), motions: [inverses.map(action.anyMotion)],
      regularization: loss)
  }

  /// How far forms are from the templates of their orbits, squared, summed over pixels, `[batch]`.
  ///
  /// The gradient goes to the pose too, through the resampling: it leads to the nearest turn that fits. Which of
  /// sixteen turns fits best is therefore looked up, and the pose is drawn there.
  private func difference(
    of images: Tensor, _ codes: ClassPoseCode, on tape: Tape
  ) -> Variable? {
    guard let templates else { return nil }
    // Undoing g samples at g's matrix.
    let (c, s) = (codes.pose.sliced(0..<1, axis: 1), codes.pose.sliced(1..<2, axis: 1))
    let forms = Variable(images)
      .warped(by: .concatenated([c, s, -s, c], axis: 1), border: action.border)
    let drawn = templates(codes.orbit, on: tape).reshaped(images.shape.extents)
    let apart = ((forms - drawn) * Variable(mask)).squared().sum([1, 2, 3])
    // As much as the ink of a digit, squared and summed: a frame a quarter turn away costs what forms that have nothing in common do.
    return apart + way(of: codes.pose, to: turns(of: forms.value, likest: drawn.value)) * 30
  }

  /// The turn of each drawn image, of sixteen, in which the form is most like it: of the largest product.
  private func turns(of forms: Tensor, likest drawn: Tensor) -> [Double] {
    let (count, order) = (forms.shape[0], 16)
    var best = [(likeness: Float, turn: Double)](repeating: (-.infinity, 0), count: count)
    let inside = forms * mask
    for turn in 0..<order {
      let angle = 2 * .pi * Double(turn) / Double(order)
      let g = PlanarIsometry(residual: angle)
      let turned = action.act([PlanarIsometry](repeating: g, count: count), on: drawn)
      for (n, likeness) in (turned * inside).sum([1, 2, 3]).elements.enumerated()
      where likeness > best[n].likeness {
        best[n] = (likeness, angle)
      }
    }
    return best.map(\.turn)
  }

  /// How far poses are from themselves turned by angles: 1 − cos, and beyond a quarter turn as at one, `[batch]`.
  private func way(of poses: Variable, to turns: [Double]) -> Variable {
    let p = poses.value.elements
    let targets = turns.enumerated().flatMap { n, turn -> [Float] in
      let angle = max(-.pi / 2, min(.pi / 2, turn > .pi ? turn - 2 * .pi : turn))
      let (c, s) = (Float(cos(angle)), Float(sin(angle)))
      return [c * p[2 * n] - s * p[2 * n + 1], s * p[2 * n] + c * p[2 * n + 1]]
    }
    return (poses * Variable(Tensor(targets, shape: [turns.count, 2]))).sum([1]) * -1 + 1
  }
}

extension ClassPoseCanonicalizer: ExportableCanonicalizer {
  public func poseVariables(of batch: Variable, on tape: Tape) -> PoseVariables {
    let images = batch * Variable(mask)
    let directions = (0..<turns).map { turn -> Variable in
      let g = PlanarIsometry(residual: 2 * .pi * Double(turn) / Double(turns))
      let turned = images.warped(
        byEach: [g.samplingMap], action.interpolation, border: action.border)
      let pose = encoder(turned, on: tape).pose
      let length = pose.squared().sum([1], keepingAxes: true).squareRoot()
      let (c, s) = (Float(cos(g.angle)), Float(sin(g.angle)))
      // Turned back, and of length 1.
      return pose.divided(by: length, orElse: 0)
        .matmul(Variable(Tensor([c, -s, s, c], shape: [2, 2]))) * (1 / Float(turns))
    }
    let sum = directions.dropFirst().reduce(directions[0], +)
    let length = sum.squared().sum([1], keepingAxes: true).squareRoot()
    return PoseVariables(
      cosine: sum.column(0).divided(by: length, orElse: 1),
      sine: sum.column(1).divided(by: length, orElse: 0), margin: length.reshaped([-1]))
  }
}

extension ClassPoseCanonicalizer {
  /// Mixtures of 24 templates: the softmax of eight times a linear map of points of the sphere, sharp enough to choose few.
  static func templates(
    _ classDimensions: Int, _ images: ImageDomain, using random: inout RandomStream
  ) -> Sequential {
    let pixels = images.size * images.size * images.channels
    return Sequential([
      Linear(classDimensions, 24, using: &random), Function { ($0 * 8).logSoftmax().exp() },
      Linear(24, pixels, using: &random),
    ])
  }
}

/// The settings of `{kind: class-pose}`, a canonicalizer.
public struct ClassPoseCanonicalizerOptions: CanonicalizerOptions {
  public static let kind = "class-pose"
  public static let summary =
    "A plain network learns the angle from turned copies, and which orbit they lie on, with no class."
  public static let isLearned = true
  public var width = 32
  public var classDimensions = 8
  public var temperature: Float = 0.8
  public var head = PoseHead.projection
  public var stride = 1
  public var turns = 4
  public var congealing: Float = 0

  public init() {}

  public var teaching: [String] {
    (temperature == 0.8 ? [] : ["temperature"]) + (congealing > 0 ? ["congealing"] : [])
  }

  public mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {
    let images = try keys.images(domain, Self.kind)
    try keys.read("width", &width, in: 1...1024, "channels of the network's first stage")
    try keys.read("stride", &stride, in: 1...2, "of the first convolution")
    try keys.readClassPose(&classDimensions, &temperature, &head)
    try keys.refuse(weights: 144, width, width)
    try keys.read(
      "turns", &turns, in: 4...64,
      "turned copies whose directions are averaged, a multiple of four: more, and slower, for steadier poses"
    )
    if turns % 4 != 0 { throw keys.failure("'turns' must be a multiple of four, not \(turns)") }
    try keys.read(
      "congealing", &congealing, in: 0...1e6,
      "how much it counts that canonical forms are like mixtures of a few templates; 0: not")
    if congealing > 0 {
      try keys.refuse(weights: 24, images.size * images.size, images.channels)
    }
  }

  public func make(_ build: CanonicalizerBuild) throws(SettingsError) -> any TrainableCanonicalizer
  {
    let images = try build.images(Self.kind)
    var random = build.random()
    let group = AmbientGroup([.circle])
    let network = Backbone.poseCNN(
      size: images.size, channels: images.channels, width: width, stride: stride,
      outputs: ClassPoseEncoder.outputCount(group, head: head, classDimensions: classDimensions),
      using: &random)
    return ClassPoseCanonicalizer(
      ClassPoseEncoder(network, group: group, head: head, classDimensions: classDimensions),
      size: images.size, temperature: temperature, border: images.border, turns: turns,
      templates: congealing > 0
        ? ClassPoseCanonicalizer.templates(classDimensions, images, using: &random) : nil,
      congealing: congealing)
  }
}

extension Keys {
  /// Reads the keys of every class-pose encoder.
  public mutating func readClassPose(
    _ classDimensions: inout Int, _ temperature: inout Float, _ head: inout PoseHead
  ) throws(SettingsError) {
    try read(
      "classDimensions", &classDimensions, in: 2...1024,
      "of the space whose sphere tells orbits apart")
    try read(
      "temperature", &temperature, in: 0.01...100, "of the contrast between orbits (InfoNCE)")
    try read("head", &head, "how numbers become a pose; exponential tears, for comparison")
  }
}
