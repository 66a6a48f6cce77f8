import Autodiff
import ONNXFormat
import SwiftProtobuf
import TensorCore
import Testing

@testable import ONNX

private func numbers(_ name: String, _ numbers: [Int]) -> Onnx_TensorProto {
  .with {
    ($0.name, $0.dims, $0.dataType) = (name, [Int64(numbers.count)], 7)
    $0.int64Data = numbers.map { Int64($0) }
  }
}

private func constant(_ name: String, _ value: Float) -> Onnx_NodeProto {
  node(
    "Constant", [], [name],
    [.with { ($0.name, $0.type, $0.t) = ("value", .tensor, tensor(name, [], [value])) }])
}

private func float(_ name: String, _ value: Float) -> Onnx_AttributeProto {
  .with { ($0.name, $0.type, $0.f) = (name, .float, value) }
}

private func random(_ shape: Shape, _ seed: UInt64) -> Tensor {
  var random = RandomStream(seed: seed, name: "folding")
  return .uniform(shape, from: -3, to: 3, using: &random)
}

/// What is folded for prediction gives what the graph as it stands gives, which is what learns.
@Suite struct FoldingTests {
  private func compare(_ network: Onnx_ModelProto, _ inputs: [Tensor]) throws {
    let file = try WrittenModel(network)
    let model = try ONNXModel(path: file.path)
    for x in inputs {
      guard case .floats(let folded) = try model.run([.floats(Variable(x))])[0],
        case .floats(let plain) = try model.run(
          [.floats(Variable(x))], on: .training(random: RandomStream(seed: 0, name: "t")))[0]
      else { throw ONNXError("no floats") }
      #expect(folded.shape == plain.shape)
      let size = plain.value.absolute().elements.max() ?? 0
      for (a, b) in zip(folded.value.elements, plain.value.elements) {
        #expect(abs(a - b) <= 2e-6 * max(1, size))
      }
    }
  }

  /// Activations as files write them, in parts or whole, from `a` to `y`.
  static let activations: [(String, [Onnx_NodeProto])] = [
    ("swish", [node("Sigmoid", ["a"], ["s"]), node("Mul", ["a", "s"], ["y"])]),
    ("swish, turned", [node("Sigmoid", ["a"], ["s"]), node("Mul", ["s", "a"], ["y"])]),
    ("no swish", [node("Sigmoid", ["a"], ["s"]), node("Mul", ["s", "x"], ["y"])]),
    (
      "both",
      [
        node("Sigmoid", ["a"], ["s"]), node("Mul", ["a", "s"], ["m"]),
        node("Add", ["m", "s"], ["y"]),
      ]
    ),
    (
      "hard swish",
      [
        node("HardSigmoid", ["a"], ["s"], [float("alpha", 1 / 6), float("beta", 0.5)]),
        node("Mul", ["a", "s"], ["y"]),
      ]
    ),
    (
      "another hard swish",
      [node("HardSigmoid", ["a"], ["s"]), node("Mul", ["a", "s"], ["y"])]
    ),
    (
      "gelu",
      [
        constant("r", 1.4142135), constant("o", 1), constant("h", 0.5),
        node("Div", ["a", "r"], ["d"]), node("Erf", ["d"], ["e"]), node("Add", ["e", "o"], ["p"]),
        node("Mul", ["a", "p"], ["m"]), node("Mul", ["m", "h"], ["y"]),
      ]
    ),
    (
      "no gelu",
      [
        constant("r", 1.4142135), constant("o", 1.5), constant("h", 0.5),
        node("Div", ["a", "r"], ["d"]), node("Erf", ["d"], ["e"]), node("Add", ["e", "o"], ["p"]),
        node("Mul", ["a", "p"], ["m"]), node("Mul", ["m", "h"], ["y"]),
      ]
    ),
    ("clip", [constant("l", -0.5), constant("h", 1), node("Clip", ["a", "l", "h"], ["y"])]),
    ("clip upwards", [constant("h", 1), node("Clip", ["a", "", "h"], ["y"])]),
    ("clip, crossed", [constant("l", 2), constant("h", 1), node("Clip", ["a", "l", "h"], ["y"])]),
    ("relu", [node("Relu", ["a"], ["y"])]),
    ("leaky", [node("LeakyRelu", ["a"], ["y"], [float("alpha", 0.3)])]),
    ("steep", [node("LeakyRelu", ["a"], ["y"], [float("alpha", 1.5)])]),
    ("falling", [node("LeakyRelu", ["a"], ["y"], [float("alpha", -0.5)])]),
  ]

