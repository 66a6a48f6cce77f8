import Glibc
public import TensorCore

/// The regular representation of a finite group, several times over: numbers are functions on the group, and an
/// element moves them to another place, (*ρ*(*g*) *z*)(*g* *h*) = *z*(*h*).
///
/// Of a cyclic group it is the shift operator (Bouchacourt, Ibrahim & Deny 2021, arXiv 2102.05623). Its character is
/// the number of its entries at the identity and 0 elsewhere, which is what images have that all look different:
/// a linear encoder can be equivariant only for a representation of that character.
///
/// Exact, bit for bit. A vector holds `copies` numbers for each element in turn.
public struct Regular<Group: FiniteGroup>: Representation {
  public let group: Group
  /// How many functions on the group a vector holds.
  public let copies: Int
  public var dimension: Int { group.order * copies }

  /// - Precondition: `copies` is positive.
  public init(_ group: Group, copies: Int = 1) {
    require(copies > 0, "a representation of \(copies) copies")
    (self.group, self.copies) = (group, copies)
  }

  /// Where the numbers of each element go.
  private func places(_ g: Group.Element) -> [Int] {
    group.elements.map { group.index(of: group.compose(g, $0)) }
  }

  public func matrix(_ g: Group.Element) -> [Double] {
    var entries = [Double](repeating: 0, count: dimension * dimension)
    for (from, to) in places(g).enumerated() {
      for copy in 0..<copies {
        entries[(to * copies + copy) * dimension + from * copies + copy] = 1
      }
    }
    return entries
  }

  public func character(_ g: Group.Element) -> Complex {
    Complex(Double(places(g).enumerated().count { $0.offset == $0.element } * copies))
  }

  /// - Complexity: O(*batch* · *dimension*).
  public func act(_ elements: [Group.Element], on batch: Tensor) -> Tensor {
    let order = group.order
    require(
      batch.shape.extents == [elements.count, dimension],
      "vectors \(batch.shape) for \(elements.count) elements of dimension \(dimension)")
    var kept: [Group.Element: [Int]] = [:]
    let rows = elements.enumerated().flatMap { n, g -> [Int] in
      let sources: [Int]
      if let known = kept[g] {
        sources = known
      } else {
        sources = places(group.inverse(g))
        kept[g] = sources
      }
      return sources.map { n * order + $0 }
    }
    return batch.reshaped([elements.count * order, copies]).gathered(rows)
      .reshaped([elements.count, dimension])
  }
}

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
    let count = frequencies.count
    var kept: [FiniteAbelian.Element: [Float]] = [:]
    var (real, crossed): ([Float], [Float]) = ([], [])
    for g in elements {
      let numbers: [Float]
      if let known = kept[g] {
        numbers = known
      } else {
        numbers = turns(g).flatMap { [Float($0.c), Float($0.s)] }
        kept[g] = numbers
      }
      for j in 0..<count {
        real += [numbers[2 * j], numbers[2 * j]]
        crossed += [-numbers[2 * j + 1], numbers[2 * j + 1]]
      }
    }
    // (x, y) ↦ c (x, y) + s (−y, x).
    let pairs = batch.reshaped([elements.count, count, 2])
    let exchanged = Tensor.concatenated(
      [pairs.sliced(1..<2, axis: 2), pairs.sliced(0..<1, axis: 2)], axis: 2)
    let shape: Shape = [elements.count, dimension]
    return batch * Tensor(real, shape: shape)
      + exchanged.reshaped(shape) * Tensor(crossed, shape: shape)
  }
}

/// exp(*i* angle), exact at quarter turns.
func unitComplex(_ angle: Double) -> (c: Double, s: Double) {
  let turn = PlanarIsometry(residual: angle).matrix
  return (turn[0], turn[1])
}
