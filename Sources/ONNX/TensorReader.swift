import Autodiff
import Foundation
import ONNXFormat
import SwiftProtobuf
import TensorCore

/// How much was read.
private final class ByteCount {
  var bytes = 0
}

/// Reads tensors of a model file, also those whose numbers lie in files beside it.
struct TensorReader {
  /// The folder of the model file; `nil` of what a model file of canon's carries, whose large weights are left out.
  let folder: String?
  /// How many bytes all of a model's tensors have.
  private let total = ByteCount()

  init(folder: String?) { self.folder = folder }

  /// Whether its numbers are left out of what a model file carries: sizes and bounds among weights are kept.
  static func isLarge(_ tensor: Onnx_TensorProto) -> Bool {
    FileFloat(rawValue: Int(tensor.dataType)) != nil
      && tensor.dims.reduce(1) { Call.product($0, Int($1)) } > 1024
  }

  /// - Throws: `ONNXError` for types that are not supported, and for numbers that are not as many as declared.
  func constant(_ tensor: Onnx_TensorProto) throws -> Constant {
    let name = tensor.name
    func failure(_ reason: String) -> ONNXError { ONNXError("Tensor '\(name)': \(reason).") }
    guard !tensor.hasSegment else {
      throw failure("it is cut into segments, which is not supported")
    }
    let number = Int(tensor.dataType)
    guard let type = ElementType(format: number) else {
      throw failure("elements of \(ElementType.name(of: number)) are not supported")
    }
    let shape = tensor.dims.map { Int($0) }
    // Of an empty one as if it were not: steps through it are as long.
    let most = shape.reduce(1) { Call.product($0, $1 == 0 ? 1 : $1) }
    guard shape.count <= 64 else {
      throw failure("it has \(shape.count) axes, and 64 are supported")
    }
    guard shape.allSatisfy({ $0 >= 0 }), most <= MemoryLimit.bytes / 8 else {
      throw failure("it declares \(shape.prefix(8)), more than memory allows")
    }
    let count = shape.reduce(1, *)
    total.bytes += 8 * count
    guard total.bytes <= MemoryLimit.bytes else {
      throw failure("with it the file's tensors are more than memory allows")
    }
    let bytes: Data? =
      tensor.dataLocation == .external
      ? try external(tensor, failure) : tensor.hasRawData ? tensor.rawData : nil
    let fraction = FileFloat(rawValue: number)
    if bytes == nil, folder == nil, tensor.floatData.isEmpty, Self.isLarge(tensor),
      fraction == .single
    {
      return .floats(Parameter(.zeros(Shape(shape))))
    }
    if let bytes {
      guard bytes.count == count * (fraction?.size ?? type.size) else {
        let name = fraction.map { $0 == .single ? "float" : "\($0) precision" } ?? "\(type)"
        throw failure("it has \(bytes.count) bytes for \(shape) of \(name)")
      }
      if let fraction, fraction != .single {
        return .floats(Parameter(Tensor(fraction.floats(bytes), shape: Shape(shape))))
      }
      return type == .float
        ? .floats(Parameter(Tensor(littleEndian: bytes, shape: Shape(shape))))
        : .integers(Integers(type.integers(bytes, count), shape: shape, type: type))
    }
    func numbers(_ found: [Int]) throws -> Constant {
      guard found.count == count else {
        throw failure("it has \(found.count) numbers for \(shape)")
      }
      return .integers(Integers(found.map(type.wrapped), shape: shape, type: type))
    }
    switch type {
    case .float:
      // Numbers of 16 bits stand in a list of whole ones.
      let found =
        switch fraction {
        case .double: tensor.doubleData.map { Float($0) }
        case .some(let kind) where kind != .single:
          tensor.int32Data.map { kind.float(UInt64(truncatingIfNeeded: $0)) }
        default: tensor.floatData
        }
      guard found.count == count else {
        throw failure("it has \(found.count) numbers for \(shape)")
      }
      return .floats(Parameter(Tensor(found, shape: Shape(shape))))
    case .int64: return try numbers(tensor.int64Data.map { Int($0) })
    case .uint32, .uint64: return try numbers(tensor.uint64Data.map { Int(truncatingIfNeeded: $0) })
    default: return try numbers(tensor.int32Data.map { Int($0) })
    }
  }

