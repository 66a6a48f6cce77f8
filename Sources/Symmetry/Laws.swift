public import TensorCore

/// How far a group is from its axioms, measured: largest distances in its own metric.
public struct GroupDeviations: Sendable, Equatable {
  /// Between *e* *g*, *g* *e* and *g*.
  public var identity = 0.0
  /// Between *g* *g*⁻¹, *g*⁻¹ *g* and *e*.
  public var inverse = 0.0
  /// Between (*g* *h*) *k* and *g* (*h* *k*).
  public var associativity = 0.0
  /// How much the metric changes under exchange, and under composition from the left.
  public var metric = 0.0

  /// No deviation at all.
  public init() {}

  /// The largest of all; not a number where one is none.
  public var largest: Double {
    [identity, inverse, associativity, metric].reduce(0, largerOrNaN)
  }
}

extension Group {
  /// Measures the axioms on elements, anybody's group: all triples of them.
  ///
  ///     assert(MyGroup().deviations(on: MyGroup().elements).largest < 1e-9)
  ///
  /// - Complexity: O(*n*³) compositions.
  public func deviations(on elements: [Element]) -> GroupDeviations {
    var result = GroupDeviations()
    func grow(_ part: WritableKeyPath<GroupDeviations, Double>, _ value: Double) {
      result[keyPath: part] = largerOrNaN(result[keyPath: part], value)
    }
    for g in elements {
      grow(\.identity, distance(compose(g, identity), g))
      grow(\.identity, distance(compose(identity, g), g))
      grow(\.inverse, distance(compose(g, inverse(g)), identity))
      grow(\.inverse, distance(compose(inverse(g), g), identity))
      for h in elements {
        grow(\.metric, abs(distance(g, h) - distance(h, g)))
        for k in elements {
          grow(\.associativity, distance(compose(compose(g, h), k), compose(g, compose(h, k))))
          grow(\.metric, abs(distance(compose(k, g), compose(k, h)) - distance(g, h)))
        }
      }
    }
    return result
  }
}

/// How far an action is from its laws, measured: largest differences of numbers.
public struct ActionDeviations: Sendable, Equatable {
  /// Between *e*·*x* and *x*.
  public var identity = 0.0
  /// Between (*g* *h*)·*x* and *g*·(*h*·*x*); infinite where shapes differ.
  public var composition = 0.0

  /// No deviation at all.
  public init() {}
}

extension Action {
  /// Measures the laws of an action, anybody's, on a batch, for all pairs of elements.
  ///
  /// - Complexity: O(*n*²) actions on the batch.
  public func deviations(
    on batch: Tensor, under elements: [Group.Element]
  ) -> ActionDeviations {
    func copies(_ g: Group.Element) -> [Group.Element] {
      [Group.Element](repeating: g, count: batch.shape[0])
    }
    var result = ActionDeviations()
    result.identity = act(copies(group.identity), on: batch).largestDifference(from: batch)
    for h in elements {
      let moved = act(copies(h), on: batch)
      for g in elements {
        let both = act(copies(group.compose(g, h)), on: batch)
        result.composition = largerOrNaN(
          result.composition, both.largestDifference(from: act(copies(g), on: moved)))
      }
    }
    return result
  }
}