  @Test(
    "An activation in parts is the activation, behind a convolution too",
    arguments: activations.indices)
  func wholeActivations(index: Int) throws {
    let parts = Self.activations[index].1
    let images = [random([2, 4, 6, 5], 1), random([1, 4, 6, 5], 2)]
    let weight = tensor("w", [4, 4, 3, 3], random([4, 4, 3, 3], 3).elements)
    try compare(
      model(
        [node("Conv", ["x", "w"], ["a"], [attribute("pads", [1, 1, 1, 1])])] + parts,
        inputs: [port("x", [nil, 4, 6, 5])], outputs: ["y"], constants: [weight]), images)
    try compare(
      model(
        [node("Identity", ["x"], ["a"])] + parts, inputs: [port("x", [nil, 4, 6, 5])],
        outputs: ["y"]), images)
  }

  @Test("A product with weights, what is added to it and the activation after it, are one")
  func products() throws {
    let (w, b) = (
      tensor("w", [6, 40], random([6, 40], 4).elements), tensor("b", [40], random([40], 5).elements)
    )
    let t = tensor("t", [40, 6], random([40, 6], 6).elements)
    let isTransposed: [Onnx_AttributeProto] = [
      .with { ($0.name, $0.type, $0.i) = ("transB", .int, 1) }
    ]
    let networks: [([Int?], [Onnx_NodeProto])] = [
      ([nil, 7, 6], [node("MatMul", ["x", "w"], ["y"])]),
      ([nil, 7, 6], [node("MatMul", ["x", "w"], ["p"]), node("Add", ["b", "p"], ["y"])]),
      (
        [nil, 6],
        [
          node("MatMul", ["x", "w"], ["p"]), node("Add", ["p", "b"], ["a"]),
          node("Gelu", ["a"], ["y"]),
        ]
      ),
      (
        [nil, 6], [node("Gemm", ["x", "t", "b"], ["g"], isTransposed), node("Relu", ["g"], ["y"])]
      ),
      ([nil, 6], [node("Gemm", ["x", "w", "b"], ["y"], [float("alpha", 0.5)])]),
      (
        [nil, 6],
        [
          node("Gemm", ["x", "w", "b"], ["g"], [float("beta", 0.5)]), node("Sigmoid", ["g"], ["y"]),
        ]
      ),
      // What is added is not of the columns, or the product is wanted too.
      ([nil, 40, 6], [node("MatMul", ["x", "w"], ["p"]), node("Add", ["p", "p"], ["y"])]),
      (
        [nil, 6],
        [
          node("MatMul", ["x", "w"], ["p"]), node("Add", ["p", "b"], ["a"]),
          node("Mul", ["a", "p"], ["y"]),
        ]
      ),
    ]
    for (shape, nodes) in networks {
      let inputs = [1, 3, 150].map { batch in random(Shape(shape.map { $0 ?? batch }), 7) }
      try compare(
        model(
          nodes, inputs: [port("x", shape)], outputs: ["y"], constants: [w, b, t], opset: 20),
        inputs)
    }
  }

  @Test("What is averaged stays with its channels last in memory, as what comes next reads it")
  func averagesInOrder() throws {
    let pool = node("AveragePool", ["x"], ["y"], [attribute("kernel_shape", [2, 2])])
    let file = try WrittenModel(
      model([pool], inputs: [port("x", [nil, 4, 6, 6])], outputs: ["y"], constants: []))
    let images = random([2, 6, 6, 4], 1).permuted([0, 3, 1, 2])
    guard case .floats(let y) = try ONNXModel(path: file.path).run([.floats(Variable(images))])[0]
    else {
      Issue.record("no numbers")
      return
    }
    #expect(y.shape == [2, 4, 5, 5] && y.value.memoryOrder == [0, 2, 3, 1])
  }

