import Foundation

/// Random numbers that follow from a seed (SplitMix64).
struct Dice: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
  mutating func roll(_ count: Int) -> Int { Int(next() % UInt64(max(1, count))) }
}

typealias Bytes = [UInt8]

func bytes(_ path: String) throws -> Bytes {
  Bytes(try Data(contentsOf: URL(fileURLWithPath: path)))
}

/// Writes a file, thousands of times a second.
func put(_ content: Bytes, _ path: String) {
  let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
  defer { close(file) }
  let count = content.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
  guard count == content.count else { fatalError("\(path) cannot be written") }
}

/// Numbers at which arithmetic goes wrong, as texts.
private let texts = [
  "0", "-1", "1", "255", "65536", "2147483647", "2147483648", "4294967296", "9223372036854775807",
  "-9223372036854775808", "1e300", "-1e300", "1e-300", "1e39", "0.5", "null", "[]", "{}", "\"\"",
  "true", "NaN", "1e999",
]

/// Changes some bytes: bits, runs, lengths, numbers in texts, pieces of another input.
func mutated(_ seed: Bytes, with other: Bytes, _ dice: inout Dice) -> Bytes {
  var bytes = seed
  // Often one change alone: several are refused for the first of them.
  for _ in 0..<(dice.roll(2) == 0 ? 1 : 1 + dice.roll(6)) {
    if bytes.isEmpty { bytes = [UInt8(truncatingIfNeeded: dice.next())] }
    let at = dice.roll(bytes.count)
    switch dice.roll(10) {
    case 0: bytes[at] ^= 1 << UInt8(dice.roll(8))
    case 1:
      bytes[at] = [0, 1, 0x7F, 0x80, 0xFF, UInt8(truncatingIfNeeded: dice.next())][dice.roll(6)]
    case 2: bytes.removeSubrange(at..<min(bytes.count, at + 1 + dice.roll(16)))
    case 3:
      bytes.insert(
        contentsOf: (0..<1 + dice.roll(16)).map { _ in UInt8(truncatingIfNeeded: dice.next()) },
        at: at)
    case 4:  // an extent or a length, big-endian or little
      let words: [UInt32] = [
        0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x10000, UInt32(dice.roll(1 << 20)),
      ]
      let word = words[dice.roll(words.count)]
      let parts = (0..<4).map { UInt8(truncatingIfNeeded: word >> (24 - 8 * $0)) }
      for (k, byte) in (dice.roll(2) == 0 ? parts : parts.reversed()).enumerated()
      where at + k < bytes.count {
        bytes[at + k] = byte
      }
    case 5, 6:  // a number in a text
      guard let start = bytes[at...].firstIndex(where: { (0x30...0x39).contains($0) }) else {
        continue
      }
      let end =
        bytes[start...].firstIndex { !(0x30...0x39).contains($0) && $0 != 0x2E } ?? bytes.count
      bytes.replaceSubrange(start..<end, with: Bytes(texts[dice.roll(texts.count)].utf8))
    case 7: bytes = Bytes(bytes[..<at])
    case 8:
      let end = min(bytes.count, at + 1 + dice.roll(64))
      bytes.insert(contentsOf: bytes[at..<end], at: dice.roll(bytes.count))
    default:
      guard !other.isEmpty else { continue }
      let from = dice.roll(other.count)
      bytes.replaceSubrange(
        at..<min(bytes.count, at + 32), with: other[from..<min(other.count, from + 32)])
    }
  }
  return bytes
}

/// CRC-32 as PNG and gzip use it.
func checksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
  var sum: UInt32 = 0xFFFF_FFFF
  for byte in bytes { sum = table[Int((sum ^ UInt32(byte)) & 0xFF)] ^ (sum >> 8) }
  return ~sum
}

private let table: [UInt32] = (0..<256).map { n in
  (0..<8).reduce(UInt32(n)) { c, _ in c & 1 == 1 ? 0xEDB8_8320 ^ (c >> 1) : c >> 1 }
}

/// A PNG whose chunks have the checksums of what they hold, so that parsers look further.
func withChecksums(_ png: Bytes) -> Bytes {
  var (bytes, at) = (png, 8)
  while at + 12 <= bytes.count {
    let length = bytes[at..<at + 4].reduce(0) { $0 << 8 | Int($1) }
    guard length <= bytes.count - at - 12 else { break }
    let sum = checksum(bytes[at + 4..<at + 8 + length])
    for k in 0..<4 {
      bytes[at + 8 + length + k] = UInt8(truncatingIfNeeded: sum >> (24 - 8 * UInt32(k)))
    }
    at += length + 12
  }
  return bytes
}

/// A safetensors file whose first eight bytes say how long its header is.
func withLength(header: Bytes, body: Bytes) -> Bytes {
  (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) } + header + body
}

/// A file packed by gzip, without compression.
func packed(_ bytes: Bytes) -> Bytes {
  func little(_ value: UInt32) -> Bytes {
    (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * UInt32($0))) }
  }
  var file: Bytes = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3]
  let count = UInt16(min(bytes.count, 65_535))
  file += [1, UInt8(count & 255), UInt8(count >> 8), UInt8(~count & 255), UInt8(~count >> 8)]
  file += bytes.prefix(Int(count))
  return file + little(checksum(bytes.prefix(Int(count)))) + little(UInt32(count))
}
