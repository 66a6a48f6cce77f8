import Glibc
public import Symmetry
public import TensorCore

/// The three silhouettes of the dSprites data (Matthey and others, 2017), of radius 1 about the origin, *v* down.
enum Silhouette: Int, CaseIterable {
  case heart, square, ellipse

  func contains(_ u: Double, _ v: Double) -> Bool {
    switch self {
    case .heart:
      // (x² + y² − 1)³ ≤ x² y³, *y* up.
      let (x, y) = (1.2 * u, 0.15 - 1.2 * v)
      let ring = x * x + y * y - 1
      return ring * ring * ring <= x * x * y * y * y
    case .square: return abs(u) <= 0.75 && abs(v) <= 0.75
    case .ellipse: return u * u + v * v / 0.36 <= 1
    }
  }
}

/// A heart, a square or an ellipse that is shifted and scaled: ℝ³, three orbits, gray.
///
/// The numbers of a pose are the shift to the right and down, in halves of the side, up to 0.5, and the logarithm of the
/// scale, up to 0.5.
public struct Sprites: Scene {
  public static let name = "sprites"
  public let group = AmbientGroup([.line, .line, .line])
  public let channels = 1
  public let orbitCount = 3
  public init() {}

  public func pose(using random: inout RandomStream) -> AmbientGroup.Element {
    .init((0..<3).map { _ in random.uniformDouble() - 0.5 })
  }

  public func draw(_ orbit: Int, _ pose: AmbientGroup.Element, size: Int) -> [Float] {
    guard let shape = Silhouette(rawValue: orbit) else { return [] }
    let (x, y, radius) = (pose.numbers[0], pose.numbers[1], 0.27 * exp(pose.numbers[2]))
    return supersampled(size, channels: 1, grid: 3) { u, v in
      Color(shape.contains((u - x) / radius, (v - y) / radius) ? 1 : 0, 0, 0)
    }
  }
}

/// A red, a green and a blue sprite over each other, each with a shift of its own: ℝ⁶, 27 orbits, by which
/// silhouettes they have.
///
/// Where they overlap the lighter one of each channel is seen.
public struct SeveralSprites: Scene {
  public static let name = "several-sprites"
  public let group = AmbientGroup([.line, .line, .line, .line, .line, .line])
  public let channels = 3
  public let orbitCount = 27
  private static let colors = [
    Color(1, 0.15, 0.1), Color(0.1, 1, 0.2), Color(0.15, 0.2, 1),
  ]
  public init() {}

  public func pose(using random: inout RandomStream) -> AmbientGroup.Element {
    .init((0..<6).map { _ in 1.3 * (random.uniformDouble() - 0.5) })
  }

  public func draw(_ orbit: Int, _ pose: AmbientGroup.Element, size: Int) -> [Float] {
    let shapes = [orbit / 9, orbit / 3 % 3, orbit % 3].compactMap(Silhouette.init)
    let radius = 0.32
    let places = pose.numbers
    return supersampled(size, channels: 3, grid: 2) { u, v in
      var color = Color()
      for (n, shape) in shapes.enumerated()
      where shape.contains((u - places[2 * n]) / radius, (v - places[2 * n + 1]) / radius) {
        color = pointwiseMax(color, Self.colors[n])
      }
      return color
    }
  }
}

/// An arrow, a flag or a key, turned: SO(2), three orbits, gray.
public struct Glyphs: Scene {
  public static let name = "glyphs"
  public let group = AmbientGroup([.circle])
  public let channels = 1
  public var orbitCount: Int { DrawnSigns.classNames.count }
  public init() {}

  public func pose(using random: inout RandomStream) -> AmbientGroup.Element {
    group.sample(using: &random)
  }

  public func draw(_ orbit: Int, _ pose: AmbientGroup.Element, size: Int) -> [Float] {
    let (c, s) = (pose.numbers[0], pose.numbers[1])
    return supersampled(size, channels: 1, grid: 3) { x, y in
      // Undo a turn that is counterclockwise as it is seen, *y* being down.
      let (u, v) = (c * x - s * y, -s * x - c * y)
      return Color(DrawnSigns.contains(orbit, u, v) ? 1 : 0, 0, 0)
    }
  }
}
