import Glibc
public import Symmetry
public import TensorCore

/// A canonicalizer of images with all poses composed with one more rotation: after training, forms are
/// upright, and comparable between canonicalizers (RECON, 2025, arXiv 2505.13289).
///
///     h′(x) = h(x) m⁻¹,   m the mean of h over upright images
public struct RecenteredPoses<Base: ImageCanonicalizer>: ImageCanonicalizer {
  public typealias PoseGroup = O2
  public let base: Base
  /// The mean pose *m*.
  public let mean: PlanarIsometry

  public init(_ base: Base, mean: PlanarIsometry) {
    self.base = base
    self.mean = mean
  }

  public var action: ImageAction<O2> {
    ImageAction(O2(), interpolation: base.action.interpolation, border: base.action.border)
  }

  public func poses(of batch: Tensor) -> [Pose<PlanarIsometry>] {
    let undo = O2().inverse(mean)
    return base.planarPoses(of: batch).map { pose in
      Pose(
        O2().compose(pose.element, undo), margin: pose.margin,
        ties: pose.ties.map { O2().compose($0, undo) })
    }
  }
}

extension [PlanarIsometry] {
  /// How often poses go around that were found in an image turned once around, in even steps: 1 for a
  /// canonicalizer that follows it.
  public var windingNumber: Int {
    let way = indices.reduce(0.0) {
      $0 + (self[($1 + 1) % count].angle - self[$1].angle).remainder(dividingBy: 2 * .pi)
    }
    return Int((way / (2 * .pi)).rounded())
  }
}

/// How poses of images that are all upright spread: what a canonicalizer does with a class.
public struct PoseSpread: Sendable, Equatable {
  public let count: Int
  /// The mean rotation.
  public let mean: PlanarIsometry
  /// The length of the mean of the poses' directions: 1 where all agree, about 0 where they are uniform.
  public let resultant: Double
  /// The circular standard deviation √(−2 ln resultant), in radians (Mardia & Jupp, Directional
  /// Statistics, 2.3.4).
  public var deviation: Double { (-2 * log(max(min(resultant, 1), 1e-300))).squareRoot() }

  /// - Precondition: There is a pose.
  public init(_ poses: [PlanarIsometry]) {
    precondition(!poses.isEmpty, "the spread of no pose")
    let (x, y) = poses.reduce((0.0, 0.0)) { ($0.0 + cos($1.angle), $0.1 + sin($1.angle)) }
    count = poses.count
    mean = PlanarIsometry(residual: atan2(y, x))
    resultant = hypot(x, y) / Double(poses.count)
  }
}
