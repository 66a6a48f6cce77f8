import Glibc
public import Symmetry
public import TensorCore

/// A body before a wall on a floor, each of which changes its hue: the torus 𝕋³, four orbits, by the body's form.
///
/// After the "Shapes" of arXiv 2207.03116, where hues are shifted in ℝ³; a hue goes around, so that here a circle acts.
public struct Colors: Scene {
  public static let name = "colors"
  public let group = AmbientGroup([.circle, .circle, .circle])
  public let channels = 3
  public let orbitCount = 4
  public init() {}

  public func pose(using random: inout RandomStream) -> AmbientGroup.Element {
    group.sample(using: &random)
  }

  /// A color by its hue, (cos, sin): of one lightness, so that it goes around evenly.
  private static func color(_ pose: AmbientGroup.Element, _ part: Int) -> Color {
    let (c, s) = (pose.numbers[2 * part], pose.numbers[2 * part + 1])
    let root = 3.0.squareRoot() / 2
    return 0.5 + 0.35 * Color(c, -0.5 * c + root * s, -0.5 * c - root * s)
  }

  private static func contains(_ orbit: Int, _ x: Double, _ y: Double) -> Bool {
    switch orbit {
    case 0: abs(x) < 0.35 && abs(y) < 0.35
    case 1: hypot(x, y) < 0.4
    case 2: abs(x) < 0.25 && abs(y) < 0.2 || hypot(x, abs(y) - 0.2) < 0.25
    default: y < 0.4 && 2 * abs(x) < 0.45 + y
    }
  }

  public func draw(_ orbit: Int, _ pose: AmbientGroup.Element, size: Int) -> [Float] {
    let (body, wall, floor) = (
      Self.color(pose, 0), Self.color(pose, 1), 0.7 * Self.color(pose, 2)
    )
    return supersampled(size, channels: 3, grid: 2) { x, y in
      Self.contains(orbit, x, y - 0.1) ? body : y < 0.2 ? wall : floor
    }
  }
}
