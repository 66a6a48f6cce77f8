extension Tensor {
  /// The exponentials of square matrices: Σ *A*ᵏ / *k*!.
  ///
  /// By scaling and squaring: *A* / 2ˢ, of 1-norm below ½, by its Taylor series to the tenth power, squared *s* times, all in
  /// `Double`. The series is cut off at 10⁻¹¹ of the result, and a norm of 30 takes 6 squarings: what is left is
  /// the rounding of the result to `Float`. A matrix of which a number is not finite has an exponential of NaN.
  ///
  /// **Shapes.** `[…, n, n]` → the same.
  ///
  /// - Precondition: The matrices are square.
  /// - Complexity: (10 + *s*) · *n*³ for each matrix.
  public func matrixExponential() -> Tensor {
    unsafe forEachMatrix(nil) { work, a, _, result in
      unsafe work.exponential(of: a, to: result)
    }
  }

  /// The gradient by the matrices, for the gradient by their exponentials.
  ///
  /// It is the derivative of the exponential at *A*ᵀ in the direction of that gradient, the upper right block of the exponential of
  /// [[*A*ᵀ, d*Y*], [0, *A*ᵀ]]: the series and the squarings are derived term by term, so that it is exact
  /// for what `matrixExponential` computes.
  ///
  /// **Shapes.** both `[…, n, n]` → the same.
  public func matrixExponentialGradient(_ gradient: Tensor) -> Tensor {
    require(gradient.shape == shape, "a gradient \(gradient.shape) of exponentials \(shape)")
    return unsafe transposed().contiguous.forEachMatrix(gradient) { work, a, direction, result in
      guard let direction = unsafe direction else { return }
      unsafe work.derivative(at: a, along: direction, to: result)
    }
  }

  private func forEachMatrix(
    _ other: Tensor?,
    _ body:
      @escaping @Sendable (
        _ work: borrowing ExponentialSeries, _ a: UnsafePointer<Float>,
        _ direction: UnsafePointer<Float>?, _ result: UnsafeMutablePointer<Float>
      ) -> Void
  ) -> Tensor {
    require(
      shape.rank >= 2 && shape[-1] == shape[-2],
      "exponentials of \(shape), which are no square matrices")
    let (n, a, b) = (shape[-1], contiguous, other?.contiguous)
    let size = max(1, n * n)
    return unsafe Tensor(shape) { target in
      let target = unsafe SendableAddress(target)
      Parallel.ranges(shape.count / size, grain: 8) { range in
        let work = ExponentialSeries(n)
        for index in range {
          unsafe a.withElements { a in
            let result = unsafe target.pointer + index * size
            guard let b else { return unsafe body(work, a + index * size, nil, result) }
            unsafe b.withElements { unsafe body(work, a + index * size, $0 + index * size, result) }
          }
        }
      }
    }
  }
}

/// Room for the series of one matrix after the other.
@safe private struct ExponentialSeries: ~Copyable {
  typealias Matrix = UnsafeMutablePointer<Double>
  /// The degree at which the series ends.
  private static let degree = 10
  private let n: Int
  private let room: Matrix
  private var count: Int { n * n }

  init(_ n: Int) {
    self.n = n
    unsafe room = .allocate(capacity: 8 * n * n)
    unsafe room.initialize(repeating: 0, count: 8 * n * n)
  }

  deinit { unsafe room.deallocate() }

  private func matrix(_ place: Int) -> Matrix { unsafe room + place * count }

  /// Adds the product of two matrices, times a factor, to a third.
  private func add(_ a: Matrix, _ b: Matrix, times factor: Double = 1, to c: Matrix) {
    for i in 0..<n {
      let row = unsafe c + i * n
      for k in 0..<n {
        let x = unsafe a[i * n + k] * factor
        let other = unsafe b + k * n
        for j in 0..<n { unsafe row[j] += x * other[j] }
      }
    }
  }

