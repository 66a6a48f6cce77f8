import Autodiff
import Layers
import ONNX
import ONNXFormat
import TensorCore
import Testing

/// A small network of images: convolution, batch norm, ReLU, pooling, a matrix.
private func network(batch: Int? = nil) -> Onnx_ModelProto {
  var random = RandomStream(seed: 1, name: "network")
  func numbers(_ shape: [Int]) -> [Float] {
    Tensor.uniform(Shape(shape), from: -1, to: 1, using: &random).elements
  }
  return model(
    [
      node("Conv", ["x", "w", "b"], ["a"], [attribute("pads", [1, 1, 1, 1])]),
      node("BatchNormalization", ["a", "s", "o", "m", "v"], ["n"]),
      node("Relu", ["n"], ["r"]),
      node(
        "MaxPool", ["r"], ["p"],
        [attribute("kernel_shape", [2, 2]), attribute("strides", [2, 2])]),
      node("GlobalAveragePool", ["p"], ["g"]),
      node("Flatten", ["g"], ["f"]),
      node("Gemm", ["f", "c"], ["y"]),
    ], inputs: [port("x", [batch, 3, 8, 8])], outputs: ["y", "p"],
    constants: [
      tensor("w", [4, 3, 3, 3], numbers([4, 3, 3, 3])), tensor("b", [4], numbers([4])),
      tensor("s", [4], [1, 2, 0.5, 1]), tensor("o", [4], numbers([4])),
      tensor("m", [4], numbers([4])),
      tensor("v", [4], [1, 0.5, 2, 1]), tensor("c", [4, 2], numbers([4, 2])),
    ])
}

@Suite struct LayerTests {
  private let images: Tensor = {
    var random = RandomStream(seed: 2, name: "images")
    return .uniform([5, 8, 8, 3], using: &random)
  }()

  @Test("A batch gives what its images give one by one, also where the file says another batch")
  func batches() throws {
    let file = try WrittenModel(network())
    let layer = try ONNXLayer(ONNXModel(path: file.path), input: [8, 8, 3], ImageConventions())
    #expect(layer.output == [2])
    let all = layer.predict(images)
    for n in 0..<5 { #expect(layer.predict(images.sliced(n..<n + 1)) == all.sliced(n..<n + 1)) }
    let fixed = try WrittenModel(network(batch: 2))
    let other = try ONNXLayer(ONNXModel(path: fixed.path), input: [8, 8, 3], ImageConventions())
    #expect(other.predict(images) == all)
    #expect(layer.predict(images.sliced(0..<0)).shape == [0, 2])
  }

  @Test("Images of an output have their channels last, as here")
  func imageOutputs() throws {
    let file = try WrittenModel(network())
    let layer = try ONNXLayer(
      ONNXModel(path: file.path), input: [8, 8, 3], ImageConventions(), output: "p")
    #expect(layer.output == [4, 4, 4] && layer.predict(images).shape == [5, 4, 4, 4])
  }

  @Test("Mean, deviation and the order of colors are those that the network wants")
  func conventions() throws {
    let file = try WrittenModel(
      model(
        [node("Identity", ["x"], ["y"])], inputs: [port("x", [nil, 3, 8, 8])], outputs: ["y"]))
    let wanted = ImageConventions(mean: [0.1, 0.2, 0.3], deviation: [0.5, 1, 2], isBGR: true)
    let layer = try ONNXLayer(ONNXModel(path: file.path), input: [8, 8, 3], wanted)
    let (given, found) = (images.elements, layer.predict(images).elements)
    for n in given.indices {
      let c = n % 3
      let expected = (given[n - c + 2 - c] - wanted.mean[c]) / wanted.deviation[c]
      #expect(abs(found[n] - expected) < 1e-6)
    }
  }

  @Test("Gradients reach the weights and the input: they are the differences of what is computed")
  func gradients() throws {
    let file = try WrittenModel(network())
    let layer = try ONNXLayer(ONNXModel(path: file.path), input: [8, 8, 3], ImageConventions())
    let weights = Tensor([0.3, -1, 0.7, 0.2, 1, -0.4, 0.9, -0.8, 0.1, 0.6], shape: [5, 2])
    func value(_ x: Tensor) -> Double {
      zip(layer.predict(x).elements, weights.elements).reduce(0) {
        $0 + Double($1.0) * Double($1.1)
      }
    }
    let tape = Tape.training(random: RandomStream(seed: 0, name: "tape"))
    let x = Variable(images, requiresGradient: true)
    let gradients = Gradients(of: layer(x, on: tape), weights: weights)
    var random = RandomStream(seed: 5, name: "direction")
    let direction = Tensor.uniform(images.shape, from: -1, to: 1, using: &random)
    func along(_ gradient: Tensor, _ direction: Tensor) -> Double {
      zip(gradient.elements, direction.elements).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }
    let byInput = try #require(gradients[x])
    let step: Float = 1e-3
    let difference =
      (value(images + direction * step) - value(images - direction * step)) / Double(2 * step)
    #expect(abs(along(byInput, direction) - difference) < 0.02 * abs(difference) + 1e-3)
    #expect(layer.parameters.map(\.name) == ["b", "c", "m", "o", "s", "v", "w"])
    for (name, parameter) in layer.parameters {
      let gradient = try #require(tape.leaf(of: parameter).flatMap { gradients[$0] }, "\(name)")
      let own = parameter.value
      let direction = Tensor.uniform(own.shape, from: -1, to: 1, using: &random)
      parameter.value = own + direction * step
      let above = value(images)
      parameter.value = own - direction * step
      let below = value(images)
      parameter.value = own
      let difference = (above - below) / Double(2 * step)
      #expect(
        abs(along(gradient, direction) - difference) < 0.02 * abs(difference) + 1e-3,
        "\(name): \(along(gradient, direction)), \(difference)")
    }
  }

