public import Autodiff
public import TensorCore

/// How far an operation is from a reference in `Double`, in value and in gradient.
public struct OperationDeviation {
  /// The largest difference of values, relative to the largest value.
  public let value: Double
  /// The largest difference between a gradient and a central difference of the reference, relative
  /// to the largest gradient.
  public let gradient: Double

  /// Compares an operation with its reference.
  ///
  /// The gradient is of Σ *c* · *y* with fixed weights *c*. The central difference with step 10⁻⁵
  /// in `Double` is off by about 10⁻¹⁰ for smooth functions of unit scale, so what is measured is
  /// the rounding of `Float` in the operation.
  ///
  /// - Parameter reference: The same function of all inputs' elements in row-major order.
  public init(
    of inputs: [Tensor], _ operation: ([Variable]) -> Variable,
    reference: ([[Double]]) -> [Double]
  ) {
    let variables = inputs.map { Variable($0, requiresGradient: true) }
    let result = operation(variables)
    var numbers = inputs.map { $0.elements.map(Double.init) }
    let expected = reference(numbers)
    precondition(expected.count == result.shape.count, "\(expected.count) for \(result.shape)")
    value = deviation(result.value.elements.map(Double.init), expected)
    var random = RandomStream(seed: 7, name: "cotangent")
    let weights = Tensor.uniform(result.shape, from: -1, to: 1, using: &random)
    let gradients = Gradients(of: (result * Variable(weights)).sum())
    func weighted() -> Double {
      zip(reference(numbers), weights.elements).map { $0 * Double($1) }.reduce(0, +)
    }
    var worst = 0.0
    for (index, variable) in variables.enumerated() {
      let found = gradients[variable] ?? .zeros(variable.shape)
      let differences = numbers[index].indices.map { i -> Double in
        let (x, step) = (numbers[index][i], 1e-5)
        defer { numbers[index][i] = x }
        numbers[index][i] = x + step
        let above = weighted()
        numbers[index][i] = x - step
        return (above - weighted()) / (2 * step)
      }
      worst = max(worst, deviation(found.elements.map(Double.init), differences))
    }
    gradient = worst
  }
}

/// The largest difference between two lists, relative to the largest magnitude in the second, or to
/// 1 where that is smaller.
public func deviation(_ found: [Double], _ expected: [Double]) -> Double {
  guard found.count == expected.count else { return .infinity }
  let scale = max(1, expected.map(abs).max() ?? 0)
  return zip(found, expected).map { abs($0 - $1) / scale }.reduce(0) {
    $0.isNaN || $1.isNaN ? .nan : max($0, $1)
  }
}

/// The largest difference between two tensors of one shape; infinite for different shapes.
public func largestDifference(_ a: Tensor, _ b: Tensor) -> Float {
  guard a.shape == b.shape else { return .infinity }
  return zip(a.elements, b.elements).map { abs($0 - $1) }.max() ?? 0
}
