import Autodiff
import Glibc
import TensorCore

extension Variable {
  /// The doubly stochastic matrices *P* that maximize ⟨*P*, *S*⟩ + λ H(*P*): entropic optimal transport
  /// (Cuturi 2013, arXiv 1306.0895), by Sinkhorn's iterations in `Double`.
  ///
  /// **Shapes.** `[batch, n, n]` → the same.
  ///
  /// The pullback differentiates the fixed point, not the iterations: with *G* the gradient by *P*, it is
  /// *P* ∘ (*G* − *a* 1ᵀ − 1 *b*ᵀ) / λ, with *a* and *b* such that its rows and columns sum to zero, found by
  /// conjugate gradients.
  ///
  /// - Complexity: O(*n*²) an iteration.
  func transportPlan(regularization: Double, iterations: Int = 200) -> Variable {
    let (count, n) = (shape[0], shape[1])
    require(shape == [count, n, n], "transport of \(shape)")
    let scores = value.elements
    let plans = Parallel.map(Array(0..<count)) { set in
      sinkhorn(scores[set * n * n..<(set + 1) * n * n], n, regularization, iterations)
    }
    let result = Tensor(plans.flatMap { $0.map { Float($0) } }, shape: shape)
    return Variable(result, inputs: [self]) { [shape] dy in
      let gradients = dy.elements
      let all = Parallel.map(Array(0..<count)) { set in
        sinkhornPullback(
          plans[set], gradients[set * n * n..<(set + 1) * n * n].map { Double($0) }, n,
          regularization)
      }
      return [Tensor(all.flatMap { $0.map { Float($0) } }, shape: shape)]
    }
  }
}

/// Scales rows and columns of exp(*S* / λ) in turn until both sum to 1.
private func sinkhorn(
  _ scores: ArraySlice<Float>, _ n: Int, _ regularization: Double, _ iterations: Int
) -> [Double] {
  let base = scores.startIndex
  var plan = (0..<n).flatMap { row -> [Double] in
    let values = (0..<n).map { Double(scores[base + row * n + $0]) }
    let largest = values.max() ?? 0
    // Far below the largest, a score must not vanish entirely: columns need a sum.
    return values.map { max(exp(($0 - largest) / regularization), 1e-100) }
  }
  for _ in 0..<iterations {
    for column in 0..<n {
      var sum = 0.0
      for row in 0..<n { sum += plan[row * n + column] }
      for row in 0..<n { plan[row * n + column] /= sum }
    }
    var error = 0.0
    for row in 0..<n {
      var sum = 0.0
      for column in 0..<n { sum += plan[row * n + column] }
      error = max(error, abs(sum - 1))
      for column in 0..<n { plan[row * n + column] /= sum }
    }
    if error < 1e-9 { break }
  }
  return plan
}

/// The gradient by the scores, for the gradient by the plan.
private func sinkhornPullback(
  _ plan: [Double], _ gradient: [Double], _ n: Int, _ regularization: Double
) -> [Double] {
  /// Row and column sums of *P* ∘ (*a* 1ᵀ + 1 *b*ᵀ), *a* and *b* being one list.
  func sums(_ x: [Double]) -> [Double] {
    var result = [Double](repeating: 0, count: 2 * n)
    for row in 0..<n {
      for column in 0..<n {
        let value = plan[row * n + column] * (x[row] + x[n + column])
        result[row] += value
        result[n + column] += value
      }
    }
    return result
  }
  var wanted = [Double](repeating: 0, count: 2 * n)
  for row in 0..<n {
    for column in 0..<n {
      let value = plan[row * n + column] * gradient[row * n + column]
      wanted[row] += value
      wanted[n + column] += value
    }
  }
  func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
  var (x, residual) = ([Double](repeating: 0, count: 2 * n), wanted)
  var direction = residual
  var square = dot(residual, residual)
  let enough = 1e-24 * square
  for _ in 0..<4 * n where square > enough {
    let image = sums(direction)
    let step = square / dot(direction, image)
    for i in x.indices {
      x[i] += step * direction[i]
      residual[i] -= step * image[i]
    }
    let next = dot(residual, residual)
    for i in x.indices { direction[i] = residual[i] + next / square * direction[i] }
    square = next
  }
  return (0..<n * n).map { i in
    plan[i] * (gradient[i] - x[i / n] - x[n + i % n]) / regularization
  }
}
