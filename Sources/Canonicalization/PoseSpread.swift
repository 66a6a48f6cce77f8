import Glibc
public import Symmetry
import TensorCore

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
    require(!poses.isEmpty, "the spread of no pose")
    let (x, y) = poses.reduce((0.0, 0.0)) { ($0.0 + cos($1.angle), $0.1 + sin($1.angle)) }
    count = poses.count
    mean = PlanarIsometry(residual: atan2(y, x))
    resultant = hypot(x, y) / Double(poses.count)
  }
}
