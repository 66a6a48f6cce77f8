import Glibc
public import TensorCore

/// A representation of a finite abelian group that turns each complex number by itself: *z*ⱼ is multiplied by the
/// character exp(2π*i* Σ frequency · steps / order).
///
/// With every frequency once it is the regular representation, in the basis of its Fourier transform. The
/// frequencies of several transforms run through all combinations there: where all count up together, as `j mod K`
/// for each, two transforms of the same order are told by the same characters, and cannot be told apart.
///
/// **Shapes.** `[batch, 2 · frequencies]`, pairs of real and imaginary part.
public struct Diagonal: Representation {
  public let group: FiniteAbelian
  /// For each complex number, a frequency for each factor.
  public let frequencies: [[Int]]
  public var dimension: Int { 2 * frequencies.count }
  public var isComplex: Bool { true }

  /// - Precondition: There are frequencies, each of as many numbers as the group has factors.
  public init(_ group: FiniteAbelian, frequencies: [[Int]]) {
    require(
      !frequencies.isEmpty && frequencies.allSatisfy { $0.count == group.orders.count },
      "frequencies \(frequencies.prefix(3)) for orders \(group.orders)")
    self.group = group
    self.frequencies = frequencies.map { group.element($0).steps }
  }

  /// All frequencies, `copies` times: the regular representation over ℂ.
  public static func regular(_ group: FiniteAbelian, copies: Int = 1) -> Diagonal {
    let all = group.elements.map(\.steps)
    return Diagonal(group, frequencies: (0..<copies).flatMap { _ in all })
  }

  /// The angle by which each number is turned, as cosine and sine; quarter turns are exact.
  private func turns(_ g: FiniteAbelian.Element) -> [(c: Double, s: Double)] {
    frequencies.map { unitComplex(group.phase($0, g)) }
  }

  public func matrix(_ g: FiniteAbelian.Element) -> [Double] {
    var entries = [Double](repeating: 0, count: dimension * dimension)
    for (j, turn) in turns(g).enumerated() {
      let (a, b) = (2 * j * dimension + 2 * j, (2 * j + 1) * dimension + 2 * j)
      (entries[a], entries[a + 1], entries[b], entries[b + 1]) = (turn.c, -turn.s, turn.s, turn.c)
    }
    return entries
  }

  public func character(_ g: FiniteAbelian.Element) -> Complex {
    turns(g).reduce(Complex(0)) { $0 + Complex($1.c, $1.s) }
  }

  /// - Complexity: O(*batch* · *dimension*).
  public func act(_ elements: [FiniteAbelian.Element], on batch: Tensor) -> Tensor {
    require(
      batch.shape.extents == [elements.count, dimension],
      "vectors \(batch.shape) for \(elements.count) elements of dimension \(dimension)")
    let numbers = batch.elements
    var result = [Float](repeating: 0, count: numbers.count)
    var kept: [FiniteAbelian.Element: [(c: Float, s: Float)]] = [:]
    for (n, g) in elements.enumerated() {
      let own: [(c: Float, s: Float)]
      if let known = kept[g] {
        own = known
      } else {
        own = turns(g).map { (Float($0.c), Float($0.s)) }
        kept[g] = own
      }
      var i = n * dimension
      for turn in own {
        let (x, y) = (numbers[i], numbers[i + 1])
        (result[i], result[i + 1]) = (x * turn.c - y * turn.s, y * turn.c + x * turn.s)
        i += 2
      }
    }
    return Tensor(result, shape: batch.shape)
  }

  /// How well each element explains that vectors are those of others, moved: the mean over all numbers of
  /// Re(*z*₁ *z̄*₂ χ(*g*)) / |*z*₁ *z*₂|, 1 where *z*₂ = *ρ*(*g*) *z*₁ (phase correlation; Kuglin & Hines 1975).
  ///
  /// Numbers without a phase, that are 0, count as 0.
  ///
  /// **Shapes.** two of `[batch, dimension]` → `[batch, order]`, in the order of the group's elements.
  /// - Complexity: O(*batch* · *dimension* · *order*).
  public func phaseCorrelation(_ first: Tensor, _ second: Tensor) -> Tensor {
    require(
      first.shape == second.shape && first.shape.rank == 2 && first.shape[1] == dimension,
      "codes \(first.shape) and \(second.shape) of dimension \(dimension)")
    let (a, b) = (first.elements, second.elements)
    var phases = [Float](repeating: 0, count: a.count)
    for i in stride(from: 0, to: a.count, by: 2) {
      // Each is brought to length 1 first: products of huge or tiny numbers are none.
      let lengths = (hypot(a[i], a[i + 1]), hypot(b[i], b[i + 1]))
      guard lengths.0 != 0 && lengths.1 != 0 else { continue }
      let (ax, ay) = (a[i] / lengths.0, a[i + 1] / lengths.0)
      let (bx, by) = (b[i] / lengths.1, b[i + 1] / lengths.1)
      (phases[i], phases[i + 1]) = (ax * bx + ay * by, ay * bx - ax * by)
    }
    // Re((x + iy)(c + is)) = x c − y s.
    let table = group.elements.flatMap { g in
      turns(g).flatMap { [Float($0.c), Float(-$0.s)] }
    }
    return Tensor(phases, shape: first.shape)
      .matmul(Tensor(table, shape: [group.order, dimension]).transposed())
      * (1 / Float(frequencies.count))
  }
}

/// exp(*i* angle), exact at quarter turns.
func unitComplex(_ angle: Double) -> (c: Double, s: Double) {
  let turn = PlanarIsometry(residual: angle).matrix
  return (turn[0], turn[1])
}
