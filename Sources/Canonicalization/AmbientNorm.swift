public import Autodiff
public import Layers
import TensorCore

/// Normalization of vectors that keeps the action of rotations on them, as far as their running mean is 0: that is subtracted, and
/// over a batch each vector has mean square 1 and is uncorrelated with those before it in its space.
///
/// Batch norm would do harm here. A batch has a mean by chance, which no equivariant network can foresee: subtracting it, and
/// dividing each coordinate by a deviation of its own, takes *g*·*a* to what is no longer *g*·(normalized *a*), an error that
/// training sees and cannot learn from. This one subtracts the running mean, which comes to be 0 as the network learns, and
/// combines whole vectors.
///
/// Two vectors of a space would both come to be the direction that is seen most easily, and span no rotation: uncorrelated
/// (by Gram–Schmidt, with means over the batch for products) they cannot. The rotation that they are projected onto is the
/// same before and after: the loss of the vectors themselves is what this is for, and what is kept for inference is their scale.
///
/// **Shapes.** `[batch, Σ vectors · dimension]` → the same.
public struct AmbientNorm: Layer {
  /// Vectors on which the same rotation acts.
  public struct Space: Sendable {
    public let vectors, dimension: Int
    public init(vectors: Int = 1, dimension: Int) {
      (self.vectors, self.dimension) = (vectors, dimension)
    }
  }

  public let spaces: [Space]
  public let runningMean: Parameter
  /// Of each vector its mean products with those before it, once these are normalized, and the mean square of the rest.
  public let runningProducts: Parameter
  public let momentum: Float
  private static let epsilon: Float = 1e-5

  /// - Precondition: Each space has vectors, and these coordinates.
  public init(_ spaces: [Space], momentum: Float = 0.1) {
    require(
      !spaces.isEmpty && spaces.allSatisfy { $0.vectors > 0 && $0.dimension > 0 },
      "norm of spaces \(spaces)")
    (self.spaces, self.momentum) = (spaces, momentum)
    let count = spaces.reduce(0) { $0 + $1.vectors * $1.dimension }
    runningMean = Parameter(.zeros([count]), isTrainable: false)
    let products = spaces.flatMap { space in
      (0..<space.vectors).flatMap { [Float](repeating: 0, count: $0) + [1] }
    }
    runningProducts = Parameter(Tensor(products), isTrainable: false)
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    [("running_mean", runningMean), ("running_products", runningProducts)]
  }

  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    var center = runningMean.value
    if tape.isTraining {
      // Read before the pieces of a batch meet, and changed afterwards, by one of them.
      let known = center
      let mean = Variable(input.value.mean([0])).mean(overPiecesOf: tape).value
      center = known * (1 - momentum) + mean * momentum
      if tape.piece?.isFirst ?? true { runningMean.value = center }
    }
    let centered = input - Variable(center)
    let known = runningProducts.value.elements
    var (start, place): (Int, Int) = (0, 0)
    var (results, seen): ([Variable], [Float]) = ([], [])
    /// A mean over batch and coordinates: of this batch, or what it was in training.
    func product(_ a: Variable, _ b: Variable) -> Variable {
      defer { place += 1 }
      guard tape.isTraining else { return Variable(Tensor(known[place])) }
      let mean = (a * b).mean().mean(overPiecesOf: tape)
      seen.append(mean.value.scalar)
      return mean
    }
    for space in spaces {
      var own: [Variable] = []
      for _ in 0..<space.vectors {
        var rest = centered.sliced(start..<start + space.dimension, axis: 1)
        let vector = rest
        for other in own { rest = rest - other * product(vector, other) }
        own.append(rest / (product(rest, rest) + AmbientNorm.epsilon).squareRoot())
        start += space.dimension
      }
      results += own
    }
    if tape.isTraining && tape.piece?.isFirst ?? true {
      let new = Tensor(seen)
      runningProducts.update { $0 = $0 * (1 - momentum) + new * momentum }
    }
    return .concatenated(results, axis: 1)
  }
}
