public import Autodiff
import Symmetry
public import TensorCore

/// Pulls training images of a class to a common pose: one template a class, learned with the poses.
///
/// A backbone with many weights learns any pose of a class, and so teaches little about poses. Here
/// each image must lie near its class's template μ in the pose that the canonicalizer believes in:
///
///     loss(x, y) = −log Σᵣ p(r | x) exp(−½ sharpness · |r⁻¹·x − μᵧ|²)
///
/// which is congealing (Learned-Miller 2006, doi 10.1109/TPAMI.2006.34) with the pose's posterior
/// amortized in the canonicalizer. Classes are used in training only.
public struct ClassAlignment: Sendable {
  /// `[pixels, classes]`.
  public let templates: Parameter
  /// The inverse variance of a pixel.
  public let sharpness: Float

  public init(
    classes: Int, size: Int, channels: Int = 1, sharpness: Float = 0.25,
    using random: inout RandomStream
  ) {
    templates = Parameter(
      .normal([size * size * channels, classes], deviation: 0.05, using: &random))
    self.sharpness = sharpness
  }

  /// The templates, by name.
  public var parameters: [(name: String, parameter: Parameter)] { [("templates", templates)] }

  /// The loss of each image.
  ///
  /// - Parameters:
  ///   - logProbabilities: Of each pose for each image, `[batch, order]`.
  ///   - targets: One-hot classes, `[batch, classes]`.
  func loss<Group: FiniteGroup & PlanarGroup>(
    of logProbabilities: Variable, _ batch: Tensor, _ targets: Tensor, _ action: ImageAction<Group>,
    on tape: Tape
  ) -> Variable {
    let (count, order) = (batch.shape[0], action.group.order)
    let copies = Variable(action.orbit(of: batch).reshaped([count * order, -1]))
    let mu = tape(templates)
    let squares = copies.squared().sum([1], keepingAxes: true) + mu.squared().sum([0])
    let distances = (squares - copies.matmul(mu) * 2).reshaped([count, order, -1])
    let own = (distances * Variable(targets.reshaped([count, 1, -1]))).sum([2])
    return -(logProbabilities - own * (sharpness / 2)).logSumExp()
  }

  /// The loss of images in the one pose that they were brought to: ½ sharpness · |form − μᵧ|².
  func loss(of forms: Variable, _ targets: Tensor, on tape: Tape) -> Variable {
    let own = Variable(targets).matmul(tape(templates).permuted([1, 0]))
    return (forms.reshaped([targets.shape[0], -1]) - own).squared().sum([1]) * (sharpness / 2)
  }
}
