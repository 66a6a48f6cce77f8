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
}

/// A backbone made equivariant: φ(*x*) = Σ *w* *h*·*p*(*h*⁻¹·*x*) over the frame of *x*, for a canonicalizer
/// *h*(*x*)·*p*(*h*(*x*)⁻¹·*x*).
///
///     let model = Equivariant(
///       backbone: { images in myNetwork(images) },
///       symmetrizer: PrincipalAxis(), outputAction: Trivial(SO2()))
///     let scores = model(images)
public struct Equivariant<S: Symmetrizer, OutputAction: Action>: Sendable
where OutputAction.Group.Element == S.InputAction.Group.Element {
  /// Any function of a batch: it need know nothing of the group.
  public let backbone: @Sendable (Tensor) -> Tensor
  public let symmetrizer: S
  public let outputAction: OutputAction

  public init(
    backbone: @escaping @Sendable (Tensor) -> Tensor, symmetrizer: S, outputAction: OutputAction
  ) {
    self.backbone = backbone
    self.symmetrizer = symmetrizer
    self.outputAction = outputAction
  }

  /// The output for each member of a batch.
  ///
  /// - Complexity: One pass of the backbone on as many members as the frames have elements.
  public func callAsFunction(_ batch: Tensor) -> Tensor {
    let frames = symmetrizer.frames(of: batch)
    let rows = frames.enumerated().flatMap { n, frame in frame.map { _ in n } }
    let poses = frames.flatMap { $0 }
    let action = symmetrizer.action
    let forms = action.act(
      poses.map { action.group.inverse($0.element) }, on: batch.gathered(rows))
    let outputs = outputAction.act(poses.map(\.element), on: backbone(forms))
    if rows.count == batch.shape[0] { return outputs }
    let weights = Tensor(poses.map(\.weight), shape: [rows.count, 1])
    let weighted = outputs.reshaped([rows.count, -1]) * weights
    return weighted.scattered(rows, count: batch.shape[0])
      .reshaped([batch.shape[0]] + outputs.shape.extents.dropFirst())
  }

  /// The largest difference between φ(*g*·*x*) and *g*·φ(*x*), over a batch and some elements.
  public func deviation(
    on batch: Tensor, under elements: [S.InputAction.Group.Element]
  ) -> Double {
    let plain = self(batch)
    return elements.map { g in
      let copies = [S.InputAction.Group.Element](repeating: g, count: batch.shape[0])
      let moved = self(symmetrizer.action.act(copies, on: batch))
      return largestDifference(moved, outputAction.act(copies, on: plain))
    }.max() ?? 0
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
      let elements = [pose.element] + pose.ties
      return elements.map { WeightedPose($0, weight: 1 / Float(elements.count)) }
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
    precondition(count > 0, "a frame of \(count) poses")
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

/// Adaptive canonicalization: each class is scored in the pose that suits it best.
///
///     φ(x)_c = max over g of p(g⁻¹·x)_c
///
/// It is invariant and, other than a chosen pose, continuous (Lin & Levie, ICLR 2026).
public struct BestPosePerClass<InputAction: Action>: Sendable where InputAction.Group: FiniteGroup {
  /// From inputs to scores, `[batch, classes]`.
  public let backbone: @Sendable (Tensor) -> Tensor
  public let action: InputAction

  public init(action: InputAction, backbone: @escaping @Sendable (Tensor) -> Tensor) {
    self.backbone = backbone
    self.action = action
  }

  /// The scores of a batch, `[batch, classes]`.
  ///
  /// - Complexity: As many passes of the backbone as the group has elements.
  public func callAsFunction(_ batch: Tensor) -> Tensor {
    action.group.elements.reduce(nil as Tensor?) { best, g in
      let copies = [InputAction.Group.Element](
        repeating: action.group.inverse(g), count: batch.shape[0])
      let scores = backbone(action.act(copies, on: batch))
      return best.map { Tensor.maximum($0, scores) } ?? scores
    } ?? batch
  }
}
