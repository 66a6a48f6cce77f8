import CZlib

/// What a file says of its pixels besides: color space, resolution, texts, time, EXIF.
///
/// Kept as chunks of the PNG format (W3C, Portable Network Graphics, third edition): `gAMA`, `cHRM`, `sRGB`, `iCCP`,
/// `cICP`, `sBIT`, `pHYs`, `tIME`, `tEXt`, `zTXt`, `iTXt`, `eXIf`. Codecs of other formats translate.
public struct Metadata: Hashable, Sendable {
  /// Chunks one after the other: length, type, data, checksum.
  public private(set) var chunks: [UInt8]

  /// No metadata, or chunks as a PNG file holds them.
  public init(chunks: [UInt8] = []) { self.chunks = chunks }

  /// The types of the chunks, in order.
  public var types: [String] {
    places.map { String(decoding: chunks[$0.lowerBound - 4..<$0.lowerBound], as: UTF8.self) }
  }

  /// The data of the first chunk of a type.
  public subscript(type: String) -> [UInt8]? {
    all(type).first
  }

  /// The data of all chunks of a type, in order.
  func all(_ type: String) -> [[UInt8]] {
    zip(types, places).filter { $0.0 == type }.map { Array(chunks[$0.1]) }
  }

  /// Where the data of each chunk lie.
  private var places: [Range<Int>] {
    var (found, at): ([Range<Int>], Int) = ([], 0)
    while at + 12 <= chunks.count {
      let length = chunks[at..<at + 4].reduce(0) { $0 << 8 | Int($1) }
      guard length <= chunks.count - at - 12 else { break }
      found.append(at + 8..<at + 8 + length)
      at += length + 12
    }
    return found
  }

  /// How EXIF says that the picture is to be turned, 1 (not at all) to 8; 1 where it says nothing.
  public var orientation: Int {
    orientationPlace.map { Int($0.isLittle ? chunks[$0.at] : chunks[$0.at + 1]) } ?? 1
  }

  /// The same for a picture that has been turned: EXIF's orientation is 1.
  public var oriented: Metadata {
    guard let place = orientationPlace else { return self }
    var copy = self
    EXIF.reset(place, in: &copy.chunks)
    copy.seal()
    return copy
  }

  /// The same for a picture whose rows became columns: the resolutions along them are exchanged.
  var transposed: Metadata {
    guard let place = zip(types, places).first(where: { $0.0 == "pHYs" && $0.1.count == 9 })?.1
    else {
      return self
    }
    var copy = self
    let at = place.lowerBound
    copy.chunks.replaceSubrange(at..<at + 8, with: chunks[at + 4..<at + 8] + chunks[at..<at + 4])
    copy.seal()
    return copy
  }

  /// Makes every chunk's checksum that of what it holds.
  private mutating func seal() {
    for place in places {
      let body = Array(chunks[place.lowerBound - 4..<place.upperBound])
      let sum = unsafe crc32(0, body, UInt32(body.count))
      for k in 0..<4 {
        chunks[place.upperBound + k] = UInt8(truncatingIfNeeded: sum >> (24 - 8 * UInt(k)))
      }
    }
  }

  /// Where the value of the orientation lies.
  private var orientationPlace: (at: Int, isLittle: Bool)? {
    zip(types, places).first { $0.0 == "eXIf" }.flatMap { EXIF.orientationPlace(in: chunks[$0.1]) }
  }
}

/// The little of EXIF that is read: a directory as in TIFF files.
enum EXIF {
  /// What begins it in a segment of a JPEG file.
  static let mark = Array("Exif\0\0".utf8)

  /// Where the value of the tag 0x0112 of the first directory lies, which is of one byte in two.
  static func orientationPlace(in bytes: ArraySlice<UInt8>) -> (at: Int, isLittle: Bool)? {
    // Some programs write it in PNG files as JPEG files hold it.
    let data = bytes.starts(with: mark) ? bytes.dropFirst(mark.count) : bytes
    guard data.count >= 8 else { return nil }
    let isLittle = data[data.startIndex] == 0x49
    func number(_ at: Int, _ count: Int) -> Int? {
      guard at >= 0, at + count <= data.count else { return nil }
      let bytes = data[data.startIndex + at..<data.startIndex + at + count]
      return isLittle
        ? bytes.reversed().reduce(0) { $0 << 8 | Int($1) } : bytes.reduce(0) { $0 << 8 | Int($1) }
    }
    guard let directory = number(4, 4), let count = number(directory, 2) else { return nil }
    for entry in 0..<count {
      let at = directory + 2 + 12 * entry
      guard let tag = number(at, 2) else { return nil }
      guard tag == 0x0112 else { continue }
      // A short, one of them.
      guard number(at + 2, 2) == 3, number(at + 4, 4) == 1, let value = number(at + 8, 2),
        (1...8).contains(value)
      else { return nil }
      return (data.startIndex + at + 8, isLittle)
    }
    return nil
  }

  /// A directory that says the orientation, and nothing else.
  static func directory(orientation: UInt8) -> [UInt8] {
    Array("MM".utf8) + [0, 42, 0, 0, 0, 8] + [0, 1]
      + [0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0] + [0, 0, 0, 0]
  }

  /// Makes the orientation 1.
  static func reset(_ place: (at: Int, isLittle: Bool), in bytes: inout [UInt8]) {
    bytes[place.at] = place.isLittle ? 1 : 0
    bytes[place.at + 1] = place.isLittle ? 0 : 1
  }
}
