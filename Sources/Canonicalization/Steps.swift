public import Autodiff
public import Symmetry
public import TensorCore

/// How motions act on inputs, for the group that some canonicalizers claim together.
public struct MotionAction: GeometricAction {
  public let group: MotionGroup
  public let inputs: any Quantity

  public init(_ group: MotionGroup, on inputs: any Quantity) {
    (self.group, self.inputs) = (group, inputs)
  }

  public func act(_ elements: [Motion], on batch: Tensor) -> Tensor {
    inputs.act(elements, on: batch)
  }

  public func motion(of element: Motion) -> Motion { element }
}

/// Canonicalizers one after the other, of whatever groups, as one: each looks at the form of those before
/// it, their poses are composed, and the input itself is moved, and sampled, once.
///
///     // SE(2): centered, then turned upright.
///     let steps = Steps([Step(MomentNormalization(.center)), Step(PrincipalAxis())], of: ImageDomain())
///
/// **Law.** A canonicalizer of the product of the groups, where each one's pose moves along with what later
/// ones undo: a center turns with the image, then the angle is found about it; a frame that does not depend
/// on the members' order, then a sorting.
public struct Steps: TrainableCanonicalizer {
  public let steps: [Step]
  public let domain: any Domain

  /// Made once: the elements of the groups are listed in it.
  public let action: MotionAction

  public init(_ steps: [Step], of domain: any Domain) {
    self.steps = steps
    self.domain = domain
    action = MotionAction(
      MotionGroup(steps.map { .init($0.canonicalizer.action) }), on: domain.inputs)
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    steps.enumerated().flatMap { i, step in
      step.canonicalizer.parameters.map { ("\(i).\($0.name)", $0.parameter) }
    }
  }

  /// The smallest of the steps' windows.
  public var window: Double? { steps.compactMap(\.canonicalizer.window).min() }

  /// Over how many poses outputs are averaged.
  public var average: Int { steps.last?.average ?? 1 }

  /// The poses of a batch after some steps, and what the next one sees.
  private func found(
    in batch: Tensor, after steps: some Sequence<Step>
  ) -> (poses: [Pose<Motion>], form: Tensor) {
    var poses = [Pose](repeating: Pose(Motion()), count: batch.shape[0])
    var form = batch
    for (i, step) in steps.enumerated() {
      if i > 0 { form = domain.inputs.act(poses.map(\.element.inverse), on: batch) }
      poses = zip(poses, step.canonicalizer.motionPoses(of: form)).map { outer, inner in
        let pairs = outer.candidates.flatMap { g in inner.candidates.map { g.after($0) } }
        return Pose(
          pairs[0], margin: outer.margin.smaller(inner.margin), ties: Array(pairs.dropFirst()))
      }
    }
    return (poses, form)
  }

  /// Margins are the smallest of all steps'; ties are all combinations of theirs.
  public func poses(of batch: Tensor) -> [Pose<Motion>] { found(in: batch, after: steps).poses }

  /// The frames of the last step, on what those before it leave.
  public func frames(of batch: Tensor, count: Int) -> [[WeightedPose<Motion>]] {
    guard let last = steps.last else {
      return [[WeightedPose]](
        repeating: [WeightedPose(Motion(), weight: 1)], count: batch.shape[0])
    }
    let before = found(in: batch, after: steps.dropLast()).poses
    let seen =
      steps.count == 1 ? batch : domain.inputs.act(before.map(\.element.inverse), on: batch)
    return zip(before, last.canonicalizer.motionFrames(of: seen, count: count)).map {
      outer, frame in
      frame.map { WeightedPose(outer.element.after($0.element), weight: $0.weight) }
    }
  }

  public func act(_ elements: [Motion], on batch: Variable) -> Variable {
    Variable(domain.inputs.act(elements, on: batch.value))
  }

