public import Autodiff
public import Symmetry
public import TensorCore

/// A scoring canonicalizer with poses between the elements of its finite group: the best one, moved to
/// the top of the parabola through its score and those of its two neighbors.
///
/// It learns as its base does. The margin is the base's; a tie of the base is one here. `ScoringCanonicalizer.refined()`
/// finds the group that poses lie in then.
public struct RefinedPoses<Base: ScoringCanonicalizer, PoseGroup: PlanarGroup>: ImageCanonicalizer
where PoseGroup.Element == PlanarIsometry {
  public let base: Base
  public let action: ImageAction<PoseGroup>

  /// - Parameter group: What poses lie in: `SO2()` for rotations, `O2()` where the base's group reflects.
  public init(_ base: Base, in group: PoseGroup) {
    self.base = base
    action = ImageAction(
      group, interpolation: base.action.interpolation, border: base.action.border)
  }

  public var parameters: [(name: String, parameter: Parameter)] { base.parameters }

  public func poses(of batch: Tensor) -> [Pose<PlanarIsometry>] {
    let group = base.action.group
    let elements = group.elements.map(group.isometry)
    let (copies, scores) = base.exactScores(of: batch)
    let numbers = scores.elements
    let sides = elements.map { neighbors(of: $0, elements) }
    return copies.indices.map { n in
      let row = Array(numbers[n * elements.count..<(n + 1) * elements.count])
      let best = Pose(scores: row[...], of: elements)
      func refined(_ g: PlanarIsometry) -> PlanarIsometry {
        guard let i = elements.firstIndex(of: g), let (left, right, step) = sides[i] else {
          return g
        }
        let curvature = row[left] - 2 * row[i] + row[right]
        guard curvature < 0 else { return g }
        let offset = Double((row[left] - row[right]) / (2 * curvature))
        return O2().compose(g, PlanarIsometry(residual: step * min(max(offset, -0.5), 0.5)))
      }
      let all = copies[n].flatMap { copy in
        best.candidates.map { O2().compose(group.isometry(copy), refined($0)) }
      }
      return Pose(all[0], margin: best.margin, ties: Array(all.dropFirst()))
    }
  }

  /// The elements a step to both sides, in the element's own frame, and the step; `nil` where a step is as
  /// large as a quarter turn, and a parabola is no guess.
  private func neighbors(
    of g: PlanarIsometry, _ elements: [PlanarIsometry]
  ) -> (left: Int, right: Int, step: Double)? {
    let rotations = elements.filter { !$0.isReflected }.count
    guard rotations > 4 else { return nil }
    let step = 2 * .pi / Double(rotations)
    func index(_ angle: Double) -> Int {
      O2().compose(g, PlanarIsometry(residual: angle)).nearest(among: elements)
    }
    return (index(-step), index(step), step)
  }

  public func trainingForms(_ batch: Variable, on tape: Tape) -> TrainingForms {
    base.trainingForms(batch, on: tape)
  }
}

extension ScoringCanonicalizer {
  /// The same with poses between the elements: in SO(2), or in O(2) where the group reflects.
  ///
  /// Itself where the group has no rotations but quarter turns, between which a parabola is no guess.
  public func refined() -> any TrainableCanonicalizer {
    let elements = action.group.elements.map(action.group.isometry)
    let reflected = elements.count { $0.isReflected }
    if elements.count - reflected <= 4 { return self }
    return reflected > 0 ? RefinedPoses(self, in: O2()) : RefinedPoses(self, in: SO2())
  }
}

extension RefinedPoses: ExportableCanonicalizer where Base: ExportableCanonicalizer {
  public func poseVariables(of batch: Variable, on tape: Tape) -> PoseVariables {
    let elements = base.action.group.elements.map(base.action.group.isometry)
    let (best, margin, scores) = base.bestVariables(of: batch, on: tape)
    let matrix = best.matmul(Variable(base.action.group.matrices)).reshaped([-1, 2, 2])
    let sides = elements.compactMap { neighbors(of: $0, elements) }
    guard sides.count == elements.count, let step = sides.first?.step else {
      return PoseVariables(matrix: matrix, margin: margin)
    }
    /// The scores of the best one's neighbors to a side, `[batch, 1]`.
    func beside(_ places: [Int]) -> Variable {
      var table = [Float](repeating: 0, count: elements.count * elements.count)
      for (i, place) in places.enumerated() { table[place * elements.count + i] = 1 }
      let moved = scores.matmul(
        Variable(Tensor(table, shape: [elements.count, elements.count])))
      return (best * moved).sum([1], keepingAxes: true)
    }
    let (left, right) = (beside(sides.map(\.left)), beside(sides.map(\.right)))
    let here = (best * scores).sum([1], keepingAxes: true)
    let curvature = left - here * 2 + right
    let raw = ((left - right) / (curvature * 2))
    let half = Variable(Tensor(0.5))
    let offset = -Variable.smaller(-Variable.smaller(raw, half), half)
    let hasTop = Variable(Tensor(0)).isGreater(than: curvature)
    let angle = Variable.choose(hasTop, offset * Float(step), Variable(Tensor(0)))
    return PoseVariables(matrix: matrix, margin: margin)
      .after(PoseVariables(cosine: angle.cosine(), sine: angle.sine(), margin: nil))
  }
}
