import Glibc
import Synchronization
import TensorCore

/// What can go wrong with an archive, in a sentence that says what to do.
public struct ArchiveError: Error, CustomStringConvertible {
  public let path, reason: String
  public var description: String {
    "\(path) cannot be read as a tar archive (\(reason)); check the file, or unpack it into a folder."
  }
}

/// A tar archive (POSIX.1-2001 `ustar` and `pax`, and GNU's long names), as WebDataset and others keep images in: what is in
/// it, and where.
///
/// It is read where it lies: only names and places are in memory. A hard link is the member that it leads to. Folders and devices are
/// passed over; symbolic links, sparse files, and what has a name that leads out of it or is no UTF-8, are `skipped`.
public struct TarArchive: Sendable {
  public let path: String
  /// The names of the files in it, in its order; of two of one name the later one.
  public let names: [String]
  /// Members that cannot be read, and why.
  public let skipped: [(name: String, reason: String)]
  private let places: [[UInt8]: (offset: Int, size: Int)]

  /// Whether a path is that of an archive by its ending.
  public static func isArchive(_ path: String) -> Bool {
    path.lowercased().hasSuffix(".tar") && Files.isRegular(path)
  }

  /// Finds what an archive holds.
  ///
  /// - Complexity: O(members): their contents are skipped.
  /// - Throws: `ArchiveError` for a file that is missing, cut short anywhere, or no archive.
  public init(path: String) throws(ArchiveError) {
    guard let file = unsafe fopen(path, "rb") else {
      throw ArchiveError(path: path, reason: unsafe String(cString: strerror(errno)))
    }
    defer { unsafe fclose(file) }
    func failure(_ reason: String) -> ArchiveError { ArchiveError(path: path, reason: reason) }
    unsafe fseek(file, 0, SEEK_END)
    let length = unsafe ftell(file)
    var (at, names): (Int, [String]) = (0, [])
    var places: [[UInt8]: (offset: Int, size: Int)] = [:]
    // What a record before a member says of it.
    var (longName, longLink): ([UInt8]?, [UInt8]?) = (nil, nil)
    var (longSize, isSparse): (Int?, Bool) = (nil, false)
    var skipped: [(name: String, reason: String)] = []
    func bytes(_ offset: Int, _ count: Int) -> [UInt8]? {
      guard count >= 0, offset + count <= length else { return nil }
      var buffer = [UInt8](repeating: 0, count: count)
      unsafe fseek(file, offset, SEEK_SET)
      return unsafe fread(&buffer, 1, count, file) == count ? buffer : nil
    }
    var isEnded = false
    while at < length {
      guard at + 512 <= length, let raw = bytes(at, 512) else {
        throw failure(at == 0 ? "it is too short for one" : "it ends early")
      }
      let header = Header(raw)
      if header.isEmpty {
        isEnded = true
        break
      }
      guard header.isSound, let own = header.size else {
        throw failure(at == 0 ? "it begins as none" : "it is damaged at byte \(at)")
      }
      let isRecord = ["x", "g", "L", "K"].contains(header.kind)
      // Folders, links and devices have no content, whatever is said of it.
      let size = isRecord ? own : header.hasContent ? longSize ?? own : 0
      at += 512
      // Old GNU sparse files have their maps in blocks of their own.
      var isExtended = header.kind == "S" && raw[482] != 0
      while isExtended {
        guard let block = bytes(at, 512) else { throw failure("it ends early") }
        (at, isExtended) = (at + 512, block[504] != 0)
      }
      guard size >= 0, size <= length - at else { throw failure("it ends early") }
      switch header.kind {
      case "x", "L", "K":
        guard size <= 1 << 20, let content = bytes(at, size) else {
          throw failure("a name in it is too long")
        }
        switch header.kind {
        case "L": longName = Array(content.prefix { $0 != 0 })
        case "K": longLink = Array(content.prefix { $0 != 0 })
        default:
          let record = Header.record(content)
          (longName, longLink) = (record.path ?? longName, record.link ?? longLink)
          (longSize, isSparse) = (record.size ?? longSize, record.isSparse)
        }
      case "g": break
      default:
        let given = longName ?? header.name
        func skip(_ reason: String) { skipped.append((TarArchive.text(given), reason)) }
        if ["0", "\0", "7", "S", "1", "2"].contains(header.kind) {
          let target = TarArchive.normalized(longLink ?? header.link).flatMap { places[$0] }
          if isSparse || header.kind == "S" {
            skip("it is a sparse file")
          } else if header.kind == "2" {
            skip("it is a symbolic link")
          } else if header.kind == "1" && target == nil {
            skip("it is a link to what is not before it in the archive")
          } else if let name = TarArchive.normalized(given) {
            if let text = String(validating: name, as: UTF8.self) {
              let place = header.kind == "1" ? target : (at, size)
              if places.updateValue(place ?? (at, size), forKey: name) == nil { names.append(text) }
            } else {
              skip("its name is no UTF-8")
            }
          } else {
            skip("its name leads out of the archive")
          }
        }
        (longName, longLink, longSize, isSparse) = (nil, nil, nil, false)
      }
      at += (size + 511) / 512 * 512
    }
    guard length >= 512 else { throw failure("it is too short for one") }
    // One that was cut between two members has lost some, and looks whole otherwise.
    guard isEnded else { throw failure("it has no end: it was cut short, or not written whole") }
    while at < length, let rest = bytes(at, min(1 << 16, length - at)) {
      guard rest.allSatisfy({ $0 == 0 }) else {
        throw failure("something follows its end; `tar -A` joins archives")
      }
      at += rest.count
    }
    (self.path, self.names, self.skipped, self.places) = (path, names, skipped, places)
  }

