import CTIFF
import Glibc
import TensorCore

/// TIFF, by libtiff: scans, black and white among them, and files of several pages.
///
/// Written are files of one page, compressed without loss (group 4 where all samples are black or white, Deflate elsewhere), which
/// `join` makes one of.
public enum TIFFCodec: ImageCodec {
  public static let endings = ["tif", "tiff"]

  public static func recognizes(_ bytes: [UInt8]) -> Bool {
    [
      [0x49, 0x49, 0x2A, 0], [0x4D, 0x4D, 0, 0x2A], [0x49, 0x49, 0x2B, 0], [0x4D, 0x4D, 0, 0x2B],
    ]
    .contains { bytes.starts(with: $0) }
  }

  public static let hasPages = true

  public static func pageCount(_ path: String) -> Int { Int(unsafe ctiff_pages(path)) }

  /// Reads the first page.
  public static func read(_ path: String) throws(ImageError) -> Image {
    try read(path, page: 0)
  }

  /// Reads a page: 1 to 8 or 16 bits, gray, palette, color or inks, in strips or tiles, compressed in any way that libtiff knows.
  ///
  /// Fewer than 8 bits become 8; 16 stay 16 where they lie in strips. Color profile, resolution, XMP, title, description, author, copyright,
  /// program, time, and the device's make and model are kept as metadata, the orientation as EXIF's.
  ///
  /// - Throws: `ImageError` for a file that is missing, truncated, corrupt, foreign, too large, or of samples that are no whole numbers.
  public static func read(_ path: String, page: Int) throws(ImageError) -> Image {
    var header = ctiff_header()
    var message = [CChar](repeating: 0, count: Int(CTIFF_MESSAGE))
    guard
      let reader = unsafe ctiff_open(
        path, Int32(page), MemoryLimit.bytes, &header, &message)
    else { throw .unreadable(path: path, reason: String(message: message)) }
    defer { unsafe ctiff_close(reader) }
    let (width, height, channels) = (Int(header.width), Int(header.height), Int(header.channels))
    let (pixels, isOver) = width.multipliedReportingOverflow(by: height)
    guard !isOver, pixels <= Image.sampleLimit / channels else {
      throw .tooLarge(path: path, width: width, height: height)
    }
    var isRead = false
    let samples = unsafe [UInt16](unsafeUninitializedCapacity: pixels * channels) {
      unsafe isRead = ctiff_read(reader, $0.baseAddress, &message) == 0
      $1 = isRead ? pixels * channels : 0
    }
    guard isRead else { throw .unreadable(path: path, reason: String(message: message)) }
    var image = Image(
      width: width, height: height, channels: channels, bitDepth: Int(header.bit_depth),
      samples: samples)
    image.metadata = unsafe metadata(of: reader, header)
    return image
  }

  public static func sampleCount(_ path: String) -> Int? { sampleCount(path, page: 0) }

  public static func sampleCount(_ path: String, page: Int) -> Int? {
    var header = ctiff_header()
    var message = [CChar](repeating: 0, count: Int(CTIFF_MESSAGE))
    guard
      let reader = unsafe ctiff_open(
        path, Int32(page), MemoryLimit.bytes, &header, &message)
    else { return nil }
    unsafe ctiff_close(reader)
    let (pixels, isOver) = Int(header.width).multipliedReportingOverflow(by: Int(header.height))
    return isOver ? .max : pixels.multipliedReportingOverflow(by: Int(header.channels)).partialValue
  }

  public static func write(_ image: Image, to path: String) throws(ImageError) {
    let metadata = image.metadata
    let resolution = metadata.pixelsPerMeter
    var header = ctiff_header(
      width: UInt32(image.width), height: UInt32(image.height), channels: Int32(image.channels),
      bit_depth: Int32(image.bitDepth), orientation: 1, x_per_meter: resolution?.x ?? 0,
      y_per_meter: resolution?.y ?? 0)
    var tags: [(tag: Int32, data: [UInt8])] = []
    if let profile = metadata.profile { tags.append((Int32(CTIFF_PROFILE), profile)) }
    if let xmp = metadata.xmp, !xmp.isEmpty { tags.append((Int32(CTIFF_XMP), xmp)) }
    for (tag, keyword) in texts {
      guard let value = metadata.text(keyword), !value.contains(0) else { continue }
      tags.append((tag, value + [0]))
    }
    var message = [CChar](repeating: 0, count: Int(CTIFF_MESSAGE))
    let all = tags.flatMap(\.data)
    let failed = unsafe all.withUnsafeBufferPointer { bytes in
      var start = 0
      let list = unsafe tags.map { entry in
        defer { start += entry.data.count }
        return unsafe ctiff_tag(
          tag: entry.tag, data: bytes.baseAddress.map { unsafe $0 + start }, size: entry.data.count)
      }
      return unsafe ctiff_write(path, &header, image.samples, list, list.count, &message) != 0
    }
    if failed { throw .unwritable(path: path, reason: String(message: message)) }
  }

  public static func join(_ pages: [String], to path: String) throws(ImageError) -> Bool {
    var message = [CChar](repeating: 0, count: Int(CTIFF_MESSAGE))
    let names = unsafe pages.map { unsafe strdup($0) }
    defer { unsafe names.forEach { unsafe free($0) } }
    let list = unsafe names.map { unsafe UnsafePointer($0) }
    guard unsafe ctiff_join(list, list.count, path, &message) == 0 else {
      throw .unwritable(path: path, reason: String(message: message))
    }
    return true
  }

  /// Tags of text, and PNG's keywords for them; for who made the device there are none.
  private static let texts: [(tag: Int32, keyword: String)] = [
    (Int32(CTIFF_TITLE), "Title"), (Int32(CTIFF_DESCRIPTION), "Description"),
    (Int32(CTIFF_MAKE), "Make"), (Int32(CTIFF_MODEL), "Model"),
    (Int32(CTIFF_SOFTWARE), "Software"), (Int32(CTIFF_TIME), "Creation Time"),
    (Int32(CTIFF_AUTHOR), "Author"), (Int32(CTIFF_COPYRIGHT), "Copyright"),
  ]

  /// What the tags say, in the words of PNG.
  private static func metadata(of reader: OpaquePointer, _ header: ctiff_header) -> Metadata {
    var metadata = Metadata()
    func bytes(_ tag: Int32) -> [UInt8]? {
      var size = 0
      guard let data = unsafe ctiff_bytes(reader, tag, &size) else { return nil }
      return unsafe Array(UnsafeBufferPointer(start: data, count: size))
    }
    if let profile = bytes(Int32(CTIFF_PROFILE)) { metadata.profile = profile }
    if let xmp = bytes(Int32(CTIFF_XMP)) {
      metadata.append("iTXt", Metadata.xmpHead + xmp)
    }
    if header.x_per_meter > 0, header.y_per_meter > 0 {
      metadata.setDensity(x: header.x_per_meter, y: header.y_per_meter)
    }
    for (tag, keyword) in texts {
      guard let text = unsafe ctiff_text(reader, tag) else { continue }
      unsafe metadata.append(
        "tEXt",
        Array(keyword.utf8) + [0]
          + UnsafeBufferPointer(start: text, count: strlen(text)).map(UInt8.init(bitPattern:)))
    }
    if (2...8).contains(header.orientation) {
      metadata.append("eXIf", EXIF.directory(orientation: UInt8(header.orientation)))
    }
    return metadata
  }
}
