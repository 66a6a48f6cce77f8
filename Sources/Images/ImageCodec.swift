import Glibc
import Synchronization
import TensorCore

/// What can go wrong with an image file, in a sentence that says what to do.
public enum ImageError: Error, CustomStringConvertible {
  case unreadable(path: String, reason: String)
  case tooLarge(path: String, width: Int, height: Int)
  case unwritable(path: String, reason: String)
  /// All its pixels are one, or it is else one that motions leave as it is.
  case unmoved(path: String)

  public var description: String {
    switch self {
    case .unreadable(let path, let reason):
      "\(path) cannot be read as an image (\(reason)); check the file or remove it."
    case .tooLarge(let path, let width, let height):
      "\(path) declares \(width) × \(height) pixels, more than \(MemoryLimit.bytes >> 20) MiB of memory are "
        + "enough for; allow more with --memory, or scale it down first."
    case .unmoved(let path):
      "\(path) has no pose: no motion changes it, since it is of one value (or gray, under hues); leave it away."
    case .unwritable(let path, let reason):
      "\(path) cannot be written (\(reason)); check the folder's permission and the free space."
    }
  }
}

extension ImageError {
  /// The file that it is about.
  public var path: String {
    switch self {
    case .unreadable(let path, _), .tooLarge(let path, _, _), .unwritable(let path, _),
      .unmoved(let path):
      path
    }
  }

  /// The same of a file that its user knows by another name.
  func named(_ path: String) -> ImageError {
    switch self {
    case .unreadable(_, let reason): .unreadable(path: path, reason: reason)
    case .tooLarge(_, let width, let height): .tooLarge(path: path, width: width, height: height)
    case .unmoved: .unmoved(path: path)
    case .unwritable(_, let reason): .unwritable(path: path, reason: reason)
    }
  }
}

extension String {
  /// What a C library said in a buffer; of an empty one, that a file could not be opened.
  init(message: [CChar]) {
    let bytes = message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    self = bytes.isEmpty ? "it could not be opened" : String(decoding: bytes, as: UTF8.self)
  }
}

/// A format of image files: one file of source, and a word in the list of `ImageCodecs`.
///
public protocol ImageCodec: Sendable {
  /// The endings of its files, in lower case, without the dot.
  static var endings: [String] { get }

  /// Whether samples that are written are read again as they are.
  static var isLossless: Bool { get }

  /// Whether a file that begins with these bytes (16 at most) is of the format.
  static func recognizes(_ bytes: [UInt8]) -> Bool

  /// Reads a file.
  ///
  /// - Throws: `ImageError` for a file that is missing, truncated, corrupt, foreign or too large.
  static func read(_ path: String) throws(ImageError) -> Image

  /// How many samples a file's header declares, or `nil` where it has no valid header.
  ///
  /// - Complexity: O(1): the pixels are not read.
  static func sampleCount(_ path: String) -> Int?

  /// Whether a file may hold several pictures.
  static var hasPages: Bool { get }

  /// How many pictures a file holds; without pixels being read. A format of one says nothing of it.
  static func pageCount(_ path: String) -> Int

  /// The same of one of several pictures, the first is 0.
  static func read(_ path: String, page: Int) throws(ImageError) -> Image

  static func sampleCount(_ path: String, page: Int) -> Int?

  /// Writes a file; `Image.write` gives it a temporary place and renames what is there: never half a file.
  ///
  /// - Throws: `ImageError.unwritable`.
  static func write(_ image: Image, to path: String) throws(ImageError)

  /// The bytes of a file, where a format makes them in memory, which is sooner done for small pictures; else `write` writes it.
  static func encoded(_ image: Image) -> [UInt8]?

  /// Makes one file of several pages out of files that `write` has written, in their order.
  ///
  /// - Returns: Whether it is there: a format of one picture has no such files.
  /// - Throws: `ImageError.unwritable`.
  static func join(_ pages: [String], to path: String) throws(ImageError) -> Bool

