import Autodiff
import Foundation
import ONNX
import ONNXFormat
import SwiftProtobuf
import TensorCore
import Testing

/// A node of a model that is made here.
func node(
  _ operation: String, _ inputs: [String], _ outputs: [String],
  _ attributes: [Onnx_AttributeProto] = []
)
  -> Onnx_NodeProto
{
  .with {
    ($0.opType, $0.name, $0.input) = (operation, operation.lowercased(), inputs)
    ($0.output, $0.attribute) = (outputs, attributes)
  }
}

func attribute(_ name: String, _ numbers: [Int]) -> Onnx_AttributeProto {
  .with { ($0.name, $0.type, $0.ints) = (name, .ints, numbers.map { Int64($0) }) }
}

func tensor(_ name: String, _ shape: [Int], _ numbers: [Float]) -> Onnx_TensorProto {
  .with {
    ($0.name, $0.dims, $0.dataType) = (name, shape.map { Int64($0) }, 1)
    $0.floatData = numbers
  }
}

func port(_ name: String, _ shape: [Int?]) -> Onnx_ValueInfoProto {
  .with {
    $0.name = name
    $0.type.tensorType.elemType = 1
    $0.type.tensorType.shape.dim = shape.map { extent in
      .with { if let extent { $0.dimValue = Int64(extent) } else { $0.dimParam = "batch" } }
    }
  }
}

func model(
  _ nodes: [Onnx_NodeProto], inputs: [Onnx_ValueInfoProto], outputs: [String],
  constants: [Onnx_TensorProto] = [], opset: Int = 17
) -> Onnx_ModelProto {
  .with {
    $0.irVersion = 8
    $0.opsetImport = [.with { $0.version = Int64(opset) }]
    $0.graph.node = nodes
    $0.graph.input = inputs
    $0.graph.output = outputs.map { name in
      .with { ($0.name, $0.type.tensorType.elemType) = (name, 1) }
    }
    $0.graph.initializer = constants
  }
}

/// A file that is gone when nobody needs it any more.
final class WrittenModel {
  let path: String
  private let folder: String

  init(_ model: Onnx_ModelProto) throws {
    folder = NSTemporaryDirectory() + "canon-onnx-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    path = folder + "/model.onnx"
    try Data(try model.serializedBytes() as [UInt8]).write(to: URL(fileURLWithPath: path))
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }
}

@Suite struct ModelFileTests {
  private func refusal(_ model: Onnx_ModelProto) throws -> String {
    let file = try WrittenModel(model)
    do throws(ONNXError) {
      _ = try ONNXModel(path: file.path)
      return ""
    } catch {
      #expect(error.description.hasPrefix(file.path))
      return error.description
    }
  }

  @Test("What is not supported is named by node, opset and file before anything runs")
  func unsupported() throws {
    let found = try refusal(
      model([node("StringSplit", ["x"], ["y"])], inputs: [port("x", [1])], outputs: ["y"]))
    #expect(found.hasSuffix("StringSplit 'stringsplit' (opset 17) is not supported."))
    let sum = [node("Add", ["x", "x"], ["y"])]
    let old = try refusal(model(sum, inputs: [port("x", [1])], outputs: ["y"], opset: 3))
    #expect(old.contains("opset 3"))
  }