  @Test(
    "What is handed on is read where it comes from, but what comes out or a graph inside reads keeps its name"
  )
  func identities() throws {
    let weights = [
      tensor("w", [4, 4, 3, 3], random([4, 4, 3, 3], 3).elements),
      tensor("v", [4], random([4], 4).absolute().elements),
      Onnx_TensorProto.with { ($0.name, $0.dims, $0.dataType, $0.int32Data) = ("c", [], 9, [1]) },
    ]
    let inside = Onnx_GraphProto.with {
      $0.name = "inside"
      $0.node = [node("Add", ["b", "v2"], ["r"])]
      $0.output = [port("r", [nil, 4, 4, 4])]
    }
    func branch(_ name: String) -> Onnx_AttributeProto {
      .with { ($0.name, $0.type, $0.g) = (name, .graph, inside) }
    }
    let handed = [
      node("Identity", ["w"], ["w2"]), node("Identity", ["w2"], ["w3"]),
      node("Identity", ["v"], ["v2"]), node("Conv", ["x", "w3"], ["a"]),
      node("BatchNormalization", ["a", "v2", "v", "v2", "v2"], ["b"]),
    ]
    let images = [random([2, 4, 6, 6], 1), random([1, 4, 6, 6], 2)]
    for (ending, left) in [
      ([node("Relu", ["b"], ["y"])], 0),
      ([node("Identity", ["b"], ["y"])], 1),
      ([node("Identity", ["b"], ["d"]), node("Mul", ["d", "b"], ["y"])], 0),
    ] {
      let network = model(
        handed + ending, inputs: [port("x", [nil, 4, 6, 6])], outputs: ["y"], constants: weights)
      try compare(network, images)
      let file = try WrittenModel(network)
      let folded = try ONNXModel(path: file.path).folded
      #expect(folded.nodes.count { $0.operation == "Identity" } == left)
      #expect(folded.nodes.count { $0.operation == "BatchNormalization" } == 0)
    }
    // Of vectors as long as the image is wide, so that they are added along it.
    try compare(
      model(
        handed + [
          node("If", ["c"], ["y"], [branch("then_branch"), branch("else_branch")])
        ], inputs: [port("x", [nil, 4, 6, 6])], outputs: ["y"], constants: weights), images)
  }

  @Test("What is added to a convolution's result is taken in, of the same shape or another")
  func added() throws {
    let weights = [
      tensor("w", [4, 4, 3, 3], random([4, 4, 3, 3], 1).elements),
      tensor("u", [4, 4, 1, 1], random([4, 4, 1, 1], 2).elements),
      tensor("d", [4, 1, 3, 3], random([4, 1, 3, 3], 3).elements),
      tensor("v", [4], random([4], 4).absolute().elements),
      tensor("one", [1, 4, 1, 1], random([1, 4, 1, 1], 5).elements),
      tensor("deep", [2, 1, 4, 1, 1], random([2, 1, 4, 1, 1], 6).elements),
    ]
    func convolution(_ weight: String, _ to: String, groups: Int = 1) -> Onnx_NodeProto {
      let isWide = weight != "u"
      return node(
        "Conv", ["x", weight], [to],
        [
          attribute("pads", isWide ? [1, 1, 1, 1] : [0, 0, 0, 0]),
          .with { ($0.name, $0.type, $0.i) = ("group", .int, Int64(groups)) },
        ])
    }
    let (relu, norm) = (
      node("Relu", ["s"], ["y"]), node("BatchNormalization", ["a", "v", "v", "v", "v"], ["n"])
    )
    let networks: [(nodes: [Onnx_NodeProto], left: Int)] = [
      ([convolution("w", "a"), node("Add", ["a", "x"], ["s"]), relu], 0),
      ([convolution("w", "a"), norm, node("Add", ["x", "n"], ["s"]), relu], 0),
      ([convolution("w", "a"), node("Add", ["x", "a"], ["y"])], 0),
      // Two convolutions: one takes the other's result.
      (
        [convolution("w", "a"), convolution("u", "b"), node("Add", ["a", "b"], ["s"]), relu], 0
      ),
      ([convolution("d", "a", groups: 4), node("Add", ["a", "x"], ["s"]), relu], 0),
      // Repeated to the result's shape, and the result to its.
      ([convolution("w", "a"), node("Add", ["one", "a"], ["s"]), relu], 0),
      ([convolution("w", "a"), node("Add", ["a", "deep"], ["s"]), relu], 0),
      // Its own result, and one that is read elsewhere: nothing is taken in.
      ([convolution("w", "a"), node("Add", ["a", "a"], ["s"]), relu], 1),
      (
        [
          convolution("w", "a"), node("Add", ["a", "x"], ["s"]), node("Mul", ["s", "a"], ["y"]),
        ], 1
      ),
    ]
    for (nodes, left) in networks {
      let network = model(
        nodes, inputs: [port("x", [nil, 4, 6, 7])], outputs: ["y"], constants: weights)
      try compare(network, [random([2, 4, 6, 7], 1), random([1, 4, 6, 7], 2)])
      let file = try WrittenModel(network)
      let folded = try ONNXModel(path: file.path).folded
      #expect(folded.nodes.count { $0.operation == "Add" } == left)
    }
  }

