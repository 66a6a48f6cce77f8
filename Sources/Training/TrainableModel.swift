public import Autodiff
import Canonicalization
public import Layers
public import TensorCore

/// What a model says of a batch.
public protocol ModelPrediction: Sendable {
  /// Class probabilities `[batch, classes]`, or outputs in the pose that the inputs came in.
  var output: Tensor { get }
}

/// A canonicalizer and a backbone, as a configuration describes them, that can be trained.
public protocol TrainableModel: Sendable {
  associatedtype Prediction: ModelPrediction
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

  /// Canonicalizes, predicts and restores a batch of inputs.
  func predict(_ batch: Tensor) -> Prediction
}

extension TrainableModel {
  /// Calls `body` with the predictions for consecutive ranges of inputs: memory does not grow with their number.
  public func forEachBatch(
    of inputs: Tensor, size: Int = 512, _ body: (Range<Int>, Prediction) -> Void
  ) {
    for start in stride(from: 0, to: inputs.shape[0], by: size) {
      let range = start..<min(inputs.shape[0], start + size)
      body(range, predict(inputs.sliced(range)))
    }
  }

  /// The outputs for all inputs.
  public func outputs(for inputs: Tensor) -> Tensor {
    var parts: [Tensor] = []
    forEachBatch(of: inputs) { _, prediction in parts.append(prediction.output) }
    return .concatenated(parts)
  }

  /// The quality of the model's outputs on some examples.
  public func quality(on examples: Examples) -> Quality {
    var meter = QualityMeter()
    forEachBatch(of: examples.inputs) { range, prediction in
      if configuration.data.task == .classify {
        meter.add(probabilities: prediction.output, labels: Array(examples.labels[range]))
      } else {
        meter.add(outputs: prediction.output, targets: examples.targets.sliced(range))
      }
    }
    return meter.quality
  }

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
