import Glibc

/// The eigenvalues of a symmetric matrix, largest first, with their unit eigenvectors.
///
/// Cyclic Jacobi rotations, exact to rounding; meant for matrices of a few rows.
///
/// - Parameter matrix: Row-major, *d* × *d*.
/// - Complexity: O(*d*³) a sweep, a few sweeps.
public func symmetricEigen(_ matrix: [Double]) -> [(value: Double, vector: [Double])] {
  let d = Int(Double(matrix.count).squareRoot().rounded())
  var a = matrix
  var v = AffineMap.identity(d).matrix
  for _ in 0..<50 {
    var rest = 0.0
    for p in 0..<d { for q in 0..<d where p != q { rest += a[p * d + q] * a[p * d + q] } }
    if rest < 1e-300 { break }
    for p in 0..<d {
      for q in p + 1..<max(d, p + 1) where a[p * d + q] != 0 {
        let theta = (a[q * d + q] - a[p * d + p]) / (2 * a[p * d + q])
        let t = (theta < 0 ? -1 : 1) / (abs(theta) + hypot(theta, 1))
        let c = 1 / hypot(t, 1)
        let s = t * c
        for k in 0..<d {
          let (x, y) = (a[k * d + p], a[k * d + q])
          (a[k * d + p], a[k * d + q]) = (c * x - s * y, s * x + c * y)
        }
        for k in 0..<d {
          let (x, y) = (a[p * d + k], a[q * d + k])
          (a[p * d + k], a[q * d + k]) = (c * x - s * y, s * x + c * y)
          let (u, w) = (v[k * d + p], v[k * d + q])
          (v[k * d + p], v[k * d + q]) = (c * u - s * w, s * u + c * w)
        }
      }
    }
  }
  return (0..<d).map { i in (a[i * d + i], (0..<d).map { v[$0 * d + i] }) }
    .sorted { $0.value > $1.value }
}
