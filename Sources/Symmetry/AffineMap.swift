import TensorCore

/// An invertible affine map of *d*-dimensional space, *x* ↦ *A* *x* + *t*.
///
/// Maps whose matrices hold only 0 and ±1, such as quarter turns, compose and invert without
/// rounding.
public struct AffineMap: Hashable, Sendable {
  /// *A*, row-major, *d* × *d*.
  public let matrix: [Double]
  /// *t*, *d* numbers.
  public let translation: [Double]

  /// Creates a map; without `translation` it is linear.
  ///
  /// - Precondition: `matrix` is square and agrees with `translation`.
  public init(matrix: [Double], translation: [Double]? = nil) {
    let dimension = Int(Double(matrix.count).squareRoot().rounded())
    self.matrix = matrix
    self.translation = translation ?? [Double](repeating: 0, count: dimension)
    require(
      dimension * dimension == matrix.count && self.translation.count == dimension,
      "a matrix of \(matrix.count) entries with a translation of \(self.translation.count)")
  }

  /// The map that moves nothing.
  public static func identity(_ dimension: Int) -> AffineMap {
    AffineMap(
      matrix: (0..<dimension * dimension).map { $0 % (dimension + 1) == 0 ? 1 : 0 })
  }

  /// *d*.
  public var dimension: Int { translation.count }

  /// Where a point goes.
  public func callAsFunction(_ point: [Double]) -> [Double] {
    zip(linear(point), translation).map { $0 + $1 }
  }

  /// Where a vector, which has no place, goes.
  public func linear(_ vector: [Double]) -> [Double] {
    (0..<dimension).map { row in
      var sum = 0.0
      for column in 0..<dimension { sum += matrix[row * dimension + column] * vector[column] }
      return sum
    }
  }

  /// The linear map of the transposed matrix.
  public var transposed: AffineMap {
    let d = dimension
    return AffineMap(matrix: (0..<d * d).map { matrix[$0 % d * d + $0 / d] })
  }

  /// First `other`, then this map.
  public func after(_ other: AffineMap) -> AffineMap {
    let d = dimension
    let columns = (0..<d).map { column in
      linear((0..<d).map { other.matrix[$0 * d + column] })
    }
    return AffineMap(
      matrix: (0..<d * d).map { columns[$0 % d][$0 / d] }, translation: self(other.translation))
  }

  /// The map that undoes this one, by Gauss–Jordan elimination with row pivoting.
  ///
  /// - Precondition: The matrix is not singular.
  public var inverse: AffineMap {
    let d = dimension
    var rows = (0..<d).map { row in
      Array(matrix[row * d..<(row + 1) * d]) + (0..<d).map { $0 == row ? 1 : 0 }
    }
    for column in 0..<d {
      let pivot = (column..<d).reduce(column) {
        abs(rows[$1][column]) > abs(rows[$0][column]) ? $1 : $0
      }
      rows.swapAt(column, pivot)
      let head = rows[column][column]
      require(head != 0, "a singular map has no inverse")
      rows[column] = rows[column].map { $0 / head }
      for row in 0..<d where row != column {
        let factor = rows[row][column]
        if factor == 0 { continue }
        for i in rows[row].indices { rows[row][i] -= factor * rows[column][i] }
      }
    }
    let linearPart = AffineMap(matrix: rows.flatMap { $0[d...] })
    return AffineMap(
      matrix: linearPart.matrix, translation: linearPart.linear(translation).map { -$0 })
  }

  /// The factor by which volumes grow, negative where the map reflects.
  public var determinant: Double {
    let d = dimension
    if d == 0 { return 1 }
    return (0..<d).reduce(0) { sum, column in
      let minor = (1..<d).flatMap { row in
        (0..<d).filter { $0 != column }.map { matrix[row * d + $0] }
      }
      let sign: Double = column % 2 == 0 ? 1 : -1
      return sum + sign * matrix[column] * AffineMap(matrix: minor).determinant
    }
  }
}
