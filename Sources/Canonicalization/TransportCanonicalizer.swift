public import Symmetry
public import TensorCore

/// A canonicalizer of latent vectors: it moves a code back by the inverse operator, as far as brings it nearest to a
/// reference set of codes in canonical pose (after Dinh & Deny, latent operators).
///
/// Nothing continuous is asked of an encoder: all elements are tried, and one that fits as well as the best is a tie.
/// It keeps the laws exactly where the representation moves numbers bit for bit, as `Regular` does: a moved code has
/// the same candidates in another order.
public struct TransportCanonicalizer<R: Representation>: Canonicalizer
where R.Group: FiniteGroup {
  public typealias InputAction = R
  public let action: R
  /// Codes in canonical pose, `[count, dimension]`, or their directions.
  public let references: Tensor
  /// Over how many of the nearest the distance is a mean.
  public let neighbors: Int
  /// Whether codes are compared by their directions alone.
  public let isDirectional: Bool
  /// What distances to the references are made of: the squares of their lengths, and their columns.
  private let lengths, across: Tensor

  /// - Precondition: There is a reference, of the representation's dimension.
  public init(
    _ representation: R, references: Tensor, neighbors: Int = 1, isDirectional: Bool = false
  ) {
    require(
      references.shape.rank == 2 && references.shape[0] > 0
        && references.shape[1] == representation.dimension && neighbors > 0,
      "references \(references.shape) of dimension \(representation.dimension)")
    (action, self.isDirectional) = (representation, isDirectional)
    self.references = isDirectional ? references.directions : references
    self.neighbors = min(neighbors, references.shape[0])
    lengths = self.references.squared().sum([1]).reshaped([1, -1])
    across = self.references.transposed().contiguous
  }

  /// The mean squared distance from each code, moved back by each element, to its nearest references, less the
  /// square of its length, negated:
  /// `[batch, order]`, larger for what fits better.
  ///
  /// - Complexity: O(*batch* · *order* · *references* · *dimension*).
  public func scores(of codes: Tensor) -> Tensor {
    let codes = isDirectional ? codes.directions : codes
    let (elements, count) = (action.group.elements, codes.shape[0])
    // |a − b|² = |a|² + |b|² − 2 a·b, of which the first is the same for all elements: it is left out.
    var scores = [Float](repeating: 0, count: count * elements.count)
    for (place, g) in elements.enumerated() {
      let back = action.act(
        [R.Group.Element](repeating: action.group.inverse(g), count: count), on: codes)
      let width = references.shape[0]
      let distances = (lengths - back.matmul(across) * 2).elements
      for n in 0..<count {
        let mean = smallest(distances[n * width..<(n + 1) * width])
        scores[n * elements.count + place] = -mean
      }
    }
    return Tensor(scores, shape: [count, elements.count])
  }

  /// The mean of the smallest few numbers; none where one is none.
  private func smallest(_ row: ArraySlice<Float>) -> Float {
    var kept: [Float] = []
    kept.reserveCapacity(neighbors + 1)
    for value in row {
      if value.isNaN { return .nan }
      guard kept.count < neighbors || value < kept[kept.count - 1] else { continue }
      let place = kept.firstIndex { value < $0 } ?? kept.count
      kept.insert(value, at: place)
      if kept.count > neighbors { kept.removeLast() }
    }
    return kept.reduce(0, +) / Float(kept.count)
  }

  public func poses(of batch: Tensor) -> [Pose<R.Group.Element>] {
    CorrelationPeaks.poses(scores(of: batch), in: action.group)
  }
}

extension Tensor {
  /// Rows of length 1; those of length 0 stay.
  fileprivate var directions: Tensor {
    let (numbers, width) = (elements, shape[1])
    var scaled = numbers
    for row in 0..<shape[0] {
      let range = row * width..<(row + 1) * width
      // By the largest first, so that no square is infinite.
      let largest = numbers[range].reduce(Float(0)) { max($0, abs($1)) }
      guard largest > 0 else { continue }
      let length = range.reduce(Float(0)) {
        let part = numbers[$1] / largest
        return $0 + part * part
      }.squareRoot()
      for i in range { scaled[i] = numbers[i] / largest / length }
    }
    return Tensor(scaled, shape: shape)
  }
}
