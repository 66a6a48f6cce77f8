import CZlib
import Glibc
import TensorCore

/// The parts of metadata that other formats than PNG hold too, each in its own way.
extension Metadata {
  /// What an `iTXt` chunk that holds XMP begins with: keyword, not compressed, no language, no translation.
  static let xmpHead = Array("XML:com.adobe.xmp\0\0\0\0\0".utf8)

  /// Adds a chunk.
  public mutating func append(_ type: String, _ data: [UInt8]) {
    let body = Array(type.utf8) + data
    let sum = unsafe crc32(0, body, UInt32(body.count))
    self = Metadata(
      chunks: chunks + Metadata.bytes(UInt32(data.count)) + body
        + Metadata.bytes(UInt32(truncatingIfNeeded: sum)))
  }

  /// A number as PNG holds it, the largest byte first.
  private static func bytes(_ value: UInt32) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) }
  }

  /// The ICC profile, of `iCCP`; `nil` where there is none, or none that can be unpacked within the memory allowed.
  public var profile: [UInt8]? {
    get {
      guard let chunk = self["iCCP"], let end = chunk.firstIndex(of: 0), end + 2 <= chunk.count
      else { return nil }
      let packed = Array(chunk[(end + 2)...])
      // Deflate packs 1032 bytes into one at most; a profile is of a few megabytes at most.
      var capacity = max(4096, 4 * packed.count)
      while capacity <= min(64 << 20, 2048 * packed.count + 4096) {
        var (result, size) = ([UInt8](repeating: 0, count: capacity), UInt(capacity))
        switch unsafe uncompress(&result, &size, packed, UInt(packed.count)) {
        case Z_OK: return Array(result.prefix(Int(size)))
        case Z_BUF_ERROR: capacity *= 2
        default: return nil
        }
      }
      return nil
    }
    set {
      guard let newValue, profile == nil else { return }
      var size = compressBound(UInt(newValue.count))
      var packed = [UInt8](repeating: 0, count: Int(size))
      guard unsafe compress(&packed, &size, newValue, UInt(newValue.count)) == Z_OK else { return }
      append("iCCP", Array("ICC\0\0".utf8) + packed.prefix(Int(size)))
    }
  }

  /// The pixels of a meter, of `pHYs`; `nil` where it says nothing of lengths.
  var pixelsPerMeter: (x: Double, y: Double)? {
    guard let data = self["pHYs"], data.count == 9, data[8] == 1 else { return nil }
    func number(_ at: Int) -> Double { Double(data[at..<at + 4].reduce(0) { $0 << 8 | Int($1) }) }
    return (number(0), number(4))
  }

  /// The pixels of an inch, rounded; `nil` where nothing is said of lengths.
  var density: (x: Int32, y: Int32)? {
    func perInch(_ perMeter: Double) -> Int32 {
      Int32(min(max((perMeter * 0.0254).rounded(), 1), 65_535))
    }
    return pixelsPerMeter.map { (perInch($0.x), perInch($0.y)) }
  }

  /// Sets how many pixels a meter has.
  mutating func setDensity(x: Double, y: Double) {
    func number(_ value: Double) -> [UInt8] {
      Metadata.bytes(UInt32(min(max(value.rounded(), 0), 4e9)))
    }
    append("pHYs", number(x) + number(y) + [1])
  }

  /// XMP, of an `iTXt` chunk that is not compressed.
  var xmp: [UInt8]? {
    all("iTXt").first { $0.starts(with: Metadata.xmpHead) }
      .map { Array($0.dropFirst(Metadata.xmpHead.count)) }
  }

  /// Comments, of `tEXt` chunks, in Latin-1.
  var comments: [[UInt8]] {
    let head = Array("Comment\0".utf8)
    return all("tEXt").filter { $0.starts(with: head) }.map { Array($0.dropFirst(head.count)) }
  }

  /// The text of a keyword, of a `tEXt` chunk, in Latin-1.
  func text(_ keyword: String) -> [UInt8]? {
    let head = Array(keyword.utf8) + [0]
    return all("tEXt").first { $0.starts(with: head) }.map { Array($0.dropFirst(head.count)) }
  }
}
