import Autodiff
import Foundation
import ONNXFormat
import SwiftProtobuf
import TensorCore

/// Writes operations of variables as nodes.
///
/// Images lie with channels last here, and ONNX's convolutions take channels first: of a value of four axes either
/// order may be there, and is made where it is asked for.
struct GraphWriter {
  private(set) var nodes: [Onnx_NodeProto] = []
  private var initializers: [Onnx_TensorProto] = []
  private var functions: [Onnx_FunctionProto] = []
  /// Names of constants by their type, shape and bytes.
  private var known: [Data: String] = [:]
  /// Of each value, as it is and with channels first.
  private var plain: [ObjectIdentifier: String] = [:]
  private var channelsFirst: [ObjectIdentifier: String] = [:]
  private var pairs: [TracePair] = []
  private var made = 0
  private(set) var opset = ONNXExport.opset

  /// - Throws: `ONNXError` where two traces of a computation are not of the same operations.
  init(_ two: [Variable], _ three: [Variable]) throws(ONNXError) {
    pairs = try Self.paired(two, three)
    for pair in pairs {
      if case .own(let operation)? = pair.two.operation, let network = operation as? NetworkCall {
        opset = max(opset, network.model.opset)
      }
    }
  }

  /// All operations, inputs before results, of both traces side by side.
  private static func paired(
    _ two: [Variable], _ three: [Variable]
  ) throws(ONNXError) -> [TracePair] {
    var (sorted, seen) = ([TracePair](), Set<ObjectIdentifier>())
    guard two.count == three.count else { throw ONNXError("Outputs depend on the batch.") }
    var stack = zip(two, three).reversed().map { (pair: TracePair(two: $0, three: $1), next: 0) }
    while let (pair, next) = stack.last {
      if next == 0, !seen.insert(ObjectIdentifier(pair.two)).inserted {
        stack.removeLast()
        continue
      }
      let (a, b) = (pair.two, pair.three)
      guard a.isTraced == b.isTraced, a.inputs.count == b.inputs.count || !a.isTraced else {
        throw ONNXError("What is done depends on the batch or on its numbers.")
      }
      guard a.isTraced, next < a.inputs.count else {
        sorted.append(pair)
        stack.removeLast()
        continue
      }
      stack[stack.count - 1].next += 1
      if !seen.contains(ObjectIdentifier(a.inputs[next])) {
        stack.append((TracePair(two: a.inputs[next], three: b.inputs[next]), 0))
      }
    }
    return sorted
  }

  /// - Throws: `ONNXError`.
  mutating func model(
    input: (name: String, leaf: Variable), outputs: [ONNXExport.Output],
    metadata: [String: String]
  ) throws(ONNXError) -> Onnx_ModelProto {
    var graph = Onnx_GraphProto()
    graph.name = "canon"
    for pair in pairs {
      if pair.two === input.leaf {
        plain[ObjectIdentifier(pair.two)] = input.name
        graph.input = [Self.port(input.name, try pair.extents())]
      } else if pair.two.isTraced {
        try write(pair)
      } else {
        try check(pair)
      }
    }
    if graph.input.isEmpty { throw ONNXError("The outputs do not depend on the input.") }
    for output in outputs {
      let name = plain(output.value)
      if output.isWhole {
        node("Cast", [name], output: output.name, ["to": .int(7)])
      } else {
        node("Identity", [name], output: output.name)
      }
      guard let pair = pairs.first(where: { $0.two === output.value }) else { continue }
      graph.output.append(Self.port(output.name, try pair.extents(), type: output.isWhole ? 7 : 1))
    }
    graph.node = nodes
    graph.initializer = initializers
    var model = Onnx_ModelProto()
    (model.irVersion, model.producerName) = (8, "canon")
    var used = Onnx_OperatorSetIdProto()
    used.version = Int64(opset)
    model.opsetImport = [used]
    model.graph = graph
    model.metadataProps = metadata.sorted { $0.key < $1.key }.map { key, value in
      var entry = Onnx_StringStringEntryProto()
      (entry.key, entry.value) = (key, value)
      return entry
    }
    return model
  }

