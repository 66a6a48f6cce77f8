public import Autodiff
import Glibc
public import Symmetry
public import TensorCore

/// A canonicalizer that can stand in front of a backbone in training, whether it learns or not.
public protocol TrainableCanonicalizer<InputAction>: Canonicalizer {
  /// The parameters with names that are unique within the canonicalizer.
  var parameters: [(name: String, parameter: Parameter)] { get }

  /// The action on inputs on a pass that learns: the gradient reaches inputs that are themselves the forms
  /// of another canonicalizer. By default they are data, and it does not.
  func act(_ elements: [InputAction.Group.Element], on batch: Variable) -> Variable

  /// The forms of a batch on a pass that learns, with what a loss needs to teach the choice.
  func trainingForms(_ batch: Variable, on tape: Tape) -> TrainingForms

  /// By how much poses turn at most, in radians, where others are left as they came; `nil` by default, for all.
  var window: Double? { get }

  /// The frame of each member, of `count` poses where it can have any number; by default the pose and its
  /// ties, all of them: a part would not turn with the input.
  func frames(of batch: Tensor, count: Int) -> [[WeightedPose<InputAction.Group.Element>]]
}

/// Canonical forms in training: `count` of them per member, each with the logarithm of its weight.
public struct TrainingForms {
  /// The forms, `[count · batch, …]`: all members' first, then their second.
  public let forms: Variable
  /// How many forms a member has.
  public let count: Int
  /// `[batch, count]`; `nil` where there is one form of weight 1.
  public let logWeights: Variable?
  /// The prior's loss of each member, `[batch]`: how far its pose is from the identity, for training
  /// data that are upright (Mondal et al., NeurIPS 2023); `nil` where no pose is learned.
  public var priorLoss: Variable?
  /// The same of images that were turned, told by how much each: a pose is to be that turn; `nil` where a canonicalizer
  /// takes them as upright anyway.
  public var priorLossOfTurned: (([PlanarIsometry]) -> Variable)?
  /// The loss, for one-hot classes, that pulls images of a class to a common pose; see `ClassAlignment`.
  public let alignmentLoss: ((Tensor) -> Variable)?
  /// What the canonicalizer wants to be small besides, `[batch]`.
  public let regularization: Variable?
  /// Moves quantities of a kind as the inputs were moved, `count` times, `[batch, …]` → `[count · batch, …]`.
  ///
  /// Where the pose can be differentiated by them the gradient reaches it through them too.
  public let move: (any Quantity, Variable) -> Variable

  public init(
    forms: Variable, count: Int = 1, logWeights: Variable? = nil, priorLoss: Variable? = nil,
    alignmentLoss: ((Tensor) -> Variable)? = nil, regularization: Variable? = nil,
    move: @escaping (any Quantity, Variable) -> Variable
  ) {
    self.forms = forms
    self.count = count
    self.logWeights = logWeights
    self.priorLoss = priorLoss
    self.alignmentLoss = alignmentLoss
    self.regularization = regularization
    self.move = move
  }

  /// Creates the forms that constant motions make, one of each member for each list.
  ///
  /// `motions`: From inputs to forms.
  public init(
    forms: Variable, motions: [[Motion]], logWeights: Variable? = nil, priorLoss: Variable? = nil,
    alignmentLoss: ((Tensor) -> Variable)? = nil, regularization: Variable? = nil
  ) {
    self.init(
      forms: forms, count: motions.count, logWeights: logWeights, priorLoss: priorLoss,
      alignmentLoss: alignmentLoss, regularization: regularization
    ) { quantity, values in
      .concatenated(motions.map { quantity.act($0, on: values) })
    }
  }

  /// The loss per member: the negative logarithm of the mixture of the forms' likelihoods,
  /// −log Σᵣ *w*ᵣ exp(−lossᵣ), which is the plain loss for a single form.
  ///
  /// - Parameter losses: `[count · batch]`, in the order of `forms`.
  public func mixture(_ losses: Variable) -> Variable {
    guard let logWeights else { return losses }
    let perForm = losses.reshaped([count, -1]).permuted([1, 0])
    return -(logWeights - perForm).logSumExp()
  }
}

extension TrainableCanonicalizer {
  public var parameters: [(name: String, parameter: Parameter)] { [] }
  public var window: Double? { nil }

  public func act(_ elements: [InputAction.Group.Element], on batch: Variable) -> Variable {
    Variable(action.act(elements, on: batch.value))
  }

  /// For canonicalizers that learn nothing: the poses are constants.
  public func trainingForms(_ batch: Variable, on tape: Tape) -> TrainingForms {
    formsAtConstantPoses(batch)
  }

