public import Symmetry
public import TensorCore

/// A backbone made equivariant: φ(*x*) = Σ *w* *h*·*p*(*h*⁻¹·*x*) over the frame of *x*, for a canonicalizer
/// *h*(*x*)·*p*(*h*(*x*)⁻¹·*x*).
///
///     let model = Equivariant(
///       backbone: { images in myNetwork(images) },
///       symmetrizer: PrincipalAxis(), outputAction: Trivial(SO2()))
///     let scores = model(images)
public struct Equivariant<S: Symmetrizer, OutputAction: Action>: Sendable
where OutputAction.Group.Element == S.InputAction.Group.Element {
  /// Any function of a batch: it need know nothing of the group.
  public let backbone: @Sendable (Tensor) -> Tensor
  public let symmetrizer: S
  public let outputAction: OutputAction

  public init(
    backbone: @escaping @Sendable (Tensor) -> Tensor, symmetrizer: S, outputAction: OutputAction
  ) {
    self.backbone = backbone
    self.symmetrizer = symmetrizer
    self.outputAction = outputAction
  }

  /// The output for each member of a batch.
  ///
  /// - Complexity: One pass of the backbone on as many members as the frames have elements.
  public func callAsFunction(_ batch: Tensor) -> Tensor {
    symmetrizer.average(over: batch) { outputAction.act($1, on: backbone($0)) }
  }

  /// The largest difference between φ(*g*·*x*) and *g*·φ(*x*), over a batch and some elements.
  public func deviation(
    on batch: Tensor, under elements: [S.InputAction.Group.Element]
  ) -> Double {
    let plain = self(batch)
    return elements.map { g in
      let copies = [S.InputAction.Group.Element](repeating: g, count: batch.shape[0])
      let moved = self(symmetrizer.action.act(copies, on: batch))
      return moved.largestDifference(from: outputAction.act(copies, on: plain))
    }.reduce(0, largerOrNaN)
  }
}