  /// A file of the format, turned or flipped without loss, where a format that is not lossless can do that.
  ///
  /// - Parameters:
  ///   - bytes: A file that was read as an image.
  ///   - change: Of the picture as EXIF's orientation wants it shown; in the new file that is 1.
  ///   - trims: Whether a few pixels may be cut off for it.
  /// - Returns: The bytes of a file; `nil` where its sizes, or what it holds, do not allow it.
  static func turned(
    _ bytes: [UInt8], by change: Rearrangement, trims: Bool
  ) -> [UInt8]?
}

extension ImageCodec {
  public static var isLossless: Bool { true }

  public static var hasPages: Bool { false }

  public static func pageCount(_ path: String) -> Int { 1 }

  public static func read(_ path: String, page: Int) throws(ImageError) -> Image {
    try read(path)
  }

  public static func sampleCount(_ path: String, page: Int) -> Int? { sampleCount(path) }

  public static func encoded(_ image: Image) -> [UInt8]? { nil }

  public static func join(_ pages: [String], to path: String) throws(ImageError) -> Bool { false }

  public static func turned(
    _ bytes: [UInt8], by change: Rearrangement, trims: Bool
  ) -> [UInt8]? { nil }
}

/// The formats that are read and written.
public enum ImageCodecs {
  private static let registered = Mutex<[any ImageCodec.Type]>([
    PNGCodec.self, JPEGCodec.self, TIFFCodec.self, WebPCodec.self,
  ])

  /// All formats, the first one for files of no known ending.
  public static var all: [any ImageCodec.Type] { registered.withLock { $0 } }

  /// Adds a format of one's own, before anything is read.
  public static func register(_ codec: any ImageCodec.Type) {
    registered.withLock { $0.append(codec) }
  }

  /// Whether a file's ending, of any case, is one of an image.
  public static func isImage(_ path: String) -> Bool {
    byEnding(path) != nil
  }

  /// A name under which samples are kept as they are: with `.png` after it where its own format changes them.
  public static func losslessName(_ path: String) -> String {
    byEnding(path)?.isLossless == false ? path + ".png" : path
  }

  /// The pictures of a file, by names below it where there are several: `["scan.tif/1.tif", "scan.tif/2.tif"]`.
  ///
  /// - Parameters:
  ///   - folder: What the file's name is below.
  public static func pages(of name: String, in folder: String) -> [String] {
    pages(of: name, count: byEnding(name)?.pageCount("\(folder)/\(name)") ?? 1)
  }

  /// The same of a member of an archive.
  static func pages(of name: String, in archive: TarArchive) -> [String] {
    guard let codec = byEnding(name), codec.hasPages, let file = archive.file(of: name)?.file else {
      return [name]
    }
    defer { withExtendedLifetime(file) {} }
    return pages(of: name, count: codec.pageCount(file.path))
  }

  private static func pages(of name: String, count: Int) -> [String] {
    guard count > 1, let ending = name.split(separator: ".").last else { return [name] }
    // As many digits in each: in the order of bytes they are in that of pages.
    let digits = "\(count)".count
    return (1...count).map { page in
      let number = String(repeating: "0", count: digits - "\(page)".count) + "\(page)"
      return "\(name)/\(number).\(ending)"
    }
  }

  /// Makes one file of the pages that were written on their own.
  ///
  /// - Parameters:
  ///   - pages: Their endings say the format.
  /// - Returns: Whether it was written.
  /// - Throws: `ImageError.unwritable`.
  public static func join(_ pages: [String], to path: String) throws(ImageError) -> Bool {
    guard let codec = pages.first.flatMap(byEnding) else { return false }
    return try codec.join(pages, to: path)
  }

  /// The file that such a name leads into, and the page, the first is 0; `nil` where it leads into none.
  static func page(at path: String) -> (file: String, page: Int)? {
    guard let page = pageNumber(path), Files.isRegular(Files.parent(of: path)) else { return nil }
    return (Files.parent(of: path), page)
  }

