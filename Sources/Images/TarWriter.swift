import Glibc
import TensorCore

/// Writes a tar archive (POSIX.1-2001): `ustar`, with `pax` records for names and sizes that do not fit.
///
/// Archives of the same files are the same, byte for byte: times are 0, owners are root, modes 644.
public struct TarWriter: ~Copyable {
  private let path: String
  private let file: Int32

  /// Begins an archive at a path, in the place of what is there.
  ///
  /// - Throws: `ArchiveError`.
  public init(path: String) throws(ArchiveError) {
    file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    self.path = path
    guard file >= 0 else { throw TarWriter.failure(path) }
  }

  deinit { if file >= 0 { close(file) } }

  /// Adds a file under a name.
  ///
  /// - Throws: `ArchiveError` where it cannot be read, or changes meanwhile, or the archive cannot be written.
  public func add(_ source: String, as name: String) throws(ArchiveError) {
    var status = stat()
    guard unsafe stat(source, &status) == 0, let input = unsafe fopen(source, "rb") else {
      throw TarWriter.failure(source)
    }
    defer { unsafe fclose(input) }
    let size = Int(status.st_size)
    let isPlain = name.utf8.count <= 100 && name.utf8.allSatisfy { 0x20..<0x7F ~= $0 }
    if !isPlain || size >= 1 << 33 {
      let record = Array([("path", name), ("size", "\(size)")].map(TarWriter.record).joined())
      try write(TarWriter.header("pax", record.count, kind: "x"))
      try write(TarWriter.padded(record))
    }
    try write(TarWriter.header(isPlain ? name : "long", min(size, 1 << 33 - 1), kind: "0"))
    var (left, part) = (size, [UInt8](repeating: 0, count: 1 << 16))
    while left > 0 {
      let count = unsafe fread(&part, 1, min(left, part.count), input)
      guard count > 0 else { throw ArchiveError(path: source, reason: "it became shorter") }
      left -= count
      try write(Array(part[..<count]))
    }
    try write([UInt8](repeating: 0, count: (512 - size % 512) % 512))
  }

  /// Ends the archive.
  ///
  /// - Throws: `ArchiveError` where it could not be written whole.
  public func finish() throws(ArchiveError) {
    try write([UInt8](repeating: 0, count: 1024))
    guard fsync(file) == 0 else { throw TarWriter.failure(path) }
  }

  private func write(_ bytes: [UInt8]) throws(ArchiveError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(file, $0.baseAddress, $0.count) }
      guard count > 0 || errno == EINTR else { throw TarWriter.failure(path) }
      rest = rest.dropFirst(max(0, count))
    }
  }

  private static func failure(_ path: String) -> ArchiveError {
    ArchiveError(path: path, reason: unsafe String(cString: strerror(errno)))
  }

  private static func padded(_ bytes: [UInt8]) -> [UInt8] {
    bytes + [UInt8](repeating: 0, count: (512 - bytes.count % 512) % 512)
  }

  /// A line `LENGTH KEY=VALUE` of a pax record; the length counts its own digits.
  private static func record(_ key: String, _ value: String) -> [UInt8] {
    let rest = Array(" \(key)=\(value)\n".utf8)
    var length = rest.count + 1
    while "\(length)".utf8.count + rest.count != length { length += 1 }
    return Array("\(length)".utf8) + rest
  }

  private static func header(_ name: String, _ size: Int, kind: Character) -> [UInt8] {
    var block = [UInt8](repeating: 0, count: 512)
    func put(_ text: String, at place: Int) {
      for (n, byte) in text.utf8.enumerated() { block[place + n] = byte }
    }
    func octal(_ value: Int, _ digits: Int) -> String {
      let text = String(value, radix: 8)
      return String(repeating: "0", count: digits - text.count) + text
    }
    put(name, at: 0)
    for (value, place) in [(0o644, 100), (0, 108), (0, 116)] { put(octal(value, 7), at: place) }
    put(octal(size, 11), at: 124)
    put(octal(0, 11), at: 136)
    block[156] = kind.asciiValue ?? 0x30
    put("ustar\u{0}00root", at: 257)
    put("root", at: 297)
    put("        ", at: 148)
    let sum = block.reduce(0) { $0 + Int($1) }
    put(octal(sum, 6) + "\u{0} ", at: 148)
    return block
  }
}
