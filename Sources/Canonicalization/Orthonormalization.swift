public import Autodiff
import TensorCore

/// How *d* vectors become an orthonormal frame, equivariantly: the projection at the end of a head
/// that finds a pose.
public enum Orthonormalization: String, Sendable, CaseIterable, Codable {
  /// One vector after the other, each less its parts along those before.
  case gramSchmidt = "gram-schmidt"
  /// The nearest orthogonal matrix, the *U* *V*ᵀ of the singular value decomposition: no vector is
  /// preferred (Levinson et al. 2020, arXiv 2006.14616).
  case svd
}

extension Variable {
  /// Orthonormal frames from *d* vectors each, the columns.
  ///
  /// **Shapes.** `[batch, d, d]`, or `[batch, d, d − 1]` for a frame that a last vector completes to a
  /// rotation → `[batch, d, d]`; *d* is 2 or 3.
  public func orthonormalized(by method: Orthonormalization) -> Variable {
    let (d, count) = (shape[1], shape[2])
    require((2...3).contains(d) && (d - 1...d).contains(count), "frames of shape \(shape)")
    switch method {
    case .svd:
      let all = count == d ? self : .concatenated([self, completion(of: columns)], axis: 2)
      return all.nearestOrthogonal()
    case .gramSchmidt:
      var frame: [Variable] = []
      for column in columns {
        var vector = column
        for other in frame {
          vector = vector - (vector * other).sum([1], keepingAxes: true) * other
        }
        let square = vector.squared().sum([1], keepingAxes: true) + 1e-20
        frame.append(vector / square.squareRoot())
      }
      if count < d { frame.append(completion(of: frame)) }
      return .concatenated(frame, axis: 2)
    }
  }

  private var columns: [Variable] {
    (0..<shape[2]).map { sliced($0..<$0 + 1, axis: 2) }
  }

  /// The vector perpendicular to *d* − 1 others that completes them to a frame of positive sense.
  private func completion(of vectors: [Variable]) -> Variable {
    let a = vectors[0]
    guard vectors.count == 1 else { return a.crossed(with: vectors[1], axis: 1) }
    return .concatenated([-a.sliced(1..<2, axis: 1), a.sliced(0..<1, axis: 1)], axis: 1)
  }

  /// The vector product along an axis of extent 3.
  func crossed(with other: Variable, axis: Int) -> Variable {
    func part(_ vector: Variable, _ i: Int) -> Variable {
      vector.sliced(i % 3..<i % 3 + 1, axis: axis)
    }
    return .concatenated(
      (0..<3).map {
        part(self, $0 + 1) * part(other, $0 + 2) - part(self, $0 + 2) * part(other, $0 + 1)
      }, axis: axis)
  }
}