  @Test("Channels are joined where they are normalized, as they lie in memory or not")
  func joined() throws {
    let parts = ["a", "b", "x", "a"]
    let weights = [
      tensor("w", [5, 4, 1, 1], random([5, 4, 1, 1], 1).elements),
      tensor("u", [3, 4, 3, 3], random([3, 4, 3, 3], 2).elements),
      tensor("v", [17], random([17], 3).absolute().elements),
      tensor("m", [17], random([17], 4).elements),
      tensor("k", [13], random([13], 3).absolute().elements),
    ]
    for (inputs, vectors, ending) in [
      (parts, ["v", "m", "m", "v"], [node("Relu", ["n"], ["y"])]),
      (["a", "b", "a"], ["k", "k", "k", "k"], [node("Relu", ["n"], ["y"])]),
      (["a", "b", "a"], ["k", "k", "k", "k"], [node("Neg", ["n"], ["y"])]),
      // Read by another too: joined once.
      (parts, ["v", "m", "m", "v"], [node("Add", ["n", "j"], ["y"])]),
    ] {
      let network = model(
        [
          node("Conv", ["x", "w"], ["a"]),
          node("Conv", ["x", "u"], ["b"], [attribute("pads", [1, 1, 1, 1])]),
          node("Concat", inputs, ["j"], [.with { ($0.name, $0.type, $0.i) = ("axis", .int, 1) }]),
          node("BatchNormalization", ["j"] + vectors, ["n"]),
        ] + ending, inputs: [port("x", [nil, 4, 6, 7])], outputs: ["y"], constants: weights)
      try compare(network, [random([2, 4, 6, 7], 1), random([1, 4, 6, 7], 2)])
      let file = try WrittenModel(network)
      let folded = try ONNXModel(path: file.path).folded
      let isJoined = !ending[0].input.contains("j")
      #expect(folded.nodes.contains { $0.operation == "Concat" } != isJoined)
    }
  }

  @Test("What follows from shapes is what it was, for each batch anew")
  func shapes() throws {
    let nodes = [
      node("Shape", ["x"], ["s"]), node("Gather", ["s", "zero"], ["n"]),
      node(
        "Concat", ["n", "rest"], ["t"], [.with { ($0.name, $0.type, $0.i) = ("axis", .int, 0) }]),
      node("ConstantOfShape", ["t"], ["z"]),
      node("Cast", ["n"], ["f"], [.with { ($0.name, $0.type, $0.i) = ("to", .int, 1) }]),
      node("Reshape", ["x", "t"], ["r"]), node("Add", ["r", "z"], ["a"]),
      node("Mul", ["a", "f"], ["y"]),
    ]
    try compare(
      model(
        nodes, inputs: [port("x", [nil, 2, 6])], outputs: ["y"],
        constants: [numbers("zero", [0]), numbers("rest", [3, 4])]),
      [2, 3, 2, 1, 4, 5, 6, 2].enumerated().map { random([$1, 2, 6], UInt64($0)) })
  }

