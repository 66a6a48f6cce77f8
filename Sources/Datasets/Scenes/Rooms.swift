import Glibc
public import Symmetry
public import TensorCore

/// What one sees who walks and turns in one of two rooms: ℝ² × SO(2), two orbits, in color.
///
/// The group acts in the room's own frame, as the paper has it: a step goes the same way wherever one looks
/// (arXiv 2207.03116). The numbers of a pose are the place, up to 0.6 from the middle of a room of side 2, and
/// direction, (cos, sin). A quarter of the circle is in view.
public struct Rooms: Scene {
  public static let name = "rooms"
  public let group = AmbientGroup([.line, .line, .circle])
  /// Who turns in a room sees other walls, and no picture turned.
  public let isLinear = false
  public let channels = 3
  public let orbitCount = 2
  public init() {}

  public func pose(using random: inout RandomStream) -> AmbientGroup.Element {
    let place = (0..<2).map { _ in 1.2 * (random.uniformDouble() - 0.5) }
    let angle = 2 * .pi * random.uniformDouble()
    return .init(place + [cos(angle), sin(angle)])
  }

  private static let hues: [[Color]] = [
    [
      Color(0.9, 0.3, 0.2), Color(0.95, 0.8, 0.3), Color(0.3, 0.7, 0.4), Color(0.3, 0.45, 0.9),
    ],
    [
      Color(0.8, 0.8, 0.75), Color(0.5, 0.3, 0.6), Color(0.35, 0.75, 0.8), Color(0.9, 0.55, 0.6),
    ],
  ]

  /// The color of a wall, by its place on the way around the room, 0…4, a unit each wall.
  private static func wall(_ room: Int, _ around: Double) -> Color {
    let (side, along) = (Int(around) % 4, around - around.rounded(.down))
    // Stripes that become denser on the way, so that no wall repeats itself.
    let stripe = 0.5 + 0.5 * sin(2 * .pi * (2 + 3 * along) * along + Double(side + 2 * room))
    return hues[room][side] * (0.55 + 0.45 * stripe)
  }

  public func draw(_ orbit: Int, _ pose: AmbientGroup.Element, size: Int) -> [Float] {
    let (px, py, c, s) = (pose.numbers[0], pose.numbers[1], pose.numbers[2], pose.numbers[3])
    // A column looks in one direction: at one place of a wall, so far away.
    return supersampled(
      size, channels: 3, grid: 2,
      column: { x -> (distance: Double, wall: Color) in
        // Left of the direction is left in the picture.
        let (dx, dy) = (c + x * s, s - x * c)
        let toX = dx == 0 ? .infinity : ((dx > 0 ? 1 : -1) - px) / dx
        let toY = dy == 0 ? .infinity : ((dy > 0 ? 1 : -1) - py) / dy
        let distance = min(toX, toY)
        let (hx, hy) = (px + distance * dx, py + distance * dy)
        let around: Double
        if toX < toY {
          around = dx > 0 ? (hy + 1) / 2 : 2 + (1 - hy) / 2
        } else {
          around = dy > 0 ? 1 + (1 - hx) / 2 : 3 + (hx + 1) / 2
        }
        return (distance, Self.wall(orbit, min(max(around, 0), 3.999_999)))
      }
    ) { seen, y in
      guard abs(y) * seen.distance < 0.7 else {
        let near = min(1, 0.7 / (abs(y) * 2))
        return y < 0
          ? Color(0.85, 0.85, 0.9) * (1 - 0.4 * near) : Color(0.35, 0.28, 0.22) * (1 - 0.4 * near)
      }
      return seen.wall
    }
  }
}
