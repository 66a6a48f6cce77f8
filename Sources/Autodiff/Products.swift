public import TensorCore

extension Variable {
  /// The matrix product; d(*A* *B*) = d*A* *B* + *A* d*B*, so the gradients are d*Y* *B*ᵀ and *A*ᵀ d*Y*.
  ///
  /// **Shapes.** `[…, m, k]` and `[…, k, n]`, or `[k, n]` → `[…, m, n]`.
  public func matmul(_ other: Variable) -> Variable {
    Variable(value.matmul(other.value), inputs: [self, other], operation: .product) {
      [
        sa = shape, sb = other.shape, a = other.requiresGradient ? value : nil,
        b = requiresGradient ? other.value : nil
      ] dy in
      let da = b.map { dy.matmul($0.transposed()).summed(to: sa) }
      guard let a else { return [da, nil] }
      if sa.rank > 2 && sb.rank == 2 {
        let rows = a.reshaped([-1, a.shape[-1]])
        return [da, rows.transposed().matmul(dy.reshaped([-1, dy.shape[-1]]))]
      }
      return [da, a.transposed().matmul(dy).summed(to: sb)]
    }
  }

  /// The convolution of images with a kernel, clamped at zero if `relu`: see `Tensor.convolved`.
  public func convolved(
    with weight: Variable, bias: Variable? = nil, relu: Bool = false,
    _ geometry: ConvolutionGeometry = ConvolutionGeometry()
  ) -> Variable {
    let value = value.convolved(
      with: weight.value, bias: bias?.value, activation: relu ? .relu : nil, geometry)
    return recorded(value, weight, bias, relu, geometry)
  }

  /// The convolution, and the moments of its channels: see `Tensor.convolvedWithMoments`.
  public func convolvedWithMoments(
    with weight: Variable, bias: Variable? = nil,
    _ geometry: ConvolutionGeometry = ConvolutionGeometry()
  ) -> (result: Variable, moments: ChannelMoments) {
    let (value, moments) = value.convolvedWithMoments(
      with: weight.value, bias: bias?.value, geometry)
    return (recorded(value, weight, bias, false, geometry), moments)
  }

  private func recorded(
    _ value: Tensor, _ weight: Variable, _ bias: Variable?, _ relu: Bool,
    _ geometry: ConvolutionGeometry
  ) -> Variable {
    Variable(
      value, inputs: [self, weight] + (bias.map { [$0] } ?? []),
      operation: .convolution(geometry, isClamped: relu)
    ) {
      [
        sx = shape, sw = weight.shape, x = weight.requiresGradient ? kept : nil,
        w = requiresGradient ? weight.value : nil, y = relu ? value : nil,
        nb = bias?.requiresGradient ?? false
      ] dy in
      let dy = y.map { dy.reluGradient(output: $0) } ?? dy
      // First by the weight: an input that is made again for it is gone when the gradient by the input is there.
      let dw = x.map { dy.convolutionWeightGradient(input: $0(), weightShape: sw, geometry) }
      let dx = w.map { dy.convolutionInputGradient(weight: $0, inputShape: sx, geometry) }
      return [dx, dw, nb ? dy.sum([0, 1, 2]) : nil]
    }
  }

  /// The maximum over windows of `size` × `size` pixels; the gradient goes to each window's maximum.
  public func maxPooled(size: Int, stride: Int? = nil) -> Variable {
    let (pooled, choice) = value.maxPooled(size: size, stride: stride ?? size)
    return Variable(
      pooled, inputs: [self], operation: .maximumPool(size: size, stride: stride ?? size)
    ) { [shape] dy in
      [dy.maxPoolGradient(inputShape: shape, choice: choice)]
    }
  }

  /// The mean over windows of `size` × `size` pixels, without overlap; a rest is left out.
  public func averagePooled(size: Int) -> Variable {
    let (h, w, c) = (shape[1] / size, shape[2] / size, shape[3])
    return sliced(0..<h * size, axis: 1).sliced(0..<w * size, axis: 2)
      .reshaped([shape[0], h, size, w, size, c]).mean([2, 4])
  }

  /// Each pixel repeated `factor` × `factor` times.
  public func upsampled(_ factor: Int) -> Variable {
    let (n, h, w, c) = (shape[0], shape[1], shape[2], shape[3])
    let wide = reshaped([n, h, 1, w, 1, c]) + Variable(.zeros([1, 1, factor, 1, factor, 1]))
    return wide.reshaped([n, h * factor, w * factor, c])
  }
}
