import TensorCore

extension Variable {
  /// The exponentials of square matrices, Σ *A*ᵏ / *k*!: see `Tensor.matrixExponential`.
  ///
  /// The gradient is the derivative of the exponential at *A*ᵀ along the gradient by the result.
  ///
  /// **Shapes.** `[…, n, n]` → the same.
  public func matrixExponential() -> Variable {
    Variable(value.matrixExponential(), inputs: [self]) { [a = value] dy in
      [a.matrixExponentialGradient(dy)]
    }
  }
}
