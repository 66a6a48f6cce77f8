import Autodiff
import Foundation
import ONNX
import ONNXFormat
import SwiftProtobuf
import TensorCore
import Testing

private func numbers(_ name: String, _ numbers: [Int], shape: [Int]? = nil) -> Onnx_TensorProto {
  .with {
    ($0.name, $0.dims, $0.dataType) = (name, (shape ?? [numbers.count]).map { Int64($0) }, 7)
    $0.int64Data = numbers.map { Int64($0) }
  }
}

private func number(_ name: String, _ value: Int) -> Onnx_AttributeProto {
  .with { ($0.name, $0.type, $0.i) = (name, .int, Int64(value)) }
}

private func text(_ name: String, _ value: String) -> Onnx_AttributeProto {
  .with { ($0.name, $0.type, $0.s) = (name, .string, .init(value.utf8)) }
}

private func inner(_ name: String, _ graph: Onnx_GraphProto) -> Onnx_AttributeProto {
  .with { ($0.name, $0.type, $0.g) = (name, .graph, graph) }
}

private func graph(
  _ nodes: [Onnx_NodeProto], _ inputs: [String], _ outputs: [String],
  _ constants: [Onnx_TensorProto] = []
)
  -> Onnx_GraphProto
{
  .with {
    $0.node = nodes
    $0.input = inputs.map { name in .with { $0.name = name } }
    $0.output = outputs.map { name in .with { $0.name = name } }
    $0.initializer = constants
  }
}

/// What a graph of one input of floats gives.
private func run(
  _ nodes: [Onnx_NodeProto], _ x: Tensor, _ constants: [Onnx_TensorProto] = [],
  functions: [Onnx_FunctionProto] = []
) throws -> Value {
  var whole = model(
    nodes, inputs: [port("x", x.shape.extents)], outputs: ["y"], constants: constants, opset: 18)
  whole.functions = functions
  if !functions.isEmpty { whole.opsetImport.append(.with { ($0.domain, $0.version) = ("own", 1) }) }
  let file = try WrittenModel(whole)
  return try ONNXModel(path: file.path).run([.floats(Variable(x))])[0]
}

private func floats(_ value: Value) -> [Float] {
  if case .floats(let x) = value { x.value.elements } else { [] }
}

@Suite struct UnusualGraphTests {
  private let huge = 1 << 62

  /// Half a minute in debug.
  private var endless: [(String, [Onnx_NodeProto], [Onnx_TensorProto])] {
    #if DEBUG
      []
    #else
      [
        (
          "Loop",
          [
            node(
              "Loop", ["m", ""], ["y"],
              [
                inner(
                  "body",
                  graph(
                    [
                      node("Identity", ["c"], ["d"]),
                      node(
                        "Loop", ["m", ""], ["q"],
                        [
                          inner(
                            "body",
                            graph(
                              [node("Identity", ["cc"], ["dd"]), node("Identity", ["ii"], ["q2"])],
                              ["ii", "cc"], ["dd", "q2"]))
                        ]),
                      node("ReduceSum", ["q"], ["r"]),
                    ], ["i", "c"], ["d", "r"]))
              ])
          ], [numbers("m", [900_000], shape: [])]
        )
      ]
    #endif
  }

