import Autodiff
import Foundation
import ONNXFormat
import SwiftProtobuf
import TensorCore

/// Reads a model file, and refuses what cannot be carried out before anything is.
struct ModelReader {
  private let tensors: TensorReader
  private let functions: [String: Onnx_FunctionProto]
  private var opset = 0
  /// How deep graphs lie in graphs, and functions in functions.
  private var depth = 0
  private var inlined = 0
  /// How many nodes there are: functions that call functions are many soon.
  private var made = 0
  /// The names that are made, of the graphs around too.
  private var known: [Set<String>] = []

  private static let domains = ["", "ai.onnx"]
  private static let opsets = 6...28
  /// Those that are what they were in opsets before.
  private static let unchanged: Set = ["Not", "Transpose", "Shape", "Size"]

  /// What is in a file.
  struct Result {
    let graph: Graph
    let inputs, outputs: [Port]
    let opset: Int
    let metadata: [String: String]
    let structure: [UInt8]
  }

  /// - Throws: `ONNXError`.
  static func read(_ path: String) throws -> Result {
    guard Files.isRegular(path) else {
      throw ONNXError(Files.isFolder(path) ? "it is a folder." : "there is no such file.")
    }
    let attributes = try? FileManager.default.attributesOfItem(atPath: path)
    let size = (attributes?[.size] as? Int) ?? 0
    guard size <= MemoryLimit.bytes / 2 else {
      throw ONNXError("it has \(size) bytes, more than half of what memory allows.")
    }
    guard let data = try? Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped)
    else { throw ONNXError("it cannot be read.") }
    return try read(data, TensorReader(folder: Files.parent(of: path)))
  }

  /// - Throws: `ONNXError`.
  static func read(structure: [UInt8]) throws -> Result {
    try read(Data(structure), TensorReader(folder: nil))
  }

  private static func read(_ data: Data, _ tensors: TensorReader) throws -> Result {
    guard var model = try? Onnx_ModelProto(serializedBytes: data) else {
      // What `torch.save` writes is a ZIP archive.
      let isPyTorch = data.starts(with: Array("PK\u{3}\u{4}".utf8))
      throw ONNXError(
        isPyTorch
          ? "it is a file of PyTorch, or another archive; `torch.onnx.export` makes an ONNX model of a network."
          : "it is no ONNX model, or is damaged.")
    }
    guard model.hasGraph else { throw ONNXError("it holds no graph.") }
    var reader = try ModelReader(model, tensors)
    var graph = try reader.graph(model.graph)
    // A mask of −∞ is no weight, which a model file keeps finite: one of canon's has it as a node, and need not be searched.
    let masks = graph.constants.filter { _, constant in
      guard tensors.folder != nil, case .floats(let numbers) = constant, !numbers.value.isFinite
      else { return false }
      return !numbers.value.elements.contains(where: \.isNaN)
    }
    if !masks.isEmpty {
      model.graph.keepAsConstants(Set(masks.keys))
      reader = try ModelReader(model, TensorReader(folder: tensors.folder))
      graph = try reader.graph(model.graph)
    }
    let names = Set(graph.inputs)
    let inputs = try model.graph.input.filter { names.contains($0.name) }.map(port)
    try model.leaveOutWeights(tensors)
    guard let structure: [UInt8] = try? model.serializedBytes() else {
      throw ONNXError("it cannot be written again.")
    }
    return Result(
      graph: graph, inputs: inputs, outputs: try model.graph.output.map(port), opset: reader.opset,
      metadata: Dictionary(
        model.metadataProps.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 }),
      structure: structure)
  }

  private init(_ model: Onnx_ModelProto, _ tensors: TensorReader) throws {
    self.tensors = tensors
    functions = Dictionary(
      model.functions.map { ("\($0.domain)/\($0.name)/\($0.overload)", $0) },
      uniquingKeysWith: { $1 })
    for used in model.opsetImport where Self.domains.contains(used.domain) {
      opset = max(opset, Int(truncatingIfNeeded: used.version))
    }
    let isOld =
      (1..<6).contains(opset)
      && model.graph.node.allSatisfy { Self.unchanged.contains($0.opType) }
    guard Self.opsets.contains(opset) || isOld else {
      throw ONNXError(
        "It is written for opset \(opset); \(Self.opsets.lowerBound) to \(Self.opsets.upperBound) are supported."
      )
    }
  }

  private static func port(_ info: Onnx_ValueInfoProto) throws -> Port {
    guard case .tensorType(let tensor)? = info.type.value else {
      throw ONNXError(
        "'\(info.name)' is no tensor: sequences, maps and optional values are not supported.")
    }
    let number = Int(tensor.elemType)
    guard let type = ElementType(format: number) else {
      throw ONNXError(
        "'\(info.name)' is of \(ElementType.name(of: number)), which is not supported.")
    }
    let shape: [Int?]? =
      tensor.hasShape
      ? tensor.shape.dim.map { dim in
        if case .dimValue(let value)? = dim.value, value >= 0 { Int(value) } else { nil }
      } : nil
    return Port(name: info.name, type: type, shape: shape)
  }

  private func isKnown(_ name: String) -> Bool { known.contains { $0.contains(name) } }

  private mutating func graph(_ proto: Onnx_GraphProto) throws -> Graph {
    depth += 1
    defer { depth -= 1 }
    guard depth <= 16 else { throw ONNXError("Graphs lie more than 16 deep in each other.") }
    guard proto.sparseInitializer.isEmpty else {
      throw ONNXError("It has sparse tensors, which are not supported.")
    }
    var constants: [String: Constant] = [:]
    for tensor in proto.initializer { constants[tensor.name] = try tensors.constant(tensor) }
    let inputs = proto.input.map(\.name).filter { constants[$0] == nil }
    guard Set(inputs).count == inputs.count else { throw ONNXError("Two inputs have one name.") }
    known.append(Set(inputs).union(constants.keys).union([""]))
    defer { known.removeLast() }
    let nodes = try self.nodes(proto.node)
    for output in proto.output where !isKnown(output.name) {
      throw ONNXError("Nothing makes the output '\(output.name)'.")
    }
    return Graph(
      inputs: inputs, outputs: proto.output.map(\.name), constants: constants, nodes: nodes
    ).withoutDead()
  }

  private mutating func nodes(_ protos: [Onnx_NodeProto]) throws -> [Node] {
    var nodes: [Node] = []
    for proto in protos {
      let text = "\(proto.opType) '\(proto.name)' (opset \(opset))"
      for input in proto.input where !isKnown(input) {
        throw ONNXError("\(text) takes '\(input)', which nothing makes before it.")
      }
      for output in proto.output where output != "" && isKnown(output) {
        throw ONNXError("\(text) makes '\(output)' a second time.")
      }
      let own = proto.attribute.filter(\.refAttrName.isEmpty)
      if let function = functions["\(proto.domain)/\(proto.opType)/\(proto.overload)"] {
        nodes += try inlined(function, proto, own, text)
      } else {
        guard Self.domains.contains(proto.domain) else {
          throw ONNXError(
            "\(text) is of '\(proto.domain)', and only ONNX's own operators are supported.")
        }
        guard Operators.all[proto.opType] != nil else {
          throw ONNXError("\(text) is not supported.")
        }
        var attributes: [String: Attribute] = [:]
        for attribute in own {
          attributes[attribute.name] = try self.attribute(attribute, text)
        }
        nodes.append(
          Node(
            name: proto.name, operation: proto.opType, opset: opset, inputs: proto.input,
            outputs: proto.output, attributes: attributes))
      }
      known[known.count - 1].formUnion(proto.output)
      made += 1
      guard made <= 1_000_000 else { throw ONNXError("It has more than a million nodes.") }
    }
    return nodes
  }

  /// The nodes of a function, with names of their own.
  private mutating func inlined(
    _ function: Onnx_FunctionProto, _ call: Onnx_NodeProto, _ own: [Onnx_AttributeProto],
    _ text: String
  ) throws -> [Node] {
    depth += 1
    defer { depth -= 1 }
    guard depth <= 16 else {
      throw ONNXError("\(text): functions call each other more than 16 deep.")
    }
    inlined += 1
    let prefix = "\(function.name)#\(inlined)/"
    var names: [String: String] = ["": ""]
    for (n, name) in function.input.enumerated() {
      names[name] = n < call.input.count ? call.input[n] : ""
    }
    // An output that is left out may be read within.
    for (n, name) in function.output.enumerated()
    where n < call.output.count && names[name] == nil && call.output[n] != "" {
      names[name] = call.output[n]
    }
    var attributes = Dictionary(
      function.attributeProto.map { ($0.name, $0) }, uniquingKeysWith: { $1 })
    for attribute in own { attributes[attribute.name] = attribute }
    func renamed(_ name: String) -> String { names[name] ?? prefix + name }
    let protos = function.node.map { $0.resolved(attributes).renamed(renamed) }
    // A function sees nothing but its inputs.
    let outside = known
    known = [Set(call.input).union([""])]
    defer { known = outside }
    var nodes = try self.nodes(protos)
    // An output that is an input.
    for (n, name) in function.output.enumerated()
    where n < call.output.count && call.output[n] != "" && renamed(name) != call.output[n] {
      nodes.append(
        Node(
          name: call.name, operation: "Identity", opset: opset, inputs: [renamed(name)],
          outputs: [call.output[n]], attributes: [:]))
    }
    return nodes
  }

  private mutating func attribute(
    _ proto: Onnx_AttributeProto, _ text: String
  ) throws -> Attribute {
    func string(_ bytes: Data) -> String { String(decoding: bytes, as: UTF8.self) }
    let type = proto.hasType && proto.type != .undefined ? proto.type : proto.impliedType
    switch type {
    case .int: return .int(Int(proto.i))
    case .float: return .float(proto.f)
    case .string: return .string(string(proto.s))
    case .ints: return .ints(proto.ints.map { Int($0) })
    case .floats: return .floats(proto.floats)
    case .strings: return .strings(proto.strings.map(string))
    case .tensor: return .constant(try tensors.constant(proto.t))
    case .graph: return .graph(try graph(proto.g))
    default:
      throw ONNXError("\(text): its attribute '\(proto.name)' is of a kind that is not supported.")
    }
  }
}

