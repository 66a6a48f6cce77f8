public import TensorCore

/// A complex number: what a character is.
public struct Complex: Hashable, Sendable {
  public let real, imaginary: Double

  public init(_ real: Double, _ imaginary: Double = 0) {
    (self.real, self.imaginary) = (real, imaginary)
  }

  public static func + (a: Complex, b: Complex) -> Complex {
    Complex(a.real + b.real, a.imaginary + b.imaginary)
  }

  public static func * (a: Complex, b: Complex) -> Complex {
    Complex(
      a.real * b.real - a.imaginary * b.imaginary, a.real * b.imaginary + a.imaginary * b.real)
  }

  /// The absolute value.
  public var magnitude: Double { (real * real + imaginary * imaginary).squareRoot() }
}

/// A group as orthogonal matrices: how it acts on rows of numbers, such as latent vectors.
///
/// **Laws**, which `deviations(on:)` measures. *ρ*(*g* *h*) = *ρ*(*g*) *ρ*(*h*); *ρ*(*g*)ᵀ = *ρ*(*g*⁻¹), so that the
/// gradient of acting is acting by the inverse; the trace of *ρ*(*g*) is the real part of the character, or
/// twice that where the space is complex.
///
/// **Shapes.** `[batch, dimension]` → the same.
public protocol Representation<Group>: Action {
  /// How many real numbers a vector has.
  var dimension: Int { get }

  /// Whether vectors are complex, so that their numbers come in pairs: real part, imaginary part.
  var isComplex: Bool { get }

  /// The matrix of an element, of `dimension` rows, row-major.
  func matrix(_ g: Group.Element) -> [Double]

  /// The trace of the matrix, of complex numbers where the space is complex.
  func character(_ g: Group.Element) -> Complex
}

extension Representation {
  public var isComplex: Bool { false }

  public func character(_ g: Group.Element) -> Complex {
    let entries = matrix(g)
    return Complex((0..<dimension).reduce(0) { $0 + entries[$1 * (dimension + 1)] })
  }

  /// By matrices.
  ///
  /// - Complexity: O(*batch* · *dimension*²); representations that only move or turn numbers do better.
  public func act(_ elements: [Group.Element], on batch: Tensor) -> Tensor {
    require(
      batch.shape.extents == [elements.count, dimension],
      "vectors \(batch.shape) for \(elements.count) elements of dimension \(dimension)")
    // Row vectors: z ρᵀ.
    var transposed: [Float] = []
    for g in elements {
      let entries = matrix(g)
      for i in 0..<dimension * dimension {
        transposed.append(Float(entries[i % dimension * dimension + i / dimension]))
      }
    }
    return batch.reshaped([elements.count, 1, dimension])
      .matmul(Tensor(transposed, shape: [elements.count, dimension, dimension]))
      .reshaped([elements.count, dimension])
  }

  /// How far the laws are from holding on all pairs of some elements: largest differences of entries.
  ///
  /// - Complexity: O(*n*² · *dimension*³).
  public func deviations(
    on elements: [Group.Element]
  ) -> (product: Double, orthogonality: Double, character: Double) {
    let d = dimension
    func product(_ a: [Double], _ b: [Double]) -> [Double] {
      (0..<d * d).map { i in (0..<d).reduce(0) { $0 + a[i / d * d + $1] * b[$1 * d + i % d] } }
    }
    func difference(_ a: [Double], _ b: [Double]) -> Double {
      zip(a, b).reduce(0) { largerOrNaN($0, abs($1.0 - $1.1)) }
    }
    let matrices = elements.map(matrix)
    var worst = (product: 0.0, orthogonality: 0.0, character: 0.0)
    for (i, g) in elements.enumerated() {
      let transposed = (0..<d * d).map { matrices[i][$0 % d * d + $0 / d] }
      worst.orthogonality = largerOrNaN(
        worst.orthogonality, difference(transposed, matrix(group.inverse(g))))
      let trace = (0..<d).reduce(0) { $0 + matrices[i][$1 * (d + 1)] }
      worst.character = largerOrNaN(
        worst.character, abs(trace - character(g).real * (isComplex ? 2 : 1)))
      for (j, h) in elements.enumerated() {
        worst.product = largerOrNaN(
          worst.product,
          difference(product(matrices[i], matrices[j]), matrix(group.compose(g, h))))
      }
    }
    return worst
  }
}
