// What laws are measured by: a number that is none is never within a tolerance.

/// The larger of two numbers, or the one that is none.
public func largerOrNaN(_ a: Double, _ b: Double) -> Double {
  a.isNaN || b.isNaN ? .nan : max(a, b)
}

extension Tensor {
  /// The largest absolute difference between the numbers of two tensors; infinite where the shapes differ, and
  /// not a number where one is none.
  public func largestDifference(from other: Tensor) -> Double {
    guard shape == other.shape else { return .infinity }
    return zip(elements, other.elements).reduce(0) { largerOrNaN($0, Double(abs($1.0 - $1.1))) }
  }
}
