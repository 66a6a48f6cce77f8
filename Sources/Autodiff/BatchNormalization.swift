public import TensorCore

extension Variable {
  /// Batch normalization per channel (the last axis), optionally clamped at zero, by the moments of
  /// this batch: *y* = (*x* − *μ*) / √(*σ*² + *ε*) · `weight` + `bias`.
  ///
  /// One pass for the moments (none where a convolution took them), one for the value, two for the gradient (Ioffe & Szegedy 2015,
  /// arXiv 1502.03167).
  ///
  /// `moments` are those of this batch, where they are known already.
  ///
  /// - Returns: The result, and the moments.
  public func batchNormalized(
    weight: Variable, bias: Variable, epsilon: Float, relu: Bool, moments: ChannelMoments? = nil
  ) -> (result: Variable, moments: ChannelMoments) {
    let moments = moments ?? value.channelMoments()
    let (mean, variance) = (moments.mean, moments.variance)
    let scale = zip(weight.value.elements, variance).map {
      Float(Double($0) / ($1 + Double(epsilon)).squareRoot())
    }
    let offset = bias.value.elements
    let shift = offset.indices.map { c -> Float in
      Float(Double(offset[c]) - mean[c] * Double(scale[c]))
    }
    let y = value.scaled(by: scale, shift: shift, relu: relu)
    let result = Variable(y, inputs: [self, weight, bias]) { [x = value] dy in
      let gradients = dy.batchNormGradients(
        input: x, mean: mean, variance: variance, epsilon: epsilon, scale: scale, shift: shift,
        relu: relu)
      return [gradients.input, gradients.weight, gradients.bias]
    }
    return (result, moments)
  }
}
