public import Autodiff
import Glibc
public import Symmetry
public import TensorCore

/// A canonicalizer of images whose poses are kept to the rotations of a finite group.
///
/// They are the elements of *C*ₙ that are nearest to what another one finds. With *C*₄ pages and photographs are only turned by quarters, and no pixel is lost.
///
/// It is equivariant under the group; an image at an angle between its elements stays off by up to half a step.
/// The margin is the other's, or less where the angle lies near the middle between two elements.
public struct RestrictedPoses<Base: ImageCanonicalizer>: ImageCanonicalizer {
  public typealias PoseGroup = Cyclic
  public let base: Base
  public let action: ImageAction<Cyclic>

  public init(_ base: Base, to group: Cyclic) {
    self.base = base
    action = ImageAction(
      group, interpolation: base.action.interpolation, border: base.action.border)
  }

  /// How many steps, and parts of one, an angle is.
  private func steps(_ g: PlanarIsometry) -> Double {
    let order = Double(action.group.order)
    return Double(g.quarterTurns) * order / 4 + g.residual * order / (2 * .pi)
  }

  private func nearest(_ g: PlanarIsometry) -> Cyclic.Element {
    let order = action.group.order
    let step = Int((steps(g) + 0.5).rounded(.down)) % order
    return Cyclic.Element(steps: step < 0 ? step + order : step)
  }

  public func poses(of batch: Tensor) -> [Pose<Cyclic.Element>] {
    base.planarPoses(of: batch).map { pose in
      let place = steps(pose.element)
      let lead = Float(1 - 2 * abs(place - place.rounded()))
      let best = nearest(pose.element)
      var ties: [Cyclic.Element] = []
      for tie in pose.ties.map(nearest) where tie != best && !ties.contains(tie) {
        ties.append(tie)
      }
      return Pose(best, margin: pose.margin.smaller(lead), ties: ties)
    }
  }
}

extension ImageCanonicalizer {
  /// The canonicalizer, or the same kept to the rotations of a group's name; any angle where it is empty.
  func restricted(to group: String) -> any TrainableCanonicalizer {
    guard let cyclic = finitePlanarGroup(group) as? Cyclic else { return self }
    return RestrictedPoses(self, to: cyclic)
  }
}

extension RestrictedPoses: ExportableCanonicalizer where Base: ExportableCanonicalizer {
  public func poseVariables(
    of batch: Variable, on tape: Tape
  ) throws(NotExportable) -> PoseVariables {
    let pose = try base.poseVariables(of: batch, on: tape)
    guard let matrix = pose.matrix else { return pose }
    let order = action.group.order
    let matrices = action.group.matrices
    // The nearest rotation has the largest product of the matrices.
    let rows = matrix.reshaped([-1, 4])
    let best = rows.matmul(Variable(matrices.transposed())).firstLargest().matmul(
      Variable(matrices))
    let along = rows.column(0) * best.column(0) + rows.column(1) * best.column(1)
    let across = rows.column(1) * best.column(0) - rows.column(0) * best.column(1)
    let rest = Variable.arcTangent(across: across, along: along).magnitude
    let lead = (rest * -(Float(order) / .pi) + 1).reshaped([-1])
    return PoseVariables(
      matrix: best.reshaped([-1, 2, 2]),
      margin: pose.margin.map { Variable.smaller($0, lead) } ?? lead)
  }
}
