import Autodiff
import ONNX
import ONNXFormat
import SwiftProtobuf
import TensorCore
import Testing

private func whole(_ name: String, _ numbers: [Int], shape: [Int]) -> Onnx_TensorProto {
  .with {
    ($0.name, $0.dims, $0.dataType) = (name, shape.map { Int64($0) }, 7)
    $0.int64Data = numbers.map { Int64($0) }
  }
}

/// What a graph gives for one input `x` of floats.
private func run(
  _ nodes: [Onnx_NodeProto], _ x: Tensor, _ constants: [Onnx_TensorProto] = []
) throws -> Value {
  let file = try WrittenModel(
    model(
      nodes, inputs: [port("x", x.shape.extents)], outputs: ["y"], constants: constants, opset: 18))
  return try ONNXModel(path: file.path).run([.floats(Variable(x))])[0]
}

@Suite struct UntrustedGraphTests {
  @Test("An input that a product does not take is refused, whether or not its shape would fit")
  func inputs() throws {
    let weights = tensor("w", [4, 3], [Float](repeating: 1, count: 12))
    for extents in [[3], [7]] {
      let more = tensor("b", extents, [Float](repeating: 1, count: extents[0]))
      for constants in [[weights, more], [more]] {
        let right = constants.count == 2 ? "w" : "x"
        let error = #expect(throws: ONNXError.self) {
          try run([node("MatMul", ["x", right, "b"], ["y"])], .ones([4, 4]), constants)
        }
        #expect(error?.description.contains("takes 2") == true)
      }
    }
  }

  @Test("Steps and spreads of nothing are refused", arguments: ["strides", "dilations"])
  func steps(name: String) throws {
    let weights = tensor("w", [2, 2, 3, 3], [Float](repeating: 1, count: 36))
    for operation in ["ConvTranspose", "Conv"] {
      #expect(throws: ONNXError.self) {
        try run(
          [node(operation, ["x", "w"], ["y"], [attribute(name, [0, 0])])], .ones([1, 2, 4, 4]),
          [weights])
      }
    }
  }

  @Test("The contrary of any whole number is a truth value") func contrary() throws {
    let y = try run(
      [node("Not", ["n"], ["y"])], .ones([1]), [whole("n", [.min, 5, 0, 1], shape: [4])])
    if case .integers(let found) = y {
      #expect(found.elements == [0, 0, 1, 0] && found.type == .bool)
    } else {
      Issue.record("no whole numbers")
    }
  }

  /// Repeated values take no memory by themselves: what the results would take is told beforehand.
  @Test("What is held at once is bounded, in a graph and over the rounds of a loop") func held() {
    let quarter = MemoryLimit.bytes / 16
    let shape = whole("s", [quarter], shape: [1])
    let names = (0..<5).map { "e\($0)" }
    let many =
      names.map { node("Expand", ["x", "s"], [$0]) } + [node("Max", names, ["y"])]
    let body = Onnx_GraphProto.with {
      $0.node = [node("Identity", ["c"], ["d"]), node("Expand", ["x", "s"], ["q"])]
      $0.input = ["i", "c"].map { name in .with { $0.name = name } }
      $0.output = ["d", "q"].map { name in .with { $0.name = name } }
    }
    let loop = node(
      "Loop", ["m", ""], ["y"], [.with { ($0.name, $0.type, $0.g) = ("body", .graph, body) }])
    for (nodes, constants) in [
      (many, [shape]), ([loop], [shape, whole("m", [1000], shape: [])]),
    ] {
      let error = #expect(throws: ONNXError.self) { try run(nodes, .ones([1]), constants) }
      #expect(error?.description.contains("held at once") == true, "\(error?.description ?? "")")
    }
  }

  @Test("What a loop's rounds no longer need does not count") func released() throws {
    let part = MemoryLimit.bytes / 64
    let body = Onnx_GraphProto.with {
      $0.node = [
        node("Identity", ["c"], ["d"]), node("Expand", ["x", "s"], ["e"]),
        node("Shape", ["e"], ["q"]),
      ]
      $0.input = ["i", "c"].map { name in .with { $0.name = name } }
      $0.output = ["d", "q"].map { name in .with { $0.name = name } }
    }
    let loop = node(
      "Loop", ["m", ""], ["y"], [.with { ($0.name, $0.type, $0.g) = ("body", .graph, body) }])
    let y = try run(
      [loop], .ones([1]), [whole("s", [part], shape: [1]), whole("m", [500], shape: [])])
    #expect(y.shape == [500, 1])
  }

  @Test("A mask of −∞ is no weight, and goes with a model file") func mask() throws {
    let mask = tensor("m", [2, 2], [0, -.infinity, 0, 0])
    let file = try WrittenModel(
      model(
        [node("Add", ["x", "m"], ["s"]), node("Softmax", ["s"], ["y"])],
        inputs: [port("x", [2, 2])], outputs: ["y"], constants: [mask], opset: 18))
    let read = try ONNXModel(path: file.path)
    let again = try ONNXModel(structure: read.structure, path: "again")
    #expect(read.parameters.isEmpty && again.parameters.isEmpty)
    for network in [read, again] {
      let y = try network.run([.floats(Variable(.ones([2, 2])))])[0]
      if case .floats(let y) = y {
        #expect(y.value.elements == [1, 0, 0.5, 0.5])
      } else {
        Issue.record("no floats")
      }
    }
  }
}
