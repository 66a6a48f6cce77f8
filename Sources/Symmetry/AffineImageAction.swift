public import TensorCore

/// How affine maps of the plane act on images: however many are composed, the image is sampled once.
///
/// Quarter turns, flips, and shifts by whole pixels of square images of even extents move pixels, bit
/// for bit. Lengths are relative to half the smaller side, so that a map means the same at every size.
///
/// **Shapes.** `[batch, height, width, channels]` → the same.
public struct AffineImageAction: Action {
  public let group: PlanarAffine
  public let interpolation: Interpolation
  public let border: BorderPolicy

  public init(
    _ group: PlanarAffine, interpolation: Interpolation = .bilinear, border: BorderPolicy = .zero
  ) {
    self.group = group
    self.interpolation = interpolation
    self.border = border
  }

  public func act(_ elements: [AffineMap], on batch: Tensor) -> Tensor {
    let unit = Double(min(batch.shape[1], batch.shape[2])) / 2
    let maps = elements.map { g in
      let back = g.inverse
      return SamplingMap(matrix: back.matrix, offset: back.translation.map { $0 * unit })
    }
    return batch.warped(by: maps, interpolation, border: border)
  }
}
