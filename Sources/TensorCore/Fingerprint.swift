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

  /// That of a file's content, eight bytes at a time; `nil` where it cannot be read.
  public init?(ofFileAt path: String) {
    var found = Fingerprint()
    let isRead = Files.forEachPart(of: path) { part in
      let whole = part.count / 8 * 8
      unsafe part.withUnsafeBytes { bytes in
        for at in stride(from: 0, to: whole, by: 8) {
          found.add(word: unsafe bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
        }
      }
      found.add(part.dropFirst(whole))
    }
    guard isRead else { return nil }
    self = found
  }

  /// Takes a word into account.
  ///
  /// The product's halves are folded: of its lower half alone a word's highest bit would reach no other, and the signs of two
  /// numbers could change unseen.
  private mutating func add(word: UInt64) {
    let product = (state ^ word).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
    state = product.high ^ product.low
  }
}
