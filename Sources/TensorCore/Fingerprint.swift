/// A number that tells contents apart: FNV-1a of 64 bits (Fowler, Noll, Vo; RFC 9923).
///
/// Two contents by chance have the same one in 2⁶⁴; against somebody who wants them to it is no guard.
public struct Fingerprint: Sendable {
  private var state: UInt64 = 0xCBF2_9CE4_8422_2325

  public init() {}

  /// Takes further bytes into account.
  public mutating func add(_ bytes: some Sequence<UInt8>) {
    for byte in bytes { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
  }

  /// Sixteen digits, hexadecimal.
  public var text: String {
    let digits = String(state, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// That of a file's content; `nil` where it cannot be read.
  public init?(ofFileAt path: String) {
    var found = Fingerprint()
    guard Files.forEachPart(of: path, { found.add($0) }) else { return nil }
    self = found
  }
}