  private static func text(_ name: [UInt8]) -> String { String(decoding: name, as: UTF8.self) }

  /// A name without what changes nothing: a slash before all, empty parts and `.`; `nil` where it leads out.
  private static func normalized(_ name: [UInt8]) -> [UInt8]? {
    let parts = name.split(separator: UInt8(ascii: "/")).filter { !$0.elementsEqual(".".utf8) }
    guard !parts.isEmpty,
      !parts.contains(where: { $0.elementsEqual("..".utf8) || $0.contains(0) })
    else { return nil }
    return Array(parts.joined(separator: [UInt8(ascii: "/")]))
  }

  /// The content of a member; `nil` where there is none of the name, or it cannot be read, or is of more than `MemoryLimit.bytes`.
  public func bytes(of name: String) -> [UInt8]? {
    guard let place = places[Array(name.utf8)], place.size <= MemoryLimit.bytes,
      let file = unsafe fopen(path, "rb")
    else {
      return nil
    }
    defer { unsafe fclose(file) }
    var buffer = [UInt8](repeating: 0, count: place.size)
    guard unsafe fseek(file, place.offset, SEEK_SET) == 0,
      unsafe fread(&buffer, 1, place.size, file) == place.size
    else { return nil }
    return buffer
  }

  /// The pictures of a member, by names below it where there are several.
  public func pages(of name: String) -> [String] { ImageCodecs.pages(of: name, in: self) }

  /// A member as a file, and which page of it is meant, the first is 0, where the name goes on behind the member's; `nil` where there is
  /// none, or it cannot be read.
  func file(of name: String) -> (file: NamelessFile, page: Int?)? {
    if let bytes = bytes(of: name) { return NamelessFile(bytes).map { ($0, nil) } }
    guard let page = ImageCodecs.pageNumber(name), let bytes = bytes(of: Files.parent(of: name))
    else { return nil }
    return NamelessFile(bytes).map { ($0, page) }
  }

  private static let opened = Mutex<[String: TarArchive]>([:])

  /// The archive that a path leads into, as in `photos.tar/cats/1.jpg`, and the member's name; `nil` where it leads into none.
  static func member(at path: String) -> (archive: TarArchive, name: String)? {
    let bytes = Array(path.utf8)
    let ending = Array(".tar/".utf8)
    for end in bytes.indices.dropFirst(4) where bytes[end] == ending[4] {
      let part = bytes[end - 4...end].map { (65...90).contains($0) ? $0 + 32 : $0 }
      guard part == ending else { continue }
      let file = String(decoding: bytes[..<end], as: UTF8.self)
      guard isArchive(file) else { continue }
      let archive = opened.withLock { opened in
        if let known = opened[file] { return known as TarArchive? }
        let new = try? TarArchive(path: file)
        // A job of many archives reads one after the other.
        if opened.count >= 4 { opened.removeAll() }
        opened[file] = new
        return new
      }
      return archive.map { ($0, String(decoding: bytes[(end + 1)...], as: UTF8.self)) }
    }
    return nil
  }
}