  @Test(
    "What a convolution takes in for prediction gives what the nodes do one by one, also after a step",
    arguments: [false, true])
  func folding(isReadTwice: Bool) throws {
    var network = network()
    if isReadTwice {
      // The convolution's own result is wanted too, and so is the normalization's.
      network.graph.output += [port("a", [nil, 4, 8, 8]), port("n", [nil, 4, 8, 8])]
    }
    let file = try WrittenModel(network)
    let model = try ONNXModel(path: file.path)
    let x = Variable(images.permuted([0, 3, 1, 2]))
    for step in 0..<2 {
      let tape = Tape.training(random: RandomStream(seed: 0, name: "tape"))
      let (folded, plain) = (try model.run([.floats(x)]), try model.run([.floats(x)], on: tape))
      #expect(folded.count == network.graph.output.count && folded.count == plain.count)
      for case (.floats(let a), .floats(let b)) in zip(folded, plain) {
        let scale = b.value.elements.map(abs).max() ?? 0
        #expect(zip(a.value.elements, b.value.elements).allSatisfy { abs($0 - $1) < 1e-5 * scale })
      }
      for (n, weight) in model.parameters.enumerated() {
        weight.parameter.value = weight.parameter.value * (1 + 0.1 * Float(n + step))
      }
    }
  }

  @Test("A network that takes or gives something else is refused")
  func refused() throws {
    let file = try WrittenModel(network())
    let model = try ONNXModel(path: file.path)
    #expect(throws: ONNXError.self) { try ONNXLayer(model, input: [9, 8, 3], ImageConventions()) }
    #expect(throws: ONNXError.self) {
      try ONNXLayer(model, input: [8, 8, 3], ImageConventions(), output: "z")
    }
    #expect(throws: ONNXError.self) {
      try ONNXLayer(model, input: [8, 8, 3], ImageConventions(deviation: [0]))
    }
  }
}
