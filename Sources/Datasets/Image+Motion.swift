public import Images
public import Symmetry
import TensorCore

extension PictureAction {
  /// Moves an image, with its metadata; by quarter turns and flips sample for sample.
  public func act(_ motion: Motion, on image: Image) -> Image {
    if let moved = image.moved(exactlyBy: motion) { return moved }
    guard movesByTiles(motion) else {
      return image.replaced(by: Image(act(motion, on: image.tensor)[0], bitDepth: image.bitDepth))
    }
    let size = self.size(of: (image.height, image.width), movedBy: motion)
    let count = size.height * size.width * image.channels
    let samples = unsafe [UInt16](unsafeUninitializedCapacity: count) { target, made in
      // Parts do not overlap.
      nonisolated(unsafe) let target = unsafe target
      act(
        motion, on: (image.height, image.width), channels: image.channels,
        read: { rows, columns in image.part(rows, columns) },
        write: { part, row, column in
          unsafe image.put(part, at: (row, column), of: size.width, into: target)
        })
      made = count
    }
    return image.replaced(
      by: Image(
        width: size.width, height: size.height, channels: image.channels,
        bitDepth: image.bitDepth, samples: samples))
  }

  /// Undoes a motion: brings a moved image back onto the size that it had.
  public func undo(_ motion: Motion, on image: Image, size: (height: Int, width: Int)) -> Image {
    image.moved(exactlyBy: motion.inverse)
      ?? image.replaced(
        by: Image(undo(motion, on: image.tensor, size: size)[0], bitDepth: image.bitDepth))
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

  /// A part as values in 0…1, `[1, rows, columns, channels]`.
  fileprivate func part(_ rows: Range<Int>, _ columns: Range<Int>) -> Tensor {
    let (row, scale) = (columns.count * channels, Float(maximum))
    return unsafe Tensor([1, rows.count, columns.count, channels]) { part in
      unsafe samples.withUnsafeBufferPointer { samples in
        for (n, y) in rows.enumerated() {
          let from = (y * width + columns.lowerBound) * channels
          for i in 0..<row { unsafe part[n * row + i] = Float(samples[from + i]) / scale }
        }
      }
    }
  }

  /// Puts such a part among the samples of an image of the same kind.
  fileprivate func put(
    _ part: Tensor, at place: (row: Int, column: Int), of width: Int,
    into target: UnsafeMutableBufferPointer<UInt16>
  ) {
    let (rows, row, scale) = (part.shape[1], part.shape[2] * channels, Float(maximum))
    unsafe part.withElements { part in
      for y in 0..<rows {
        let to = ((place.row + y) * width + place.column) * channels
        for i in 0..<row {
          unsafe target[to + i] = Image.sample(of: part[y * row + i], maximum: scale)
        }
      }
    }
  }

  /// Another image with what is said of this one.
  fileprivate func replaced(by other: Image) -> Image {
    var image = other
    image.metadata = metadata
    return image
  }
}
