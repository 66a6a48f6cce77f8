public import TensorCore

extension Variable {
  /// The transposed convolution: the map of images that is the input gradient of the convolution with a kernel.
  ///
  /// Each is the other's pullback: d*x* = d*y* convolved, and d*w* is that convolution's gradient by its weight.
  ///
  /// **Shapes.** `[batch, height, width, inputs]`, `weight` `[kernelHeight, kernelWidth, outputs / groups, inputs]` →
  /// `shape`, `[batch, outHeight, outWidth, outputs]`, from which the convolution leads to the input's extents.
  public func transposedConvolved(
    with weight: Variable, _ geometry: ConvolutionGeometry, to shape: Shape
  ) -> Variable {
    let y = value.convolutionInputGradient(weight: weight.value, inputShape: shape, geometry)
    return Variable(y, inputs: [self, weight]) {
      [
        x = weight.requiresGradient ? value : nil, w = requiresGradient ? weight.value : nil,
        sw = weight.shape
      ] dy in
      [
        w.map { dy.convolved(with: $0, geometry) },
        x.map { $0.convolutionWeightGradient(input: dy, weightShape: sw, geometry) },
      ]
    }
  }
}