  /// The forms at the poses that are found now, as constants.
  func formsAtConstantPoses(_ batch: Variable) -> TrainingForms {
    let inverses = poses(of: batch.value).map { action.group.inverse($0.element) }
    return TrainingForms(forms: act(inverses, on: batch), motions: [inverses.map(action.anyMotion)])
  }

  public func frames(of batch: Tensor, count: Int) -> [[WeightedPose<Element>]] {
    TiesAveraged(self).frames(of: batch)
  }

  /// The poses as motions.
  func motionPoses(of batch: Tensor) -> [Pose<Motion>] {
    poses(of: batch).map { pose in
      Pose(
        action.anyMotion(of: pose.element), margin: pose.margin,
        ties: pose.ties.map(action.anyMotion))
    }
  }

  /// The frames as motions.
  func motionFrames(of batch: Tensor, count: Int) -> [[WeightedPose<Motion>]] {
    frames(of: batch, count: count).map { frame in
      frame.map { WeightedPose(action.anyMotion(of: $0.element), weight: $0.weight) }
    }
  }
}

extension TrainableCanonicalizer where InputAction == AffineImageAction {
  public func act(_ elements: [AffineMap], on batch: Variable) -> Variable {
    batch.warped(
      exactly: action.samplingMaps(elements, of: batch.value), action.interpolation,
      border: action.border)
  }
}

extension Variable {
  /// Images resampled by maps that are constants.
  func warped(
    exactly maps: [SamplingMap], _ interpolation: Interpolation, border: BorderPolicy
  ) -> Variable {
    let constants = Variable(.zeros([maps.count, 6]))
    return warped(by: constants, exact: maps, interpolation, border: border)
  }
}

extension TrainingForms {
  /// These forms, of inputs that are themselves the forms of another canonicalizer: each of its forms has so
  /// many, and their weights are multiplied.
  public func after(_ first: TrainingForms) -> TrainingForms {
    /// The mean over the forms that a member has from the first step.
    func perMember(_ losses: Variable) -> Variable {
      first.count == 1 ? losses : losses.reshaped([first.count, -1]).mean([0])
    }
    func sum(_ losses: Variable?...) -> Variable? {
      let all = losses.compactMap { $0 }
      return all.first.map { all.dropFirst().reduce($0, +) }
    }
    let own = alignmentLoss.map { loss in
      { (classes: Tensor) in
        perMember(loss(.concatenated([Tensor](repeating: classes, count: first.count))))
      }
    }
    let alignments = [first.alignmentLoss, own].compactMap { $0 }
    let weights = logWeights.map {
      $0.permuted([1, 0]).reshaped([count * first.count, -1]).permuted([1, 0])
    }
    let firstWeights = first.logWeights.map {
      Variable.concatenated([Variable](repeating: $0, count: count), axis: 1)
    }
    var all = TrainingForms(
      forms: forms, count: count * first.count, logWeights: sum(firstWeights, weights),
      priorLoss: sum(first.priorLoss, priorLoss.map(perMember)),
      alignmentLoss: alignments.first.map { first in
        { classes in alignments.dropFirst().reduce(first(classes)) { $0 + $1(classes) } }
      },
      regularization: sum(first.regularization, regularization.map(perMember))
    ) { move($0, first.move($0, $1)) }
    // The first one that is told of a turn undoes it: those after it see upright forms.
    if let told = first.priorLossOfTurned {
      let rest = priorLoss.map(perMember)
      all.priorLossOfTurned = { turns in rest.map { told(turns) + $0 } ?? told(turns) }
    } else if let told = priorLossOfTurned {
      all.priorLossOfTurned = { [before = first.priorLoss] turns in
        before.map { $0 + perMember(told(turns)) } ?? perMember(told(turns))
      }
    }
    return all
  }
}

extension TrainableCanonicalizer {
  /// The forms of a pose and its ties, all of the same weight, for canonicalizers that learn nothing: in
  /// training too the output is that of the whole frame.
  public func frameForms(_ batch: Variable) -> TrainingForms {
    let frames = TiesAveraged(self).frames(of: batch.value)
    let count = frames.map(\.count).max() ?? 1
    let inverses = (0..<count).map { rank in
      frames.map { action.group.inverse($0[min(rank, $0.count - 1)].element) }
    }
    let logWeights = frames.flatMap { frame in
      (0..<count).map { $0 < frame.count ? -log(Float(frame.count)) : -1e9 }
    }
    return TrainingForms(
      forms: .concatenated(inverses.map { act($0, on: batch) }),
      motions: inverses.map { $0.map(action.anyMotion) },
      logWeights: Variable(Tensor(logWeights, shape: [frames.count, count])))
  }
}
