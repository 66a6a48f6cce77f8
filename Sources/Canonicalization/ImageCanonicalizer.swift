public import Autodiff
public import Symmetry
public import TensorCore

/// A canonicalizer of images, whatever its group: its poses can be read as isometries of the plane.
public protocol ImageCanonicalizer: TrainableCanonicalizer
where InputAction == ImageAction<PoseGroup> {
  associatedtype PoseGroup: PlanarGroup
}

extension ImageCanonicalizer {
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

extension IdentityCanonicalizer: ExportableCanonicalizer {
  public func poseVariables(of batch: Variable, on tape: Tape) -> PoseVariables { PoseVariables() }
}

extension PlanarIsometry {
  /// Which of some isometries is the nearest, the first one among equals.
  func nearest(among all: [PlanarIsometry]) -> Int {
    let distances = all.map { O2().distance($0, self) }
    return distances.indices.reduce(0) { distances[$1] < distances[$0] ? $1 : $0 }
  }
}
