public import Autodiff
public import Symmetry
public import TensorCore

/// A canonicalizer of images, whatever its group: its poses can be read as isometries of the plane.
public protocol ImageCanonicalizer: TrainableCanonicalizer
where InputAction == ImageAction<PoseGroup> {
  associatedtype PoseGroup: PlanarGroup

  /// The frame of each image, as isometries of the plane: of `count` poses, those scored highest, where it scores
  /// them; by default the pose and its ties, all of them: a part would not turn with the image.
  func planarFrames(of batch: Tensor, count: Int) -> [[WeightedPose<PlanarIsometry>]]
}

extension ImageCanonicalizer {
  public func planarFrames(of batch: Tensor, count: Int) -> [[WeightedPose<PlanarIsometry>]] {
    planar(TiesAveraged(self).frames(of: batch))
  }

  /// Frames of the group as frames of isometries of the plane.
  func planar(
    _ frames: [[WeightedPose<PoseGroup.Element>]]
  ) -> [[WeightedPose<PlanarIsometry>]] {
    frames.map { frame in
      frame.map { WeightedPose(action.group.isometry($0.element), weight: $0.weight) }
    }
  }

  public func act(_ elements: [PoseGroup.Element], on batch: Variable) -> Variable {
    // Oblong data may change their sides; forms of another canonicalizer are square.
    guard batch.requiresGradient else { return Variable(action.act(elements, on: batch.value)) }
    return batch.warped(
      exactly: elements.map { action.group.isometry($0).samplingMap }, action.interpolation,
      border: action.border)
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
