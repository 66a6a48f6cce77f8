import CPNG
import Glibc
import TensorCore

/// PNG, by libpng.
public enum PNGCodec: ImageCodec {
  public static let endings = ["png"]

  public static func recognizes(_ bytes: [UInt8]) -> Bool {
    bytes.starts(with: [0x89, 0x50, 0x4E, 0x47])
  }

  /// Reads a PNG file of any kind: 1–16 bits, gray, palette or color, interlaced or not; of an animation the
  /// first picture.
  ///
  /// Palettes become RGB, transparent colors an alpha channel, fewer than 8 bits 8; 16 stay 16.
  ///
  /// - Throws: `ImageError` for a file that is missing, truncated, corrupt, foreign or too large.
  public static func read(_ path: String) throws(ImageError) -> Image {
    var header = cpng_header()
    var message = [CChar](repeating: 0, count: Int(CPNG_MESSAGE))
    let result: Result<Image, ImageError> = unsafe message.withUnsafeMutableBufferPointer {
      message in
      func failure(_ fallback: String) -> Result<Image, ImageError> {
        let text = unsafe message.baseAddress.map { unsafe String(cString: $0) } ?? ""
        return .failure(.unreadable(path: path, reason: text.isEmpty ? fallback : text))
      }
      guard let reader = unsafe cpng_open(path, 1, &header, message.baseAddress) else {
        return failure("it could not be opened")
      }
      defer { unsafe cpng_close(reader) }
      let (width, height) = (Int(header.width), Int(header.height))
      let channels = max(1, Int(header.channels))
      guard width * height * channels <= Image.sampleLimit else {
        return .failure(.tooLarge(path: path, width: width, height: height))
      }
      var isRead = false
      let samples = unsafe [UInt16](unsafeUninitializedCapacity: width * height * channels) {
        unsafe isRead = cpng_read(reader, $0.baseAddress, message.baseAddress) == 0
        $1 = isRead ? width * height * channels : 0
      }
      guard isRead else { return failure("its data are damaged") }
      var image = Image(
        width: width, height: height, channels: channels, bitDepth: header.bit_depth == 16 ? 16 : 8,
        samples: samples)
      var size = 0
      if let chunks = unsafe cpng_chunks(reader, &size) {
        unsafe image.metadata = Metadata(
          chunks: [UInt8](UnsafeBufferPointer(start: chunks, count: size)))
      }
      return .success(image)
    }
    return try result.get()
  }

  /// How many samples a header declares that pixels follow at once; `nil` of any other.
  static func plainSampleCount(_ path: String) -> Int? {
    let count = unsafe cpng_plain_samples(path)
    return count > 0 ? count : nil
  }

  public static func sampleCount(_ path: String) -> Int? {
    var header = cpng_header()
    var message = [CChar](repeating: 0, count: Int(CPNG_MESSAGE))
    guard let reader = unsafe cpng_open(path, 0, &header, &message) else { return nil }
    unsafe cpng_close(reader)
    return Int(header.width) * Int(header.height) * Int(header.channels)
  }

  /// - Returns: `nil` of large pictures, of which one more copy is not to be held.
  public static func encoded(_ image: Image) -> [UInt8]? {
    guard image.samples.count <= 1 << 20 else { return nil }
    var header = header(of: image)
    let chunks = image.metadata.chunks
    var size = 0
    guard
      let bytes = unsafe cpng_encode(&header, image.samples, chunks, chunks.count, &size)
    else { return nil }
    defer { unsafe free(bytes) }
    return unsafe [UInt8](UnsafeBufferPointer(start: bytes, count: size))
  }

  private static func header(of image: Image) -> cpng_header {
    cpng_header(
      width: UInt32(image.width), height: UInt32(image.height), channels: Int32(image.channels),
      bit_depth: Int32(image.bitDepth))
  }

  public static func write(_ image: Image, to path: String) throws(ImageError) {
    var header = header(of: image)
    var message = [CChar](repeating: 0, count: Int(CPNG_MESSAGE))
    let chunks = image.metadata.chunks
    guard unsafe cpng_write(path, &header, image.samples, chunks, chunks.count, &message) == 0
    else {
      let text = message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
      throw .unwritable(path: path, reason: String(decoding: text, as: UTF8.self))
    }
  }
}
