public import Symmetry
public import TensorCore

/// A group element with a weight: one of the poses over which an output is averaged.
public struct WeightedPose<Element: Hashable & Sendable>: Hashable, Sendable {
  public let element: Element
  public let weight: Float

  public init(_ element: Element, weight: Float) {
    self.element = element
    self.weight = weight
  }
}

/// A function from inputs to a few weighted elements of a group: a frame.
///
/// Outputs averaged over it are equivariant (Puny et al. 2022, arXiv 2110.03336; weighted, Dym et al.
/// 2024, arXiv 2402.16077). A canonicalizer is the case of one element of weight 1.
///
/// **Laws.** The weights of an input sum to 1; the frame of *g*·*x* is that of *x* with *g* composed to
/// every element from the left, up to symmetries of *x*.
public protocol Symmetrizer<InputAction>: Sendable {
  associatedtype InputAction: Action

  /// How the group acts on the inputs.
  var action: InputAction { get }

  /// The frame of each member of a batch.
  func frames(of batch: Tensor) -> [[WeightedPose<InputAction.Group.Element>]]
}

extension Symmetrizer {
  /// The type of group elements.
  public typealias Element = InputAction.Group.Element

  /// The weighted mean, over the frame of each member of a batch, of outputs of its forms.
  ///
  /// `outputs` gives the outputs of forms, in the poses that the inputs came in, which it is given too.
  public func average(
    over batch: Tensor, _ outputs: (_ forms: Tensor, _ poses: [Element]) -> Tensor
  ) -> Tensor {
    frames(of: batch).average(of: batch) { inputs, poses in
      outputs(action.act(poses.map(action.group.inverse), on: inputs), poses)
    }
  }
}

extension Array {
  /// The weighted mean, for each member of a batch, of outputs for the weighted poses of its frame.
  ///
  /// `outputs` gives the outputs for inputs, each repeated for its poses, and the poses.
  public func average<G>(
    of batch: Tensor, _ outputs: (_ inputs: Tensor, _ poses: [G]) -> Tensor
  ) -> Tensor where Element == [WeightedPose<G>] {
    let rows = enumerated().flatMap { n, frame in frame.map { _ in n } }
    let poses = flatMap { $0 }
    let all = outputs(batch.gathered(rows), poses.map(\.element))
    if rows.count == batch.shape[0] { return all }
    let weights = Tensor(poses.map(\.weight), shape: [rows.count, 1])
    return (all.reshaped([rows.count, -1]) * weights)
      .scattered(rows, count: batch.shape[0])
      .reshaped([batch.shape[0]] + all.shape.extents.dropFirst())
  }
}

/// The frame of a canonicalizer's pose and its ties, all of the same weight.
///
/// Of the principal axes without signs this is frame averaging over all choices of signs.
public struct TiesAveraged<Base: Canonicalizer>: Symmetrizer {
  public let base: Base

  public init(_ base: Base) { self.base = base }

  public var action: Base.InputAction { base.action }

  public func frames(of batch: Tensor) -> [[WeightedPose<Base.InputAction.Group.Element>]] {
    base.poses(of: batch).map { pose in
      pose.candidates.map { WeightedPose($0, weight: 1 / Float(1 + pose.ties.count)) }
    }
  }
}

/// The soft frame of the poses that a canonicalizer scores highest, weighted by the softmax of their
/// scores: as it takes in the whole group, outputs become continuous.
public struct TopPoses<Base: ScoringCanonicalizer>: Symmetrizer {
  public let base: Base
  /// How many poses an input has.
  public let count: Int

  /// - Precondition: `count` is positive.
  public init(_ base: Base, count: Int) {
    require(count > 0, "a frame of \(count) poses")
    self.base = base
    self.count = count
  }

  public var action: ImageAction<Base.PoseGroup> { base.action }

  public func frames(of batch: Tensor) -> [[WeightedPose<Base.PoseGroup.Element>]] {
    let (group, elements) = (action.group, action.group.elements)
    let (copies, scores) = base.exactScores(of: batch)
    let best = scores.sortedColumns()
    let numbers = (scores * (1 / base.temperature)).softmax().elements
    return copies.indices.map { n in
      let columns = best[n].prefix(count)
      let total = columns.reduce(0) { $0 + numbers[n * elements.count + $1] }
      return copies[n].flatMap { copy in
        columns.map { column in
          WeightedPose(
            group.compose(copy, elements[column]),
            weight: numbers[n * elements.count + column] / (total * Float(copies[n].count)))
        }
      }
    }
  }
}