  /// The bytes of a tensor in a file beside the model, below its folder.
  func external(
    _ tensor: Onnx_TensorProto, _ failure: (String) -> ONNXError
  ) throws -> Data {
    guard let folder else { throw failure("its numbers are in a file that is not there") }
    let entries = Dictionary(
      tensor.externalData.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
    guard let location = entries["location"], !location.isEmpty else {
      throw failure("it says no file that its numbers are in")
    }
    let parts = location.split(separator: "/", omittingEmptySubsequences: false)
    guard !location.contains("\0"), !parts.contains(".."), parts.first != "" else {
      throw failure("its file \(location.debugDescription) is not below the model's folder")
    }
    let path = "\(folder)/\(location)"
    let real = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
    let root = URL(fileURLWithPath: folder).resolvingSymlinksInPath().path
    guard real.hasPrefix(root.hasSuffix("/") ? root : root + "/"), Files.isRegular(path) else {
      throw failure("its file \(location.debugDescription) is not there, below the model's folder")
    }
    func number(_ key: String) throws -> Int? {
      guard let text = entries[key] else { return nil }
      guard let value = Int(text), value >= 0 else {
        throw failure("its \(key) is \(text.debugDescription)")
      }
      return value
    }
    let offset = try number("offset") ?? 0
    guard let handle = FileHandle(forReadingAtPath: path), let size = try? handle.seekToEnd(),
      case let length = try number("length") ?? Int(size) - offset, length >= 0,
      offset <= Int(size), length <= Int(size) - offset, length <= MemoryLimit.bytes
    else { throw failure("its file \(location.debugDescription) is too short") }
    guard (try? handle.seek(toOffset: UInt64(offset))) != nil,
      let bytes = length == 0 ? Data() : try? handle.read(upToCount: length), bytes.count == length
    else { throw failure("its file \(location.debugDescription) cannot be read") }
    return bytes
  }
}

extension ElementType {
  /// Whole numbers of a file.
  fileprivate func integers(_ bytes: Data, _ count: Int) -> [Int] {
    func read<Number: FixedWidthInteger>(_ type: Number.Type) -> [Int] {
      unsafe bytes.withUnsafeBytes { buffer in
        (0..<count).map {
          unsafe Int(
            truncatingIfNeeded: Number(
              littleEndian: buffer.loadUnaligned(
                fromByteOffset: $0 * MemoryLayout<Number>.size, as: Number.self)))
        }
      }
    }
    return switch self {
    case .int8: read(Int8.self)
    case .uint8: read(UInt8.self)
    case .bool: read(UInt8.self).map { $0 == 0 ? 0 : 1 }
    case .int16: read(Int16.self)
    case .uint16: read(UInt16.self)
    case .int32: read(Int32.self)
    case .uint32: read(UInt32.self)
    default: read(Int64.self)
    }
  }
}

extension FileFloat {
  /// Numbers of a file.
  fileprivate func floats(_ bytes: Data) -> [Float] {
    let all = [UInt8](bytes)
    return stride(from: 0, to: all.count, by: size).map { start in
      float((0..<size).reduce(UInt64(0)) { $0 | UInt64(all[start + $1]) << (8 * $1) })
    }
  }
}

extension Tensor {
  /// Numbers as a file has them.
  fileprivate init(littleEndian bytes: Data, shape: Shape) {
    unsafe self.init(shape) { target in
      unsafe bytes.withUnsafeBytes { buffer in
        guard let base = buffer.baseAddress else { return }
        unsafe UnsafeMutableRawPointer(target).copyMemory(from: base, byteCount: buffer.count)
      }
    }
  }
}

extension Value {
  /// Reads a tensor that lies in a file of its own, as the format's own tests have them (`input_0.pb`).
  ///
  /// - Throws: `ONNXError` for a file that is none, and for types that are not supported.
  public init(tensorAt path: String) throws(ONNXError) {
    guard let bytes = Files.bytes(of: path),
      let tensor = try? Onnx_TensorProto(serializedBytes: Data(bytes))
    else { throw ONNXError("\(path) is no tensor.") }
    do {
      self = try TensorReader(folder: Files.parent(of: path)).constant(tensor).value
    } catch { throw ONNXError("\(path): \(error)") }
  }
}
