public import TensorCore

extension Variable {
  /// Batch normalization per channel (the last axis), optionally clamped at zero, by the moments of
  /// this batch: *y* = (*x* − *μ*) / √(*σ*² + *ε*) · `weight` + `bias`.
  ///
  /// One pass for the moments (none where a convolution took them), one for the value, two for the gradient (Ioffe & Szegedy 2015,
  /// arXiv 1502.03167).
  ///
  /// `moments` are those of this batch, where they are known already; where it is in pieces, those of this one.
  ///
  /// - Returns: The result, the moments of the whole batch, and of how many rows these are.
  public func batchNormalized(
    weight: Variable, bias: Variable, epsilon: Float, relu: Bool, moments: ChannelMoments? = nil,
    piece: (any BatchPiece)? = nil
  ) -> (result: Variable, moments: ChannelMoments, rows: Int) {
    let own = (moments: moments ?? value.channelMoments(), rows: shape.count / shape[-1])
    let (moments, rows) = piece.map { own.moments.combined(over: $0, rows: own.rows) } ?? own
    let (mean, variance) = (moments.mean, moments.variance)
    let scale = zip(weight.value.elements, variance).map {
      Float(Double($0) / ($1 + Double(epsilon)).squareRoot())
    }
    let offset = bias.value.elements
    let shift = offset.indices.map { c -> Float in
      Float(Double(offset[c]) - mean[c] * Double(scale[c]))
    }
    // The gradient is made where this lies, when nobody else needs it any more.
    var input: Tensor? = value
    let result = Variable(
      value.scaled(by: scale, shift: shift, relu: relu), inputs: [self, weight, bias],
      remake: { [x = value] in x.scaled(by: scale, shift: shift, relu: relu) }
    ) { dy in
      guard var gradient = input.take() else { preconditionFailure("a pullback runs once") }
      let (byWeight, byBias) = gradient.formBatchNormGradient(
        by: dy, mean: mean, variance: variance, epsilon: epsilon, scale: scale, shift: shift,
        relu: relu
      ) { sum, product in
        guard let piece else { return (sum, product, rows) }
        let (sums, _) = piece.sums(sum + product)
        return (Array(sums[..<sum.count]), Array(sums[sum.count...]), rows)
      }
      return [gradient, byWeight, byBias]
    }
    return (result, moments, rows)
  }
}
