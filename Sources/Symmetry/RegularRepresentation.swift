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
