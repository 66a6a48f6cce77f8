public import Autodiff
public import Layers
public import Symmetry
public import TensorCore

/// Adaptive canonicalization: each class is scored in the pose that suits it best.
///
///     φ(x)_c = max over g of p(g⁻¹·x)_c
///
/// It is invariant and, other than a chosen pose, continuous (Lin & Levie, ICLR 2026).
public struct BestPosePerClass<InputAction: Action>: Sendable where InputAction.Group: FiniteGroup {
  public typealias Element = InputAction.Group.Element
  /// From inputs to scores, `[batch, classes]`.
  public let backbone: @Sendable (Tensor) -> Tensor
  public let action: InputAction

  public init(action: InputAction, backbone: @escaping @Sendable (Tensor) -> Tensor) {
    self.backbone = backbone
    self.action = action
  }

  /// The scores of a batch, `[batch, classes]`.
  public func callAsFunction(_ batch: Tensor) -> Tensor { best(of: batch).scores }

  /// The scores of a batch, and the pose of each member that gives its best class its score.
  ///
  /// - Complexity: As many passes of the backbone as the group has elements.
  public func best(of batch: Tensor) -> (scores: Tensor, poses: [Pose<Element>]) {
    let elements = action.group.elements
    let all = elements.map { g in
      backbone(
        action.act([Element](repeating: action.group.inverse(g), count: batch.shape[0]), on: batch))
    }
    let scores = all.dropFirst().reduce(all[0]) { Tensor.maximum($0, $1) }
    let (numbers, classes) = (all.map(\.elements), scores.shape[1])
    let poses = scores.largestColumn().enumerated().map { n, winner in
      Pose(scores: numbers.map { $0[n * classes + winner] }[...], of: elements)
    }
    return (scores, poses)
  }

  /// The scores in training, `[batch, classes]`: the gradient reaches the best pose of each class.
  public static func scores(
    of batch: Variable, _ action: InputAction, network: any Layer, on tape: Tape
  ) -> Variable {
    let copies = action.group.elements.map { g in
      action.act(
        [Element](repeating: action.group.inverse(g), count: batch.shape[0]), on: batch.value)
    }
    return network(Variable(.concatenated(copies)), on: tape)
      .reshaped([copies.count, batch.shape[0], -1]).maximum(0)
  }
}
