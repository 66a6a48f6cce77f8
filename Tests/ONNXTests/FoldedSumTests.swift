import Autodiff
import ONNX
import ONNXFormat
import SwiftProtobuf
import TensorCore
import Testing

/// What stands before sums and normalizations that are folded, where it does not fit.
@Suite struct FoldedSumTests {
  private func random(_ shape: Shape, _ seed: UInt64) -> [Float] {
    var random = RandomStream(seed: seed, name: "sums")
    return Tensor.uniform(shape, from: -3, to: 3, using: &random).elements
  }

  @Test("A sum along an axis, as before opset 7, is that along it", arguments: ["Conv", "MatMul"])
  func alongAxis(operation: String) throws {
    let isConvolution = operation == "Conv"
    let nodes = [
      node(operation, ["x", "w"], ["a"]),
      node(
        "Add", ["a", "o"], ["s"],
        [
          .with { ($0.name, $0.type, $0.i) = ("axis", .int, isConvolution ? 1 : 0) },
          .with { ($0.name, $0.type, $0.i) = ("broadcast", .int, 1) },
        ]),
      node("Relu", ["s"], ["y"]),
    ]
    let shape = isConvolution ? [1, 4, 8, 8] : [8, 4]
    let weights = [
      tensor("w", isConvolution ? [8, 4, 1, 1] : [4, 8], random([32], 1)),
      tensor("o", [8], random([8], 2)),
    ]
    let x = Variable(Tensor(random(Shape(shape), 3), shape: Shape(shape)))
    // Whoever wants to see a value keeps it from being folded.
    let results = try [["y"], ["y", "a"]].map { outputs in
      let file = try WrittenModel(
        model(
          nodes, inputs: [port("x", shape.map { $0 })], outputs: outputs, constants: weights,
          opset: 6))
      guard case .floats(let y) = try ONNXModel(path: file.path).run([.floats(x)])[0] else {
        throw ONNXError("no floats")
      }
      return y.value
    }
    #expect(results[0] == results[1])
  }

  @Test("Channels of another rank are refused, joined or not", arguments: [[3], [], [1, 3, 4]])
  func otherRank(extents: [Int]) throws {
    let count = extents.reduce(1, *)
    let file = try WrittenModel(
      model(
        [
          node(
            "Concat", ["x", "w"], ["j"], [.with { ($0.name, $0.type, $0.i) = ("axis", .int, 1) }]),
          node("BatchNormalization", ["j", "v", "v", "v", "v"], ["y"]),
        ], inputs: [port("x", [1, 3, 4, 4])], outputs: ["y"],
        constants: [tensor("w", extents, random([count], 1)), tensor("v", [6], random([6], 2))]))
    let network = try ONNXModel(path: file.path)
    #expect(throws: ONNXError.self) {
      try network.run([.floats(Variable(.zeros([1, 3, 4, 4])))])
    }
  }
}
