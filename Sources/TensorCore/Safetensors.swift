import Foundation
import Glibc

/// What can go wrong with a file of weights, in a sentence that says what to do.
public struct WeightsError: Error, CustomStringConvertible {
  public let description: String

  public init(_ path: String, _ reason: String) {
    // A reason may be a sentence.
    let reason = reason.hasSuffix(".") ? String(reason.dropLast()) : reason
    description =
      "\(path) is not a usable model file: \(reason); "
      + "give a file that `canon train` wrote, or train anew."
  }

  /// A file that is as it should be, and not for what is asked.
  public init(unfit path: String, _ reason: String) { description = "\(path): \(reason)." }

  public init(unwritable path: String, _ reason: String) {
    description =
      "\(path) cannot be written (\(reason)); check the folder and the free space, then give the command again."
  }
}

/// Tensors by name in the safetensors format: a length, a JSON header, then the numbers.
///
/// Nothing in such a file is executed, and Python's `safetensors` reads and writes the same. Numbers of other
/// types become `Float`: whole numbers beyond 2²⁴ and double precision are rounded.
public struct Safetensors: Sendable {
  /// The tensors, all of `Float`.
  public var tensors: [String: Tensor]
  /// Texts beside the tensors.
  public var metadata: [String: String]

  public init(tensors: [String: Tensor], metadata: [String: String] = [:]) {
    self.tensors = tensors
    self.metadata = metadata
  }

  private struct Entry {
    var dtype: String
    var shape, offsets: [Int]
  }

  /// Reads a file.
  ///
  /// - Throws: `WeightsError` for a file that is missing, truncated, of another format, or whose
  ///   header lies: a length beyond the file, offsets that overlap or leave gaps, another type.
  public init(path: String) throws(WeightsError) {
    guard Files.isRegular(path) else { throw WeightsError(path, "there is no such file") }
    guard let file = unsafe fopen(path, "rb") else { throw WeightsError(path, "it cannot be read") }
    defer { unsafe fclose(file) }
    var status = stat()
    guard unsafe fstat(fileno(file), &status) == 0 else {
      throw WeightsError(path, "it cannot be read")
    }
    let size = status.st_size
    func read(_ count: Int) throws(WeightsError) -> [UInt8] {
      var bytes = [UInt8](repeating: 0, count: count)
      guard unsafe fread(&bytes, 1, count, file) == count else {
        throw WeightsError(path, "it cannot be read")
      }
      return bytes
    }
    guard size >= 8 else { throw WeightsError(path, "it has only \(size) bytes") }
    let length = try read(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard length <= 100_000_000, length <= UInt64(size - 8) else {
      throw WeightsError(
        path, "it is no safetensors file: its header claims \(length) bytes of \(size)")
    }
    let (text, content) = (Data(try read(Int(length))), size - 8 - Int(length))
    guard let header = try? JSONSerialization.jsonObject(with: text) as? [String: Any]
    else { throw WeightsError(path, "its header is not JSON") }
    metadata = header["__metadata__"] as? [String: String] ?? [:]
    tensors = [:]
    var end = 0
    var entries: [(name: String, entry: Entry)] = []
    for (name, value) in header where name != "__metadata__" {
      guard let object = value as? [String: Any], let dtype = object["dtype"] as? String,
        let shape = object["shape"] as? [Int], let offsets = object["data_offsets"] as? [Int]
      else { throw WeightsError(path, "the entry '\(name)' is malformed") }
      entries.append((name, Entry(dtype: dtype, shape: shape, offsets: offsets)))
    }
    entries.sort { ($0.entry.offsets.first ?? 0, $0.name) < ($1.entry.offsets.first ?? 0, $1.name) }
    for (name, entry) in entries {
      guard let type = NumberType(rawValue: entry.dtype) else {
        let known = NumberType.allCases.map(\.rawValue).joined(separator: ", ")
        throw WeightsError(path, "'\(name)' has type \(entry.dtype), not one of \(known)")
      }
      let bytes = entry.shape.reduce(type.size) { a, b in
        let (product, overflow) = a.multipliedReportingOverflow(by: b)
        return a < 0 || overflow || b < 0 ? -1 : product
      }
      // An extent of 0 hides how large the others are.
      let isSane = entry.shape.reduce(1) { a, b in
        let (product, overflow) = a.multipliedReportingOverflow(by: max(b, 1))
        return a < 0 || overflow ? -1 : product
      }
      guard entry.offsets.count == 2, entry.offsets[0] == end, bytes >= 0, isSane >= 0,
        bytes <= content - end, entry.offsets[1] == end + bytes
      else {
        throw WeightsError(path, "the offsets of '\(name)' overlap, leave gaps or leave the file")
      }
      let shape = Shape(entry.shape)
      if type == .f32 {
        // Into their place, without a copy of the file.
        var count = 0
        tensors[name] = unsafe Tensor(shape) { count = unsafe fread($0, 1, bytes, file) }
        guard count == bytes else { throw WeightsError(path, "it cannot be read") }
      } else {
        tensors[name] = Tensor(type.numbers(try read(bytes)), shape: shape)
      }
      end += bytes
    }
    guard end == content else {
      throw WeightsError(path, "\(content - end) bytes belong to no tensor")
    }
  }

  /// Writes a file, beside its final name first and then renamed.
  ///
  /// - Throws: `WeightsError` where the file cannot be written; one that was there stays.
  public func write(to path: String) throws(WeightsError) {
    var header: [String: Any] = metadata.isEmpty ? [:] : ["__metadata__": metadata]
    var body = Data()
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
      let start = body.count
      unsafe tensor.withElements {
        unsafe body.append(Data(bytes: $0, count: tensor.shape.count * 4))
      }
      header[name] = [
        "dtype": "F32", "shape": tensor.shape.extents, "data_offsets": [start, body.count],
      ]
    }
    guard var json = try? JSONSerialization.data(withJSONObject: header, options: .sortedKeys)
    else { throw WeightsError(unwritable: path, "its texts are not valid") }
    while json.count % 8 != 0 { json.append(0x20) }
    var file = Data((0..<8).map { UInt8(truncatingIfNeeded: json.count >> (8 * $0)) })
    file.append(json)
    file.append(body)
    try Files.replace(path, { WeightsError(unwritable: path, $0) }) {
      (temporary) throws(WeightsError) in
      do { try file.write(to: URL(fileURLWithPath: temporary)) } catch {
        throw WeightsError(unwritable: path, "no permission, or no space left")
      }
    }
  }
}