  @Test("What files ask for beyond all measure is refused, by node, without a trap")
  func beyond() throws {
    let x = Tensor.ones([1, 2, 4, 4])
    let w = tensor("w", [2, 2, 1, 1], [1, 2, 3, 4])
    let none = numbers("none", [0]), one = numbers("one", [1])
    let cases: [(String, [Onnx_NodeProto], [Onnx_TensorProto])] = [
      ("Conv", [node("Conv", ["x", "w"], ["y"], [number("group", huge)])], [w]),
      (
        "ConvTranspose",
        [node("ConvTranspose", ["x", "w"], ["y"], [attribute("output_shape", [5])])], [w]
      ),
      (
        "ConvTranspose",
        [node("ConvTranspose", ["x", "w"], ["y"], [attribute("output_shape", [-9, -9])])], [w]
      ),
      ("MaxPool", [node("MaxPool", ["x"], ["y"], [attribute("kernel_shape", [])])], []),
      (
        "Split", [node("Split", ["x", "s"], ["y", "z"], [number("axis", 2)])],
        [numbers("s", [.max, 5])]
      ),
      (
        "Einsum", [node("Einsum", ["m"], ["y"], [text("equation", "ii->i")])],
        [tensor("m", [3, 1], [1, 2, 3])]
      ),
      ("Tile", [node("Tile", ["x", "t"], ["y"])], [numbers("t", [1, 1, 1, huge])]),
      (
        "Pad", [node("Pad", ["x", "p"], ["y"])],
        [numbers("p", [huge, huge, huge, huge, huge, huge, huge, huge])]
      ),
      (
        "ConstantOfShape", [node("ConstantOfShape", ["c"], ["y"])],
        [numbers("c", [0, 1 << 40, 1 << 40])]
      ),
      (
        "Expand",
        [node("Slice", ["x", "none", "none", "none"], ["e"]), node("Expand", ["e", "c"], ["y"])],
        [none, numbers("c", [0, 1 << 40, 1 << 40, 1, 1])]
      ),
      (
        "Reshape", [node("Reshape", ["x", "r"], ["y"])],
        [numbers("r", [Int](repeating: 1, count: 200) + [32])]
      ),
      ("DepthToSpace", [node("DepthToSpace", ["x"], ["y"], [number("blocksize", huge)])], []),
      (
        "OneHot", [node("OneHot", ["one", "d", "v"], ["y"])],
        [one, numbers("d", [huge], shape: []), tensor("v", [2], [0, 1])]
      ),
      (
        "ScatterND", [node("ScatterND", ["x", "i", "u"], ["y"])],
        [numbers("i", [Int](repeating: 0, count: 1000), shape: [1000, 1]), tensor("u", [1], [1])]
      ),
      (
        "Resize", [node("Resize", ["x", "", "", "s"], ["y"], [text("mode", "linear")])],
        [numbers("s", [1, 2, 1 << 20, 1 << 20])]
      ),
      ("Conv", [node("Conv", ["x", "w"], ["y"], [text("auto_pad", "SOMEHOW")])], [w]),
    ]
    for (operation, nodes, constants) in cases + endless {
      let error = #expect(throws: ONNXError.self, "\(operation)") { try run(nodes, x, constants) }
      let said =
        error?.description.contains("'") == true || error?.description.contains("nodes") == true
      #expect(said, "\(operation): \(error?.description ?? "")")
    }
    for batch in [0, 1 << 40, huge] {
      let file = try WrittenModel(
        model([node("Relu", ["x"], ["y"])], inputs: [port("x", [batch, 4])], outputs: ["y"]))
      #expect(throws: ONNXError.self) { try ONNXLayer(ONNXModel(path: file.path), input: [4]) }
    }
    let header = tensor("w", [0, huge, 4], [])
    #expect(throws: ONNXError.self) { try run([node("Relu", ["x"], ["y"])], x, [header]) }
  }

  @Test("Empty batches are carried out")
  func empty() throws {
    let x = Tensor.zeros([0, 2, 4, 4])
    let scale = tensor("s", [2], [1, 1])
    let cases: [(Onnx_NodeProto, [Int])] = [
      (node("GlobalMaxPool", ["x"], ["y"]), [0, 2, 1, 1]),
      (
        node("GroupNormalization", ["x", "s", "s"], ["y"], [number("num_groups", 1)]), [0, 2, 4, 4]
      ),
      (node("Einsum", ["x"], ["y"], [text("equation", "abcd->bcd")]), [2, 4, 4]),
      (node("Resize", ["x", "", "", "z"], ["y"]), [0, 2, 8, 8]),
      (node("MatMul", ["x", "n"], ["y"]), [0, 2, 4, 3]),
    ]
    for (one, shape) in cases {
      let found = try run(
        [one], x,
        [
          scale, numbers("z", [0, 2, 8, 8]), tensor("n", [4, 3], [Float](repeating: 1, count: 12)),
        ])
      #expect(found.shape == shape, "\(one.opType)")
    }
    // Sums of nothing are 0.
    let none = [
      node("Slice", ["x", "zero", "zero", "last"], ["e"]), node("MatMul", ["e", "n"], ["y"]),
    ]
    let sums = try run(
      none, .ones([1, 2, 2, 4]),
      [numbers("zero", [0]), numbers("last", [3]), tensor("n", [0, 3], [])])
    #expect(sums.shape == [1, 2, 2, 3] && floats(sums).allSatisfy { $0 == 0 })
  }

