import CZlib

extension Image {
  /// CRC-32 of size, depth and samples, in hexadecimal: tells pictures apart, and is no signature.
  public var checksum: String {
    var words = [width, height, channels, bitDepth].flatMap { n in
      (0..<4).map { UInt8(truncatingIfNeeded: n >> (8 * $0)) }
    }
    var sum = unsafe crc32(0, words, UInt32(words.count))
    for start in stride(from: 0, to: samples.count, by: 1 << 16) {
      words = samples[start..<min(samples.count, start + 1 << 16)].flatMap {
        [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)]
      }
      sum = unsafe crc32(sum, words, UInt32(words.count))
    }
    let text = String(sum, radix: 16)
    return String(repeating: "0", count: 8 - text.count) + text
  }

  /// The color of the picture's own edge, in 0…1 a channel: the median of each; nothing where it has alpha.
  ///
  /// What lies beside a page that is turned is paper then, and beside a dark picture dark.
  public var edgeColor: [Float] {
    guard channels % 2 == 1 else { return [Float](repeating: 0, count: channels) }
    var edge: [Int] = []
    for x in 0..<width { edge += [x, (height - 1) * width + x] }
    for y in 0..<height { edge += [y * width, y * width + width - 1] }
    return (0..<channels).map { c in
      let values = edge.map { samples[$0 * channels + c] }.sorted()
      return Float(values[values.count / 2]) / Float(maximum)
    }
  }
}
