public import Symmetry
public import TensorCore

/// A canonicalizer by energy, over all elements of a finite group.
///
///     h(x) = argmin over g of E(g⁻¹·x)
///
/// The form is the copy that a function of one's own likes best (Kaba et al., ICML 2023, the
/// optimization approach). Any function will do, and its law follows from
/// the search: the copies of *g*·*x* are those of *x*, relabeled.
///
/// With a `gate` above 0 an input whose energy is within it of the best is left alone, as one that is
/// canonical already; such inputs keep their poses, so that forms are constant on orbits only outside of
/// the gate.
public struct EnergySearch<InputAction: Action>: Canonicalizer
where InputAction.Group: FiniteGroup {
  public let action: InputAction
  public let gate: Float
  /// The energy of each member, `[batch, …]` → `[batch]`.
  public let energy: @Sendable (Tensor) -> Tensor

  public init(
    _ action: InputAction, gate: Float = 0, energy: @escaping @Sendable (Tensor) -> Tensor
  ) {
    self.action = action
    self.gate = gate
    self.energy = energy
  }

  /// - Complexity: As many energies per member as the group has elements.
  public func poses(of batch: Tensor) -> [Pose<InputAction.Group.Element>] {
    let (group, count) = (action.group, batch.shape[0])
    let elements = group.elements
    let energies = elements.map { g in
      let copies = [InputAction.Group.Element](repeating: group.inverse(g), count: count)
      return energy(action.act(copies, on: batch)).elements
    }
    return (0..<count).map { n in
      let scores = energies.map { -$0[n] }
      let best = Pose(scores: scores[...], of: elements)
      let lead = (scores.max() ?? 0) - scores[0]
      return gate > 0 && lead <= gate ? Pose(group.identity, margin: gate - lead) : best
    }
  }
}
