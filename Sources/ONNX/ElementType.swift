import TensorCore

/// The type of a tensor's elements, by its number in the format.
///
/// Numbers with a fraction are computed as `Float`, whole numbers and truth values as `Int`.
public enum ElementType: Int, Sendable, CaseIterable {
  case float = 1
  case uint8 = 2
  case int8 = 3
  case uint16 = 4
  case int16 = 5
  case int32 = 6
  case int64 = 7
  case bool = 9
  case uint32 = 12
  case uint64 = 13

  /// How many bytes an element has in a file.
  var size: Int {
    switch self {
    case .int8, .uint8, .bool: 1
    case .int16, .uint16: 2
    case .float, .int32, .uint32: 4
    case .int64, .uint64: 8
    }
  }

  /// The type that numbers of a file are computed as: those with a fraction, of 16, 32 or 64 bits, as `Float`.
  init?(format number: Int) {
    self.init(rawValue: FileFloat(rawValue: number) == nil ? number : ElementType.float.rawValue)
  }

  /// How a file's number of a type is called, also of those that are not supported.
  static func name(of number: Int) -> String {
    let others = [8: "string", 14: "complex64", 15: "complex128"]
    return ElementType(rawValue: number).map { "\($0)" } ?? others[number] ?? "type \(number)"
  }

  /// The whole numbers that there are of a type.
  var range: ClosedRange<Int> {
    switch self {
    case .int8: -128...127
    case .uint8: 0...255
    case .int16: -32768...32767
    case .uint16: 0...65535
    case .int32: Int(Int32.min)...Int(Int32.max)
    case .uint32: 0...Int(UInt32.max)
    case .bool: 0...1
    case .float, .int64, .uint64: .min ... .max
    }
  }

  /// A whole number as one of this type: what does not fit loses its upper bits.
  func wrapped(_ number: Int) -> Int {
    switch self {
    case .int8: Int(Int8(truncatingIfNeeded: number))
    case .uint8: Int(UInt8(truncatingIfNeeded: number))
    case .int16: Int(Int16(truncatingIfNeeded: number))
    case .uint16: Int(UInt16(truncatingIfNeeded: number))
    case .int32: Int(Int32(truncatingIfNeeded: number))
    case .uint32: Int(UInt32(truncatingIfNeeded: number))
    case .bool: number == 0 ? 0 : 1
    case .float, .int64, .uint64: number
    }
  }
}

/// How a file writes numbers with a fraction, by its number of the type.
enum FileFloat: Int {
  case single = 1
  case half = 10
  case double = 11
  case brain = 16

  /// How many bytes a number has.
  var size: Int {
    switch self {
    case .single: 4
    case .half, .brain: 2
    case .double: 8
    }
  }

  /// The number with some bits.
  func float(_ bits: UInt64) -> Float {
    switch self {
    case .single: Float(bitPattern: UInt32(truncatingIfNeeded: bits))
    case .brain: Float(bitPattern: UInt32(truncatingIfNeeded: bits) << 16)
    case .double: Float(Double(bitPattern: bits))
    case .half: Float(half: UInt16(truncatingIfNeeded: bits))
    }
  }
}
