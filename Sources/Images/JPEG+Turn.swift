import CJPEG
import Glibc
import TensorCore

extension JPEGCodec {
  /// Turns or flips a file on its coefficients (`tjTransform` of libjpeg-turbo): nothing is decoded, so nothing is lost.
  ///
  /// Segments of metadata stay as they are, but for EXIF's orientation, which becomes 1.
  ///
  /// - Returns: The file, or `nil` where a side that moves is no whole number of blocks (8 or 16 pixels), and `trims` does
  ///   not allow to cut off what is over.
  public static func turned(
    _ path: String, by change: Rearrangement, trims: Bool
  ) throws(ImageError) -> [UInt8]? {
    guard var file = Files.bytes(of: path) else {
      throw .unreadable(path: path, reason: unsafe String(cString: strerror(errno)))
    }
    let whole = upright(&file).followed(by: change)
    let operation =
      (whole.isTransposed ? 1 : 0) + (whole.flipsX ? 2 : 0) + (whole.flipsY ? 4 : 0)
    var (size, message) = (0, [CChar](repeating: 0, count: Int(CJPEG_MESSAGE)))
    guard
      let turned = unsafe cjpeg_turn(
        file, file.count, Int32(operation), trims ? 1 : 0, &size, &message)
    else {
      let reason = text(message)
      if reason.contains("not perfect") { return nil }
      throw .unreadable(path: path, reason: reason)
    }
    defer { unsafe cjpeg_release(turned) }
    return unsafe Array(UnsafeBufferPointer(start: turned, count: size))
  }

  /// Makes EXIF's orientation 1, in the segments before the pixels.
  ///
  /// - Returns: What the picture is to be turned by, as EXIF said.
  private static func upright(_ file: inout [UInt8]) -> Rearrangement {
    var at = 2
    while at + 4 <= file.count, file[at] == 0xFF, file[at + 1] != 0xDA {
      let end = at + 2 + Int(file[at + 2]) << 8 + Int(file[at + 3])
      guard end >= at + 4, end <= file.count else { break }
      if file[at + 1] == 0xE1, file[at + 4..<end].starts(with: EXIF.mark),
        let place = EXIF.orientationPlace(in: file[at + 4..<end])
      {
        let orientation = Int(file[place.isLittle ? place.at : place.at + 1])
        EXIF.reset(place, in: &file)
        return Rearrangement(orientation: orientation)
      }
      at = end
    }
    return Rearrangement()
  }
}
