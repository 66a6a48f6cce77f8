public import TensorCore

extension Variable {
  /// Each image resampled under a linear map of its own about the center.
  ///
  /// **Shapes.** self `[batch, height, width, channels]`; `matrices` `[batch, 4]`, row-major: where
  /// an output pixel looks in the input, *x* to the right and *y* down.
  ///
  /// `exact` is what to sample with, where a group element is known more exactly than the `Float`
  /// matrices say; the gradient still goes to `matrices`.
  public func warped(
    by matrices: Variable, exact: [SamplingMap]? = nil, _ interpolation: Interpolation = .bilinear,
    border: BorderPolicy = .zero
  ) -> Variable {
    let entries = matrices.value.elements
    let maps =
      exact
      ?? (0..<shape[0]).map { n in
        SamplingMap(matrix: entries[4 * n..<4 * n + 4].map(Double.init))
      }
    return Variable(
      value.warped(by: maps, interpolation, border: border), inputs: [self, matrices]
    ) {
      [x = value, nx = requiresGradient, nm = matrices.requiresGradient] dy in
      let gradients = dy.warpGradients(
        images: x, maps: maps, interpolation, border: border, ofImages: nx, ofMaps: nm)
      let byMatrix = gradients.maps.flatMap { $0.matrix.map { Float($0) } }
      return [gradients.images, nm ? Tensor(byMatrix, shape: [maps.count, 4]) : nil]
    }
  }
}
