public import Symmetry
public import TensorCore

/// How far a canonicalizer is from its laws, measured.
public struct LawDeviations: Sendable, Equatable {
  /// The largest distance, in the group's metric, between *h*(*g*·*x*) and *g* *h*(*x*), or *g* times the
  /// nearest of the pose's ties.
  public var pose = 0.0
  /// The largest difference between a number of the form of *g*·*x* and of *x*.
  public var form = 0.0
  /// The largest difference between a number of *h*(*x*)·form and of *x*.
  public var restoration = 0.0

  /// No deviation at all.
  public init() {}
}

extension Canonicalizer {
  /// Measures the three laws of a canonicalizer, anybody's, on a batch.
  ///
  ///     let deviations = MyCanonicalizer().deviations(on: inputs, under: group.elements)
  ///     assert(deviations.form == 0)
  ///
  /// The inputs are moved by `elements`: all of a finite group, or a sample (`sampledElements`).
  ///
  /// - Complexity: As many canonicalizations of the batch as there are elements.
  public func deviations(on batch: Tensor, under elements: [Element]) -> LawDeviations {
    let group = action.group
    let plain = canonicalize(batch)
    var result = LawDeviations()
    let back = action.act(plain.poses.map(\.element), on: plain.form)
    result.restoration = back.largestDifference(from: batch)
    for g in elements {
      let copies = [Element](repeating: g, count: batch.shape[0])
      let moved = canonicalize(action.act(copies, on: batch))
      result.form = largerOrNaN(
        result.form, moved.form.largestDifference(from: plain.form))
      for (found, pose) in zip(moved.poses, plain.poses) {
        let distances = pose.candidates.map {
          group.distance(found.element, group.compose(g, $0))
        }
        result.pose = largerOrNaN(result.pose, distances.min() ?? 0)
      }
    }
    return result
  }

  /// Elements drawn from the group, always the same.
  public func sampledElements(_ count: Int, seed: UInt64 = 0) -> [Element] {
    var random = RandomStream(seed: seed, name: "laws")
    return (0..<count).map { _ in action.group.sample(using: &random) }
  }
}

extension Canonicalizer where InputAction.Group: FiniteGroup {
  /// Measures the three laws on a batch, under every element of the group.
  public func deviations(on batch: Tensor) -> LawDeviations {
    deviations(on: batch, under: action.group.elements)
  }
}
