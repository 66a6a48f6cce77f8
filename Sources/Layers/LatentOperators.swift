public import Autodiff
public import Symmetry
import TensorCore

extension Variable {
  /// Vectors acted on by elements of a group that are constants.
  ///
  /// Representations are orthogonal: the gradient by the vectors is acted on by the inverse elements.
  ///
  /// **Shapes.** `[batch, dimension]` → the same.
  public func acted<R: Representation>(
    by representation: R, _ elements: [R.Group.Element]
  ) -> Variable {
    Variable(representation.act(elements, on: value), inputs: [self]) { dy in
      [representation.act(elements.map(representation.group.inverse), on: dy)]
    }
  }
}
