public import Symmetry
public import TensorCore

/// The group element that a canonicalizer finds in an input, with how sure it is.
public struct Pose<Element: Hashable & Sendable>: Hashable, Sendable {
  /// The pose: the input is this element applied to its canonical form.
  public let element: Element
  /// How far the best choice is ahead of the next, in the canonicalizer's own units; near 0 where
  /// a small change of the input may change the pose.
  public let margin: Float
  /// Other elements that are as good, as those of a symmetric input are; empty as a rule.
  public let ties: [Element]
  /// The element and its ties.
  public var candidates: [Element] { [element] + ties }

  public init(_ element: Element, margin: Float = .infinity, ties: [Element] = []) {
    self.element = element
    self.margin = margin
    self.ties = ties
  }
}

/// A batch in canonical pose, and the poses that it came in.
public struct Canonical<Element: Hashable & Sendable>: Sendable {
  /// The canonical forms, *h*(*x*)⁻¹·*x*.
  public let form: Tensor
  /// One pose per member.
  public let poses: [Pose<Element>]

  public init(form: Tensor, poses: [Pose<Element>]) {
    self.form = form
    self.poses = poses
  }
}

/// A function *h* from inputs to a group, by which inputs are brought to a canonical pose.
///
/// **Laws.** *h*(*g*·*x*) = *g* *h*(*x*) wherever *x* has no symmetry, so that the form is constant on
/// orbits; and restoring the form gives the input back. Where *x* is symmetric, *h*(*g*·*x*) is
/// *g* *h*(*x*) up to a symmetry of *x*. Both hold bit for bit for elements that act bit for bit,
/// and within the interpolation error for others. `deviations(on:under:)` measures them.
///
/// A conformer says how inputs are moved (`action`) and finds `poses`; the rest follows. Nothing is
/// remembered between calls.
public protocol Canonicalizer<InputAction>: Symmetrizer {
  /// The pose of each member of a batch.
  func poses(of batch: Tensor) -> [Pose<InputAction.Group.Element>]
}

extension Canonicalizer {
  /// The frame of one element that a pose is.
  public func frames(of batch: Tensor) -> [[WeightedPose<Element>]] {
    poses(of: batch).map { [WeightedPose($0.element, weight: 1)] }
  }

  /// Brings each member of a batch to its canonical pose; the original is resampled once.
  public func canonicalize(_ batch: Tensor) -> Canonical<Element> {
    let poses = poses(of: batch)
    let inverses = poses.map { action.group.inverse($0.element) }
    return Canonical(form: action.act(inverses, on: batch), poses: poses)
  }

  /// Brings outputs computed on canonical forms into the poses that the inputs came in.
  ///
  /// `outputAction` is how the group acts on outputs of this kind: `Trivial` for class scores,
  /// `ImageAction` for images and (nearest) masks, `BoxAction`, `KeypointAction`, `VectorAction`,
  /// `VectorFieldAction`, or one's own.
  public func restore<Output: Action>(
    _ outputs: Tensor, with outputAction: Output, by poses: [Pose<Element>]
  ) -> Tensor where Output.Group.Element == Element {
    outputAction.act(poses.map(\.element), on: outputs)
  }
}