  private func clear(_ a: Matrix) { unsafe a.update(repeating: 0, count: count) }

  private func setIdentity(_ a: Matrix) {
    unsafe clear(a)
    for i in 0..<n { unsafe a[i * n + i] = 1 }
  }

  /// How often the matrix is halved to be of a 1-norm below ½; `nil` where that is not finite.
  private func halvings(_ a: UnsafePointer<Float>) -> Int? {
    var largest = 0.0
    for j in 0..<n {
      var sum = 0.0
      for i in 0..<n { sum += unsafe abs(Double(a[i * n + j])) }
      guard sum.isFinite else { return nil }
      largest = max(largest, sum)
    }
    return largest < 0.5 ? 0 : Int(largest.exponent) + 2
  }

  func exponential(of a: UnsafePointer<Float>, to result: UnsafeMutablePointer<Float>) {
    guard let halvings = unsafe halvings(a) else {
      return unsafe result.update(repeating: .nan, count: count)
    }
    var (term, next, sum) = unsafe (matrix(1), matrix(2), matrix(3))
    let scaled = unsafe scale(a, halvings, to: 0)
    unsafe setIdentity(term)
    unsafe setIdentity(sum)
    for k in 1...Self.degree {
      unsafe clear(next)
      unsafe add(scaled, term, times: 1 / Double(k), to: next)
      for i in 0..<count { unsafe sum[i] += next[i] }
      unsafe swap(&term, &next)
    }
    for _ in 0..<halvings {
      unsafe clear(next)
      unsafe add(sum, sum, to: next)
      unsafe swap(&sum, &next)
    }
    for i in 0..<count { unsafe result[i] = Float(sum[i]) }
  }

  /// The derivative of the exponential at `a` along `e`: (*T*ₖ)′ = (*E* *T*ₖ₋₁ + *A* *T*ₖ₋₁′) / *k* and (*S*²)′ = *S*′ *S* + *S* *S*′.
  func derivative(
    at a: UnsafePointer<Float>, along e: UnsafePointer<Float>,
    to result: UnsafeMutablePointer<Float>
  ) {
    guard let halvings = unsafe halvings(a) else {
      return unsafe result.update(repeating: .nan, count: count)
    }
    let (scaled, direction) = unsafe (scale(a, halvings, to: 0), scale(e, halvings, to: 1))
    var (term, next, sum) = unsafe (matrix(2), matrix(3), matrix(4))
    var (slope, nextSlope, total) = unsafe (matrix(5), matrix(6), matrix(7))
    unsafe setIdentity(term)
    unsafe setIdentity(sum)
    unsafe clear(slope)
    unsafe clear(total)
    for k in 1...Self.degree {
      let share = 1 / Double(k)
      unsafe clear(next)
      unsafe clear(nextSlope)
      unsafe add(scaled, term, times: share, to: next)
      unsafe add(direction, term, times: share, to: nextSlope)
      unsafe add(scaled, slope, times: share, to: nextSlope)
      for i in 0..<count {
        unsafe sum[i] += next[i]
        unsafe total[i] += nextSlope[i]
      }
      unsafe swap(&term, &next)
      unsafe swap(&slope, &nextSlope)
    }
    for _ in 0..<halvings {
      unsafe clear(next)
      unsafe clear(nextSlope)
      unsafe add(total, sum, to: nextSlope)
      unsafe add(sum, total, to: nextSlope)
      unsafe add(sum, sum, to: next)
      unsafe swap(&sum, &next)
      unsafe swap(&total, &nextSlope)
    }
    for i in 0..<count { unsafe result[i] = Float(total[i]) }
  }

  private func scale(_ a: UnsafePointer<Float>, _ halvings: Int, to place: Int) -> Matrix {
    let target = unsafe matrix(place)
    let factor = Double(sign: .plus, exponent: -halvings, significand: 1)
    for i in 0..<count { unsafe target[i] = Double(a[i]) * factor }
    return unsafe target
  }
}
