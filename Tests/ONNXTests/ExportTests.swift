import Autodiff
import Layers
import ONNX
import ONNXFormat
import SwiftProtobuf
import TensorCore
import TestSupport
import Testing

private func random(_ shape: Shape, _ name: String) -> Tensor {
  var stream = RandomStream(seed: 31, name: name)
  return .uniform(shape, from: -1, to: 1, using: &stream)
}

private struct Computation: Sendable, CustomTestStringConvertible {
  let testDescription: String
  let shape: [Int]
  let body: @Sendable (Variable) -> Variable
  init(_ name: String, _ shape: [Int], _ body: @escaping @Sendable (Variable) -> Variable) {
    (testDescription, self.shape, self.body) = (name, shape, body)
  }
}

private let weight = random([3, 3, 2, 4], "weight")
private let grouped = random([3, 3, 1, 4], "grouped")
private let maps = [
  SamplingMap(matrix: [0, 1, -1, 0]),
  SamplingMap(matrix: [0.8, 0.6, -0.6, 0.8], offset: [1, -0.5]),
]

private let computations: [Computation] = [
  Computation("functions", [5]) {
    let positive = $0.squared() + 0.1
    return .concatenated(
      [
        $0.relu(), $0.leakyRelu(slope: 0.3), $0.sigmoid(), $0.tanh(), $0.silu(), $0.sine(),
        $0.cosine(), $0.exp(), positive.log(), positive.squareRoot(), $0.softplus(),
        ($0 * 5).roundedDown(), $0.softmax(), $0.logSoftmax(), -$0, $0.detached,
      ], axis: 1)
  },
  Computation("arithmetic, broadcast", [4, 3]) {
    ($0 + $0.sum([1], keepingAxes: true)) / (($0 - 3) * Variable(random([3], "row")))
  },
  Computation("comparisons and choices", [7]) {
    let first = $0.firstLargest()
    let isLarge = $0.isGreater(than: Variable(Tensor(0.2)))
    return .concatenated(
      [first, isLarge, first.isEqual(to: isLarge), .choose(isLarge, $0, -$0), $0.largest(3)],
      axis: 1)
  },
  Computation("angles", [2, 9]) {
    let rows = $0.roundedDown() + $0.isGreater(than: Variable(Tensor(0)))
    let both = Variable.concatenated([$0, rows], axis: 2)
    return .arcTangent(
      across: both.sliced(0..<1, axis: 1), along: both.sliced(1..<2, axis: 1))
  },
  Computation("reductions", [3, 4]) {
    .concatenated(
      [
        $0.sum([1]), $0.mean([1]), $0.maximum(1), $0.maximum(2), $0.logSumExp(),
        $0.sum([1, 2]).reshaped([-1, 1]),
      ], axis: 1)
  },
  Computation("products", [4, 3]) {
    $0.matmul(Variable(random([3, 5], "right"))).matmul(
      $0.permuted([0, 2, 1]).matmul(Variable(random([4, 5], "left"))).permuted([0, 2, 1]))
  },
  Computation("rearrangements", [4, 6]) {
    let cut = $0.sliced(1..<4, axis: 1).sliced(0..<6, axis: 2)
    return cut.reshaped([-1, 3, 2, 3]).permuted([0, 2, 1, 3]).reshaped([$0.shape[0], 2, 9])
  },
  Computation("convolutions", [9, 8, 2]) {
    let once = $0.convolved(
      with: Variable(weight), bias: Variable(random([4], "bias")), relu: true,
      .init(stride: 2, padding: 1))
    let scaled = (once * Variable(random([4], "scale")) + 0.1).relu()
    return scaled.convolved(with: Variable(grouped), .init(padding: 2, dilation: 2, groups: 4))
      .mean([1, 2])
  },
  Computation("pools", [9, 8, 2]) {
    let down = $0.convolved(with: Variable(weight), .init(padding: 1)).maxPooled(size: 2)
    return .concatenated([down.upsampled(2), down.averagePooled(size: 2).upsampled(4)], axis: 3)
      .sum([3])
  },
  Computation("pools of three by two", [9, 8, 2]) {
    $0.convolved(with: Variable(weight)).maxPooled(size: 3, stride: 2)
  },
  Computation("joined and cut images", [8, 8, 2]) {
    let a = $0.convolved(with: Variable(weight), .init(padding: 1))
    return .concatenated([a, a.relu()], axis: 3).sliced(2..<6, axis: 3).sliced(1..<7, axis: 1)
      .sum([1], keepingAxes: true)
  },
  Computation("warps by maps", [8, 7, 2]) {
    let turn = Variable(Tensor([0.6, -0.8, 0.8, 0.6], shape: [1, 4]))
    let numbers = $0.mean([3]).reshaped([-1, 56]).sliced(0..<2, axis: 1)
    let matrices = turn + numbers.sliced(0..<1, axis: 1) * 0.1
    let shifted = Variable.concatenated([matrices, numbers], axis: 1)
    return .concatenated(
      [
        $0.warped(by: matrices), $0.warped(by: shifted, border: .edge),
        $0.warped(by: shifted, border: .reflect),
      ], axis: 3)
  },
  Computation("warps by each", [8, 7, 2]) {
    $0.warped(byEach: maps, border: .edge).sum([1, 2]).reshaped([$0.shape[0], 4])
  },
]

