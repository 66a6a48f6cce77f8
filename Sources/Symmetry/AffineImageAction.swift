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
    batch.warped(by: samplingMaps(elements, of: batch), interpolation, border: border)
  }

  /// The length 1 in pixels, for a batch of images: half the smaller side.
  public static func unit(of batch: Tensor) -> Double {
    Double(min(batch.shape[1], batch.shape[2])) / 2
  }

  /// Where the pixels of images moved by elements look in the images.
  public func samplingMaps(_ elements: [AffineMap], of batch: Tensor) -> [SamplingMap] {
    let unit = AffineImageAction.unit(of: batch)
    return elements.map { g in
      let back = g.inverse
      return SamplingMap(matrix: back.matrix, offset: back.translation.map { $0 * unit })
    }
  }
}
