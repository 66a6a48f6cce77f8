import CJPEG
import TensorCore

extension JPEGCodec {
  /// Turns or flips a file on its coefficients (`tjTransform` of libjpeg-turbo): nothing is decoded, so nothing is lost.
  ///
  /// Segments of metadata stay as they are, but for EXIF's orientation, which becomes 1; resolutions along the sides move
  /// with them.
  ///
  /// - Returns: The file; `nil` where a side that moves is no whole number of blocks (8 or 16 pixels) and `trims` does
  ///   not allow to cut off what is over, or where the file is of a kind that cannot be turned so.
  public static func turned(
    _ bytes: [UInt8], by change: Rearrangement, trims: Bool
  ) -> [UInt8]? {
    var file = bytes
    let whole = upright(&file).followed(by: change)
    if whole.isTransposed { exchangeDensities(in: &file) }
    let operation =
      (whole.isTransposed ? 1 : 0) + (whole.flipsX ? 2 : 0) + (whole.flipsY ? 4 : 0)
    var size = 0
    guard
      let turned = unsafe cjpeg_turn(file, file.count, Int32(operation), trims ? 1 : 0, &size)
    else { return nil }
    defer { unsafe cjpeg_release(turned) }
    return unsafe Array(UnsafeBufferPointer(start: turned, count: size))
  }

  /// Makes EXIF's orientation 1.
  ///
  /// - Returns: What the picture is to be turned by, as EXIF said.
  private static func upright(_ file: inout [UInt8]) -> Rearrangement {
    for data in segments(0xE1, of: file) where file[data].starts(with: EXIF.mark) {
      guard let place = EXIF.orientationPlace(in: file[data]) else { continue }
      let orientation = Int(file[place.isLittle ? place.at : place.at + 1])
      EXIF.reset(place, in: &file)
      return Rearrangement(orientation: orientation)
    }
    return Rearrangement()
  }

  /// Exchanges the resolutions along the sides, which JFIF holds after its mark, a version and a unit.
  private static func exchangeDensities(in file: inout [UInt8]) {
    guard
      let data = segments(0xE0, of: file).first(where: {
        $0.count >= 12 && file[$0].starts(with: Array("JFIF\0".utf8))
      })
    else { return }
    let x = data.lowerBound + 8
    file.replaceSubrange(x..<x + 4, with: file[x + 2..<x + 4] + file[x..<x + 2])
  }

  /// Where the data of the segments of a kind lie that come before the pixels.
  private static func segments(_ kind: UInt8, of file: [UInt8]) -> [Range<Int>] {
    var (found, at): ([Range<Int>], Int) = ([], 2)
    while at + 4 <= file.count, file[at] == 0xFF, file[at + 1] != 0xDA {
      let end = at + 2 + Int(file[at + 2]) << 8 + Int(file[at + 3])
      guard end >= at + 4, end <= file.count else { break }
      if file[at + 1] == kind { found.append(at + 4..<end) }
      at = end
    }
    return found
  }
}
