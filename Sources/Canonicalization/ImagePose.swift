public import Symmetry
public import TensorCore

/// The pose that a model of images finds: an isometry, or, where a center, a size or an energy was
/// brought to a normal form too, an affine map.
public struct ImagePose: Hashable, Sendable {
  /// The rotation, and the reflection; of an affine map its nearest rotation.
  public let element: PlanarIsometry
  public let margin: Float
  public let ties: [PlanarIsometry]
  /// The whole pose, lengths in halves of the smaller side; `nil` where it is `element` alone.
  public let map: AffineMap?

  /// A pose of an image that was normalized before, by the map `normalization`.
  public init(_ pose: Pose<PlanarIsometry>, after normalization: AffineMap? = nil) {
    margin = pose.margin
    let map = normalization?.after(AffineMap(matrix: pose.element.matrix))
    self.map = map
    guard let map, let outer = normalization, !pose.element.isReflected else {
      (element, ties) = (pose.element, pose.ties)
      return
    }
    element = PlanarIsometry(residual: map.nearestAngle)
    ties = pose.ties.map {
      PlanarIsometry(residual: outer.after(AffineMap(matrix: $0.matrix)).nearestAngle)
    }
  }
}

extension ImageAction where Group == O2 {
  /// Brings images to their canonical pose, each sampled once.
  public func canonicalize(_ batch: Tensor, by poses: [ImagePose]) -> Tensor {
    guard poses.contains(where: { $0.map != nil }) else {
      return act(poses.map { group.inverse($0.element) }, on: batch)
    }
    return affine.act(poses.map(\.affine.inverse), on: batch)
  }

  /// Brings images from canonical pose to that which the inputs came in, each sampled once.
  public func restore(_ batch: Tensor, by poses: [ImagePose]) -> Tensor {
    guard poses.contains(where: { $0.map != nil }) else {
      return act(poses.map(\.element), on: batch)
    }
    return affine.act(poses.map(\.affine), on: batch)
  }

  private var affine: AffineImageAction {
    AffineImageAction(.all, interpolation: interpolation, border: border)
  }
}

extension ImagePose {
  fileprivate var affine: AffineMap { map ?? AffineMap(matrix: element.matrix) }
}
