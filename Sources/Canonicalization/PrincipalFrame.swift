public import Autodiff
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

extension PrincipalFrame: ExportableCanonicalizer {
  public func poseVariables(
    of batch: Variable, on tape: Tape
  ) throws(NotExportable) -> PoseVariables {
    guard let first = try candidateVariables(of: batch, on: tape).first else {
      throw NotExportable("A frame of no axes is not exported.")
    }
    return first
  }

  public func candidateVariables(
    of batch: Variable, on tape: Tape
  ) throws(NotExportable) -> [PoseVariables] {
    let d = action.group.spaceDimension
    guard (2...3).contains(d) else {
      throw NotExportable("Principal axes are exported in 2 and 3 dimensions, not \(d).")
    }
    let points = action.parts(of: batch).first { $0.kind == .point }?.values ?? batch
    let center = points.mean([1], keepingAxes: true)
    let apart = points - center
    let count = Float(points.shape[1])
    let covariance = apart.permuted([0, 2, 1]).matmul(apart) * (1 / count)
    let eigen = covariance.symmetricEigen(d)
    let total = eigen.values.dropFirst().reduce(eigen.values[0], +)
    let gaps = zip(eigen.values, eigen.values.dropFirst()).map {
      ($0 - $1).divided(by: total, orElse: 0)
    }
    let gap = gaps.dropFirst().reduce(gaps[0], Variable.smaller)
    let along = apart.matmul(.concatenated(eigen.axes, axis: 2))
    let third = (along * along.squared()).mean([1])
    let skews = (0..<d).map {
      third.column($0).divided(by: total * total.squareRoot(), orElse: 0)
    }
    let zero = Variable(Tensor(0))
    let free = action.group.hasReflections ? d : d - 1
    let signs = skews.prefix(free).map {
      usesThirdMoment ? zero.isGreater(than: $0) * -2 + 1 : batch.zeroPerMember + 1
    }
    let handedness = Variable.determinant(eigen.axes)
    let isOdd = zero.isGreater(than: handedness) * -2 + 1
    let margin =
      usesThirdMoment
      ? skews.prefix(free).map(\.magnitude).reduce(gap, Variable.smaller) : gap
    return (0..<(usesThirdMoment ? 1 : 1 << free)).map { bits in
      var all = signs.indices.map { bits >> $0 & 1 == 1 ? -signs[$0] : signs[$0] }
      // Without reflections the last sign is not free: it makes the frame's sense positive.
      if free < d { all.append(all.reduce(isOdd, *)) }
      let columns = zip(eigen.axes, all).map { $0 * $1.reshaped([-1, 1, 1]) }
      return PoseVariables(
        matrix: .concatenated(columns, axis: 2),
        translation: action.group.hasTranslations ? center.reshaped([-1, d]) : nil,
        margin: margin.reshaped([-1]))
    }
  }
}

extension Variable {
  /// Eigenvalues `[batch, 1]`, the largest first, and eigenvectors `[batch, d, 1]` of symmetric `[batch, d, d]`: the
  /// rotations of `Symmetry.symmetricEigen`, of which five rounds are exact to a `Float`.
  fileprivate func symmetricEigen(_ d: Int) -> (values: [Variable], axes: [Variable]) {
    let rows = reshaped([-1, d * d])
    var a = (0..<d * d).map { rows.column($0) }
    let zero = rows.column(0) * 0
    var v = (0..<d * d).map { $0 % (d + 1) == 0 ? zero + 1 : zero }
    let none = Variable(Tensor(0))
    for _ in 0..<(d == 2 ? 1 : 5) {
      for p in 0..<d {
        for q in p + 1..<max(d, p + 1) {
          let theta = (a[q * d + q] - a[p * d + p]) / (a[p * d + q] * 2)
          let sign = none.isGreater(than: theta) * -2 + 1
          let steep = sign / (theta.magnitude + (theta.squared() + 1).squareRoot())
          let t = Variable.choose(a[p * d + q].isEqual(to: none), none, steep)
          let c = Variable(Tensor(1)) / (t.squared() + 1).squareRoot()
          let s = t * c
          func turn(_ x: Variable, _ y: Variable) -> (Variable, Variable) {
            (c * x - s * y, s * x + c * y)
          }
          for k in 0..<d {
            (a[k * d + p], a[k * d + q]) = turn(a[k * d + p], a[k * d + q])
          }
          for k in 0..<d {
            (a[p * d + k], a[q * d + k]) = turn(a[p * d + k], a[q * d + k])
            (v[k * d + p], v[k * d + q]) = turn(v[k * d + p], v[k * d + q])
          }
        }
      }
    }
    var values = (0..<d).map { a[$0 * d + $0] }
    var axes = (0..<d).map { i in
      Variable.concatenated((0..<d).map { v[$0 * d + i] }, axis: 1).reshaped([-1, d, 1])
    }
    // Neighbors are exchanged until the largest stands first.
    for (i, j) in d == 2 ? [(0, 1)] : [(0, 1), (1, 2), (0, 1)] {
      let isWrong = values[j].isGreater(than: values[i])
      let column = isWrong.reshaped([-1, 1, 1])
      (values[i], values[j]) = (
        .choose(isWrong, values[j], values[i]), .choose(isWrong, values[i], values[j])
      )
      (axes[i], axes[j]) = (.choose(column, axes[j], axes[i]), .choose(column, axes[i], axes[j]))
    }
    return (values, axes)
  }

  /// The determinant of the matrix with some columns `[batch, d, 1]`, `[batch, 1]`.
  fileprivate static func determinant(_ columns: [Variable]) -> Variable {
    let flat = columns.map { $0.reshaped([-1, columns.count]) }
    if flat.count == 2 {
      return flat[0].column(0) * flat[1].column(1) - flat[0].column(1) * flat[1].column(0)
    }
    return (flat[0].crossed(with: flat[1], axis: 1) * flat[2]).sum([1], keepingAxes: true)
  }
}
