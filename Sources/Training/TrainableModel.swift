public import Autodiff
import Canonicalization
public import Layers
public import TensorCore

/// A canonicalizer and a backbone, as a configuration describes them, that can be trained.
public protocol TrainableModel: Sendable {
  var configuration: RunConfiguration { get }
  var backbone: any Layer { get }
  /// The names of the classes; empty for other tasks.
  var classNames: [String] { get }
  /// All parameters with unique names; those of a frozen part are kept, not trained.
  var parameters: [(name: String, parameter: Parameter)] { get }

  /// Whether models of this type are for sets of points, not for images.
  static var takesPoints: Bool { get }

  /// Creates a model with random weights, which follow from the configuration's seed.
  init(_ configuration: RunConfiguration, classNames: [String])

  /// The loss of a batch in training, a scalar.
  func loss(_ inputs: Tensor, _ targets: Tensor, on tape: Tape) -> Variable

  /// The quality of the model's outputs on some examples.
  func quality(on examples: Examples) -> Quality
}

extension TrainableModel {
  /// The mean loss of a batch: the task's, of the mixture of its forms, and the canonicalizer's own.
  ///
  /// - Parameter classes: One-hot, where the task is to tell classes apart.
  func total(_ forms: TrainingForms, _ losses: Variable, _ classes: Tensor?) -> Variable {
    forms.mixture(losses).mean() + forms.ownLoss(configuration.canonicalizer.prior, classes)
  }
}

extension TrainingForms {
  /// The mean of the canonicalizer's own losses.
  ///
  /// - Parameter classes: One-hot, where the task is to tell classes apart.
  func ownLoss(_ prior: Float, _ classes: Tensor?) -> Variable {
    var loss = Variable(.zeros([]))
    if let classes, let alignmentLoss { loss = loss + alignmentLoss(classes).mean() }
    if let regularization { loss = loss + regularization.mean() }
    if prior > 0, let priorLoss { loss = loss + priorLoss.mean() * prior }
    return loss
  }
}
