public import Autodiff
import Layers
public import Settings
public import Symmetry
public import TensorCore

/// A learned canonicalizer for shifts of images: the center of what a network finds worth looking at.
///
///     h(x) = Σₚ wₚ p / Σₚ wₚ,   w = x · σ(s(x))
///
/// *s* is one number a pixel, of a steerable network, so that the center turns with the image, and a rotation
/// found about it makes a canonicalizer for SE(2). Before it has learned it is the center of mass; it can
/// learn to leave out what does not belong to the object. The gradient passes through the warp.
///
/// For shifts that keep all of the image in the frame the law holds within the sampling error. The margin is
/// the part of the intensity that counts; an empty image has the identity as its pose, with margin 0.
public struct LearnedCenter: TrainableCanonicalizer {
  public let action: AffineImageAction
  private let network: Sequential

  /// Creates a center with random weights in its first layer, and zeros in its last.
  ///
  /// The hidden layer has `width` channels, each of frequencies 0, 1 and 2; with two convolutions of
  /// `kernel` pixels, what is within `kernel` − 1 pixels decides on a pixel.
  public init(
    channels: Int = 1, width: Int = 4, kernel: Int = 7, border: BorderPolicy = .zero,
    using random: inout RandomStream
  ) {
    action = AffineImageAction(.translations, border: border)
    let hidden = SteerableField(channels: width, largestFrequency: 2)
    let last = SteerableConvolution(
      hidden, .scalars(1), kernel: kernel, padding: kernel / 2, using: &random)
    last.weight.update { $0 = $0 * 0 }
    network = Sequential([
      SteerableConvolution(
        .scalars(channels), hidden, kernel: kernel, padding: kernel / 2, using: &random),
      SteerableNormReLU(hidden), last,
    ])
  }

  public var parameters: [(name: String, parameter: Parameter)] { network.parameters }

  /// The weight of each pixel, not negative, `[batch, height, width, 1]`.
  public func weights(of batch: Variable, on tape: Tape) -> Variable {
    batch.mean([3], keepingAxes: true).relu() * network(batch, on: tape).sigmoid()
  }

  /// The centers in pixels from the middle, *x* to the right and *y* down, `[batch, 2]`.
  private func centers(of weights: Variable) -> Variable {
    let (height, width) = (weights.shape[1], weights.shape[2])
    let (middleX, middleY) = (Float(width - 1) / 2, Float(height - 1) / 2)
    let places = (0..<height * width).flatMap { i -> [Float] in
      [Float(i % width) - middleX, Float(i / width) - middleY]
    }
    let flat = weights.reshaped([-1, height * width])
    let sums = flat.matmul(Variable(Tensor(places, shape: [height * width, 2])))
    return sums / (flat.sum([1], keepingAxes: true) + 1e-12)
  }

  public func poses(of batch: Tensor) -> [Pose<AffineMap>] {
    let weights = weights(of: Variable(batch), on: .inference())
    let elements = elements(centers(of: weights).value, batch)
    let parts = weights.value.sum([1, 2, 3]).elements
    let masses = batch.mean([3]).relu().sum([1, 2]).elements
    return masses.indices.map { n in
      guard parts[n] > 0 else { return Pose(.identity(2), margin: 0) }
      return Pose(elements[n], margin: parts[n] / masses[n])
    }
  }

  /// The shifts to centers in pixels.
  private func elements(_ centers: Tensor, _ batch: Tensor) -> [AffineMap] {
    let unit = AffineImageAction.unit(of: batch)
    let shifts = centers.elements.map { Double($0) / unit }
    return (0..<batch.shape[0]).map { n in
      AffineMap(matrix: [1, 0, 0, 1], translation: [shifts[2 * n], shifts[2 * n + 1]])
    }
  }

  public func trainingForms(_ batch: Variable, on tape: Tape) -> TrainingForms {
    let centers = centers(of: weights(of: batch, on: tape))
    let inverses = elements(centers.value, batch.value).map(\.inverse)
    let turns = Tensor(
      (0..<batch.shape[0]).flatMap { _ in [1, 0, 0, 1] as [Float] }, shape: [batch.shape[0], 4])
    let maps = Variable.concatenated([Variable(turns), centers], axis: 1)
    return TrainingForms(
      forms: batch.warped(by: maps, action.interpolation, border: action.border),
      motions: [inverses.map { Motion(map: $0) }],
      priorLoss: (centers * Float(1 / AffineImageAction.unit(of: batch.value))).squared().sum([1]))
  }
}

extension LearnedCenter: ExportableCanonicalizer {
  public func poseVariables(of batch: Variable, on tape: Tape) -> PoseVariables {
    let weights = weights(of: batch, on: tape)
    let part = weights.sum([1, 2, 3])
    let mass = batch.mean([3]).relu().sum([1, 2])
    let shift = centers(of: weights) * Float(1 / AffineImageAction.unit(of: batch.value))
    return PoseVariables(translation: shift, margin: part.divided(by: mass, orElse: 0))
  }
}

/// The settings of `{kind: learned-center}`.
public struct LearnedCenterOptions: CanonicalizerOptions {
  public static let kind = "learned-center"
  public static let summary =
    "Shifts an image to the center of what a network finds worth looking at."
  public static let isLearned = true
  public var prior: Float = 0

  public init() {}

  public mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {
    _ = try keys.images(domain, Self.kind)
    try keys.read("prior", &prior, in: 0...1e4, "weight of the loss towards the middle")
  }

  public func make(_ build: CanonicalizerBuild) throws(SettingsError) -> any TrainableCanonicalizer
  {
    let images = try build.images(Self.kind)
    var random = build.random("center")
    return LearnedCenter(channels: images.channels, border: images.border, using: &random)
  }
}
