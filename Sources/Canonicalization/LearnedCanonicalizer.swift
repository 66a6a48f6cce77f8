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

/// A learned canonicalizer for the rotations *C*ₙ, or rotations and reflections *D*ₙ, of images
/// (Kaba et al., Equivariance with Learned Canonicalization Functions, ICML 2023).
///
/// A lifting convolution and group convolutions score every element of the group, and the best is
/// the pose. The scores of a turned image are the turned scores. One layer with a kernel as large
/// as the image is a matched filter: each score is the product of the image with a turned template.
///
/// Of equal scores the one earliest in `group.elements` wins, read from the image's exact normal
/// form; the others are reported as ties.
public struct LearnedCanonicalizer<Group: FiniteGroup & PlanarGroup>: ImageCanonicalizer {
  public typealias Architecture = ScoringArchitecture
  public typealias PoseGroup = Group
  public let action: ImageAction<Group>
  public let architecture: Architecture
  public let gradient: PoseGradient
  /// Divides the scores in training: small, and the softmax is sharp.
  public let temperature: Float
  /// Whether the scoring network keeps its initial weights.
  public let isFrozen: Bool
  private let network: ScoringNetwork<Group>
  private let mask: Tensor

  /// Creates a canonicalizer with random weights.
  ///
  /// - Precondition: The kernels fit into the image.
  public init(
    _ group: Group, _ architecture: Architecture, gradient: PoseGradient = .straightThrough,
    temperature: Float = 1, isFrozen: Bool = false, border: BorderPolicy = .zero,
    using random: inout RandomStream
  ) {
    action = ImageAction(group, border: border)
    self.architecture = architecture
    self.gradient = gradient
    self.temperature = temperature
    self.isFrozen = isFrozen
    mask = discMask(height: architecture.size, width: architecture.size)
    network = ScoringNetwork(group, architecture, using: &random)
  }

  public var parameters: [(name: String, parameter: Parameter)] { network.parameters }

  /// The score of every element for every image of a batch, `[batch, order]`.
  ///
  /// - Precondition: Images have the architecture's size and channels.
  public func scores(_ batch: Variable, on tape: Tape) -> Variable {
    let a = architecture
    precondition(
      Array(batch.shape.extents.dropFirst()) == [a.size, a.size, a.inputChannels],
      "images \(batch.shape) for a canonicalizer of \(a.size) × \(a.size) × \(a.inputChannels)")
    return network.scores(batch * Variable(mask), on: tape)
  }

  public func poses(of batch: Tensor) -> [Pose<Group.Element>] {
    action.group.exactPoses(of: batch * mask) { images in
      let scores = self.scores(Variable(images), on: .inference()).value
      let (rows, order) = (scores.elements, action.group.order)
      let elements = action.group.elements
      return (0..<images.shape[0]).map { n in
        Pose(scores: rows[n * order..<(n + 1) * order], of: elements)
      }
    }
  }

  public func trainingForms(_ batch: Variable, on tape: Tape) -> TrainingForms {
    let tape = isFrozen ? Tape.inference() : tape
    let logProbabilities = (scores(batch, on: tape) * (1 / temperature)).logSoftmax()
    let group = action.group
    switch gradient {
    case .mixture(let count):
      let best = logProbabilities.value.sortedColumns().map { Array($0.prefix(count)) }
      let kept = best[0].count
      let inverses = group.elements.map(group.inverse)
      let action = action
      let move = { (images: Tensor) in
        Tensor.concatenated(
          (0..<kept).map { rank in action.act(best.map { inverses[$0[rank]] }, on: images) })
      }
      let flat = best.enumerated().flatMap { n, columns in columns.map { n * group.order + $0 } }
      let chosen = logProbabilities.reshaped([-1]).gathered(flat).reshaped([-1, kept])
      return TrainingForms(
        forms: Variable(move(batch.value)), count: kept, logWeights: chosen.logSoftmax(),
        logProbabilities: logProbabilities, move: move)
    case .straightThrough:
      let inverses = group.elements.map { group.isometry(group.inverse($0)) }
      let best = logProbabilities.value.largestColumn().map { inverses[$0] }
      let matrices = Tensor(
        inverses.flatMap { $0.samplingMap.matrix.map { Float($0) } }, shape: [group.order, 4])
      let expected = logProbabilities.exp().matmul(Variable(matrices))
      let forms = batch.warped(
        by: expected, exact: best.map(\.samplingMap), border: action.border)
      let border = action.border
      return TrainingForms(forms: forms, logProbabilities: logProbabilities) {
        $0.warped(by: best.map(\.samplingMap), border: border)
      }
    }
  }
}

extension Pose {
  /// The best of some scored elements.
  ///
  /// Scores within a millionth of the largest magnitude count as
  /// equal: sums of floats in another order differ by so much.
  init(scores: ArraySlice<Float>, of elements: [Element]) {
    let scores = Array(scores)
    let order = scores.indices.sorted {
      scores[$0] != scores[$1] ? scores[$0] > scores[$1] : $0 < $1
    }
    let tolerance = 1e-6 * scores.reduce(0) { max($0, abs($1)) }
    let tied = order.filter { scores[order[0]] - scores[$0] <= tolerance }.sorted()
    let margin = order.count > 1 ? scores[order[0]] - scores[order[1]] : .infinity
    self.init(elements[tied[0]], margin: margin, ties: tied.dropFirst().map { elements[$0] })
  }
}