extension Onnx_AttributeProto {
  /// Of files that are older than the field that says it.
  fileprivate var impliedType: AttributeType {
    if hasI { return .int }
    if hasF { return .float }
    if hasS { return .string }
    if hasT { return .tensor }
    if hasG { return .graph }
    if !floats.isEmpty { return .floats }
    return strings.isEmpty ? .ints : .strings
  }
}

extension Onnx_NodeProto {
  /// With the settings that a function was called with where it refers to them, in graphs inside too.
  fileprivate func resolved(_ given: [String: Onnx_AttributeProto]) -> Onnx_NodeProto {
    var node = self
    node.attribute = attribute.compactMap { attribute in
      var attribute = attribute
      if !attribute.refAttrName.isEmpty {
        guard var referred = given[attribute.refAttrName] else { return nil }
        referred.name = attribute.name
        return referred
      }
      if attribute.hasG { attribute.g.node = attribute.g.node.map { $0.resolved(given) } }
      return attribute
    }
    return node
  }

  /// With other names for values.
  fileprivate func renamed(_ name: (String) -> String) -> Onnx_NodeProto {
    var node = self
    node.input = input.map(name)
    node.output = output.map(name)
    node.attribute = attribute.map { attribute in
      var attribute = attribute
      if attribute.hasG { attribute.g = attribute.g.renamed(name) }
      return attribute
    }
    return node
  }
}

extension Onnx_GraphProto {
  /// With other names for values of outside.
  fileprivate func renamed(_ name: (String) -> String) -> Onnx_GraphProto {
    let own = Set(input.map(\.name) + initializer.map(\.name) + node.flatMap(\.output))
    func outside(_ one: String) -> String { own.contains(one) ? one : name(one) }
    var graph = self
    graph.node = node.map { $0.renamed(outside) }
    graph.output = output.map { info in
      var info = info
      info.name = outside(info.name)
      return info
    }
    return graph
  }
}
