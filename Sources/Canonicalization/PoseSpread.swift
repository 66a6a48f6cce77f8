import Glibc
public import Symmetry
public import TensorCore

/// How continuous poses are along a closed orbit: what the topology of a head decides, and what an image's own
/// symmetry does.
///
/// A pose that follows the orbit goes around once, as steadily as the orbit does. One that is made from a number by `exp`
/// goes around 0 times, and makes up for it in one leap; near a symmetric image every pose leaps.
public struct OrbitTrace: Sendable, Equatable {
  /// How often the pose goes around while the input does so once.
  public let winding: Int
  /// The largest change of the pose from one step to the next, in radians.
  public let largestJump: Double
  /// The largest change of the pose over that of the input, 1 for a pose that follows it.
  public let lipschitz: Double

  /// - Parameter poses: Found in an input turned once around, in even steps.
  /// - Precondition: There are poses.
  public init(_ poses: [PlanarIsometry]) {
    require(!poses.isEmpty, "an orbit of no poses")
    let changes = poses.indices.map { i in
      (poses[(i + 1) % poses.count].angle - poses[i].angle).remainder(dividingBy: 2 * .pi)
    }
    winding = Int((changes.reduce(0, +) / (2 * .pi)).rounded())
    largestJump = changes.reduce(0) { max($0, abs($1)) }
    lipschitz = largestJump * Double(poses.count) / (2 * .pi)
  }

  /// - Parameter angles: The poses, in radians.
  public init(angles: [Double]) { self.init(angles.map { PlanarIsometry(residual: $0) }) }
}

/// How a pose goes where an exact one cannot be continuous: from an input to the same one half a turn on, straight, through
/// their mean, which a half turn leaves as it is.
///
/// What lies left and right of the middle are half turns of each other. So a pose that follows them comes half a turn on
/// (`change` is π), and changes by as much in the middle, however little the inputs differ there: an exact one leaps in one
/// step. A learned one, continuous before its projection, goes around 0 of the ambient space instead: the faster, the more exact it
/// is. One that does not come half a turn on does not follow the turn, and its steps may be small.
///
/// The group must act on inputs linearly, as turns act on pixels: else their mean is nothing that it leaves as it is.
public struct SymmetryCrossing: Sendable, Equatable {
  /// How far the pose comes, in radians, either way around.
  public let change: Double
  /// The largest change from one step to the next, in radians; not a number where a pose is none.
  public let largestJump: Double

  /// - Parameter angles: The poses along the way, in radians, in even steps.
  /// - Precondition: There are poses.
  public init(angles: [Double]) {
    require(!angles.isEmpty, "a way of no poses")
    let changes = zip(angles.dropFirst(), angles).map {
      ($0 - $1).remainder(dividingBy: 2 * .pi)
    }
    change = abs(changes.reduce(0, +))
    largestJump = changes.reduce(0) { $1.isNaN || $0.isNaN ? .nan : max($0, abs($1)) }
  }

  /// The pictures of the way, both ends among them.
  ///
  /// By default their number is even, so that none is the one in the middle, which has no pose.
  ///
  /// **Shapes.** `[1, …]` twice → `[steps + 1, …]`.
  public static func way(from input: Tensor, to moved: Tensor, steps: Int = 719) -> Tensor {
    .concatenated(
      (0...steps).map { step in
        let part = Float(step) / Float(steps)
        return input * (1 - part) + moved * part
      })
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
