public import Autodiff
import Glibc
import Symmetry
import TensorCore

/// Pulls training images of a class to a common pose: that in which they lie best on the class's template.
///
/// A backbone with many weights learns any pose of a class, and so teaches little about poses. The
/// templates are found before training, from the images and their classes alone, by congealing
/// (Learned-Miller 2006, doi 10.1109/TPAMI.2006.34): expectation and maximization with the pose as the hidden
/// variable. In training a pose is as good as its posterior under the template μ of the class:
///
///     q(r | x, y) ∝ exp(−½ sharpness · |r⁻¹·x − μᵧ|²)
///
/// Classes are used in training only.
public struct ClassAlignment: Sendable {
  /// `[pixels, classes]`; kept with a model, changed by `congeal` only.
  public let templates: Parameter
  /// The inverse variance of a pixel.
  public let sharpness: Float
  let size, channels: Int

  public init(classes: Int, size: Int, channels: Int = 1, sharpness: Float = 0.25) {
    templates = Parameter(.zeros([size * size * channels, classes]))
    self.sharpness = sharpness
    (self.size, self.channels) = (size, channels)
  }

  /// The templates, by name.
  public var parameters: [(name: String, parameter: Parameter)] { [("templates", templates)] }

  /// The posterior of each pose under the template of the image's class, `[batch, order]`, as logarithms up
  /// to a number for each image.
  func logPosterior<Group: FiniteGroup & PlanarGroup>(
    _ batch: Tensor, _ targets: Tensor, _ action: ImageAction<Group>
  ) -> Tensor {
    let (count, order) = (batch.shape[0], action.group.order)
    let products = action.orbit(of: batch).reshaped([count * order, -1]).matmul(templates.value)
    let own = products.reshaped([count, order, -1]) * targets.reshaped([count, 1, -1])
    // Of |r⁻¹·x − μ|² only the product depends on the pose.
    return own.sum([2]) * sharpness
  }

  /// The loss of scored poses, −log Σᵣ *p*(*r*|*x*) exp(−½ sharpness · |*r*⁻¹·*x* − μᵧ|²), of each image.
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

  /// The mean, over the posterior, of where a pose turns the *x* axis: `[batch, 2]`, *x* to the right and *y*
  /// up.
  func direction<Group: FiniteGroup & PlanarGroup>(
    _ batch: Tensor, _ targets: Tensor, over group: Group
  ) -> Tensor {
    let directions = group.elements.map(group.isometry).flatMap { g in
      [cos(g.angle), sin(g.angle)].map { Float(g.isReflected ? -$0 : $0) }
    }
    return logPosterior(batch, targets, ImageAction(group)).softmax()
      .matmul(Tensor(directions, shape: [group.order, 2]))
  }
}
