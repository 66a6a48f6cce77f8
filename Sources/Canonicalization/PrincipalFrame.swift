import Glibc
public import Symmetry
public import TensorCore

/// The principal-axes heuristic (PCA) for point sets: the frame is made of the directions in which the
/// points spread most.
///
/// An axis has two directions. By the sign of the third moment along it, the longer tail points one
/// way; without it, all choices tie. Without reflections the last axis follows from the others.
///
/// The margin is the smallest relative gap between variances; with the signs, at most the smallest
/// magnitude of a skewness that decides.
public struct PrincipalFrame: PointCanonicalizer {
  public let action: PointAction
  /// Whether the third moments decide between the directions of the axes.
  public let usesThirdMoment: Bool

  public init(
    _ action: PointAction, usesThirdMoment: Bool = true
  ) {
    self.action = action
    self.usesThirdMoment = usesThirdMoment
  }

  public func poses(of batch: Tensor) -> [Pose<AffineMap>] {
    let points = action.parts(of: batch).first { $0.kind == .point }?.values ?? batch
    let (members, d) = (points.shape[1], action.group.spaceDimension)
    let numbers = points.elements.map { Double($0) }
    return Parallel.map(Array(0..<batch.shape[0])) { n in
      pose(
        (0..<members).map { i in Array(numbers[(n * members + i) * d..<(n * members + i + 1) * d]) }
      )
    }
  }

  private func pose(_ points: [[Double]]) -> Pose<AffineMap> {
    let d = action.group.spaceDimension
    func mean(_ f: ([Double]) -> Double) -> Double {
      points.reduce(0) { $0 + f($1) } / Double(points.count)
    }
    let center = (0..<d).map { i in mean { $0[i] } }
    let covariance = (0..<d * d).map { k in
      mean { ($0[k / d] - center[k / d]) * ($0[k % d] - center[k % d]) }
    }
    let eigen = symmetricEigen(covariance)
    let total = max(eigen.reduce(0) { $0 + $1.value }, 1e-300)
    let gap = zip(eigen, eigen.dropFirst()).map { ($0.value - $1.value) / total }.min() ?? 1
    let skews = eigen.map { _, axis in
      mean { point in
        let along = (0..<d).reduce(0) { $0 + (point[$1] - center[$1]) * axis[$1] }
        return along * along * along
      } / pow(total, 1.5)
    }
    let origin = action.group.hasTranslations ? center : [Double](repeating: 0, count: d)
    /// The frame with the given signs of its axes.
    func element(_ signs: [Double]) -> AffineMap {
      AffineMap(
        matrix: (0..<d * d).map { signs[$0 % d] * eigen[$0 % d].vector[$0 / d] },
        translation: origin)
    }
    let plain = element([Double](repeating: 1, count: d))
    // Without reflections the last sign is not free: it makes the frame's sense positive.
    let free = action.group.hasReflections ? d : d - 1
    func completed(_ signs: [Double]) -> AffineMap {
      if action.group.hasReflections { return element(signs) }
      let product = signs.reduce(plain.determinant < 0 ? -1 : 1, *)
      return element(signs + [product])
    }
    let decided = skews.prefix(free).map { usesThirdMoment && $0 < 0 ? -1.0 : 1.0 }
    let choices = (0..<1 << free).map { bits in
      decided.indices.map { bits >> $0 & 1 == 1 ? -decided[$0] : decided[$0] }
    }
    guard usesThirdMoment else {
      return Pose(
        completed(choices[0]), margin: Float(gap), ties: choices.dropFirst().map(completed))
    }
    let undecided = (0..<free).reduce(0) { skews[$1] == 0 ? $0 | 1 << $1 : $0 }
    let ties = choices.indices.dropFirst().filter { $0 & ~undecided == 0 }
    return Pose(
      completed(choices[0]), margin: Float(min(gap, skews.prefix(free).map(abs).min() ?? 1)),
      ties: ties.map { completed(choices[$0]) })
  }
}
