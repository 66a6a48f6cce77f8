import Glibc
public import Symmetry
public import TensorCore

/// One of three bodies made of balls, turned in space: SO(3), three orbits, gray, smoothly shaded.
///
/// Seen from afar along −*z*, lit from the upper left in front; none of them has a symmetry.
public struct Solids: Scene {
  public static let name = "solids"
  public let group = AmbientGroup([.rotations])
  public let channels = 1
  public var orbitCount: Int { Self.bodies.count }
  public init() {}

  private struct Ball {
    let center: SIMD3<Double>
    let radius: Double
    let gray: Double
  }

  private static func ball(_ x: Double, _ y: Double, _ z: Double, _ r: Double, _ gray: Double)
    -> Ball
  { Ball(center: SIMD3(x, y, z), radius: r, gray: gray) }

  private static let bodies: [[Ball]] = [
    // An arm with a bend, a knot at its side.
    [
      ball(-0.5, -0.1, 0, 0.3, 1), ball(-0.1, 0, 0.05, 0.25, 0.9), ball(0.3, 0.05, 0.1, 0.25, 0.8),
      ball(0.45, 0.4, 0.1, 0.22, 0.6), ball(-0.1, -0.1, -0.4, 0.2, 0.4),
    ],
    // A seat of four, a back of two, an arm on one side.
    [
      ball(-0.25, -0.25, -0.2, 0.3, 0.5), ball(0.25, -0.25, -0.2, 0.3, 0.5),
      ball(-0.25, 0.25, -0.2, 0.3, 0.5), ball(0.25, 0.25, -0.2, 0.3, 0.5),
      ball(-0.3, 0.4, 0.3, 0.3, 1), ball(0.3, 0.4, 0.35, 0.25, 0.8), ball(0.5, 0, 0.15, 0.2, 0.7),
    ],
    // A head with two ears of unlike size, and a nose.
    [
      ball(0, 0, 0, 0.55, 0.7), ball(-0.45, 0.45, 0, 0.28, 1), ball(0.45, 0.4, 0, 0.18, 1),
      ball(0, -0.2, 0.6, 0.18, 0.35), ball(0.1, 0.1, -0.6, 0.22, 0.5),
    ],
  ]

  public func pose(using random: inout RandomStream) -> AmbientGroup.Element {
    group.sample(using: &random)
  }

  public func draw(_ orbit: Int, _ pose: AmbientGroup.Element, size: Int) -> [Float] {
    let turn = AffineMap(matrix: pose.numbers)
    let balls = Self.bodies[orbit].map { ball in
      let c = turn.linear([ball.center.x, ball.center.y, ball.center.z])
      return Ball(center: SIMD3(c[0], c[1], c[2]), radius: ball.radius, gray: ball.gray)
    }
    let light = SIMD3(-0.45, 0.55, 0.704)
    // Of most columns few balls are seen, or none.
    return supersampled(
      size, channels: 1, grid: 2,
      column: { x -> (x: Double, seen: UInt64) in
        let seen = balls.indices.reduce(UInt64(0)) {
          abs(x - balls[$1].center[0]) < balls[$1].radius ? $0 | 1 << UInt64($1) : $0
        }
        return (x, seen)
      }
    ) { column, y in
      // *y* up in space.
      var (nearest, shade, seen) = (-Double.infinity, 0.0, column.seen)
      while seen != 0 {
        let ball = balls[seen.trailingZeroBitCount]
        seen &= seen - 1
        let (dx, dy) = (column.x - ball.center[0], -y - ball.center[1])
        let square = ball.radius * ball.radius - dx * dx - dy * dy
        guard square > 0 else { continue }
        let depth = square.squareRoot()
        guard ball.center[2] + depth > nearest else { continue }
        nearest = ball.center[2] + depth
        let lit = (SIMD3(dx, dy, depth) / ball.radius * light).sum()
        shade = ball.gray * (0.25 + 0.75 * max(0, lit))
      }
      return Color(shade, 0, 0)
    }
  }
}
