public import Autodiff
import Layers
public import Settings
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

extension SortedSet: ExportableCanonicalizer {
  public func poseVariables(
    of batch: Variable, on tape: Tape
  ) throws(NotExportable) -> PoseVariables {
    let features = (0..<batch.shape[2]).map { batch.sliced($0..<$0 + 1, axis: 2) }
    switch rule {
    case .lexicographic: return PoseVariables(order: .sorting(by: features))
    case .norm:
      let squares = batch.sliced(0..<coordinates, axis: 2).squared().sum([2], keepingAxes: true)
      return PoseVariables(order: .sorting(by: [squares] + features))
    case .hilbert:
      throw NotExportable(
        "Sorting along the Hilbert curve is not exported: it takes the coordinates' bits apart, and there are no such operators for floats."
      )
    }
  }
}

extension Variable {
  /// What sorts sets by some keys `[batch, members, 1]`, the first one first, in rising order: 1 where a place, the row, is
  /// taken by a member.
  ///
  /// - Complexity: O(members²) for each key.
  static func sorting(by keys: [Variable]) -> Variable {
    let members = keys[0].shape[1]
    let earlier = (0..<members * members).map { $0 / members < $0 % members ? Float(1) : 0 }
    // Whether member i stands before j: among those that are the same, by their order.
    var before = Variable(Tensor(earlier, shape: [1, members, members]))
    for key in keys.reversed() {
      let (own, other) = (key, key.permuted([0, 2, 1]))
      before = .choose(own.isEqual(to: other), before, other.isGreater(than: own))
    }
    let places = before.sum([1], keepingAxes: true)
    let all = Tensor((0..<members).map { Float($0) }, shape: [1, members, 1])
    return Variable(all).isEqual(to: places)
  }
}

/// The settings of `{kind: sort}`.
public struct SortOptions: CanonicalizerOptions {
  public static let kind = "sort"
  public static let summary = "Sorts the members of a set by a rule."
  public var by = SortingRule.lexicographic
  public init() {}

  public mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {
    _ = try keys.sets(domain, Self.kind)
    try keys.read("by", &by, "the rule")
  }

  public func make(_ build: CanonicalizerBuild) throws(SettingsError) -> any TrainableCanonicalizer
  {
    let sets = try build.sets(Self.kind)
    return SortedSet(Symmetric(sets.members), rule: by, coordinates: sets.width)
  }
}
