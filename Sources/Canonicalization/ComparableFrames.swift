import Glibc
public import Symmetry
public import TensorCore

/// Frames that can be compared from one orbit to another: poses after the mean pose of what lies near in a reference set.
///
/// A class-pose encoder is free to choose each orbit's frame, so that the same pose is told by other numbers on
/// another orbit. Of inputs in their natural poses the nearest by orbit say which numbers mean *as it is usually*; what
/// the encoder finds is multiplied by their inverse from the right (after the recentering step of RECON, 2026, which
/// could not be read in full). A spread that is large says that neighbors do not agree, and the frame means little.
public struct ComparableFrames: Sendable {
  public let group: AmbientGroup
  /// Points of the sphere, `[count, dimensions]`, and the poses there.
  private let orbits: Tensor
  private let poses: [AmbientGroup.Element]
  public let neighbors: Int
  /// Whether the median stands for the mean.
  public let isRobust: Bool

  /// - Parameters:
  ///   - orbits: Of the reference set, points of the sphere.
  ///   - poses: Of the reference set, which should be in its natural poses.
  ///   - neighbors: How many of them are asked.
  /// - Precondition: There is a reference, and one pose for each orbit.
  public init(
    orbits: Tensor, poses: [AmbientGroup.Element], group: AmbientGroup, neighbors: Int = 20,
    isRobust: Bool = true
  ) {
    require(
      !poses.isEmpty && orbits.shape.rank == 2 && orbits.shape[0] == poses.count && neighbors > 0,
      "\(poses.count) poses of orbits \(orbits.shape), \(neighbors) neighbors")
    (self.orbits, self.poses, self.group) = (orbits, poses, group)
    (self.neighbors, self.isRobust) = (min(neighbors, poses.count), isRobust)
  }

  /// The poses of inputs after the frames of their neighbors, with how far those lie apart.
  ///
  /// - Complexity: O(*count* · *references*).
  public func comparable(
    _ found: [AmbientGroup.Element], orbits asked: Tensor
  ) -> [(pose: AmbientGroup.Element, spread: Double)] {
    let similar = asked.matmul(orbits.transposed()).elements
    let none = AmbientGroup.Element([Double](repeating: .nan, count: group.elementCount))
    return found.indices.map { n in
      let row = similar[n * poses.count..<(n + 1) * poses.count]
      guard row.allSatisfy(\.isFinite) else { return (none, .nan) }
      let nearest = row.indices.sorted { (row[$0], $1) > (row[$1], $0) }.prefix(neighbors)
      let frame = group.frechetMean(
        nearest.map { poses[$0 - n * poses.count] }, isRobust: isRobust)
      return (group.compose(found[n], group.inverse(frame.mean)), frame.spread)
    }
  }
}
