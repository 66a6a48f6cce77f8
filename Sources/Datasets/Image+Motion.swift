public import Images
public import Symmetry
import TensorCore

extension PictureAction {
  /// Moves an image, with its metadata; by quarter turns and flips sample for sample.
  public func act(_ motion: Motion, on image: Image) -> Image {
    image.moved(exactlyBy: motion) ?? image.replaced(by: act(motion, on: image.tensor))
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

  fileprivate func replaced(by tensor: Tensor) -> Image {
    var image = Image(tensor[0], bitDepth: bitDepth)
    image.metadata = metadata
    return image
  }
}
