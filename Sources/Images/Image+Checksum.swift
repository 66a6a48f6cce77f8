import CZlib

extension Image {
  /// CRC-32 of size, depth and samples, in hexadecimal: tells pictures apart, and is no signature.
  public var checksum: String {
    let header = [width, height, channels, bitDepth].flatMap { n in
      (0..<4).map { UInt8(truncatingIfNeeded: n >> (8 * $0)) }
    }
    var sum = unsafe crc32(0, header, UInt32(header.count))
    // Samples as they lie in memory: little-endian on every machine that this package knows.
    unsafe samples.withUnsafeBytes { bytes in
      for start in stride(from: 0, to: bytes.count, by: 1 << 30) {
        let part = unsafe UnsafeRawBufferPointer(
          rebasing: bytes[start..<min(bytes.count, start + 1 << 30)])
        unsafe sum = crc32(
          sum, part.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt32(part.count))
      }
    }
    let text = String(sum, radix: 16)
    return String(repeating: "0", count: 8 - text.count) + text
  }
}
