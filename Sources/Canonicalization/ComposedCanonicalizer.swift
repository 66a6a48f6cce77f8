public import Autodiff
public import Symmetry
public import TensorCore

/// Two canonicalizers one after the other, for the product of their groups.
///
/// The second looks at the first one's form; outputs are restored by both at once.
///
/// **Law.** The composition is a canonicalizer if the first one's pose does not change when the second
/// group moves the input: a frame that does not depend on the members' order, then a sorting.
public struct ComposedCanonicalizer<
  First: TrainableCanonicalizer, Second: TrainableCanonicalizer
>: TrainableCanonicalizer {
  public let first: First
  public let second: Second

  public init(_ first: First, then second: Second) {
    self.first = first
    self.second = second
  }

  public var action: ProductAction<First.InputAction, Second.InputAction> {
    ProductAction(first.action, second.action)
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    first.parameters.map { ("first.\($0.name)", $0.parameter) }
      + second.parameters.map { ("second.\($0.name)", $0.parameter) }
  }

  /// Margins are the smaller of both; ties are all pairs of both.
  public func poses(
    of batch: Tensor
  ) -> [Pose<ProductGroup<First.InputAction.Group, Second.InputAction.Group>.Element>] {
    let outer = first.canonicalize(batch)
    return zip(outer.poses, second.poses(of: outer.form)).map { a, b in
      let pairs = a.candidates.flatMap { g in
        b.candidates.map {
          ProductGroup<First.InputAction.Group, Second.InputAction.Group>.Element(g, $0)
        }
      }
      return Pose(pairs[0], margin: min(a.margin, b.margin), ties: Array(pairs.dropFirst()))
    }
  }

  public func trainingForms(_ batch: Variable, on tape: Tape) -> TrainingForms {
    let outer = first.trainingForms(batch, on: tape)
    return second.trainingForms(outer.forms, on: tape).after(outer)
  }
}
