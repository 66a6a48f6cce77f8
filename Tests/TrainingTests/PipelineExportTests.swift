import Autodiff
import Canonicalization
import Foundation
import ONNX
import Settings
import Symmetry
import TensorCore
import Testing

@testable import Training

private struct Pipeline: Sendable, CustomTestStringConvertible {
  let testDescription: String
  let text: String
  init(_ name: String, _ text: String) { (testDescription, self.text) = (name, text) }
}

private func ofImages(_ name: String, _ rest: String) -> Pipeline {
  Pipeline(
    name,
    """
    data: {kind: folder, path: nowhere}
    input: {size: 20, channels: 1}
    \(rest)
    """)
}

private let pipelines: [Pipeline] = [
  ofImages(
    "C8, within 100°",
    """
    canonicalizer: {kind: learned, group: C8, layers: 1, kernel: 20, within: 100}
    backbone: {kind: small-cnn, width: 4}
    """),
  ofImages(
    "C8",
    """
    canonicalizer: {kind: learned, group: C8, layers: 2, kernel: 5, channels: 2}
    backbone: {kind: small-cnn, width: 4}
    """),
  ofImages(
    "C64, a matched filter",
    """
    canonicalizer: {kind: learned, group: C64, layers: 1, kernel: 20}
    backbone: mlp
    """),
  ofImages("the axis by its tail", "canonicalizer: pca-sign\nbackbone: mlp"),
  ofImages("the axis, signs tie", "canonicalizer: pca\nbackbone: mlp"),
  ofImages("averaged over both signs", "canonicalizer: {kind: pca, average: 2}\nbackbone: mlp"),
  ofImages(
    "averaged over the best poses",
    "canonicalizer: {kind: learned, group: C16, layers: 1, kernel: 20, average: 3}\nbackbone: mlp"),
  ofImages("SO(2)", "canonicalizer: {kind: steerable, channels: 2}\nbackbone: mlp"),
  ofImages(
    "centered, scaled, turned, shown turned",
    """
    canonicalizer: [center, scale, {kind: steerable, channels: 2, group: O2}]
    backbone: {kind: small-cnn, width: 4}
    recenter: 30
    """),
  ofImages(
    "boxes",
    "task: detect\ncanonicalizer: {kind: orbit, group: D4, channels: 2}\nbackbone: mlp"),
  ofImages("places", "task: {kind: keypoints, points: 3}\ncanonicalizer: center\nbackbone: mlp"),
  ofImages("fields", "task: field\ncanonicalizer: gradient\nbackbone: {kind: unet, width: 3}"),
  Pipeline(
    "images restored",
    """
    data: {kind: pairs, path: nowhere, targets: nowhere}
    input: {size: 20, channels: 1, border: edge}
    task: restore
    canonicalizer: {kind: learned, group: C4, layers: 1, kernel: 7}
    backbone: {kind: unet, width: 3}
    """),
  Pipeline(
    "a learned frame of E(3)",
    """
    data: bodies
    canonicalizer: {kind: vector-neurons, group: E3, channels: 4, neighbors: 3}
    """),
  Pipeline(
    "averaged over shaken frames",
    "data: bodies\ncanonicalizer: {kind: vector-neurons, channels: 4, dropout: 0.2, average: 3}"),
  Pipeline(
    "sorted, in principal axes",
    "data: bodies\ncanonicalizer: [{kind: pca-sign, group: SE3}, learned-sort]\nbackbone: mlp"),
  Pipeline(
    "particles", "data: particles\ncanonicalizer: {kind: vector-neurons, group: E3, channels: 4}"),
]

private func model(_ text: String) throws -> CanonicalizedModel {
  let settings = try RunConfiguration(text: text, source: "test")
  return try #require(
    try settings.makeModel(classNames: ["a", "b", "c"]) as? CanonicalizedModel)
}