/// The types of numbers that are read.
private enum NumberType: String, CaseIterable {
  case f32 = "F32"
  case f64 = "F64"
  case f16 = "F16"
  case bf16 = "BF16"
  case i64 = "I64"
  case i32 = "I32"
  case i16 = "I16"
  case i8 = "I8"
  case u8 = "U8"
  case bool = "BOOL"

  /// In bytes.
  var size: Int {
    switch self {
    case .f64, .i64: 8
    case .f32, .i32: 4
    case .f16, .bf16, .i16: 2
    case .i8, .u8, .bool: 1
    }
  }

  /// The numbers that some bytes hold.
  func numbers(_ bytes: [UInt8]) -> [Float] {
    stride(from: 0, to: bytes.count, by: size).map { start -> Float in
      let bits = bytes[start..<start + size].reversed()
        .reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      return switch self {
      case .f32: Float(bitPattern: UInt32(bits))
      case .f64: Float(Double(bitPattern: bits))
      case .f16: Float(half: UInt16(bits))
      case .bf16: Float(bitPattern: UInt32(bits) << 16)
      case .i64: Float(Int64(bitPattern: bits))
      case .i32: Float(Int32(bitPattern: UInt32(bits)))
      case .i16: Float(Int16(bitPattern: UInt16(bits)))
      case .i8: Float(Int8(bitPattern: UInt8(bits)))
      case .u8, .bool: Float(bits)
      }
    }
  }
}

extension Float {
  /// A number of half precision (IEEE 754 binary16) from its bits.
  public init(half bits: UInt16) {
    let (exponent, fraction) = (Int(bits >> 10 & 31), Float(bits & 1023))
    let magnitude: Float =
      switch exponent {
      case 0: fraction * 0x1p-24
      case 31: fraction == 0 ? .infinity : .nan
      default: Float(sign: .plus, exponent: exponent - 15, significand: 1 + fraction / 1024)
      }
    self = bits >> 15 == 1 ? -magnitude : magnitude
  }
}
