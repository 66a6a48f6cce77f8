public import TensorCore

/// Data whose targets follow from their inputs by a rule that is known: how equivariant the data are can be measured, and
/// what follows after many steps told.
public protocol RuledOptions: DatasetOptions {
  /// The state that follows on each of some, `[count] + …` → the same.
  func next(_ states: Tensor) -> Tensor
}

extension RuledOptions {
  /// The states after each of so many steps, the first ones not among them.
  public func states(after first: Tensor, steps: Int) -> [Tensor] {
    var (state, all) = (first, [Tensor]())
    for _ in 0..<steps {
      state = next(state)
      all.append(state)
    }
    return all
  }
}
