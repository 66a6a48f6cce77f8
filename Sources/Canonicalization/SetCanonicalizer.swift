public import Symmetry
public import TensorCore

/// A canonicalizer of sets under permutations of their members: it sorts them.
public protocol SetCanonicalizer: TrainableCanonicalizer where InputAction == PermutationAction {}

extension Tensor {
  /// The rows of each set of `[batch, members, features]` as arrays.
  func memberRows(_ set: Int) -> [ArraySlice<Float>] {
    let (members, width) = (shape[1], shape.count / (shape[0] * shape[1]))
    let numbers = self[set].elements
    return (0..<members).map { numbers[$0 * width..<($0 + 1) * width] }
  }
}

/// A rule by which sets are sorted.
public enum SortingRule: String, Sendable, CaseIterable, Codable {
  /// By the first feature; among equals by the second, and so on.
  case lexicographic
  /// By the square of the length of the first features, as many as there are coordinates.
  case norm
  /// Along the Hilbert curve through the coordinates, on which neighbors stay neighbors.
  case hilbert
}

/// A canonicalizer that sorts a set's members by a rule.
///
/// Members that the rule cannot tell apart are sorted lexicographically by all features, so that the
/// form does not depend on their order; equal members are interchangeable.
///
/// The margin is infinite: the form is the same, bit for bit, for every order of the members. It is
/// not continuous in the members' features.
public struct SortedSet: SetCanonicalizer {
  public let action: PermutationAction
  public let rule: SortingRule
  /// How many of the first features are coordinates.
  public let coordinates: Int

  public init(_ group: Symmetric, rule: SortingRule, coordinates: Int) {
    action = PermutationAction(group)
    self.rule = rule
    self.coordinates = coordinates
  }

  public func poses(of batch: Tensor) -> [Pose<Permutation>] {
    let source = batch.contiguous
    return Parallel.map(Array(0..<batch.shape[0])) { n in
      let rows = source.memberRows(n)
      let keys = rows.map { key($0.prefix(coordinates)) }
      let order = rows.indices.sorted {
        keys[$0] != keys[$1] ? keys[$0] < keys[$1] : rows[$0].lexicographicallyPrecedes(rows[$1])
      }
      return Pose(Permutation(order))
    }
  }

  private func key(_ place: ArraySlice<Float>) -> Double {
    switch rule {
    case .lexicographic: Double(place.first ?? 0)
    case .norm: place.reduce(0) { $0 + Double($1) * Double($1) }
    case .hilbert: Double(hilbertIndex(place.map { Double($0) }))
    }
  }
}

/// How far along the Hilbert curve through the cube −2…2 a point lies (Skilling 2004,
/// doi 10.1063/1.1751381).
///
/// - Parameter place: 1 to 4 coordinates; what is outside the cube counts as at its surface.
func hilbertIndex(_ place: [Double], bits: Int = 12) -> UInt64 {
  let n = place.count
  let largest = Double(1 << bits) - 1
  var x = place.map { UInt64(min(max(($0 + 2) / 4, 0), 1) * largest) }
  // Undo the reflections and exchanges of the finer levels, from the coarsest on.
  var q: UInt64 = 1 << UInt64(bits - 1)
  while q > 1 {
    let p = q - 1
    for i in 0..<n {
      if x[i] & q != 0 {
        x[0] ^= p
      } else {
        let t = (x[0] ^ x[i]) & p
        x[0] ^= t
        x[i] ^= t
      }
    }
    q >>= 1
  }
  // Gray code.
  for i in stride(from: 1, to: n, by: 1) { x[i] ^= x[i - 1] }
  var t: UInt64 = 0
  q = 1 << UInt64(bits - 1)
  while q > 1 {
    if x[n - 1] & q != 0 { t ^= q - 1 }
    q >>= 1
  }
  for i in 0..<n { x[i] ^= t }
  // Interleave, the most significant bits first.
  var index: UInt64 = 0
  for bit in (0..<bits).reversed() {
    for i in 0..<n { index = index << 1 | (x[i] >> UInt64(bit)) & 1 }
  }
  return index
}