  @Test("Weights that follow from the shape are made ready for each shape of its own")
  func computedWeights() throws {
    let nodes = [
      node("Shape", ["x"], ["s"]), node("Gather", ["s", "zero"], ["n"]),
      node(
        "Cast", ["n"], ["f"], [.with { ($0.name, $0.type, $0.i) = ("to", .int, 1) }]),
      constant("c", 0.5), node("Mul", ["f", "c"], ["m"]),
      node("Expand", ["m", "shape"], ["w"]), node("Conv", ["x", "w"], ["y"]),
    ]
    try compare(
      model(
        nodes, inputs: [port("x", [nil, 2, 6, 6])], outputs: ["y"],
        constants: [numbers("zero", [0]), numbers("shape", [4, 2, 3, 3])]),
      [1, 1, 1, 3, 3, 3, 1, 2, 2].enumerated().map { random([$1, 2, 6, 6], UInt64($0)) })
  }

  @Test("Ranges, scales and depths that depend on numbers are each input's own")
  func computedExtents() throws {
    let toFloat: [Onnx_AttributeProto] = [
      .with { ($0.name, $0.type, $0.i) = ("to", .int, 1) }
    ]
    let start = [
      node("ReduceMax", ["x"], ["m"], [.with { ($0.name, $0.type, $0.i) = ("keepdims", .int, 0) }]),
      constant("end", 9), constant("step", 1), node("Range", ["m", "end", "step"], ["r"]),
      node("Shape", ["r"], ["s"]), node("Cast", ["s"], ["f"], toFloat),
      node("Add", ["x", "f"], ["y"]),
    ]
    let same = [
      node("Abs", ["x"], ["a"]), node("Ceil", ["a"], ["b"]), node("Resize", ["b", "", "b"], ["r"]),
      node("Shape", ["r"], ["s"]), node("Cast", ["s"], ["f"], toFloat),
      node("Add", ["x", "f"], ["y"]),
    ]
    try compare(
      model(start, inputs: [port("x", [nil, 5])], outputs: ["y"]),
      (0..<4).map { random([2, 5], UInt64($0)) * Tensor(Float(1 + $0)) })
    try compare(
      model(same, inputs: [port("x", [1])], outputs: ["y"]),
      (0..<4).map { Tensor([Float(1 + $0)]) })
  }

  @Test("What depends on numbers is computed from each input's own")
  func values() throws {
    // How many numbers are positive, and which.
    let nodes = [
      node("Relu", ["x"], ["p"]), node("NonZero", ["p"], ["i"]), node("Shape", ["i"], ["s"]),
      node("Cast", ["s"], ["f"], [.with { ($0.name, $0.type, $0.i) = ("to", .int, 1) }]),
      node("ReduceSum", ["f"], ["n"]), node("Add", ["x", "n"], ["y"]),
    ]
    try compare(
      model(nodes, inputs: [port("x", [nil, 5])], outputs: ["y"]),
      (0..<4).map { random([3, 5], UInt64($0)) })
    // A shape that is computed from numbers.
    let sized = [
      node("ReduceMax", ["x"], ["m"]), node("Ceil", ["m"], ["c"]), node("Abs", ["c"], ["d"]),
      node("Cast", ["d"], ["k"], [.with { ($0.name, $0.type, $0.i) = ("to", .int, 7) }]),
      node("Reshape", ["k", "one"], ["l"]), node("ConstantOfShape", ["l"], ["z"]),
      node("Shape", ["z"], ["s"]),
      node("Cast", ["s"], ["f"], [.with { ($0.name, $0.type, $0.i) = ("to", .int, 1) }]),
      node("Add", ["x", "f"], ["y"]),
    ]
    try compare(
      model(
        sized, inputs: [port("x", [nil, 5])], outputs: ["y"], constants: [numbers("one", [1])]),
      (0..<4).map { random([1, 5], UInt64($0)) * Tensor(Float(1 + $0)) })
  }
}
