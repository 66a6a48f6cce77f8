public import TensorCore

/// A rearrangement of *n* places: what is at place *i* goes to place `places[i]`.
public struct Permutation: Hashable, Sendable {
  public let places: [Int]

  /// - Precondition: Each place is named once.
  public init(_ places: [Int]) {
    var isTaken = [Bool](repeating: false, count: places.count)
    for place in places {
      require(places.indices ~= place && !isTaken[place], "no permutation: \(places)")
      isTaken[place] = true
    }
    self.places = places
  }

  /// The permutation that brings what is at `order[k]` to place *k*, as sorting does.
  public init(bringing order: [Int]) {
    self = Permutation(order).inverse
  }

  /// The permutation that puts everything back.
  public var inverse: Permutation {
    var back = places
    for (from, to) in places.enumerated() { back[to] = from }
    return Permutation(back)
  }
}

/// The symmetric group *S*ₙ: all permutations of *n* places.
public struct Symmetric: Group {
  /// How many places there are, *n*.
  public let degree: Int

  public init(_ degree: Int) { self.degree = degree }

  public var identity: Permutation { Permutation(Array(0..<degree)) }

  public func compose(_ g: Permutation, _ h: Permutation) -> Permutation {
    Permutation(h.places.map { g.places[$0] })
  }

  public func inverse(_ g: Permutation) -> Permutation { g.inverse }

  /// The number of places that the two treat differently (Hamming).
  public func distance(_ g: Permutation, _ h: Permutation) -> Double {
    Double(zip(g.places, h.places).filter { $0 != $1 }.count)
  }

  public func sample(using random: inout RandomStream) -> Permutation {
    Permutation(Array(0..<degree).shuffled(using: &random))
  }
}

/// How permutations act on sets, and on relations between the members of a set.
///
/// **Shapes.** `[batch, n, …]` → the same, rows in another order; with `axes` 2, as for adjacency
/// matrices, `[batch, n, n, …]`, rows and columns alike. It moves numbers, bit for bit.
public struct PermutationAction: Action {
  public let group: Symmetric
  public let axes: Int

  /// - Precondition: `axes` is 1 or 2.
  public init(_ group: Symmetric, axes: Int = 1) {
    require(axes == 1 || axes == 2, "permutation of \(axes) axes")
    self.group = group
    self.axes = axes
  }

  public func act(_ elements: [Permutation], on batch: Tensor) -> Tensor {
    let n = group.degree
    require(
      batch.shape[0] == elements.count && (1...axes).allSatisfy { batch.shape[$0] == n },
      "\(elements.count) permutations of \(n) on \(batch.shape)")
    var rows: [Int] = []
    for (b, element) in elements.enumerated() {
      let from = element.inverse.places
      for i in from where axes == 2 { rows += from.map { j in (b * n + i) * n + j } }
      if axes == 1 { rows += from.map { i in b * n + i } }
    }
    return batch.reshaped([rows.count, -1]).gathered(rows).reshaped(batch.shape)
  }
}
