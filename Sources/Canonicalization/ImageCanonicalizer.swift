public import Symmetry
public import TensorCore

/// A canonicalizer of images, whatever its group: its poses can be read as isometries of the plane.
public protocol ImageCanonicalizer: TrainableCanonicalizer
where InputAction == ImageAction<PoseGroup> {
  associatedtype PoseGroup: PlanarGroup
}

extension ImageCanonicalizer {
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