/// What stands before a member: 512 bytes.
private struct Header {
  let bytes: [UInt8]
  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var isEmpty: Bool { bytes.allSatisfy { $0 == 0 } }
  var kind: Character { Character(Unicode.Scalar(bytes[156])) }

  private func text(_ at: Int, _ count: Int) -> [UInt8] {
    Array(bytes[at..<at + count].prefix { $0 != 0 })
  }

  /// A number in octal digits, or, GNU's, in bytes after a first bit of 1.
  private func number(_ at: Int, _ count: Int) -> Int? {
    if bytes[at] & 0x80 != 0 {
      var value = Int(bytes[at] & 0x7F)
      for byte in bytes[at + 1..<at + count] {
        guard value < 1 << 54 else { return nil }
        value = value << 8 | Int(byte)
      }
      return value
    }
    let digits = bytes[at..<at + count].filter { $0 != 0 && $0 != 0x20 }
    guard digits.allSatisfy({ (0x30...0x37).contains($0) }), digits.count <= 20 else { return nil }
    return digits.reduce(0) { $0 << 3 | Int($1 - 0x30) }
  }

  var size: Int? { number(124, 12) }

  /// Whether the checksum is that of the bytes, with spaces in its own place.
  var isSound: Bool {
    let sum = bytes.enumerated().reduce(0) { $0 + (148..<156 ~= $1.offset ? 32 : Int($1.element)) }
    return number(148, 8) == sum
  }

  /// What a link leads to.
  var link: [UInt8] { text(157, 100) }

  var name: [UInt8] {
    let isPOSIX = text(257, 5) == Array("ustar".utf8) && bytes[262] == 0
    let prefix = isPOSIX ? text(345, 155) : []
    return (prefix.isEmpty ? [] : prefix + [UInt8(ascii: "/")]) + text(0, 100)
  }

  /// Whether data follow that are those of a file.
  var hasContent: Bool { !("1"..."6" ~= kind) }

  /// What a pax record says of the member after it: lines of `LENGTH KEY=VALUE`.
  static func record(
    _ content: [UInt8]
  ) -> (path: [UInt8]?, link: [UInt8]?, size: Int?, isSparse: Bool) {
    var (path, link): ([UInt8]?, [UInt8]?) = (nil, nil)
    var (size, isSparse): (Int?, Bool) = (nil, false)
    var rest = content[...]
    while let space = rest.firstIndex(of: 0x20),
      let length = Int(String(decoding: rest[..<space], as: UTF8.self)),
      length > space - rest.startIndex + 1, length <= rest.count
    {
      let line = rest[(space + 1)..<(rest.startIndex + length - 1)]
      rest = rest.dropFirst(length)
      guard let equal = line.firstIndex(of: UInt8(ascii: "=")) else { continue }
      let value = line[(equal + 1)...]
      if line[..<equal].elementsEqual("path".utf8) {
        path = Array(value)
      } else if line[..<equal].elementsEqual("linkpath".utf8) {
        link = Array(value)
      } else if line[..<equal].elementsEqual("size".utf8) {
        size = Int(String(decoding: value, as: UTF8.self))
      } else if line.starts(with: "GNU.sparse.".utf8) {
        isSparse = true
      }
    }
    return (path, link, size, isSparse)
  }
}

/// A file without a name, that whatever opens a path can read: it is gone with the value.
///
/// It lies in memory, where the system has such files.
final class NamelessFile {
  private let descriptor: Int32

  /// `nil` where the system has no place for it.
  init?(_ bytes: [UInt8]) {
    var file = Files.openInMemory()
    if file < 0 {
      let folder = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
      var name = Array("\(folder)/canon-XXXXXX".utf8CString)
      file = unsafe mkstemp(&name)
      if file >= 0 { unsafe unlink(name) }
    }
    descriptor = file
    guard descriptor >= 0 else { return nil }
    var done = 0
    while done < bytes.count {
      let count = unsafe bytes.withUnsafeBytes { buffer in
        unsafe buffer.baseAddress.map { unsafe write(descriptor, $0 + done, bytes.count - done) }
          ?? 0
      }
      guard count > 0 else { return nil }
      done += count
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  var path: String { "/proc/self/fd/\(descriptor)" }
}
