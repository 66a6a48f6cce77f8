public import TensorCore

/// An irreducible representation of a finite abelian group over the real numbers: a turn of the plane, or ±1 where
/// the character is real.
public struct Irreducible: Representation {
  public let group: FiniteAbelian
  /// For each factor, how often the plane goes around while its steps go around once.
  public let frequencies: [Int]
  /// 1 where the character is real, else 2.
  public let dimension: Int

  /// - Precondition: There is a frequency for each factor.
  public init(_ group: FiniteAbelian, frequencies: [Int]) {
    self.group = group
    self.frequencies = group.element(frequencies).steps
    let isReal = zip(self.frequencies, group.orders).allSatisfy { 2 * $0 % $1 == 0 }
    dimension = isReal ? 1 : 2
  }

  public func matrix(_ g: FiniteAbelian.Element) -> [Double] {
    let (c, s) = unitComplex(group.phase(frequencies, g))
    return dimension == 1 ? [c] : [c, -s, s, c]
  }

  /// All of them, each once: of a conjugate pair of frequencies one.
  public static func all(_ group: FiniteAbelian) -> [Irreducible] {
    group.elements.filter { group.index(of: $0) <= group.index(of: group.inverse($0)) }
      .map { Irreducible(group, frequencies: $0.steps) }
  }
}

/// The representation that moves nothing.
public struct Still<Group: Symmetry.Group>: Representation {
  public let group: Group
  public let dimension: Int

  public init(_ group: Group, dimension: Int = 1) {
    (self.group, self.dimension) = (group, dimension)
  }

  public func matrix(_ g: Group.Element) -> [Double] {
    (0..<dimension * dimension).map { $0 % (dimension + 1) == 0 ? 1 : 0 }
  }

  public func act(_ elements: [Group.Element], on batch: Tensor) -> Tensor { batch }
}

/// Representations side by side, each on numbers of its own.
public struct DirectSum<Group: Symmetry.Group>: Representation {
  public let parts: [any Representation<Group>]
  public let group: Group
  public var dimension: Int { parts.reduce(0) { $0 + $1.dimension } }

  /// - Precondition: There is a part.
  public init(_ parts: [any Representation<Group>]) {
    require(!parts.isEmpty, "a sum of no representation")
    self.parts = parts
    group = parts[0].group
  }

  public func matrix(_ g: Group.Element) -> [Double] {
    var entries = [Double](repeating: 0, count: dimension * dimension)
    var start = 0
    for part in parts {
      let (d, own) = (part.dimension, part.matrix(g))
      for i in 0..<d * d { entries[(start + i / d) * dimension + start + i % d] = own[i] }
      start += d
    }
    return entries
  }

  public func act(_ elements: [Group.Element], on batch: Tensor) -> Tensor {
    require(
      batch.shape.extents == [elements.count, dimension],
      "vectors \(batch.shape) for \(elements.count) elements of dimension \(dimension)")
    var start = 0
    return .concatenated(
      parts.map { part in
        defer { start += part.dimension }
        return part.act(elements, on: batch.sliced(start..<start + part.dimension, axis: 1))
      }, axis: 1)
  }
}

/// The representations of several transforms, one after the other, each in a basis of its own:
/// *ρ*(*g*) = Πₜ *M*ₜᵀ *ρ*ₜ(*g*) *M*ₜ, the first transform first.
///
/// It is a representation where the turned parts commute, as they do in one basis. Bouchacourt et al. 2021 learn
/// *W*ₜ = *M*ₜ₊₁ *M*ₜᵀ between the operators, with no condition; the outer two bases belong to encoder and decoder.
public struct Stacked: Representation {
  public let group: FiniteAbelian
  /// One for each transform; all of the same dimension and group.
  public let parts: [any Representation<FiniteAbelian>]
  /// For each part, the orthogonal matrix into its basis, row-major; `nil` for that of the vectors.
  public let bases: [[Double]?]
  public var dimension: Int { parts[0].dimension }
  public var isComplex: Bool { parts.allSatisfy(\.isComplex) }

  /// - Precondition: All parts have one dimension; there is a basis for each, or none is given.
  public init(_ parts: [any Representation<FiniteAbelian>], bases: [[Double]?]? = nil) {
    require(
      Set(parts.map(\.dimension)).count == 1 && (bases?.count ?? parts.count) == parts.count,
      "a stack of dimensions \(parts.map(\.dimension)) in \(bases?.count ?? 0) bases")
    self.parts = parts
    self.bases = bases ?? parts.map { _ in nil }
    group = parts[0].group
  }

  public func matrix(_ g: FiniteAbelian.Element) -> [Double] {
    let d = dimension
    func product(_ a: [Double], _ b: [Double]) -> [Double] {
      (0..<d * d).map { i in (0..<d).reduce(0) { $0 + a[i / d * d + $1] * b[$1 * d + i % d] } }
    }
    var result = (0..<d * d).map { $0 % (d + 1) == 0 ? 1.0 : 0 }
    for (part, basis) in zip(parts, bases) {
      var own = part.matrix(g)
      if let basis {
        let back = (0..<d * d).map { basis[$0 % d * d + $0 / d] }
        own = product(back, product(own, basis))
      }
      result = product(own, result)
    }
    return result
  }

  /// The trace over ℂ: for pairs (*x*, *y*) that stand for *x* + *iy*, a complex entry is [*a*, −*b*; *b*, *a*].
  public func character(_ g: FiniteAbelian.Element) -> Complex {
    let (entries, d) = (matrix(g), dimension)
    guard isComplex else {
      return Complex((0..<d).reduce(0) { $0 + entries[$1 * (d + 1)] })
    }
    return stride(from: 0, to: d, by: 2).reduce(Complex(0)) {
      $0 + Complex(entries[$1 * (d + 1)], entries[($1 + 1) * d + $1])
    }
  }

  public func act(_ elements: [FiniteAbelian.Element], on batch: Tensor) -> Tensor {
    zip(parts, bases).reduce(batch) { vectors, pair in
      let (part, basis) = pair
      guard let basis else { return part.act(elements, on: vectors) }
      let into = Tensor(basis.map { Float($0) }, shape: [dimension, dimension])
      return part.act(elements, on: vectors.matmul(into.transposed())).matmul(into)
    }
  }
}
