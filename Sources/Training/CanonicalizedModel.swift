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
  private let outputShape: [Int]

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
      augmented(examples, by: augmentation, on: tape), by: augmentation, on: tape)
    let targets = examples["targets"] ?? .zeros([0])
    var forms = steps.trainingForms(Variable(examples.inputs), on: tape)
    if let tilts, let told = forms.priorLossOfTurned { forms.priorLoss = told(tilts) }
    let own = forms.ownLoss(
      examples.labels.isEmpty || classNames.isEmpty
        ? nil : .oneHot(examples.labels, classes: classNames.count))
    // A canonicalizer with a prior teaches itself: a frozen backbone, or none, need not run.
    if (isBackboneFrozen || task.presentation == .poses) && forms.priorLoss != nil { return own }
    let goals = forms.move(outputs, Variable(targets))
    let output = backbone(forms.forms, on: isBackboneFrozen ? .inference() : tape)
    return forms.mixture(task.losses(of: shaped(output), goals)).mean() + own
  }

  /// Outputs of the backbone in the task's shape.
  private func shaped(_ output: Variable) -> Variable {
    let shape = [output.shape[0]] + outputShape
    return output.shape.extents == shape ? output : output.reshaped(shape)
  }

  public func predict(_ batch: Tensor) -> Prediction {
    // Sets are small: all of them at once.
    domain.shape.count == 3 ? predictInLots(batch, predictTogether) : predictTogether(batch)
  }

  public func poses(of batch: Tensor) -> [Pose<Motion>] { steps.poses(of: batch).map(recentered) }

  private func recentered(_ pose: Pose<Motion>) -> Pose<Motion> {
    guard recentering != 0 else { return pose }
    let undo = Motion(isometry: PlanarIsometry(residual: -recentering))
    return Pose(
      pose.element.after(undo), margin: pose.margin, ties: pose.ties.map { $0.after(undo) })
  }

  private func predictTogether(_ batch: Tensor) -> Prediction {
    guard batch.shape[0] > 0 else {
      return Prediction(output: .zeros(Shape([0] + outputShape)), forms: batch, poses: [])
    }
    let poses = steps.poses(of: batch)
    let forms = domain.inputs.act(poses.map(\.element.inverse), on: batch)
    let output: Tensor
    if steps.average > 1 {
      output = steps.frames(of: batch, count: steps.average).average(of: batch) { inputs, motions in
        results(of: domain.inputs.act(motions.map(\.inverse), on: inputs), by: motions)
      }
    } else {
      output = results(of: forms, by: poses.map(\.element))
    }
    guard recentering != 0 else { return Prediction(output: output, forms: forms, poses: poses) }
    let shown = poses.map(recentered)
    return Prediction(
      output: output, forms: domain.inputs.act(shown.map(\.element.inverse), on: batch),
      poses: shown)
  }

  /// The results for canonical forms, in the poses that the inputs came in.
  private func results(of forms: Tensor, by motions: [Motion]) -> Tensor {
    let raw = backbone.predict(forms)
    let shape = [raw.shape[0]] + outputShape
    let shaped = raw.shape.extents == shape ? raw : raw.reshaped(Shape(shape))
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
