import Glibc
import TensorCore

/// Surfaces of simple bodies, of random proportions, upright, as noisy sets of points.
public enum SolidShapes {
  public static let classNames = [
    "box", "cone", "cylinder", "torus", "ellipsoid", "pyramid", "capsule", "helix",
  ]

  /// Draws bodies, the classes in turn.
  ///
  /// Each is centered on its points' mean and scaled to a mean square radius of 1; then every
  /// coordinate gets normal noise.
  public static func sample(
    count: Int, points: Int = 1024, noise: Double = 0.03, seed: UInt64
  ) -> LabeledPoints {
    let sets = Parallel.map(Array(0..<count)) { n -> [Float] in
      var random = RandomStream(seed: seed, name: "body/\(n)")
      return body(n % classNames.count, points, noise, using: &random)
    }
    return LabeledPoints(
      points: Tensor(sets.flatMap { $0 }, shape: [count, points, 3]),
      labels: (0..<count).map { $0 % classNames.count }, classNames: classNames)
  }

  private static func body(
    _ kind: Int, _ count: Int, _ noise: Double, using random: inout RandomStream
  ) -> [Float] {
    func between(_ low: Double, _ high: Double) -> Double {
      low + (high - low) * random.uniformDouble()
    }
    let (a, b, c) = (between(0.5, 1), between(0.5, 1), between(0.8, 1.6))
    func point() -> SIMD3<Double> {
      let (turn, u, v) = (between(0, 2 * .pi), between(0, 1), between(-1, 1))
      let (x, y) = (cos(turn), sin(turn))
      switch kind {
      case 0:  // a face, by its area
        let (xy, yz) = (a * b, b * c)
        let which = u * (xy + yz + a * c)
        let (s, side) = (between(-1, 1), random.uniform() < 0.5 ? -1.0 : 1.0)
        if which < xy { return SIMD3(a * s, b * v, c * side) }
        return which < xy + yz ? SIMD3(a * side, b * s, c * v) : SIMD3(a * s, b * side, c * v)
      case 1:  // a third of the points on the base
        let r = u.squareRoot()
        let isBase = v < -1.0 / 3
        return SIMD3(a * r * x, a * r * y, isBase ? 0 : 2 * c * (1 - r))
      case 2:  // a fifth of the points on each lid
        if abs(v) > 0.6 {
          return SIMD3(a * u.squareRoot() * x, a * u.squareRoot() * y, v > 0 ? c : -c)
        }
        return SIMD3(a * x, a * y, c * v / 0.6)
      case 3:
        let (tube, other) = (0.25 + 0.3 * (b - 0.5), 2 * .pi * u)
        return SIMD3((1 + tube * cos(other)) * x, (1 + tube * cos(other)) * y, tube * sin(other))
      case 4:
        let r = (1 - v * v).squareRoot()
        return SIMD3(a * r * x, b * r * y, c * v)
      case 5:  // a square base, a fifth of the points on it
        let s = between(-1, 1)
        if u < 0.2 { return SIMD3(a * s, a * v, 0) }
        let level = 1 - ((u - 0.2) / 0.8).squareRoot()
        let edge = a * (1 - level)
        return random.uniform() < 0.5
          ? SIMD3(edge * s, v < 0 ? -edge : edge, 1.5 * c * level)
          : SIMD3(v < 0 ? -edge : edge, edge * s, 1.5 * c * level)
      case 6:  // a cylinder between two half balls
        if abs(v) < 0.5 { return SIMD3(a * x, a * y, 2 * c * v) }
        let height = between(0, 1)
        let r = (1 - height * height).squareRoot()
        return SIMD3(a * r * x, a * r * y, (c + a * height) * (v < 0 ? -1 : 1))
      default:  // a wire around an axis, three turns
        let way = 6 * .pi * u
        return SIMD3(a * cos(way), a * sin(way), c * (2 * u - 1))
      }
    }
    var points = (0..<count).map { _ in point() }
    let center = points.reduce(SIMD3()) { $0 + $1 } / Double(count)
    points = points.map { $0 - center }
    let square = points.reduce(0) { $0 + ($1 * $1).sum() } / Double(count)
    return points.flatMap { p -> [Float] in
      let q =
        p / square.squareRoot() + noise * SIMD3(random.normal(), random.normal(), random.normal())
      return [Float(q.x), Float(q.y), Float(q.z)]
    }
  }
}
