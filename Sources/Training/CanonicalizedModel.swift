public import Autodiff
public import Canonicalization
public import Datasets
public import Layers
import Settings
public import Symmetry
public import TensorCore

/// Canonicalizers in front of a backbone: φ(*x*) = *h*(*x*)·*p*(*h*(*x*)⁻¹·*x*), for any domain and task.
public struct CanonicalizedModel: Predictor {
  public let domain: any Domain
  public let task: any Objective
  public let classNames: [String]
  /// What brings inputs to canonical form.
  public let steps: Steps
  public let backbone: any Layer
  /// Whether the backbone stays as it is.
  public let isBackboneFrozen: Bool
  /// How far forms are turned, in radians, where they are shown: the backbone sees the forms that it was trained
  /// with.
  public let recentering: Double
  private let augmentation: Augmentation
  let outputShape: [Int]

  public init(
    _ steps: Steps, backbone: any Layer, task: any Objective, domain: any Domain,
    classNames: [String] = [], isBackboneFrozen: Bool = false, recentering: Double = 0,
    augmentation: Augmentation = .none
  ) {
    (self.steps, self.backbone, self.task, self.domain) = (steps, backbone, task, domain)
    (self.classNames, self.isBackboneFrozen) = (classNames, isBackboneFrozen)
    (self.recentering, self.augmentation) = (recentering, augmentation)
    outputShape = task.outputShape(for: domain, classes: classNames.count)
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    steps.parameters.map { ("canonicalizer.\($0.name)", $0.parameter) }
      + backbone.parameters.map { ("backbone.\($0.name)", $0.parameter) }
  }

  public var structure: [UInt8]? { backbone.structure }

  public var claims: MotionGroup { steps.action.group }

  /// A center and a size are sums, an energy's minimum is found by steps, and places in space are multiplied.
  public var isExact: Bool {
    outputs.isExact
      && steps.steps.allSatisfy { step in
        let action = step.canonicalizer.action
        return !(action is AffineImageAction || action is PointAction)
      }
  }

  public var hasOnePose: Bool { steps.average == 1 }

  public func loss(_ examples: Examples, on tape: Tape) -> Variable {
    let (examples, tilts) = tilted(
      augmented(examples, on: tape), by: augmentation, on: tape)
    return loss(examples, tilts: tilts, on: tape)
  }

  /// Prepared examples each moved at random, where they are to be.
  func augmented(_ examples: Examples, on tape: Tape) -> Examples {
    augmented(examples, by: augmentation, on: tape)
  }

  /// The loss of raw outputs with something added to them, in the poses that the inputs have.
  ///
  /// - Parameter tilts: By how much each input was turned, of which a prior is told.
  func loss(
    _ examples: Examples, adding correction: Variable? = nil, tilts: [PlanarIsometry]? = nil,
    on tape: Tape
  ) -> Variable {
    let targets = examples["targets"] ?? .zeros([0])
    var forms = steps.trainingForms(Variable(examples.inputs), on: tape)
    if let tilts, let told = forms.priorLossOfTurned { forms.priorLoss = told(tilts) }
    let own = forms.ownLoss(
      examples.labels.isEmpty || classNames.isEmpty
        ? nil : .oneHot(examples.labels, classes: classNames.count))
    // A canonicalizer with a prior teaches itself: a frozen backbone, or none, need not run.
    if (isBackboneFrozen || task.presentation == .poses) && forms.priorLoss != nil
      && correction == nil
    {
      return own
    }
    let goals = forms.move(outputs, Variable(targets))
    var output = shaped(backbone(forms.forms, on: isBackboneFrozen ? .inference() : tape))
    if let correction { output = output + forms.move(outputs, correction) }
    return forms.mixture(task.losses(of: output, goals)).mean() + own
  }

  /// Outputs of the backbone in the task's shape.
  private func shaped(_ output: Variable) -> Variable {
    let shape = [output.shape[0]] + outputShape
    return output.shape.extents == shape ? output : output.reshaped(shape)
  }

  public func predict(_ batch: Tensor) -> Prediction { predict(batch, adding: nil) }

  /// Predicts with something added to raw outputs, in the poses that the inputs came in.
  func predict(_ batch: Tensor, adding correction: (@Sendable (Tensor) -> Tensor)?) -> Prediction {
    // Sets are small: all of them at once.
    domain.shape.count == 3
      ? predictInLots(batch) { predictTogether($0, correction) }
      : predictTogether(batch, correction)
  }

  public func poses(of batch: Tensor) -> [Pose<Motion>] { steps.poses(of: batch).map(recentered) }

  private func recentered(_ pose: Pose<Motion>) -> Pose<Motion> {
    guard recentering != 0 else { return pose }
    let undo = Motion(isometry: PlanarIsometry(residual: -recentering))
    return Pose(
      pose.element.after(undo), margin: pose.margin, ties: pose.ties.map { $0.after(undo) })
  }

  private func predictTogether(
    _ batch: Tensor, _ correction: (@Sendable (Tensor) -> Tensor)?
  ) -> Prediction {
    guard batch.shape[0] > 0 else {
      return Prediction(output: .zeros(Shape([0] + outputShape)), forms: batch, poses: [])
    }
    let poses = steps.poses(of: batch)
    let forms = domain.inputs.act(poses.map(\.element.inverse), on: batch)
    let output: Tensor
    if steps.average > 1 {
      output = steps.frames(of: batch, count: steps.average).average(of: batch) { inputs, motions in
        results(
          of: domain.inputs.act(motions.map(\.inverse), on: inputs), by: motions,
          adding: correction?(inputs))
      }
    } else {
      output = results(of: forms, by: poses.map(\.element), adding: correction?(batch))
    }
    guard recentering != 0 else { return Prediction(output: output, forms: forms, poses: poses) }
    let shown = poses.map(recentered)
    return Prediction(
      output: output, forms: domain.inputs.act(shown.map(\.element.inverse), on: batch),
      poses: shown)
  }

  /// What the backbone alone says of inputs, without canonicalizers: `[batch] + output`.
  public func backboneResults(_ batch: Tensor) -> Tensor {
    let raw = backbone.predict(batch)
    return task.result(of: raw.reshaped(Shape([raw.shape[0]] + outputShape)))
  }

  /// The results for canonical forms, in the poses that the inputs came in.
  private func results(
    of forms: Tensor, by motions: [Motion], adding correction: Tensor?
  ) -> Tensor {
    let raw = backbone.predict(forms)
    let shape = [raw.shape[0]] + outputShape
    var shaped = raw.shape.extents == shape ? raw : raw.reshaped(Shape(shape))
    if let correction { shaped = shaped + outputs.act(motions.map(\.inverse), on: correction) }
    return outputs.act(motions, on: task.result(of: shaped))
  }

  public var summary: [(name: String, value: String)] {
    let learned = trainableCount("canonicalizer.")
    return [
      ("task", type(of: task).kind), ("input", domain.text),
      ("canonicalizer parameters", "\(learned)"),
      (
        "backbone parameters",
        "\(trainableCount("backbone."))" + (isBackboneFrozen ? ", frozen" : "")
      ),
    ]
  }
}

extension TrainingForms {
  /// The mean of the canonicalizer's own losses.
  ///
  /// - Parameter classes: One-hot, where the task is to tell classes apart.
  func ownLoss(_ classes: Tensor?) -> Variable {
    var loss = Variable(.zeros([]))
    if let classes, let alignmentLoss { loss = loss + alignmentLoss(classes).mean() }
    if let regularization { loss = loss + regularization.mean() }
    if let priorLoss { loss = loss + priorLoss.mean() }
    return loss
  }
}
