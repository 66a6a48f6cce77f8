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
    let maps = samplingMaps(elements, height: batch.shape[1], width: batch.shape[2])
    return batch.warped(by: maps, interpolation, border: border)
  }

  /// Where the pixels of images moved by elements look in the images.
  public func samplingMaps(_ elements: [AffineMap], height: Int, width: Int) -> [SamplingMap] {
    let unit = Double(min(height, width)) / 2
    return elements.map { g in
      let back = g.inverse
      return SamplingMap(matrix: back.matrix, offset: back.translation.map { $0 * unit })
    }
  }
}
