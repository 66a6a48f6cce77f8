import TensorCore

extension Variable {
  /// The maximum over one axis; the gradient goes to the maximum, shared evenly among equals.
  public func maximum(_ axis: Int, keepingAxes: Bool = false) -> Variable {
    let largest = value.maximum(axis, keepingAxes: true)
    let result = keepingAxes ? largest : value.maximum(axis)
    return Variable(result, inputs: [self], operation: .maximum(axis: shape.resolve(axis))) {
      [x = value] dy in
      let isLargest = x.isEqual(to: largest)
      let share = isLargest / isLargest.sum([axis], keepingAxes: true)
      return [share * dy.reshaped(largest.shape)]
    }
  }
}