  @Test("What is no number stays so through clamps and maxima")
  func nan() throws {
    let x = Tensor([.nan, 1, -1, 9])
    let bounds = [tensor("low", [], [0]), tensor("high", [], [6])]
    let clipped = floats(try run([node("Clip", ["x", "low", "high"], ["y"])], x, bounds))
    #expect(clipped[0].isNaN && Array(clipped[1...]) == [1, 0, 6])
    for operation in ["Max", "Min"] {
      let found = floats(try run([node(operation, ["x", "low"], ["y"])], x, bounds))
      #expect(found[0].isNaN && !found[1].isNaN)
      #expect(floats(try run([node(operation, ["low", "x"], ["y"])], x, bounds))[0].isNaN)
    }
    #expect(
      floats(
        try run([node("PRelu", ["x", "s"], ["y"])], Tensor([1]), [tensor("s", [1], [.infinity])]))
        == [1])
  }

  @Test("Whole numbers beyond those of Double are told apart")
  func wholes() throws {
    let big = 1 << 53
    let all = numbers("i", [big, big + 1, big])
    func integers(_ nodes: [Onnx_NodeProto], _ more: [Onnx_TensorProto] = []) throws -> [Int] {
      guard case .integers(let found) = try run(nodes, .ones([1]), [all] + more) else { return [] }
      return found.elements
    }
    #expect(try integers([node("ArgMax", ["i"], ["y"])]) == [1])
    #expect(try integers([node("Unique", ["i"], ["y"])]) == [big, big + 1])
    #expect(
      try integers([node("TopK", ["i", "k"], ["y", "p"])], [numbers("k", [1])]) == [big + 1])
    let ends = [
      numbers("a", [huge + 1], shape: []), numbers("b", [huge + 4], shape: []),
      numbers("s", [1], shape: []),
    ]
    #expect(
      try integers([node("Range", ["a", "b", "s"], ["y"])], ends) == [huge + 1, huge + 2, huge + 3])
    let squares = node("ReduceSumSquare", ["j"], ["y"], [number("noop_with_empty_axes", 1)])
    #expect(try integers([squares], [numbers("j", [-3, 2])]) == [9, 4])
  }

  @Test("Loops without carried values, and convolutions in them at several sizes, are carried out")
  func loops() throws {
    let body = graph(
      [node("Identity", ["c"], ["d"]), node("Mul", ["x", "x"], ["s"])], ["i", "c"], ["d", "s"])
    let found = try run(
      [node("Loop", ["m", ""], ["y"], [inner("body", body)])], Tensor([2, 3]),
      [numbers("m", [3], shape: [])])
    #expect(found.shape == [3, 2] && floats(found) == [4, 9, 4, 9, 4, 9])
    // SAME_UPPER pads 9, 5 and 3 pixels otherwise than 8, 4 and 2.
    let conv = node(
      "Conv", ["v", "w"], ["y"], [text("auto_pad", "SAME_UPPER"), attribute("strides", [2, 2])])
    let w = tensor("w", [1, 1, 3, 3], [Float](repeating: 1, count: 9))
    let file = try WrittenModel(
      model([conv], inputs: [port("v", [1, 1, nil, nil])], outputs: ["y"], constants: [w]))
    let network = try ONNXModel(path: file.path)
    for side in [8, 9, 5, 4] {
      let fresh = try ONNXModel(path: file.path)
      let image = Value.floats(Variable(.ones([1, 1, side, side])))
      let (one, other) = (try network.run([image])[0], try fresh.run([image])[0])
      #expect(one.shape == [1, 1, (side + 1) / 2, (side + 1) / 2] && floats(one) == floats(other))
    }
  }

  @Test("Functions see what they are called with, in graphs inside them too")
  func functions() throws {
    var slope = number("alpha", 0)
    (slope.type, slope.refAttrName) = (.float, "slope")
    slope.clearI()
    let branch = graph([node("LeakyRelu", ["a"], ["z"], [slope])], [], ["z"])
    let function = Onnx_FunctionProto.with {
      ($0.domain, $0.name, $0.attribute) = ("own", "Bent", ["slope"])
      ($0.input, $0.output) = (["a", "c"], ["unused", "b"])
      $0.node = [
        node("Identity", ["a"], ["unused"]),
        node("If", ["c"], ["r"], [inner("then_branch", branch), inner("else_branch", branch)]),
        node("Add", ["r", "unused"], ["b"]),
      ]
    }
    var call = node(
      "Bent", ["x", "c"], ["", "y"],
      [
        .with { ($0.name, $0.type, $0.f) = ("slope", .float, 0.5) }
      ])
    call.domain = "own"
    var truth = numbers("c", [1], shape: [])
    truth.dataType = 9
    truth.int64Data = []
    truth.int32Data = [1]
    #expect(floats(try run([call], Tensor([-2, 4]), [truth], functions: [function])) == [-3, 8])
  }

  @Test("Constants of nodes are not trained, and what is trained is listed")
  func constants() throws {
    let half = node(
      "Constant", [], ["h"],
      [.with { ($0.name, $0.type, $0.t) = ("value", .tensor, tensor("", [], [0.5])) }])
    let file = try WrittenModel(
      model(
        [half, node("MatMul", ["x", "w"], ["m"]), node("Mul", ["m", "h"], ["y"])],
        inputs: [port("x", [nil, 2])], outputs: ["y"], constants: [tensor("w", [2, 1], [1, 2])]))
    let layer = try ONNXLayer(ONNXModel(path: file.path), input: [2])
    let tape = Tape.training(random: RandomStream(seed: 0, name: "tape"))
    _ = layer(Variable(.ones([3, 2])), on: tape)
    #expect(tape.leafCount == layer.parameters.count && layer.parameters.count == 1)
  }

  @Test("Names that would steer a terminal are written as numbers")
  func names() {
    #expect(ONNXError("a\u{1b}[31m\nb").description == "a\\u{1b}[31m\\u{a}b")
  }
}