/// A computation exported, read again and carried out on five inputs.
private func exported(
  _ shape: [Int], _ body: (Variable) -> Variable
) throws -> (found: Tensor, expected: Tensor) {
  let bytes = try ONNXExport(input: "x", shape: shape) { [.init("y", body($0))] }.serialized()
  let model = try ONNXModel(structure: bytes, path: "exported")
  let inputs = random(Shape([5] + shape), "inputs")
  guard case .floats(let result) = try model.run([.floats(Variable(inputs))])[0] else {
    throw ONNXError("no floats")
  }
  return (result.value, body(Variable(inputs)).value)
}

@Suite struct ExportTests {
  @Test("What is exported and read again computes the same, for any batch", arguments: computations)
  private func computed(one: Computation) throws {
    let (found, expected) = try exported(one.shape, one.body)
    #expect(found.shape == expected.shape)
    // Sums of a hundred products in another order; sampling places of floats, not of 2⁻¹⁶ pixels.
    #expect(largestDifference(found, expected) < 5e-5)
  }

  @Test("Networks of layers are exported, one's own too")
  func layers() throws {
    var random = RandomStream(seed: 32, name: "layers")
    let network = Sequential([
      Convolution(2, 6, kernel: 3, .init(padding: 1), using: &random), BatchNorm(6, relu: true),
      Function.maxPool(2), Dropout(0.5), Function { $0.silu() }, Function.flatten,
      Linear(96, 10, using: &random), Function.relu, LayerNorm(10),
    ])
    let (found, expected) = try exported([8, 8, 2]) { network($0, on: .inference()) }
    #expect(found.shape == [5, 10] && largestDifference(found, expected) < 1e-5)
    let unet = UNet(channels: 2, outputs: 1, width: 3, using: &random)
    let (image, whole) = try exported([8, 8, 2]) { unet($0, on: .inference()) }
    #expect(image.shape == whole.shape && largestDifference(image, whole) < 1e-5)
  }