  /// Steps that come first and learn nothing are sampled once together; where a step learns, it samples the
  /// form of the one before, so that gradients reach them all.
  public func trainingForms(_ batch: Variable, on tape: Tape) -> TrainingForms {
    guard let last = steps.last else {
      let motions = [Motion](repeating: Motion(), count: batch.shape[0])
      return TrainingForms(forms: batch, motions: [motions])
    }
    let constant = steps.dropLast().prefix { $0.canonicalizer.parameters.isEmpty }
    var forms: TrainingForms?
    var inverses: [Motion]?
    if !constant.isEmpty {
      let motions = found(in: batch.value, after: constant).poses.map(\.element.inverse)
      forms = TrainingForms(forms: act(motions, on: batch), motions: [motions])
      inverses = motions
    }
    /// The forms of a step, whose prior is told what is left of a turn after steps that learn nothing.
    func made(_ step: Step) -> TrainingForms {
      var next = step.trainingForms(forms?.forms ?? batch, on: tape)
      if let inverses, let told = next.priorLossOfTurned {
        next.priorLossOfTurned = { turns in
          told(zip(inverses, turns).map { $0.after(Motion(isometry: $1)).planarIsometry })
        }
      }
      return forms.map { next.after($0) } ?? next
    }
    for step in steps.dropLast().dropFirst(constant.count) { forms = made(step) }
    return made(last)
  }
}

extension Steps {
  /// The poses of a batch as a computation, all steps' together.
  ///
  /// - Throws: `NotExportable` where a step cannot be written down.
  public func poseVariables(
    of batch: Variable, on tape: Tape
  ) throws(NotExportable) -> PoseVariables {
    try poseVariables(of: batch, after: steps.count, on: tape).pose
  }

  /// The frame of the last step, on what those before it leave.
  ///
  /// - Throws: `NotExportable`.
  public func frameVariables(
    of batch: Variable, on tape: Tape
  ) throws(NotExportable) -> [(pose: PoseVariables, weight: Variable)] {
    let (before, seen) = try poseVariables(of: batch, after: steps.count - 1, on: tape)
    let last = try exportable(steps.count - 1)
    return try last.frameVariables(of: seen, count: average, on: tape).map {
      (before.after($0.pose), $0.weight)
    }
  }

  private func exportable(_ place: Int) throws(NotExportable) -> any ExportableCanonicalizer {
    let canonicalizer = steps[place].canonicalizer
    guard let exportable = canonicalizer as? any ExportableCanonicalizer else {
      throw NotExportable(
        "Canonicalizer \(place + 1), a \(type(of: canonicalizer)), is not exported: it finds poses by steps for which ONNX has no operators."
      )
    }
    return exportable
  }

  /// The poses after some steps, and what the next one sees.
  private func poseVariables(
    of batch: Variable, after count: Int, on tape: Tape
  ) throws(NotExportable) -> (pose: PoseVariables, form: Variable) {
    guard let inputs = domain.inputs as? any ExportableQuantity else {
      throw NotExportable("Inputs of \(type(of: domain.inputs)) are not exported.")
    }
    var (pose, form) = (PoseVariables(), batch)
    for place in 0..<max(0, count) {
      pose = pose.after(try exportable(place).poseVariables(of: form, on: tape))
      if place + 1 < steps.count { form = try inputs.act(pose.inverse, on: batch) }
    }
    return (pose, form)
  }
}

/// One of several canonicalizers, with how it is used.
public struct Step: Sendable {
  public let canonicalizer: any TrainableCanonicalizer
  /// Over how many poses outputs are averaged, where it is the last one.
  public let average: Int
  /// The weight of its prior's loss.
  public let prior: Float
  /// Whether its parameters stay as they are.
  public let isFrozen: Bool

  public init(
    _ canonicalizer: any TrainableCanonicalizer, average: Int = 1, prior: Float = 0,
    isFrozen: Bool = false
  ) {
    self.canonicalizer = canonicalizer
    (self.average, self.prior, self.isFrozen) = (average, prior, isFrozen)
  }

  /// The forms in training: of a heuristic those of the whole frame, of what learns one at a time.
  func trainingForms(_ batch: Variable, on tape: Tape) -> TrainingForms {
    if isFrozen { return canonicalizer.formsAtConstantPoses(batch) }
    if average > 1 && canonicalizer.parameters.isEmpty { return canonicalizer.frameForms(batch) }
    var forms = canonicalizer.trainingForms(batch, on: tape)
    forms.priorLoss = prior > 0 ? forms.priorLoss.map { $0 * prior } : nil
    forms.priorLossOfTurned = forms.priorLossOfTurned.flatMap { [prior] loss in
      prior > 0 ? { loss($0) * prior } : nil
    }
    return forms
  }
}

extension Float {
  /// The smaller of two margins; no number where one of them is none, which `min` may take for the larger.
  func smaller(_ other: Float) -> Float { isNaN || other.isNaN ? .nan : min(self, other) }
}
