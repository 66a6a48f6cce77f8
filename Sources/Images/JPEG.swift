import CJPEG
import Glibc
import TensorCore

/// JPEG, by libjpeg-turbo.
///
/// What is read is what is shown: quarter turns and flips of it are exact, and are kept so in a PNG file. Written again as
/// JPEG, at quality 95 and with colors at full resolution, samples change a little.
public enum JPEGCodec: ImageCodec {
  public static let endings = ["jpg", "jpeg"]
  public static let isLossless = false
  /// Of what is written, 1…100.
  static let quality: Int32 = 95

  public static func recognizes(_ bytes: [UInt8]) -> Bool {
    bytes.starts(with: [0xFF, 0xD8, 0xFF])
  }

  /// Reads a baseline or progressive file: gray stays gray, everything else becomes RGB, inks of print too.
  ///
  /// EXIF, XMP, comments, color profile and resolution are kept as metadata.
  ///
  /// - Throws: `ImageError` for a file that is missing, truncated, corrupt, foreign or too large.
  public static func read(_ path: String) throws(ImageError) -> Image {
    var header = cjpeg_header()
    var message = [CChar](repeating: 0, count: Int(CJPEG_MESSAGE))
    guard let reader = unsafe cjpeg_open(path, &header, &message) else {
      throw .unreadable(path: path, reason: String(message: message))
    }
    defer { unsafe cjpeg_close(reader) }
    let (width, height) = (Int(header.width), Int(header.height))
    let count = width * height * Int(header.channels)
    guard count <= Image.sampleLimit else {
      throw .tooLarge(path: path, width: width, height: height)
    }
    // Before the pixels: with these libjpeg forgets the header's segments.
    let metadata = unsafe metadata(of: reader, header)
    var isRead = false
    let samples = unsafe [UInt16](unsafeUninitializedCapacity: count) {
      unsafe isRead = cjpeg_read(reader, $0.baseAddress) == 0
      $1 = isRead ? count : 0
    }
    guard isRead else { throw .unreadable(path: path, reason: "its data are damaged or end early") }
    var image = Image(
      width: width, height: height, channels: Int(header.channels), samples: samples)
    image.metadata = metadata
    return image
  }

  public static func sampleCount(_ path: String) -> Int? {
    var header = cjpeg_header()
    var message = [CChar](repeating: 0, count: Int(CJPEG_MESSAGE))
    guard let reader = unsafe cjpeg_open(path, &header, &message) else { return nil }
    unsafe cjpeg_close(reader)
    return Int(header.width) * Int(header.height) * Int(header.channels)
  }

  /// Writes a file; samples of 16 bits are rounded to 8.
  ///
  /// - Throws: `ImageError.unwritable`; also for an image with transparency, which JPEG has not.
  public static func write(_ image: Image, to path: String) throws(ImageError) {
    try write(image, to: path, quality: quality)
  }

  static func write(
    _ image: Image, to path: String, quality: Int32
  ) throws(ImageError) {
    guard image.channels == 1 || image.channels == 3 else {
      throw .unwritable(path: path, reason: "JPEG holds no transparency; write a PNG file")
    }
    guard max(image.width, image.height) <= 65_500 else {
      throw .unwritable(path: path, reason: "JPEG holds sides of 65,500 pixels at most")
    }
    let samples =
      image.bitDepth == 8
      ? image.samples : image.samples.map { UInt16((Int($0) * 255 + 32_767) / 65_535) }
    let metadata = image.metadata
    let density = metadata.density
    var header = cjpeg_header(
      width: UInt32(image.width), height: UInt32(image.height), channels: Int32(image.channels),
      density_unit: density == nil ? 0 : 1, density_x: density?.x ?? 1, density_y: density?.y ?? 1)
    var segments: [(kind: Int32, data: [UInt8])] = []
    if let exif = metadata["eXIf"] { segments.append((0xE1, EXIF.mark + exif)) }
    if let xmp = metadata.xmp { segments.append((0xE1, xmpMark + xmp)) }
    for comment in metadata.comments { segments.append((0xFE, comment)) }
    // A segment is of 65,533 bytes at most.
    segments.removeAll { $0.data.count > 65_533 }
    let profile = metadata.profile ?? []
    var message = [CChar](repeating: 0, count: Int(CJPEG_MESSAGE))
    let all = segments.flatMap(\.data)
    let failed = unsafe all.withUnsafeBufferPointer { bytes in
      var start = 0
      let list = unsafe segments.map { segment in
        defer { start += segment.data.count }
        return unsafe cjpeg_segment(
          kind: segment.kind, data: bytes.baseAddress.map { unsafe $0 + start },
          size: segment.data.count)
      }
      return unsafe cjpeg_write(
        path, &header, samples, quality, list, list.count, profile, profile.count, &message) != 0
    }
    if failed { throw .unwritable(path: path, reason: String(message: message)) }
  }

  /// What begins a segment of XMP.
  private static let xmpMark = Array("http://ns.adobe.com/xap/1.0/\0".utf8)

  /// What the header's segments say, in the words of PNG.
  private static func metadata(of reader: OpaquePointer, _ header: cjpeg_header) -> Metadata {
    var metadata = Metadata()
    var size = 0
    if let profile = unsafe cjpeg_profile(reader, &size) {
      unsafe metadata.profile = Array(UnsafeBufferPointer(start: profile, count: size))
      unsafe free(profile)
    }
    if header.density_unit > 0, header.density_x > 0, header.density_y > 0 {
      let perMeter = header.density_unit == 1 ? 1 / 0.0254 : 100
      metadata.setDensity(
        x: Double(header.density_x) * perMeter, y: Double(header.density_y) * perMeter)
    }
    var (kind, index): (Int32, Int) = (0, 0)
    while let data = unsafe cjpeg_marker(reader, index, &kind, &size) {
      let bytes = unsafe Array(UnsafeBufferPointer(start: data, count: size))
      index += 1
      if kind == 0xFE {
        metadata.append("tEXt", Array("Comment\0".utf8) + bytes.map { $0 == 0 ? 0x20 : $0 })
      } else if bytes.starts(with: EXIF.mark), metadata["eXIf"] == nil {
        metadata.append("eXIf", Array(bytes.dropFirst(EXIF.mark.count)))
      } else if bytes.starts(with: xmpMark), metadata.xmp == nil {
        metadata.append("iTXt", Metadata.xmpHead + bytes.dropFirst(xmpMark.count))
      }
    }
    return metadata
  }
}