  private static func port(
    _ name: String, _ extents: [Extent], type: Int32 = 1
  ) -> Onnx_ValueInfoProto {
    var info = Onnx_ValueInfoProto()
    info.name = name
    var tensor = Onnx_TypeProto.Tensor()
    tensor.elemType = type
    tensor.shape.dim = extents.map { extent in
      var dim = Onnx_TensorShapeProto.Dimension()
      switch extent {
      case .fixed(let count): dim.dimValue = Int64(count)
      case .batches(1): dim.dimParam = "batch"
      case .batches(let times): dim.dimParam = "\(times)*batch"
      }
      return dim
    }
    info.type.value = .tensorType(tensor)
    return info
  }

  /// Refuses a constant that the traces do not agree on.
  private func check(_ pair: TracePair) throws(ONNXError) {
    let (a, b) = (pair.two.value, pair.three.value)
    guard a.shape == b.shape,
      zip(a.elements, b.elements).allSatisfy({ $0 == $1 || ($0.isNaN && $1.isNaN) })
    else {
      throw ONNXError(
        "Numbers \(a.shape) follow from the input, or from the batch's size, by other ways than operations of variables; or an operation says nothing of what it is."
      )
    }
  }
}

extension GraphWriter {
  /// A new name.
  mutating func name(_ stem: String) -> String {
    made += 1
    return "\(stem.lowercased())_\(made)"
  }

  /// The names of constants.
  mutating func constant(_ tensor: Tensor) -> String {
    kept(tensor.proto)
  }

  mutating func constant(_ integers: Integers) -> String { kept(integers.proto) }

  mutating func constant(_ integers: [Int]) -> String { constant(Integers(integers)) }

  /// The name of a tensor that is written once.
  mutating func kept(_ proto: Onnx_TensorProto) -> String {
    var key = Data("\(proto.dataType) \(proto.dims) ".utf8)
    key.append(proto.rawData)
    if let name = known[key] { return name }
    var proto = proto
    proto.name = name("constant")
    known[key] = proto.name
    initializers.append(proto)
    return proto.name
  }

  mutating func add(_ proto: Onnx_NodeProto) { nodes.append(proto) }

  /// Adds a node with one result.
  @discardableResult
  mutating func node(
    _ operation: String, _ inputs: [String], output: String? = nil,
    _ attributes: [String: Attribute] = [:]
  ) -> String {
    var proto = Onnx_NodeProto()
    let result = output ?? name(operation)
    (proto.opType, proto.input, proto.output) = (operation, inputs, [result])
    proto.name = result
    proto.attribute = attributes.sorted { $0.key < $1.key }.map { $1.proto($0) { $0 } }
    nodes.append(proto)
    return result
  }

  /// A value as it lies here.
  mutating func plain(_ value: Variable) -> String {
    let key = ObjectIdentifier(value)
    if let name = plain[key] { return name }
    // Of constants only what is asked for is written.
    let made =
      value.isTraced
      ? node("Transpose", [channelsFirst[key] ?? ""], ["perm": .ints([0, 2, 3, 1])])
      : constant(value.value)
    plain[key] = made
    return made
  }

  /// A value of four axes with channels first.
  mutating func channelsFirst(_ value: Variable) -> String {
    let key = ObjectIdentifier(value)
    if let name = channelsFirst[key] { return name }
    let made =
      value.isTraced
      ? node("Transpose", [plain(value)], ["perm": .ints([0, 3, 1, 2])])
      : constant(value.value.permuted([0, 3, 1, 2]))
    channelsFirst[key] = made
    return made
  }

  /// Whether a value is there with channels first alone.
  func isChannelsFirst(_ value: Variable) -> Bool {
    plain[ObjectIdentifier(value)] == nil && channelsFirst[ObjectIdentifier(value)] != nil
  }

  mutating func set(_ value: Variable, _ name: String) { plain[ObjectIdentifier(value)] = name }

  mutating func setChannelsFirst(_ value: Variable, _ name: String) {
    channelsFirst[ObjectIdentifier(value)] = name
  }
}
