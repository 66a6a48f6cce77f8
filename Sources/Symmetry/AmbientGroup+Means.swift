extension AmbientGroup {
  /// The Fréchet mean of elements: from which the sum of the squares of geodesic distances is least, near the mean of
  /// their matrices (Karcher 1977, doi 10.1002/cpa.3160300502).
  ///
  /// - Parameter isRobust: The geodesic median instead, from which the sum of distances is least: a few elements far
  ///   away do not move it (Fletcher, Venkatasubramanian & Joshi 2009, doi 10.1016/j.neuroimage.2008.10.052).
  /// - Returns: The mean, and the root of the mean square of distances from it; numbers that are none where an
  ///   element's are.
  /// - Precondition: There is an element.
  public func frechetMean(
    _ elements: [Element], isRobust: Bool = false
  ) -> (mean: Element, spread: Double) {
    var mean = mean(elements)
    func directions() -> [[Double]] { elements.map { log(compose(inverse(mean), $0)) } }
    func length(_ v: [Double]) -> Double { v.reduce(0) { $0 + $1 * $1 }.squareRoot() }
    for _ in 0..<300 {
      let all = directions()
      // Weiszfeld's iteration: as much as each is near, which of one that is met is bounded.
      let weights = all.map { isRobust ? 1 / max(length($0), 1e-9) : 1 }
      let sum = weights.reduce(0, +)
      let step = (0..<dimension).map { i in
        zip(all, weights).reduce(0) { $0 + $1.0[i] * $1.1 } / sum
      }
      mean = compose(mean, exp(step))
      if !(length(step) > 1e-10) { break }
    }
    let squares = directions().reduce(0) { $0 + length($1) * length($1) }
    return (mean, (squares / Double(elements.count)).squareRoot())
  }
}
