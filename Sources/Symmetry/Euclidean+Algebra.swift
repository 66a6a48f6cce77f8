import Glibc
import TensorCore

// The tangent space: the angles in the planes of two axes, (0, 1), (0, 2), …, (1, 2), …, then the shifts.
extension Euclidean {
  private var planes: [(Int, Int)] {
    (0..<spaceDimension).flatMap { i in (i + 1..<spaceDimension).map { (i, $0) } }
  }

  /// *d* (*d* − 1)/2, and *d* more with translations.
  public var dimension: Int { planes.count + (hasTranslations ? spaceDimension : 0) }

  /// What each axis is.
  var axisNames: [String] {
    planes.map {
      spaceDimension == 2 ? "turn, radians" : "turn from axis \($0.0) to \($0.1), radians"
    }
      + (hasTranslations ? (0..<spaceDimension).map { "shift along axis \($0)" } : [])
  }

  /// Half around in every plane, and shifts by 1.
  public var window: AlgebraWindow {
    AlgebraWindow(
      planes.map { _ in .pi } + (hasTranslations ? (0..<spaceDimension).map { _ in 1 } : []))
  }

  /// The rigid motion reached by following a tangent vector for unit time, by scaling and squaring of
  /// the exponential series.
  ///
  /// The matrix of an angle α in the plane (*i*, *j*) turns axis *i* towards axis *j*.
  ///
  /// - Precondition: There are as many numbers as dimensions.
  public func exp(_ tangent: [Double]) -> AffineMap {
    require(tangent.count == dimension, "\(tangent.count) numbers for an algebra of \(dimension)")
    let d = spaceDimension
    let largest = tangent.reduce(0) { max($0, abs($1)) }
    let halvings = largest > 0 && largest.isFinite ? max(0, Int(log2(largest).rounded(.up)) + 6) : 0
    var generator = [Double](repeating: 0, count: (d + 1) * (d + 1))
    for ((i, j), angle) in zip(planes, tangent) {
      generator[j * (d + 1) + i] = angle
      generator[i * (d + 1) + j] = -angle
    }
    for (row, shift) in tangent.dropFirst(planes.count).enumerated() {
      generator[row * (d + 1) + d] = shift
    }
    let small = AffineMap(matrix: generator.map { $0 / pow(2, Double(halvings)) })
    var (power, sum) = (AffineMap.identity(d + 1), AffineMap.identity(d + 1).matrix)
    for k in 1...14 {
      power = AffineMap(matrix: power.after(small).matrix.map { $0 / Double(k) })
      for i in sum.indices { sum[i] += power.matrix[i] }
    }
    var map = AffineMap(
      matrix: (0..<d * d).map { sum[$0 / d * (d + 1) + $0 % d] },
      translation: (0..<d).map { sum[$0 * (d + 1) + d] })
    for _ in 0..<halvings { map = map.after(map) }
    return map
  }

  /// The shortest tangent vector that `exp` takes to *g*, of the component of the identity.
  ///
  /// In the plane and in space by angle and axis, half turns too; in higher dimensions by repeated square
  /// roots, for turns by less than half around.
  ///
  /// - Precondition: *g* does not reflect.
  public func log(_ g: AffineMap) -> [Double] {
    require(g.determinant > 0, "a reflection has no logarithm: \(g.matrix)")
    let d = spaceDimension
    let turns: [Double]
    switch d {
    case 2: turns = [atan2(g.matrix[2] - g.matrix[1], g.matrix[0] + g.matrix[3])]
    case 3: turns = Euclidean.rotationVector(g.matrix)
    default: turns = rootLogarithm(g.matrix)
    }
    guard hasTranslations else { return turns }
    // t = V v, V = ∫₀¹ exp(s ω) ds: found from the columns that exp itself gives, linear in v.
    let columns = (0..<d).map { i in
      exp(turns + (0..<d).map { $0 == i ? 1 : 0 }).translation
    }
    let v = AffineMap(matrix: (0..<d * d).map { columns[$0 % d][$0 / d] })
    return turns + v.inverse.linear(g.translation)
  }

  /// Of a rotation of space by α twice sin α times the axis, in the planes (0, 1), (0, 2), (1, 2), with sin α and cos α.
  static func turn(_ m: [Double]) -> (skew: [Double], sine: Double, cosine: Double) {
    let skew = [m[3] - m[1], m[6] - m[2], m[7] - m[5]]
    return (
      skew, skew.reduce(0) { $0 + $1 * $1 }.squareRoot() / 2, (m[0] + m[4] + m[8] - 1) / 2
    )
  }

  /// The angles in the planes (0, 1), (0, 2), (1, 2) of a rotation of space.
  private static func rotationVector(_ m: [Double]) -> [Double] {
    let (skew, sine, cosine) = turn(m)
    let angle = atan2(sine, cosine)
    if angle < 3 {
      let factor = sine > 1e-12 ? angle / (2 * sine) : 0.5
      return skew.map { $0 * factor }
    }
    // Near a half turn the axis is read from the symmetric part, (1 − cos α) n nᵀ + cos α.
    let axis = (0..<3).map { ((m[$0 * 4] - cosine) / (1 - cosine)) }
    let largest = axis.indices.reduce(0) { axis[$1] > axis[$0] ? $1 : $0 }
    let n = (0..<3).map { i in
      i == largest
        ? max(axis[i], 0).squareRoot()
        : (m[i * 3 + largest] + m[largest * 3 + i]) / 2
          / ((1 - cosine) * max(axis[largest], 1e-300).squareRoot())
    }
    // The plane (0, 1) turns about axis 2, (0, 2) about −1, (1, 2) about 0.
    let planes = [n[2], -n[1], n[0]]
    let along = zip(planes, skew).reduce(0) { $0 + $1.0 * $1.1 }
    return planes.map { $0 * (along < 0 ? -angle : angle) }
  }

  private func rootLogarithm(_ matrix: [Double]) -> [Double] {
    let d = spaceDimension
    var root = AffineMap(matrix: matrix)
    for _ in 0..<8 { root = root.squareRoot }
    let x = AffineMap(
      matrix: root.matrix.enumerated().map { $1 - ($0 % (d + 1) == 0 ? 1 : 0) })
    var (power, sum) = (x, x.matrix)
    for k in 2...14 {
      power = power.after(x)
      for i in sum.indices { sum[i] += (k % 2 == 0 ? -1 : 1) * power.matrix[i] / Double(k) }
    }
    return planes.map { i, j in 128 * (sum[j * d + i] - sum[i * d + j]) }
  }
}
