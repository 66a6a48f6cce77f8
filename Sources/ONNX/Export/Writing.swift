import Autodiff
import Foundation
import ONNXFormat
import SwiftProtobuf
import TensorCore

// What is read, written again.
extension Integers {
  var proto: Onnx_TensorProto {
    var proto = Onnx_TensorProto()
    proto.dataType = Int32(type.rawValue)
    proto.dims = shape.map { Int64($0) }
    proto.rawData =
      switch type.size {
      case 1: Data(littleEndian: elements.map { Int8(truncatingIfNeeded: $0) })
      case 2: Data(littleEndian: elements.map { Int16(truncatingIfNeeded: $0) })
      case 4: Data(littleEndian: elements.map { Int32(truncatingIfNeeded: $0) })
      default: Data(littleEndian: elements.map { Int64($0) })
      }
    return proto
  }
}

extension Constant {
  var proto: Onnx_TensorProto {
    switch self {
    case .integers(let integers): integers.proto
    case .floats(let parameter): parameter.value.proto
    }
  }
}

extension Tensor {
  var proto: Onnx_TensorProto {
    var proto = Onnx_TensorProto()
    proto.dataType = Int32(ElementType.float.rawValue)
    proto.dims = shape.extents.map { Int64($0) }
    proto.rawData = Data(littleEndian: elements.map(\.bitPattern))
    return proto
  }
}

extension Data {
  fileprivate init(littleEndian numbers: [some FixedWidthInteger]) {
    self = unsafe numbers.map(\.littleEndian).withUnsafeBytes { unsafe Data($0) }
  }
}

extension Attribute {
  /// - Parameter renamed: What values of outside are called, for graphs in it.
  func proto(_ name: String, _ renamed: (String) -> String) -> Onnx_AttributeProto {
    var proto = Onnx_AttributeProto()
    proto.name = name
    switch self {
    case .int(let value): (proto.type, proto.i) = (.int, Int64(value))
    case .float(let value): (proto.type, proto.f) = (.float, value)
    case .string(let value): (proto.type, proto.s) = (.string, Data(value.utf8))
    case .ints(let values): (proto.type, proto.ints) = (.ints, values.map { Int64($0) })
    case .floats(let values): (proto.type, proto.floats) = (.floats, values)
    case .strings(let values):
      (proto.type, proto.strings) = (.strings, values.map { Data($0.utf8) })
    case .constant(let constant): (proto.type, proto.t) = (.tensor, constant.proto)
    case .graph(let graph): (proto.type, proto.g) = (.graph, graph.proto(renamed))
    }
    return proto
  }
}

extension Graph {
  /// A graph in a node, with other names for values of outside and of its own.
  fileprivate func proto(_ renamed: (String) -> String) -> Onnx_GraphProto {
    var proto = Onnx_GraphProto()
    proto.name = "graph"
    proto.input = inputs.map { Graph.port(renamed($0)) }
    proto.output = outputs.map { Graph.port(renamed($0)) }
    proto.initializer = constants.sorted { $0.key < $1.key }.map { name, constant in
      var tensor = constant.proto
      tensor.name = renamed(name)
      return tensor
    }
    proto.node = nodes.map { $0.proto(renamed) }
    return proto
  }

  private static func port(_ name: String) -> Onnx_ValueInfoProto {
    var info = Onnx_ValueInfoProto()
    info.name = name
    return info
  }
}

extension Node {
  /// With other names for values.
  func proto(_ renamed: (String) -> String) -> Onnx_NodeProto {
    var proto = Onnx_NodeProto()
    // Names of nodes are for people, and need not be there; each is another one.
    (proto.opType, proto.name) = (operation, name.isEmpty ? "" : renamed(name))
    proto.input = inputs.map { $0.isEmpty ? "" : renamed($0) }
    proto.output = outputs.map { $0.isEmpty ? "" : renamed($0) }
    proto.attribute = attributes.sorted { $0.key < $1.key }.map { key, value in
      // Numbers with a fraction are all of 32 bits here.
      if case .int(let number) = value, Self.types.contains(key), FileFloat(rawValue: number) != nil
      {
        return Attribute.int(FileFloat.single.rawValue).proto(key, renamed)
      }
      var written = value.proto(key, renamed)
      // What a loop counts by, and whether it goes on, have to be known by their types.
      if operation == "Loop", key == "body", written.g.input.count >= 2 {
        for (place, type) in [(0, ElementType.int64), (1, .bool)] {
          written.g.input[place].type.tensorType.elemType = Int32(type.rawValue)
          written.g.input[place].type.tensorType.shape = .init()
        }
      }
      return written
    }
    return proto
  }

  /// Settings that name a type.
  private static let types: Set = ["to", "dtype", "output_datatype", "output_dtype", "stash_type"]
}