  /// Which page a name is that of, the first is 0, if it is one.
  static func pageNumber(_ path: String) -> Int? {
    guard let codec = byEnding(path), byEnding(Files.parent(of: path)) == codec,
      let number = Files.name(of: path).split(separator: ".").first.flatMap({ Int($0) }), number > 0
    else { return nil }
    return number - 1
  }

  /// Whether a path leads into a file of several pages, which may be a member of an archive.
  public static func isPage(_ path: String) -> Bool {
    if let (archive, name) = TarArchive.member(at: path) {
      return archive.file(of: name)?.page != nil
    }
    return page(at: path) != nil
  }

  /// The format of a file's ending.
  static func byEnding(_ path: String) -> (any ImageCodec.Type)? {
    guard let dot = path.utf8.lastIndex(of: UInt8(ascii: ".")) else { return nil }
    let ending = path[path.utf8.index(after: dot)...].lowercased()
    return all.first { $0.endings.contains(ending) }
  }

  /// The format of a file's content; by its ending where that cannot be read.
  static func byContent(_ path: String) -> any ImageCodec.Type {
    recognizing(Files.prefix(of: path, 16)) ?? byEnding(path) ?? PNGCodec.self
  }

  /// The format that a file's first bytes are of.
  static func recognizing(_ bytes: [UInt8]) -> (any ImageCodec.Type)? {
    all.first { $0.recognizes(Array(bytes.prefix(16))) }
  }
}

extension Image {
  /// How many samples are read of one file: 8 bytes are needed for each.
  ///
  /// Files that declare more are refused: a corrupt header must not exhaust memory.
  public static var sampleLimit: Int { MemoryLimit.bytes / 8 }

  /// Reads a file of any known format, whatever its name is, as EXIF's orientation wants it shown; also one in a tar archive,
  /// as `photos.tar/cats/1.jpg`, and one of several pages of a file, as `scan.tif/2.tif`.
  ///
  /// - Throws: `ImageError` for a file that is missing, truncated, corrupt, foreign or too large.
  public init(path: String) throws(ImageError) {
    if let (archive, name) = TarArchive.member(at: path) {
      guard let (file, page) = archive.file(of: name) else {
        throw .unreadable(
          path: path,
          reason:
            "the archive has no such member, or it cannot be read, or is larger than --memory allows"
        )
      }
      defer { withExtendedLifetime(file) {} }
      let codec = ImageCodecs.byContent(file.path)
      do throws(ImageError) {
        if let page {
          self = try codec.read(file.path, page: page).upright
        } else {
          self = try Image(path: file.path)
        }
      } catch { throw error.named(path) }
      return
    }
    if let (file, page) = ImageCodecs.page(at: path) {
      do throws(ImageError) {
        self = try ImageCodecs.byContent(file).read(file, page: page).upright
      } catch { throw error.named(path) }
      return
    }
    if !Files.isRegular(path), unsafe access(path, F_OK) == 0 {
      throw .unreadable(path: path, reason: "it is no regular file")
    }
    let codec = ImageCodecs.byContent(path)
    if codec != ImageCodecs.byEnding(path), case let count = codec.pageCount(path), count > 1 {
      throw .unreadable(
        path: path,
        reason:
          "it has \(count) pages, which are read of files that end in .\(codec.endings.first ?? "")"
      )
    }
    self = try codec.read(path).upright
  }

  /// How many samples a file's header declares, or `nil` where it has no valid header.
  ///
  /// - Complexity: O(1): the pixels are not read.
  public static func sampleCount(path: String) -> Int? {
    if let (archive, name) = TarArchive.member(at: path) {
      guard let (file, page) = archive.file(of: name) else { return nil }
      defer { withExtendedLifetime(file) {} }
      let codec = ImageCodecs.byContent(file.path)
      return page.map { codec.sampleCount(file.path, page: $0) } ?? codec.sampleCount(file.path)
    }
    if let (file, page) = ImageCodecs.page(at: path) {
      return ImageCodecs.byContent(file).sampleCount(file, page: page)
    }
    guard Files.isRegular(path) else { return nil }
    if ImageCodecs.byEnding(path) == PNGCodec.self, let count = PNGCodec.plainSampleCount(path) {
      return count
    }
    return ImageCodecs.byContent(path).sampleCount(path)
  }

