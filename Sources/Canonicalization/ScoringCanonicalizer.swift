public import Autodiff
import Layers
public import Symmetry
public import TensorCore

/// How the gradient reaches a choice among finitely many poses.
public enum PoseGradient: Sendable, Hashable {
  /// One form, of the best pose; the gradient passes through the warp to the matrix that the
  /// softmax's weights would give, Σᵣ *p*ᵣ *M*ᵣ. Matrices, unlike angles, have no jump at a full turn.
  case straightThrough
  /// Forms of the `count` best poses, weighted by their probabilities, in the likelihood of the
  /// mixture: the gradient reaches the scores without passing through the warp.
  case mixture(count: Int)
}

/// A canonicalizer of images that scores every element of a finite group: the best is the pose.
///
/// A conformer gives the scores; how a pose is chosen, and how the choice is taught, follows. Of
/// equal scores the one earliest in `group.elements` wins, read from the image's exact normal form;
/// the others are reported as ties.
public protocol ScoringCanonicalizer: ImageCanonicalizer where PoseGroup: FiniteGroup {
  /// How the gradient reaches the choice.
  var gradient: PoseGradient { get }

  /// Divides the scores in training: small, and the softmax is sharp.
  var temperature: Float { get }

  /// What pulls images of a class to a common pose in training, if anything.
  var alignment: ClassAlignment? { get }

  /// The scores, and what the canonicalizer wants to be small besides, `[batch]`.
  func scoresWithRegularization(
    _ batch: Variable, on tape: Tape
  ) -> (scores: Variable, regularization: Variable?)

  /// The score of every element for every image of a batch, `[batch, order]`.
  ///
  /// **Law.** The scores of *g*·*x* are those of *x*, that of *r* in the place of *g* *r*.
  func scores(_ batch: Variable, on tape: Tape) -> Variable
}

extension ScoringCanonicalizer {
  public var alignment: ClassAlignment? { nil }

  public func scoresWithRegularization(
    _ batch: Variable, on tape: Tape
  ) -> (scores: Variable, regularization: Variable?) { (scores(batch, on: tape), nil) }

  public func poses(of batch: Tensor) -> [Pose<PoseGroup.Element>] {
    action.group.exactPoses(of: masked(batch)) { images in
      let (scores, order) = (scoresInInference(images).elements, action.group.order)
      let elements = action.group.elements
      return (0..<images.shape[0]).map { n in
        Pose(scores: scores[n * order..<(n + 1) * order], of: elements)
      }
    }
  }

  public func frames(of batch: Tensor, count: Int) -> [[WeightedPose<PoseGroup.Element>]] {
    TopPoses(self, count: count).frames(of: batch)
  }

  /// The scores of images in exact normal form, and the elements *q* by which each came from it: a
  /// column *r* is the score of the pose *q* *r*.
  func exactScores(of batch: Tensor) -> (copies: [[PoseGroup.Element]], scores: Tensor) {
    let normal = ExactNormalForm(masked(batch), action.group)
    return (normal.elements, scoresInInference(normal.images))
  }

  private func masked(_ batch: Tensor) -> Tensor {
    batch * discMask(height: batch.shape[1], width: batch.shape[2])
  }

  private func scoresInInference(_ images: Tensor) -> Tensor {
    scores(Variable(images), on: .inference()).value
  }

  public func trainingForms(_ batch: Variable, on tape: Tape) -> TrainingForms {
    let (scores, regularization) = scoresWithRegularization(batch, on: tape)
    let logProbabilities = (scores * (1 / temperature)).logSoftmax()
    let alignmentLoss = alignment.map { alignment in
      { [action] (targets: Tensor) in
        alignment.loss(of: logProbabilities, batch.value, targets, action, on: tape)
      }
    }
    var forms: TrainingForms
    switch gradient {
    case .mixture(let count):
      let best = logProbabilities.value.sortedColumns().map { Array($0.prefix(count)) }
      forms = mixture(of: best, logProbabilities, batch, alignmentLoss, regularization)
    case .straightThrough:
      forms = straightThrough(logProbabilities, batch, alignmentLoss, regularization)
    }
    let elements = action.group.elements.map(action.group.isometry)
    forms.priorLossOfTurned = { turns in
      -logProbabilities.picked(
        turns.map { $0.nearest(among: elements) })
    }
    return forms
  }

  /// The forms of some poses of each image, given by their indices, best first.
  private func mixture(
    of best: [[Int]], _ logProbabilities: Variable, _ batch: Variable,
    _ alignmentLoss: ((Tensor) -> Variable)?, _ regularization: Variable?
  ) -> TrainingForms {
    let (group, kept) = (action.group, best[0].count)
    let inverses = group.elements.map(group.inverse)
    let moves = (0..<kept).map { rank in best.map { inverses[$0[rank]] } }
    let flat = best.enumerated().flatMap { n, columns in columns.map { n * group.order + $0 } }
    let chosen = logProbabilities.reshaped([-1]).gathered(flat).reshaped([-1, kept])
    return TrainingForms(
      forms: .concatenated(moves.map { act($0, on: batch) }),
      motions: moves.map { $0.map(action.motion) }, logWeights: chosen.logSoftmax(),
      priorLoss: priorLoss(logProbabilities), alignmentLoss: alignmentLoss,
      regularization: regularization)
  }

