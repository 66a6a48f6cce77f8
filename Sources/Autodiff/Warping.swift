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
      value.warped(by: sampling, interpolation, border: border), inputs: [self, maps],
      operation: .warp(interpolation, border)
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

  /// Each image under every one of some maps.
  ///
  /// **Shapes.** `[batch, height, width, channels]` → `[batch · maps, height, width, channels]`, an image's copies together.
  public func warped(
    byEach maps: [SamplingMap], _ interpolation: Interpolation = .bilinear,
    border: BorderPolicy = .zero
  ) -> Variable {
    let count = shape[0]
    let rows = (0..<count).flatMap { [Int](repeating: $0, count: maps.count) }
    let all = (0..<count).flatMap { _ in maps }
    let copies = value.gathered(rows)
    return Variable(
      copies.warped(by: all, interpolation, border: border), inputs: [self],
      operation: .warpByEach(maps, interpolation, border)
    ) { dy in
      let gradients = dy.warpGradients(
        images: copies, maps: all, interpolation, border: border, ofMaps: false)
      return [gradients.images.map { $0.scattered(rows, count: count) }]
    }
  }
}
