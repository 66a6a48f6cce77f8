import CPNG
import Glibc

/// PNG, by libpng.
public enum PNGCodec: ImageCodec {
  public static let endings = ["png"]

  public static func recognizes(_ bytes: [UInt8]) -> Bool {
    bytes.starts(with: [0x89, 0x50, 0x4E, 0x47])
  }

  /// Reads a PNG file of any kind: 1–16 bits, gray, palette or color, interlaced or not.
  ///
  /// Palettes become RGB, transparent colors an alpha channel, fewer than 8 bits 8; 16 stay 16.
  ///
  /// - Throws: `ImageError` for a file that is missing, truncated, corrupt, foreign or too large.
  public static func read(_ path: String) throws(ImageError) -> Image {
    var header = cpng_header()
    var message = [CChar](repeating: 0, count: Int(CPNG_MESSAGE))
    let result: Result<[UInt16], ImageError> = unsafe message.withUnsafeMutableBufferPointer {
      message in
      func failure(_ fallback: String) -> Result<[UInt16], ImageError> {
        let text = unsafe message.baseAddress.map { unsafe String(cString: $0) } ?? ""
        return .failure(.unreadable(path: path, reason: text.isEmpty ? fallback : text))
      }
      guard let reader = unsafe cpng_open(path, &header, message.baseAddress) else {
        return failure("it could not be opened")
      }
      defer { unsafe cpng_close(reader) }
      let (width, height) = (Int(header.width), Int(header.height))
      guard width * height <= Image.pixelLimit else {
        return .failure(
          .tooLarge(
            path: path, width: width, height: height, limit: Image.pixelLimit / 1_000_000))
      }
      let count = width * height * Int(header.channels)
      if header.bit_depth == 16 {
        var samples = [UInt16](repeating: 0, count: count)
        guard unsafe cpng_read(reader, &samples, message.baseAddress) == 0 else {
          return failure("its data are damaged")
        }
        return .success(samples)
      }
      var samples = [UInt8](repeating: 0, count: count)
      guard unsafe cpng_read(reader, &samples, message.baseAddress) == 0 else {
        return failure("its data are damaged")
      }
      return .success(samples.map { UInt16($0) })
    }
    return Image(
      width: Int(header.width), height: Int(header.height),
      channels: max(1, Int(header.channels)), bitDepth: header.bit_depth == 16 ? 16 : 8,
      samples: try result.get())
  }

  public static func sampleCount(_ path: String) -> Int? {
    var header = cpng_header()
    var message = [CChar](repeating: 0, count: Int(CPNG_MESSAGE))
    guard let reader = unsafe cpng_open(path, &header, &message) else { return nil }
    unsafe cpng_close(reader)
    return Int(header.width) * Int(header.height) * Int(header.channels)
  }

  public static func write(_ image: Image, to path: String) throws(ImageError) {
    let (samples, bitDepth) = (image.samples, image.bitDepth)
    var header = cpng_header(
      width: UInt32(image.width), height: UInt32(image.height), channels: Int32(image.channels),
      bit_depth: Int32(bitDepth))
    var message = [CChar](repeating: 0, count: Int(CPNG_MESSAGE))
    let temporary = path + ".partial"
    let status =
      bitDepth == 16
      ? unsafe cpng_write(temporary, &header, samples, &message)
      : unsafe cpng_write(
        temporary, &header, samples.map { UInt8(truncatingIfNeeded: $0) }, &message)
    let text = message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    guard status == 0 else {
      unsafe unlink(temporary)
      throw .unwritable(path: path, reason: String(decoding: text, as: UTF8.self))
    }
    guard unsafe rename(temporary, path) == 0 else {
      let reason = unsafe String(cString: strerror(errno))
      unsafe unlink(temporary)
      throw .unwritable(path: path, reason: reason)
    }
  }
}
