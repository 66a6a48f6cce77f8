public import TensorCore

extension Variable {
  /// Each image resampled under an affine map of its own about the center.
  ///
  /// **Shapes.** self `[batch, height, width, channels]`; `maps` `[batch, 4]`, the matrix row-major, or
  /// `[batch, 6]`, the offset after it in pixels: where an output pixel looks in the input, *x* to the
  /// right and *y* down.
  ///
  /// `exact` is what to sample with, where a group element is known more exactly than the `Float`
  /// numbers say; the gradient still goes to `maps`.
  public func warped(
    by maps: Variable, exact: [SamplingMap]? = nil, _ interpolation: Interpolation = .bilinear,
    border: BorderPolicy = .zero
  ) -> Variable {
    let (entries, width) = (maps.value.elements, maps.shape[1])
    require(width == 4 || width == 6, "maps of shape \(maps.shape)")
    let sampling =
      exact
      ?? (0..<shape[0]).map { n in
        let numbers = entries[width * n..<width * (n + 1)].map { Double($0) }
        return SamplingMap(
          matrix: Array(numbers.prefix(4)), offset: width == 6 ? Array(numbers.suffix(2)) : [0, 0])
      }
    return Variable(
      value.warped(by: sampling, interpolation, border: border), inputs: [self, maps]
    ) {
      [x = value, nx = requiresGradient, nm = maps.requiresGradient] dy in
      let gradients = dy.warpGradients(
        images: x, maps: sampling, interpolation, border: border, ofImages: nx, ofMaps: nm)
      let byMap = gradients.maps.flatMap { map in
        (map.matrix + (width == 6 ? map.offset : [])).map { Float($0) }
      }
      return [gradients.images, nm ? Tensor(byMap, shape: [sampling.count, width]) : nil]
    }
  }
}
