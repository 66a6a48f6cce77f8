public import TensorCore

/// How far a function *f* is from equivariance, as a number: ε, over a stated sample of inputs and elements.
///
/// *f* is ε-almost equivariant where d(*f*(*g*·*x*), *g*·*f*(*x*)) ≤ ε for all *g* and *x* (after McNeela 2023, whose paper could
/// not be read in full: the definition is reconstructed). Here d is the Euclidean distance of all numbers of an output.
/// `largest` is over the sample alone, and so a lower bound of ε.
///
/// A function is a model, a layer, or the rule that data follow: how equivariant either is, is the same question.
public struct EquivarianceError: Sendable {
  /// d(*f*(*g*·*x*), *g*·*f*(*x*)): of each element the distances of all inputs, in order.
  public let distances: [[Double]]
  /// The lengths of *f*(*x*), of all inputs.
  public let lengths: [Double]

  public init(distances: [[Double]], lengths: [Double]) {
    (self.distances, self.lengths) = (distances, lengths)
  }

  /// Measures a function of batches.
  ///
  /// - Parameters:
  ///   - function: `[batch] + input` → `[batch] + output`, each member on its own.
  ///   - inputs: `[count] + input`.
  ///   - elements: Those of the sample.
  ///   - moving: How elements act on inputs.
  ///   - outputs: How they act on outputs.
  ///   - batch: How many inputs are moved at once.
  /// - Complexity: 1 + elements passes over the inputs.
  public init(
    of function: (Tensor) -> Tensor, on inputs: Tensor, under elements: [Motion],
    moving: any Quantity, outputs: any Quantity, batch: Int = 256
  ) {
    let count = inputs.shape[0]
    var (distances, lengths) = ([[Double]](repeating: [], count: elements.count), [Double]())
    for start in stride(from: 0, to: count, by: batch) {
      let part = inputs.sliced(start..<min(count, start + batch))
      let plain = function(part)
      lengths += plain.rowLengths
      for (n, element) in elements.enumerated() {
        let copies = [Motion](repeating: element, count: part.shape[0])
        let moved = function(moving.act(copies, on: part))
        distances[n] += (moved - outputs.act(copies, on: plain)).rowLengths
      }
    }
    self.init(distances: distances, lengths: lengths)
  }

  /// The error of pairs that are said to be an element apart: d(*y*, *g*·*x*), each under its own element.
  public init(
    ofPairs inputs: Tensor, _ partners: Tensor, apart elements: [Motion], moving: any Quantity
  ) {
    self.init(
      distances: [(partners - moving.act(elements, on: inputs)).rowLengths],
      lengths: partners.rowLengths)
  }

  /// The mean distance; not a number where one of them is not.
  public var mean: Double { all.reduce(0, +) / Double(all.count) }

  /// What a part of the distances does not exceed, as 0.95 of them; not a number where one is not.
  public func quantile(_ part: Double) -> Double {
    let all = all
    guard !all.isEmpty, !all.contains(where: \.isNaN) else { return .nan }
    return all.sorted()[min(all.count - 1, Int(part * Double(all.count)))]
  }

  /// The largest distance of the sample, a lower bound of ε; not a number where one is not.
  public var largest: Double { quantile(1) }

  /// The mean distance over the mean length of outputs; not a number where these are 0.
  public var relative: Double { mean / (lengths.reduce(0, +) / Double(lengths.count)) }

  /// The same under each element alone: a curve, where elements are in order.
  public var curve: [EquivarianceError] {
    distances.map { EquivarianceError(distances: [$0], lengths: lengths) }
  }

  /// Where the largest distance is; `nil` of an empty sample.
  ///
  /// A distance that is not a number counts as the largest.
  public var worst: (element: Int, input: Int)? {
    var best: (element: Int, input: Int, distance: Double)?
    for (element, row) in distances.enumerated() {
      for (input, distance) in row.enumerated() {
        let value = distance.isNaN ? .infinity : distance
        if value > best?.distance ?? -1 { best = (element, input, value) }
      }
    }
    return best.map { ($0.element, $0.input) }
  }

  private var all: [Double] { distances.flatMap { $0 } }
}

extension Tensor {
  /// The Euclidean length of each member, `[batch, …]`.
  var rowLengths: [Double] {
    let width = shape[0] > 0 ? shape.count / shape[0] : 0
    guard width > 0 else { return [] }
    // In `Double`: squares of large numbers are beyond a `Float`.
    let numbers = elements
    return (0..<shape[0]).map { n in
      numbers[n * width..<(n + 1) * width].reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    }
  }
}
