public import Autodiff
public import Symmetry
public import TensorCore

/// A canonicalizer of images, whatever its group: its poses can be read as isometries of the plane,
/// and it can stand in front of a backbone in training.
public protocol ImageCanonicalizer: Canonicalizer
where InputAction == ImageAction<PoseGroup> {
  associatedtype PoseGroup: PlanarGroup

  /// The parameters with names that are unique within the canonicalizer.
  var parameters: [(name: String, parameter: Parameter)] { get }

  /// The forms of a batch on a pass that learns, with what a loss needs to teach the choice.
  func trainingForms(_ batch: Variable, on tape: Tape) -> TrainingForms
}

/// Canonical forms in training: `count` of them per image, each with the logarithm of its weight.
public struct TrainingForms {
  /// The forms, `[count · batch, height, width, channels]`: all images' first, then their second.
  public let forms: Variable
  /// How many forms an image has.
  public let count: Int
  /// `[batch, count]`; `nil` where there is one form of weight 1.
  public let logWeights: Variable?
  /// `[batch, order]`, the logarithm of each pose's probability; `nil` where none is learned.
  public let logProbabilities: Variable?
  /// Moves other images of the batch, such as targets, as the inputs were moved.
  public let move: (Tensor) -> Tensor

  public init(
    forms: Variable, count: Int = 1, logWeights: Variable? = nil, logProbabilities: Variable? = nil,
    move: @escaping (Tensor) -> Tensor
  ) {
    self.move = move
    self.forms = forms
    self.count = count
    self.logWeights = logWeights
    self.logProbabilities = logProbabilities
  }

  /// The loss per image: the negative logarithm of the mixture of the forms' likelihoods,
  /// −log Σᵣ *w*ᵣ exp(−lossᵣ), which is the plain loss for a single form.
  ///
  /// - Parameter losses: `[count · batch]`, in the order of `forms`.
  public func mixture(_ losses: Variable) -> Variable {
    guard let logWeights else { return losses }
    let perForm = losses.reshaped([count, -1]).permuted([1, 0])
    return -(logWeights - perForm).logSumExp()
  }

  /// The prior's loss per image: the cross entropy of the pose against the identity, for training
  /// data that are upright (Mondal et al., NeurIPS 2023); `nil` where no pose is learned.
  public var priorLoss: Variable? {
    logProbabilities.map { -$0.picked([Int](repeating: 0, count: $0.shape[0])) }
  }
}

extension ImageCanonicalizer {
  public var parameters: [(name: String, parameter: Parameter)] { [] }

  /// For canonicalizers that learn nothing: the forms are constants.
  public func trainingForms(_ batch: Variable, on tape: Tape) -> TrainingForms {
    let poses = planarPoses(of: batch.value)
    let action = ImageAction(O2(), interpolation: action.interpolation, border: action.border)
    let inverses = poses.map { action.group.inverse($0.element) }
    let move = { (images: Tensor) in action.act(inverses, on: images) }
    return TrainingForms(forms: Variable(move(batch.value)), move: move)
  }

  /// The poses as isometries of the plane.
  public func planarPoses(of batch: Tensor) -> [Pose<PlanarIsometry>] {
    poses(of: batch).map { pose in
      Pose(
        action.group.isometry(pose.element), margin: pose.margin,
        ties: pose.ties.map(action.group.isometry))
    }
  }
}

/// The canonicalizer that leaves every image as it is.
public struct IdentityCanonicalizer: ImageCanonicalizer {
  public typealias PoseGroup = Cyclic
  public let action = ImageAction(Cyclic(1))
  public init() {}
  public func poses(of batch: Tensor) -> [Pose<Cyclic.Element>] {
    [Pose](repeating: Pose(Cyclic(1).identity), count: batch.shape[0])
  }
}
