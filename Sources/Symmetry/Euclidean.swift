import Glibc
public import TensorCore

/// The isometries of *d*-dimensional space, E(*d*), or those among them without reflections, or
/// without translations: SE(*d*), O(*d*), SO(*d*).
public struct Euclidean: LieGroup {
  /// The dimension *d* of the space.
  public let spaceDimension: Int
  public let hasReflections, hasTranslations: Bool

  public init(_ dimension: Int, hasReflections: Bool, hasTranslations: Bool) {
    spaceDimension = dimension
    self.hasReflections = hasReflections
    self.hasTranslations = hasTranslations
  }

  /// The rotations about the origin.
  public static func so(_ dimension: Int) -> Euclidean {
    Euclidean(dimension, hasReflections: false, hasTranslations: false)
  }

  /// The rotations and reflections that fix the origin.
  public static func o(_ dimension: Int) -> Euclidean {
    Euclidean(dimension, hasReflections: true, hasTranslations: false)
  }

  /// The rigid motions: rotations and translations.
  public static func se(_ dimension: Int) -> Euclidean {
    Euclidean(dimension, hasReflections: false, hasTranslations: true)
  }

  /// All isometries.
  public static func e(_ dimension: Int) -> Euclidean {
    Euclidean(dimension, hasReflections: true, hasTranslations: true)
  }

  public var identity: AffineMap { .identity(spaceDimension) }
  public func compose(_ g: AffineMap, _ h: AffineMap) -> AffineMap { g.after(h) }

  /// The transpose of the matrix, which for an isometry is its inverse.
  public func inverse(_ g: AffineMap) -> AffineMap {
    let back = g.transposed
    return AffineMap(matrix: back.matrix, translation: back.linear(g.translation).map { -$0 })
  }

  /// The angle between the two (of a turn in one plane, by which two elements of SO(2) or SO(3)
  /// differ), plus the distance of their origins; where one of them reflects, π plus the angle after
  /// a reflection through the origin.
  public func distance(_ g: AffineMap, _ h: AffineMap) -> Double {
    let between = compose(inverse(g), h)
    let isReflected = between.determinant < 0
    let sign: Double = isReflected ? -1 : 1
    let square = zip(between.matrix, identity.matrix).reduce(0) { sum, pair in
      let difference = sign * pair.0 - pair.1
      return sum + difference * difference
    }
    let shift = between.translation.reduce(0) { $0 + $1 * $1 }.squareRoot()
    return 2 * asin(min(1, (square / 8).squareRoot())) + (isReflected ? .pi : 0) + shift
  }

  /// A uniform rotation or reflection, by the Gram–Schmidt orthonormalization of a normal matrix;
  /// translations have no uniform distribution and are normal with variance 1 a coordinate.
  public func sample(using random: inout RandomStream) -> AffineMap {
    let d = spaceDimension
    var rows: [[Double]] = []
    while rows.count < d {
      var row = (0..<d).map { _ in random.normal() }
      for other in rows {
        let along = zip(row, other).reduce(0) { $0 + $1.0 * $1.1 }
        row = zip(row, other).map { $0 - along * $1 }
      }
      let length = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
      rows.append(row.map { $0 / length })
    }
    let linear = AffineMap(matrix: rows.flatMap { $0 })
    let flip: Double = !hasReflections && linear.determinant < 0 ? -1 : 1
    let matrix = linear.matrix.enumerated().map { $0 < d ? flip * $1 : $1 }
    return AffineMap(
      matrix: matrix, translation: (0..<d).map { _ in hasTranslations ? random.normal() : 0 })
  }
}
