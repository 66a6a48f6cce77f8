import CKernels
import Glibc

/// A counter-based random generator: the *n*-th number follows from seed, name and *n* alone.
///
/// Streams with different names are independent, so that a new use of randomness in one place does
/// not change the numbers drawn in another; and any position can be reached at once, so that a
/// training run resumes exactly.
///
/// Philox 4×32 with 10 rounds (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as
/// 1, 2, 3; SC 2011, doi 10.1145/2063384.2063405).
public struct RandomStream: RandomNumberGenerator, Sendable {
  fileprivate let key: (UInt32, UInt32)
  /// How many 64-bit numbers have been drawn.
  public private(set) var position: UInt64
  /// The second number of a block, where the first was drawn just now.
  private var second: UInt64?

  /// Creates the stream of a seed and a name, at a position.
  public init(seed: UInt64, name: String, position: UInt64 = 0) {
    // FNV-1a of seed and name.
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    let bytes = (0..<8).map { UInt8(truncatingIfNeeded: seed >> (8 * $0)) } + Array(name.utf8)
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    key = (UInt32(truncatingIfNeeded: hash), UInt32(truncatingIfNeeded: hash >> 32))
    self.position = position
  }

  init(key: (UInt32, UInt32), position: UInt64) {
    self.key = key
    self.position = position
  }

  public mutating func next() -> UInt64 {
    defer { position &+= 1 }
    if let known = second {
      second = nil
      return known
    }
    let block = RandomStream.philox(
      counter: (
        UInt32(truncatingIfNeeded: position >> 1), UInt32(truncatingIfNeeded: position >> 33), 0, 0
      ), key: key)
    let last = UInt64(block.2) | UInt64(block.3) << 32
    guard position & 1 == 0 else { return last }
    second = last
    return UInt64(block.0) | UInt64(block.1) << 32
  }

  /// The same stream, so many numbers further on; by a negative count so many back.
  public func advanced(by count: Int) -> RandomStream {
    RandomStream(key: key, position: position &+ UInt64(bitPattern: Int64(count)))
  }

  static func philox(
    counter: (UInt32, UInt32, UInt32, UInt32), key: (UInt32, UInt32)
  ) -> (UInt32, UInt32, UInt32, UInt32) {
    var (c, k) = (counter, key)
    for _ in 0..<10 {
      let a = UInt64(c.0) * 0xD251_1F53
      let b = UInt64(c.2) * 0xCD9E_8D57
      c = (
        UInt32(truncatingIfNeeded: b >> 32) ^ c.1 ^ k.0, UInt32(truncatingIfNeeded: b),
        UInt32(truncatingIfNeeded: a >> 32) ^ c.3 ^ k.1, UInt32(truncatingIfNeeded: a)
      )
      k = (k.0 &+ 0x9E37_79B9, k.1 &+ 0xBB67_AE85)
    }
    return c
  }

  /// A number from the uniform distribution on [0, 1), a multiple of 2⁻²⁴.
  public mutating func uniform() -> Float { Float(next() >> 40) * 0x1p-24 }

  /// A number from the uniform distribution on [0, 1), a multiple of 2⁻⁵³.
  public mutating func uniformDouble() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// A number from the normal distribution of mean 0 and deviation 1 (Box–Muller).
  public mutating func normal() -> Double {
    let radius = (-2 * log(1 - uniformDouble())).squareRoot()
    return radius * cos(2 * .pi * uniformDouble())
  }
}

extension Tensor {
  /// A tensor of independent numbers, uniform on [`lower`, `upper`).
  public static func uniform(
    _ shape: Shape, from lower: Float = 0, to upper: Float = 1, using random: inout RandomStream
  ) -> Tensor {
    let start = random
    random = start.advanced(by: shape.count)
    return unsafe Tensor(shape) { target in
      let target = unsafe SendableAddress(target)
      Parallel.ranges(shape.count, grain: 1 << 12) { range in
        unsafe ck_uniform(
          range.count, target.pointer + range.lowerBound,
          start.position &+ UInt64(range.lowerBound), start.key.0, start.key.1, lower,
          upper - lower)
      }
    }
  }

  /// A tensor of independent normal numbers.
  public static func normal(
    _ shape: Shape, deviation: Float = 1, using random: inout RandomStream
  ) -> Tensor {
    let elements = (0..<shape.count).map { _ in deviation * Float(random.normal()) }
    return Tensor(elements, shape: shape)
  }
}