  @Test("A network of a file is written among the rest, with other names, at its own opset")
  func network() throws {
    let file = try WrittenModel(
      model(
        [node("Gemm", ["x", "w"], ["h"]), node("Relu", ["h"], ["y"])],
        inputs: [port("x", [nil, 3])], outputs: ["y"],
        constants: [tensor("w", [3, 2], [1, -2, 3, 4, -5, 6])], opset: 19))
    let layer = try ONNXLayer(ONNXModel(path: file.path), input: [3])
    let body = { (x: Variable) in
      layer(layer(x, on: .inference()).matmul(Variable(random([2, 3], "w"))), on: .inference())
    }
    let (found, expected) = try exported([3], body)
    #expect(largestDifference(found, expected) < 1e-5)
    let export = try ONNXExport(input: "x", shape: [3]) { [.init("y", body($0))] }
    #expect(export.opset == 19 && export.operators["Gemm"] == 2)
    let old = try WrittenModel(
      model(
        [node("Relu", ["x"], ["y"])], inputs: [port("x", [nil, 3])], outputs: ["y"], opset: 9))
    let early = try ONNXLayer(ONNXModel(path: old.path), input: [3])
    #expect(throws: ONNXError.self) {
      try ONNXExport(input: "x", shape: [3]) { [.init("y", early($0, on: .inference()))] }
    }
  }

  @Test("Nodes without names stay so, half precision becomes single, and weights are written once")
  func foreign() throws {
    var nodes = [
      node("Cast", ["x"], ["h"], [.with { ($0.name, $0.type, $0.i) = ("to", .int, 10) }]),
      node("MatMul", ["h", "w"], ["m"]),
      node("Cast", ["m"], ["y"], [.with { ($0.name, $0.type, $0.i) = ("to", .int, 1) }]),
    ]
    for place in nodes.indices { nodes[place].name = "" }
    // 1, −2, 0.5 and the least normal number, in half precision.
    let weights = Onnx_TensorProto.with {
      ($0.name, $0.dims, $0.dataType) = ("w", [2, 2], 10)
      $0.int32Data = [0x3C00, 0xC000, 0x3800, 0x0400]
    }
    let file = try WrittenModel(
      model(nodes, inputs: [port("x", [nil, 2])], outputs: ["y"], constants: [weights]))
    let layer = try ONNXLayer(ONNXModel(path: file.path), input: [2])
    let identity = Tensor([1, 0, 0, 1], shape: [2, 2])
    #expect(layer.predict(identity).elements == [1, -2, 0.5, 0x1p-14])
    let bytes = try ONNXExport(input: "x", shape: [2]) { x in
      [.init("y", layer(layer(x, on: .inference()), on: .inference()))]
    }.serialized()
    let written = try Onnx_ModelProto(serializedBytes: bytes)
    let names = written.graph.node.map(\.name).filter { !$0.isEmpty }
    #expect(Set(names).count == names.count)
    #expect(written.graph.initializer.count == 1 && written.graph.initializer[0].dataType == 1)
    #expect(written.graph.node.filter { $0.opType == "Cast" }.allSatisfy { $0.attribute[0].i == 1 })
  }

  @Test(
    "What follows from numbers by other ways, depends on the batch or says not what it is is refused"
  )
  func refused() throws {
    func refuses(_ words: String, _ body: @escaping (Variable) -> Variable) {
      let error = #expect(throws: ONNXError.self) {
        try ONNXExport(input: "x", shape: [4]) { [.init("y", body($0))] }
      }
      #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }
    refuses("other ways") { $0 + Variable($0.value * 2) }
    refuses("other ways") { $0 + Variable(.ones($0.shape)) }
    refuses("does not say") { x in Variable(x.value, inputs: [x]) { [$0] } }
    refuses("part of the batch") { $0.sliced(0..<1) }
    refuses("do not depend") { _ in Variable(Tensor([1])) }
    refuses("What is done") { $0.shape[0] == 2 ? $0.relu() : $0 + $0 }
  }

  @Test("Whole numbers are given as such, and metadata and names are kept")
  func described() throws {
    let bytes = try ONNXExport(input: "points", shape: [3], metadata: ["a": "b"]) {
      [.init("place", $0.firstLargest(), isWhole: true)]
    }.serialized()
    let model = try ONNXModel(structure: bytes, path: "described")
    #expect(model.metadata == ["a": "b"] && model.inputs[0].name == "points")
    #expect(model.inputs[0].shape == [nil, 3] && model.outputs[0].type == .int64)
  }
}