/// Blobs, or points, of a model's domain.
private func inputs(_ model: CanonicalizedModel, _ count: Int) -> Tensor {
  var random = RandomStream(seed: 41, name: "inputs")
  let shape = model.domain.shape
  guard shape.count == 3 else { return .normal(Shape([count] + shape), using: &random) }
  let coarse = Tensor.uniform(Shape([count, 5, 5, shape[2]]), using: &random)
  return Variable(coarse).upsampled(shape[0] / 5).value
}

@Suite struct PipelineExportTests {
  @Test("An exported pipeline gives what its model gives", arguments: pipelines)
  private func exported(pipeline: Pipeline) throws {
    let model = try model(pipeline.text)
    let bytes = try model.exported().serialized()
    let compared = try ExportCheck(bytes, with: model.reference(for: inputs(model, 12)))
    #expect(compared.inputs == 12 && compared.samePoses == 12 && compared.isAccepted)
    // Of three steps each finds its pose in what was sampled at places of floats, and blocks have sharp edges.
    #expect(
      compared.largestDifference < 1e-4 && compared.largestFormDifference < 3e-4, "\(compared)")
  }

  @Test("The check sees a network of another model")
  func different() throws {
    let (one, other) = (try model(pipelines[0].text), try model(pipelines[1].text))
    let compared = try ExportCheck(
      try one.exported().serialized(), with: other.reference(for: inputs(other, 8)))
    #expect(compared.samePoses < 8 || compared.largestDifference > 1e-3)
  }

  @Test("A network that mixes a batch, or says what is no number, is not accepted")
  func unsound() throws {
    let one = try model(pipelines[0].text)
    let images = inputs(one, 8)
    let reference = one.reference(for: images)
    let mixing = try ONNXExport(input: "images", shape: [1, 20, 20]) { x in
      let size = x.reshaped([-1, 400]).permuted([1, 0]).sum([1], keepingAxes: true)
      let scores = x.reshaped([-1, 400]).matmul(size).reshaped([-1, 1])
      return [.init("scores", scores)]
    }.serialized()
    let error = #expect(throws: ONNXError.self) { try ExportCheck(mixing, with: reference) }
    #expect(error?.description.contains("depends on the others") == true)
    let nothing = try ONNXExport(input: "images", shape: [1, 20, 20]) { x in
      let sums = x.sum([1, 2, 3]).reshaped([-1, 1])
      let nan = (sums * 0 - 1).squareRoot()
      let zero = sums * 0
      return [
        .init("scores", nan * Variable(.ones([1, 3]))),
        .init("pose", zero.reshaped([-1, 1, 1]) + Variable(.ones([1, 2, 3]))),
      ]
    }.serialized()
    var silent = reference
    silent["pose"] = .ones([8, 2, 3])
    silent["form"] = nil
    silent["scores"] = Tensor(repeating: .nan, shape: [8, 3])
    let compared = try ExportCheck(nothing, with: silent)
    #expect(compared.samePoses == 8 && compared.agreeing == 0 && !compared.isAccepted)
  }

  @Test(
    "What has no form in ONNX is refused in a sentence",
    arguments: [
      "{kind: energy, steps: 2}", "text-lines",
    ])
  func refused(canonicalizer: String) throws {
    let model = try model(
      """
      data: {kind: folder, path: nowhere}
      input: {size: 28, channels: 1}
      canonicalizer: \(canonicalizer)
      backbone: mlp
      """)
    let error = #expect(throws: NotExportable.self) { try model.exported() }
    #expect(error?.description.contains("not exported") == true)
  }

  @Test("Input, outputs and metadata say what they are")
  func described() throws {
    let bytes = try model(pipelines[0].text).exported(metadata: ["canon.more": "x"]).serialized()
    let network = try ONNXModel(structure: bytes, path: "described")
    #expect(
      network.inputs.map(\.name) == ["images"] && network.inputs[0].shape == [nil, 1, 20, 20])
    #expect(network.outputs.map(\.name) == ["scores", "pose", "margin", "form"])
    #expect(network.metadata["canon.classes"] == #"["a","b","c"]"#)
    #expect(network.metadata["canon.task"] == "classify" && network.metadata["canon.more"] == "x")
  }
}