  private func straightThrough(
    _ logProbabilities: Variable, _ batch: Variable,
    _ alignmentLoss: ((Tensor) -> Variable)?, _ regularization: Variable?
  ) -> TrainingForms {
    let (group, border) = (action.group, action.border)
    let inverses = group.elements.map { group.isometry(group.inverse($0)) }
    let best = logProbabilities.value.largestColumn().map { inverses[$0] }
    let matrices = Tensor(
      inverses.flatMap { $0.samplingMap.matrix.map { Float($0) } }, shape: [group.order, 4])
    let expected = logProbabilities.exp().matmul(Variable(matrices))
    return TrainingForms(
      forms: batch.warped(by: expected, exact: best.map(\.samplingMap), border: border),
      motions: [best.map { Motion(isometry: $0) }], priorLoss: priorLoss(logProbabilities),
      alignmentLoss: alignmentLoss, regularization: regularization)
  }

  /// The cross entropy of the pose against the identity, the first element.
  private func priorLoss(_ logProbabilities: Variable) -> Variable {
    -logProbabilities.picked([Int](repeating: 0, count: logProbabilities.shape[0]))
  }
}

extension ScoringCanonicalizer where Self: ExportableCanonicalizer {
  public func poseVariables(of batch: Variable, on tape: Tape) -> PoseVariables {
    let (best, margin, _) = bestVariables(of: batch, on: tape)
    let matrices = Variable(action.group.matrices)
    return PoseVariables(matrix: best.matmul(matrices).reshaped([-1, 2, 2]), margin: margin)
  }

  /// The best poses, weighted by the softmax of their scores, as `TopPoses` does.
  public func frameVariables(
    of batch: Variable, count: Int, on tape: Tape
  ) -> [(pose: PoseVariables, weight: Variable)] {
    let (_, margin, scores) = bestVariables(of: batch, on: tape)
    let shares = (scores * (1 / temperature)).softmax()
    let matrices = Variable(action.group.matrices)
    var (left, frame) = (scores, [(pose: PoseVariables, weight: Variable)]())
    for _ in 0..<min(count, action.group.order) {
      let best = left.firstLargest()
      let matrix = best.matmul(matrices).reshaped([-1, 2, 2])
      let share = (best * shares).sum([1], keepingAxes: true)
      frame.append((PoseVariables(matrix: matrix, margin: margin), share))
      left = .choose(best, Variable(Tensor(-Float.greatestFiniteMagnitude)), left)
    }
    let total = frame.dropFirst().reduce(frame[0].weight) { $0 + $1.weight }
    return frame.map { ($0.pose, $0.weight / total) }
  }

  /// 1 at the best element of each image, how far it is ahead, and the scores.
  func bestVariables(
    of batch: Variable, on tape: Tape
  ) -> (best: Variable, margin: Variable?, scores: Variable) {
    let mask = Variable(discMask(height: batch.shape[1], width: batch.shape[2]))
    let scores = scores(batch * mask, on: tape)
    let best = scores.firstLargest()
    return (best, action.group.order > 1 ? scores.lead(of: best) : nil, scores)
  }
}

extension PlanarGroup where Self: FiniteGroup {
  /// The matrices of all elements, `[order, 4]`.
  var matrices: Tensor {
    Tensor(elements.flatMap { isometry($0).matrix.map { Float($0) } }, shape: [order, 4])
  }
}

extension Pose {
  /// The best of some scored elements.
  ///
  /// Scores within a millionth of the largest magnitude count as
  /// equal: sums of floats in another order differ by so much.
  init(scores: ArraySlice<Float>, of elements: [Element]) {
    // A score that is not a number is the worst, and the margin is then none.
    let isSound = scores.allSatisfy(\.isFinite)
    let scores = scores.map { $0.isNaN ? -Float.greatestFiniteMagnitude : $0 }
    let order = scores.indices.sorted {
      scores[$0] != scores[$1] ? scores[$0] > scores[$1] : $0 < $1
    }
    let tolerance = 1e-6 * scores.reduce(0) { max($0, abs($1)) }
    let tied = order.filter {
      scores[$0] == scores[order[0]] || scores[order[0]] - scores[$0] <= tolerance
    }.sorted()
    let margin: Float =
      !isSound ? .nan : order.count > 1 ? scores[order[0]] - scores[order[1]] : .infinity
    self.init(elements[tied[0]], margin: margin, ties: tied.dropFirst().map { elements[$0] })
  }
}
