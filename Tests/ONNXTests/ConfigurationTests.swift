import Autodiff
import Layers
import ONNX
import ONNXFormat
import Settings
import TensorCore
import Testing
import Training

@Suite struct ConfigurationTests {
  /// Scores of three classes, of images of 8 × 8 pixels.
  private func file() throws -> WrittenModel {
    var random = RandomStream(seed: 9, name: "scores")
    let weights = Tensor.uniform([64, 3], from: -1, to: 1, using: &random)
    return try WrittenModel(
      model(
        [node("Flatten", ["x"], ["f"]), node("MatMul", ["f", "w"], ["y"])],
        inputs: [port("x", [nil, 1, 8, 8])], outputs: ["y"],
        constants: [tensor("w", [64, 3], weights.elements)]))
  }

  private func configuration(
    _ backbone: String,
    canonicalizer: String = "{kind: learned, group: C4, prior: 1, layers: 1, kernel: 3}"
  ) throws -> RunConfiguration {
    try RunConfiguration(
      text: """
        data: {kind: folder, path: nowhere}
        input: {size: 8, channels: 1}
        canonicalizer: \(canonicalizer)
        backbone: \(backbone)
        """, source: "test")
  }

  @Test(
    "A network of a file is a backbone: its weights are the file's, and its scores follow no turn")
  func backbone() throws {
    let file = try file()
    let made = try configuration("{kind: onnx, path: \(file.path)}").makeModel(
      classNames: ["a", "b", "c"])
    let model = try #require(made as? CanonicalizedModel)
    #expect(model.backbone.parameters.map(\.name) == ["w"])
    var random = RandomStream(seed: 4, name: "images")
    let images = Tensor.uniform([4, 8, 8, 1], using: &random)
    let plain = try ONNXLayer(ONNXModel(path: file.path), input: [8, 8, 1], ImageConventions())
    let forms = model.predict(images)
    #expect(forms.output == plain.predict(forms.forms).softmax())
    let turned = images.permuted([0, 2, 1, 3]).contiguous
    let flipped = Tensor.concatenated(
      (0..<8).reversed().map { turned.sliced($0..<$0 + 1, axis: 1) }, axis: 1)
    #expect(model.predict(flipped).output == forms.output)
  }

  @Test("A network of a file has its weights, and may be frozen; another may not")
  func frozen() throws {
    let file = try file()
    let made = try configuration("{kind: onnx, path: \(file.path), frozen: true}").makeModel(
      classNames: ["a", "b", "c"])
    #expect((made as? CanonicalizedModel)?.backbone.parameters.count == 1)
    #expect(throws: SettingsError.self) { try configuration("{kind: mlp, frozen: true}") }
  }

  @Test(
    "What does not fit is said in a sentence",
    arguments: [
      ("{kind: onnx}", "needs a 'path'"),
      ("{kind: onnx, path: nowhere.onnx}", "There is no file nowhere.onnx."),
      ("{kind: onnx, path: FILE, output: z}", "gives no 'z'"),
      ("{kind: onnx, path: FILE, layout: channels-last}", "not float [1, 8, 8, 1]."),
      ("{kind: onnx, path: FILE, deviation: [0]}", "must be positive"),
      ("{kind: onnx, path: FILE, mean: [1, 2]}", "one for each channel"),
      ("{kind: onnx, path: FILE, layout: nchw}", "channels-first"),
    ])
  func mistakes(_ backbone: String, _ complaint: String) throws {
    let file = try file()
    let error = #expect(throws: SettingsError.self) {
      let all = try configuration(backbone.replacing("FILE", with: file.path))
      _ = try all.makeModel(classNames: ["a", "b", "c"])
    }
    #expect(error?.description.contains(complaint) == true, "\(error?.description ?? "")")
    #expect(error?.description.contains("..") != true)
  }

  @Test("Scores of other classes than the data's are refused")
  func classes() throws {
    let file = try file()
    let all = try configuration("{kind: onnx, path: \(file.path)}")
    let error = #expect(throws: SettingsError.self) { try all.makeModel(classNames: ["a", "b"]) }
    #expect(error?.description.contains("gives [3], and the task wants [2]") == true)
  }
}
