public import Autodiff
import Layers
public import Settings
public import Symmetry
public import TensorCore

/// How a learned canonicalizer orders the members of a set.
public enum OrderingHead: Sendable, Hashable {
  /// One score a member, and members sorted by it, largest first; backwards by SoftSort (Prillo &
  /// Eisenschlos 2020, arXiv 2006.16038) of a temperature.
  case sort(temperature: Float = 1)
  /// A score for each member in each place, and the best assignment of members to places; backwards by
  /// entropic optimal transport, implicitly differentiated.
  case assignment(regularization: Float = 1)
}

/// A learned canonicalizer of sets under permutations: a DeepSets network says which member comes in
/// which place (Kaba et al., ICML 2023).
///
/// Forward the permutation is exact, backward it is soft (straight-through). A set is first sorted
/// lexicographically: the scores are then of the same bits for every order of the members, and the
/// form is constant bit for bit.
///
/// The margin is the smallest difference of neighboring scores for `sort`, and not known (infinite)
/// for `assignment`.
public struct LearnedPermutation: SetCanonicalizer {
  public let action: PermutationAction
  public let head: OrderingHead
  private let network: DeepSets

  public init(
    _ group: Symmetric, features: Int, head: OrderingHead, width: Int = 32, layers: Int = 2,
    using random: inout RandomStream
  ) {
    action = PermutationAction(group)
    self.head = head
    let outputs = if case .sort = head { 1 } else { group.degree }
    network = DeepSets(
      features, widths: [Int](repeating: width, count: layers) + [outputs], using: &random)
  }

  public var parameters: [(name: String, parameter: Parameter)] { network.parameters }

  /// The sets in lexicographic order, and the permutations that put them back.
  private func sorted(_ batch: Tensor) -> (sets: Tensor, back: [Permutation]) {
    let canonical = SortedSet(action.group, rule: .lexicographic, coordinates: 0)
      .canonicalize(batch)
    return (canonical.form, canonical.poses.map(\.element))
  }

  /// For each set, the member in each place, and the margin.
  private func orders(_ scores: Tensor) -> [(order: [Int], margin: Float)] {
    let n = action.group.degree
    let numbers = scores.elements
    return Parallel.map(Array(0..<scores.shape[0])) { set in
      switch head {
      case .sort:
        let s = Array(numbers[set * n..<(set + 1) * n])
        let order = s.indices.sorted { s[$0] != s[$1] ? s[$0] > s[$1] : $0 < $1 }
        let gaps = zip(order, order.dropFirst()).map { s[$0] - s[$1] }
        return (order, gaps.min() ?? .infinity)
      case .assignment:
        let places = bestAssignment(
          numbers[set * n * n..<(set + 1) * n * n].map { Double($0) }, count: n)
        return (Permutation(places).inverse.places, .infinity)
      }
    }
  }

  public func poses(of batch: Tensor) -> [Pose<Permutation>] {
    let (sets, back) = sorted(batch)
    let orders = orders(network(Variable(sets), on: .inference()).value)
    return zip(back, orders).map { back, found in
      Pose(action.group.compose(back, Permutation(found.order)), margin: found.margin)
    }
  }

  public func trainingForms(_ batch: Variable, on tape: Tape) -> TrainingForms {
    let (sets, back) = sorted(batch.value)
    let scores = network(Variable(sets), on: tape)
    let orders = orders(scores.value).map(\.order)
    let (count, n) = (sets.shape[0], action.group.degree)
    var exact = [Float](repeating: 0, count: count * n * n)
    for (set, order) in orders.enumerated() {
      for (place, member) in order.enumerated() { exact[(set * n + place) * n + member] = 1 }
    }
    let soft: Variable
    switch head {
    case .sort(let temperature):
      let column = scores.reshaped([count * n, 1])
      let inOrder = column.gathered(
        orders.enumerated().flatMap { set, order in order.map { set * n + $0 } })
      let apart = inOrder.reshaped([count, n, 1]) - scores.reshaped([count, 1, n])
      soft = (apart.squared() * (-1 / temperature)).softmax()
    case .assignment(let regularization):
      soft = scores.transportPlan(regularization: Double(regularization)).permuted([0, 2, 1])
    }
    // Straight through: the exact matrices' value, the soft ones' gradient.
    let matrices = Variable(Tensor(exact, shape: [count, n, n]), inputs: [soft]) { [$0] }
    return TrainingForms(forms: matrices.matmul(batch.rearranged(by: back))) {
      // What is said of members is reordered with them; nothing else changes.
      $0 is Members ? matrices.matmul($1.rearranged(by: back)) : $1
    }
  }
}

extension LearnedPermutation: ExportableCanonicalizer {
  public func poseVariables(
    of batch: Variable, on tape: Tape
  ) throws(NotExportable) -> PoseVariables {
    guard case .sort = head else {
      throw NotExportable(
        "'assignment' is not exported: the best assignment is found by steps that depend on the numbers."
      )
    }
    let rows = (0..<batch.shape[2]).map { batch.sliced($0..<$0 + 1, axis: 2) }
    let first = Variable.sorting(by: rows)
    let scores = network(first.matmul(batch), on: tape)
    let second = Variable.sorting(by: [-scores])
    let inOrder = second.matmul(scores)
    let members = batch.shape[1]
    guard members > 1 else { return PoseVariables(order: first) }
    let gaps = inOrder.sliced(0..<members - 1, axis: 1) - inOrder.sliced(1..<members, axis: 1)
    return PoseVariables(
      order: second.matmul(first), margin: -((-gaps.reshaped([-1, members - 1])).maximum(1)))
  }
}

extension Variable {
  /// The members of each set in the order that a permutation undoes.
  fileprivate func rearranged(by back: [Permutation]) -> Variable {
    let n = shape[1]
    let rows = back.enumerated().flatMap { set, order in order.places.map { set * n + $0 } }
    return reshaped([shape[0] * n, -1]).gathered(rows).reshaped(shape.extents)
  }
}

/// The settings of `{kind: learned-sort}`.
public struct LearnedSortOptions: CanonicalizerOptions {
  public static let kind = "learned-sort"
  public static let summary = "Sorts the members of a set by a learned score."
  public static let isLearned = true
  public var temperature: Float = 1
  public init() {}

  public mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {
    _ = try keys.sets(domain, Self.kind)
    try keys.read("temperature", &temperature, in: 1e-4...1e4, "how soft the sorting's gradient is")
  }

  public func make(_ build: CanonicalizerBuild) throws(SettingsError) -> any TrainableCanonicalizer
  {
    let sets = try build.sets(Self.kind)
    var random = build.random("order")
    return LearnedPermutation(
      Symmetric(sets.members), features: sets.width, head: .sort(temperature: temperature),
      using: &random)
  }
}

/// The settings of `{kind: assignment}`.
public struct AssignmentOptions: CanonicalizerOptions {
  public static let kind = "assignment"
  public static let summary =
    "Assigns the members of a set to places, by the best sum of learned scores."
  public static let isLearned = true
  public var temperature: Float = 1
  public init() {}

  public mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {
    let sets = try keys.sets(domain, Self.kind)
    try keys.read("temperature", &temperature, in: 1e-4...1e4, "the entropy of the transport plan")
    try keys.refuse(weights: sets.members, 32)
  }

  public func make(_ build: CanonicalizerBuild) throws(SettingsError) -> any TrainableCanonicalizer
  {
    let sets = try build.sets(Self.kind)
    var random = build.random("order")
    return LearnedPermutation(
      Symmetric(sets.members), features: sets.width,
      head: .assignment(regularization: temperature), using: &random)
  }
}
