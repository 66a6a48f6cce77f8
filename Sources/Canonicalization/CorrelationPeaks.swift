public import Symmetry
public import TensorCore

/// The elements that scores speak for: the peaks of a correlation.
///
/// Where an input has a symmetry the correlation has several peaks, one for each pose that explains it as well. A pose
/// says so by its `ties`, where a network that gives one number can only jump.
public enum CorrelationPeaks {
  /// How far below the best a peak may be and count as good, as a part of the range of all scores.
  public static let tolerance: Float = 0.05

  /// The best element of each row, the others that are as good, and how far the best that is not is behind.
  ///
  /// - Parameters:
  ///   - scores: `[batch, order]`, in the order of the group's elements, larger for what fits better.
  ///   - tolerance: How far below the best others are as good, as a part of the range of the row.
  /// - Returns: For a row of one value, as of an input of which nothing can be told, all elements with a margin of
  ///   0; for one with a number that is none the identity with a margin that is none.
  public static func poses<G: FiniteGroup>(
    _ scores: Tensor, in group: G, tolerance: Float = tolerance
  ) -> [Pose<G.Element>] {
    let (elements, order) = (group.elements, group.order)
    require(
      scores.shape.rank == 2 && scores.shape[1] == order,
      "scores \(scores.shape) of \(order) elements")
    let numbers = scores.elements
    return (0..<scores.shape[0]).map { n in
      let row = numbers[n * order..<(n + 1) * order]
      guard row.allSatisfy(\.isFinite), let best = row.max(), let least = row.min() else {
        return Pose(group.identity, margin: .nan)
      }
      let enough = best - tolerance * (best - least)
      let peaks = row.indices.filter { row[$0] >= enough }.sorted { row[$0] > row[$1] }
      let next = row.filter { $0 < enough }.max()
      let found = peaks.map { elements[$0 - n * order] }
      return Pose(found[0], margin: next.map { best - $0 } ?? 0, ties: Array(found.dropFirst()))
    }
  }
}