  @Test("Cycles, missing values, absurd sizes and foreign files are refused in a sentence")
  func hostile() throws {
    let x = [port("x", [1])]
    let cycle = [node("Relu", ["b"], ["a"]), node("Relu", ["a"], ["b"])]
    #expect(
      try refusal(model(cycle, inputs: x, outputs: ["b"])).contains("'b', which nothing makes"))
    #expect(try refusal(model([], inputs: x, outputs: ["y"])).contains("'y'"))
    let twice = [node("Relu", ["x"], ["a"]), node("Abs", ["x"], ["a"])]
    #expect(try refusal(model(twice, inputs: x, outputs: ["a"])).contains("a second time"))
    for shape in [[Int.max, Int.max], [1 << 40], [-1], [3]] {
      let huge = tensor("w", shape, [1, 2])
      let found = try refusal(model([], inputs: x, outputs: ["x"], constants: [huge]))
      #expect(found.contains("'w'"), "\(shape)")
    }
    for location in ["../secret", "/etc/passwd", "a/../../b", "", "missing.bin"] {
      var outside = tensor("w", [1], [])
      outside.dataLocation = .external
      outside.externalData = [.with { ($0.key, $0.value) = ("location", location) }]
      let found = try refusal(model([], inputs: x, outputs: ["x"], constants: [outside]))
      #expect(found.contains("its file") || found.contains("no file"), "\(location)")
    }
    // Graphs in graphs in graphs.
    var inner = Onnx_GraphProto()
    for _ in 0..<40 {
      var next = Onnx_GraphProto()
      next.node = [
        node(
          "If", ["c"], ["y"], [.with { ($0.name, $0.type, $0.g) = ("then_branch", .graph, inner) }])
      ]
      inner = next
    }
    var deep = model([], inputs: x, outputs: ["x"])
    deep.graph.node = [
      node(
        "If", ["x"], ["z"], [.with { ($0.name, $0.type, $0.g) = ("then_branch", .graph, inner) }])
    ]
    #expect(!(try refusal(deep)).isEmpty)
  }

  @Test("A tensor in a file beside the model is read, from its offset, with its length")
  func external() throws {
    var beside = tensor("w", [2], [])
    beside.dataLocation = .external
    beside.externalData = [("location", "w.bin"), ("offset", "4"), ("length", "8")].map { pair in
      .with { ($0.key, $0.value) = pair }
    }
    let file = try WrittenModel(
      model(
        [node("Add", ["x", "w"], ["y"])], inputs: [port("x", [2])], outputs: ["y"], constants: []))
    let folder = URL(fileURLWithPath: file.path).deletingLastPathComponent()
    let numbers: [Float] = [9, 1.5, -2, 9]
    try unsafe numbers.withUnsafeBytes { unsafe Data($0) }.write(
      to: folder.appendingPathComponent("w.bin"))
    let whole = model(
      [node("Add", ["x", "w"], ["y"])], inputs: [port("x", [2])], outputs: ["y"],
      constants: [beside])
    try Data(try whole.serializedBytes() as [UInt8]).write(to: URL(fileURLWithPath: file.path))
    let found = try ONNXModel(path: file.path).run([.floats(Variable(Tensor([1, 1])))])
    guard case .floats(let y) = found[0] else { return #expect(Bool(false)) }
    #expect(y.value.elements == [2.5, -1])
  }

  @Test(
    "What a model file carries is the network without its large weights, and needs no other file")
  func structure() throws {
    var random = RandomStream(seed: 6, name: "weights")
    let large = Tensor.uniform([64, 32], from: -1, to: 1, using: &random)
    var beside = tensor("b", [2], [])
    beside.dataLocation = .external
    beside.externalData = [.with { ($0.key, $0.value) = ("location", "b.bin") }]
    let whole = model(
      [
        node("MatMul", ["x", "w"], ["h"]),
        node(
          "Concat", ["h", "b"], ["y"], [.with { ($0.name, $0.type, $0.i) = ("axis", .int, 0) }]),
      ],
      inputs: [port("x", [64])], outputs: ["y"],
      constants: [tensor("w", [64, 32], large.elements), beside])
    let file = try WrittenModel(whole)
    let folder = URL(fileURLWithPath: file.path).deletingLastPathComponent()
    try unsafe [Float(3), 4].withUnsafeBytes { unsafe Data($0) }.write(
      to: folder.appendingPathComponent("b.bin"))
    let read = try ONNXModel(path: file.path)
    #expect(read.structure.count < 400)
    try FileManager.default.removeItem(at: folder.appendingPathComponent("b.bin"))
    let carried = try ONNXModel(structure: read.structure, path: "carried")
    #expect(carried.structure == read.structure)
    #expect(carried.parameters.map(\.name) == ["b", "w"])
    #expect(carried.parameters[1].parameter.value == .zeros([64, 32]))
    for (own, theirs) in zip(carried.parameters, read.parameters) {
      own.parameter.value = theirs.parameter.value
    }
    let x = Variable(Tensor.uniform([64], from: -1, to: 1, using: &random))
    guard case .floats(let y) = try carried.run([.floats(x)])[0],
      case .floats(let wanted) = try read.run([.floats(x)])[0]
    else { return #expect(Bool(false)) }
    #expect(y.value == wanted.value && y.value.elements.suffix(2) == [3, 4])
    #expect(throws: ONNXError.self) {
      try ONNXModel(structure: Array(read.structure.dropLast(3)), path: "cut")
    }
  }

  @Test("Inputs of other types and sizes are refused, and say what is wanted")
  func inputs() throws {
    let file = try WrittenModel(
      model([node("Relu", ["x"], ["y"])], inputs: [port("x", [nil, 3])], outputs: ["y"]))
    let network = try ONNXModel(path: file.path)
    #expect(network.inputs[0].text == "float [·, 3]")
    for wrong in [Value.floats(Variable(.zeros([2, 4]))), .integers(Integers([1, 2, 3]))] {
      #expect(throws: ONNXError.self) { try network.run([wrong]) }
    }
    #expect(throws: ONNXError.self) { try network.run([]) }
    #expect(try network.run([.floats(Variable(.zeros([5, 3])))])[0].shape == [5, 3])
  }

  @Test("Damaged files are refused, or carried out: none ends the program")
  func damaged() throws {
    var random = RandomStream(seed: 3, name: "damage")
    let cases = packedCases.filter { _ in Int.random(in: 0..<8, using: &random) == 0 }
    #expect(cases.count > 50)
    let folder = NSTemporaryDirectory() + "canon-damage-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var refused = 0
    for one in cases {
      let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: one.folder + "/model.onnx")))
      let inputs = try (0..<8).compactMap { n -> Value? in
        let path = "\(one.folder)/test_data_set_0/input_\(n).pb"
        return FileManager.default.fileExists(atPath: path) ? try Value(tensorAt: path) : nil
      }
      for _ in 0..<10 {
        var damaged = bytes
        for _ in 0..<Int.random(in: 1...4, using: &random) {
          let place = Int.random(in: 0..<damaged.count, using: &random)
          switch Int.random(in: 0..<3, using: &random) {
          case 0: damaged[place] = UInt8.random(in: 0...255, using: &random)
          case 1: damaged[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
          default: damaged.remove(at: place)
          }
        }
        let path = folder + "/model.onnx"
        try Data(damaged).write(to: URL(fileURLWithPath: path))
        do { _ = try ONNXModel(path: path).run(inputs) } catch { refused += 1 }
      }
    }
    #expect(refused > cases.count)
  }
}
