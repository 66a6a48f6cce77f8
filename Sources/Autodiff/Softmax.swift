import TensorCore

extension Variable {
  /// The softmax over the last axis; with *s* the result, d*x* = *s* (d*s* − Σ d*s* *s*).
  public func softmax() -> Variable {
    let s = value.softmax()
    return Variable(s, inputs: [self], operation: .function(.softmax)) { dy in
      [s * (dy - (dy * s).sum([-1], keepingAxes: true))]
    }
  }

  /// The logarithm of the softmax over the last axis; d*x* = d*y* − exp(*y*) Σ d*y*.
  public func logSoftmax() -> Variable {
    let y = value.softmax(logarithm: true)
    return Variable(y, inputs: [self], operation: .function(.logSoftmax)) { dy in
      [dy - y.exponential() * dy.sum([-1], keepingAxes: true)]
    }
  }

  /// log Σ exp(*x*) over the last axis, which disappears; the gradient is the softmax.
  public func logSumExp() -> Variable {
    let largest = value.maximum(-1, keepingAxes: true)
    let sum = (value - largest).exponential().sum([-1], keepingAxes: true).logarithm() + largest
    return Variable(
      sum.reshaped(Array(shape.extents.dropLast())), inputs: [self], operation: .logSumExp
    ) {
      [x = value, kept = sum.shape] dy in
      [dy.reshaped(kept) * (x - sum).exponential()]
    }
  }
}
