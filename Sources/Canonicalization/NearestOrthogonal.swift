import Autodiff
import Symmetry
import TensorCore

extension Variable {
  /// The orthogonal matrix nearest to each of a batch, the orthogonal factor *R* of *M* = *R* *P*.
  ///
  /// Newton's iteration *X* ← (*X* + *X*⁻ᵀ)/2 in `Double` (Higham 1986, doi 10.1137/0907079). With d*R* =
  /// *R* Ω, Ω skew, the pullback solves Ω *P* + *P* Ω = *R*ᵀ d*M* − d*M*ᵀ *R*, which for *d* = 3 is
  /// (tr *P* · 1 − *P*) ω in vectors, and for *d* = 2 a product with tr *P*.
  func nearestOrthogonal() -> Variable {
    let (count, d) = (shape[0], shape[1])
    require(shape == [count, d, d] && (d == 2 || d == 3), "frames of shape \(shape)")
    let numbers = value.elements.map { Double($0) }
    let factors = (0..<count).map { n in
      AffineMap(matrix: Array(numbers[n * d * d..<(n + 1) * d * d])).orthogonalFactor
    }
    let result = Tensor(factors.flatMap { $0.matrix.map { Float($0) } }, shape: shape)
    return Variable(result, inputs: [self]) { [shape] dy in
      let gradients = dy.elements.map { Double($0) }
      let all = factors.indices.flatMap { n -> [Float] in
        let slice = n * d * d..<(n + 1) * d * d
        return factors[n].orthogonalFactorPullback(
          of: AffineMap(matrix: Array(numbers[slice])), Array(gradients[slice])
        ).map { Float($0) }
      }
      return [Tensor(all, shape: shape)]
    }
  }
}

extension AffineMap {
  /// The orthogonal factor of the matrix; a rotation of no meaning where it is singular.
  var orthogonalFactor: AffineMap {
    var x = self
    for _ in 0..<100 {
      guard x.determinant != 0 else { return .identity(dimension) }
      let next = zip(x.matrix, x.inverse.transposed.matrix).map { ($0 + $1) / 2 }
      let change = zip(next, x.matrix).map { abs($0 - $1) }.max() ?? 0
      x = AffineMap(matrix: next)
      if change < 1e-15 { break }
    }
    return x
  }

  /// The gradient by *M*, for the gradient by this orthogonal factor of it; none where *M* is singular.
  fileprivate func orthogonalFactorPullback(of m: AffineMap, _ dy: [Double]) -> [Double] {
    let d = dimension
    let p = transposed.after(m).matrix
    // ⟨dy, R Ω⟩ = ⟨Rᵀ dy, Ω⟩: only the skew part counts.
    let a = transposed.after(AffineMap(matrix: dy)).matrix
    let trace = (0..<d).reduce(0) { $0 + p[$1 * d + $1] }
    var skew = [Double](repeating: 0, count: d * d)
    // Against the product of singular values as large as all together.
    let smallest = (0..<d).reduce(1e-30) { product, _ in product * trace }
    guard abs(m.determinant) > smallest else { return skew }
    if d == 2 {
      let omega = (a[1] - a[2]) / trace
      (skew[1], skew[2]) = (omega, -omega)
    } else {
      let v = [a[7] - a[5], a[2] - a[6], a[3] - a[1]]
      let system = AffineMap(
        matrix: p.enumerated().map { place, number -> Double in
          place % 4 == 0 ? trace - number : -number
        })
      let w = system.inverse.linear(v)
      (skew[7], skew[2], skew[3]) = (w[0], w[1], w[2])
      (skew[5], skew[6], skew[1]) = (-w[0], -w[1], -w[2])
    }
    return after(AffineMap(matrix: skew)).matrix
  }
}
