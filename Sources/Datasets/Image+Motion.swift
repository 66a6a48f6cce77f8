public import Images
public import Symmetry
import TensorCore

extension PictureAction {
  /// Moves an image, with its metadata; by quarter turns and flips sample for sample.
  public func act(_ motion: Motion, on image: Image) -> Image {
    if let moved = image.moved(exactlyBy: motion) { return moved }
    guard movesByTiles(motion) else { return image.replaced(by: act(motion, on: image.tensor)) }
    let size = self.size(of: (image.height, image.width), movedBy: motion)
    return image.replaced(size) { part, write in
      act(
        motion, on: (image.height, image.width), channels: image.channels,
        read: part, write: write)
    }
  }

  /// Undoes a motion: brings a moved image back onto the size that it had.
  public func undo(_ motion: Motion, on image: Image, size: (height: Int, width: Int)) -> Image {
    image.moved(exactlyBy: motion.inverse)
      ?? image.replaced(by: undo(motion, on: image.tensor, size: size))
  }
}

extension Rearrangement {
  /// The motion of an image's pixels; `nil` where it makes new values.
  public init?(_ motion: Motion) {
    guard motion.isExact, motion.others.isEmpty else { return nil }
    // Where pixels of the result look: entries are 0 and ±1.
    let m = (motion.isometry ?? PlanarIsometry()).samplingMap.matrix
    let isTransposed = abs(m[0]) < 0.5
    self.init(
      isTransposed: isTransposed, flipsX: (isTransposed ? m[1] : m[0]) < 0,
      flipsY: (isTransposed ? m[2] : m[3]) < 0)
  }
}

extension Image {
  /// The image moved without new values; `nil` where the motion makes some.
  fileprivate func moved(exactlyBy motion: Motion) -> Image? {
    Rearrangement(motion).map(rearranged)
  }

  /// An image of another size, made part by part.
  fileprivate func replaced(
    _ size: (height: Int, width: Int),
    _ make: (
      _ read: @escaping @Sendable (Range<Int>, Range<Int>) -> Tensor,
      _ write: @escaping @Sendable (Tensor, Int, Int) -> Void
    ) -> Void
  ) -> Image {
    let (count, scale) = (size.height * size.width * channels, Float(maximum))
    let (width, channels, source) = (width, channels, samples)
    let samples = unsafe [UInt16](unsafeUninitializedCapacity: count) { target, made in
      // Parts do not overlap.
      nonisolated(unsafe) let target = unsafe target
      make(
        { rows, columns in
          let row = columns.count * channels
          return unsafe Tensor([1, rows.count, columns.count, channels]) { part in
            unsafe source.withUnsafeBufferPointer { source in
              for (n, y) in rows.enumerated() {
                let from = (y * width + columns.lowerBound) * channels
                for i in 0..<row { unsafe part[n * row + i] = Float(source[from + i]) / scale }
              }
            }
          }
        },
        { part, top, left in
          let row = part.shape[2] * channels
          let rows = part.shape[1]
          unsafe part.withElements { part in
            for y in 0..<rows {
              let to = ((top + y) * size.width + left) * channels
              for i in 0..<row {
                let value = unsafe part[y * row + i]
                unsafe target[to + i] = UInt16(
                  (min(max(value.isNaN ? 0 : value, 0), 1) * scale).rounded())
              }
            }
          }
        })
      made = count
    }
    var image = Image(
      width: size.width, height: size.height, channels: channels, bitDepth: bitDepth,
      samples: samples)
    image.metadata = metadata
    return image
  }

  fileprivate func replaced(by tensor: Tensor) -> Image {
    var image = Image(tensor[0], bitDepth: bitDepth)
    image.metadata = metadata
    return image
  }
}