  /// Writes a file again, in its own format, turned or flipped without loss, where its format is not lossless and can do that,
  /// and undo it.
  ///
  /// - Parameters:
  ///   - source: A file whose ending says its format, as `path`'s does.
  ///   - change: Of the picture as it is read, EXIF's orientation honored; in the new file that is 1.
  ///   - trims: Whether a few pixels may be cut off for it.
  /// - Returns: Whether it was written.
  public static func turn(
    _ source: String, by change: Rearrangement, trims: Bool = false, to path: String
  ) throws(ImageError) -> Bool {
    guard let file = try bytes(of: source) else { return false }
    let codec = ImageCodecs.recognizing(file) ?? ImageCodecs.byEnding(source) ?? PNGCodec.self
    guard !codec.isLossless, ImageCodecs.byEnding(path) == codec else { return false }
    // Turned back it must be a file of the format again: other sides move then.
    guard let bytes = codec.turned(file, by: change, trims: trims),
      codec.turned(bytes, by: change.inverse, trims: false) != nil
    else { return false }
    try replace(path, by: bytes)
    return true
  }

  /// Writes a file, or a member of a tar archive, again, byte for byte.
  ///
  /// - Returns: Whether it was written: a page of several is no file.
  /// - Throws: `ImageError.unwritable`.
  public static func copy(_ source: String, to path: String) throws(ImageError) -> Bool {
    guard let file = try bytes(of: source) else { return false }
    try replace(path, by: file)
    return true
  }

  /// The bytes of a file, or of a member of a tar archive; `nil` of a page of one.
  ///
  /// - Throws: `ImageError.unreadable`.
  private static func bytes(of source: String) throws(ImageError) -> [UInt8]? {
    if let (archive, name) = TarArchive.member(at: source) {
      if let bytes = archive.bytes(of: name) { return bytes }
      guard ImageCodecs.pageNumber(name) == nil else { return nil }
      throw .unreadable(path: source, reason: "the archive cannot be read")
    }
    if ImageCodecs.page(at: source) != nil { return nil }
    if let bytes = Files.bytes(of: source) { return bytes }
    throw .unreadable(path: source, reason: unsafe String(cString: strerror(errno)))
  }

  private static func replace(_ path: String, by bytes: [UInt8]) throws(ImageError) {
    try Files.replace(path, by: bytes, isDurable: false) {
      ImageError.unwritable(path: path, reason: $0)
    }
  }

  /// Writes a file in the format of its ending, PNG where it has no known one, beside its final name first.
  ///
  /// - Throws: `ImageError.unwritable`; a file that was there stays.
  public func write(to path: String) throws(ImageError) {
    let codec = ImageCodecs.byEnding(path) ?? PNGCodec.self
    if let bytes = codec.encoded(self) { return try Self.replace(path, by: bytes) }
    try replace(path) { (temporary) throws(ImageError) in try codec.write(self, to: temporary) }
  }

  /// Writes a JPEG file of a quality, 1 to 100, beside its final name first.
  ///
  /// - Throws: `ImageError.unwritable`; a file that was there stays.
  public func writeJPEG(to path: String, quality: Int) throws(ImageError) {
    try replace(path) { (temporary) throws(ImageError) in
      try JPEGCodec.write(self, to: temporary, quality: Int32(min(max(quality, 1), 100)))
    }
  }

  private func replace(
    _ path: String, _ write: (String) throws(ImageError) -> Void
  ) throws(ImageError) {
    try Files.replace(path, isDurable: false, { ImageError.unwritable(path: path, reason: $0) }) {
      (temporary) throws(ImageError) in
      do throws(ImageError) { try write(temporary) } catch {
        // The name that was asked for, not the temporary one.
        guard case .unwritable(path: _, let reason) = error else { throw error }
        throw .unwritable(path: path, reason: reason)
      }
    }
  }
}
