import Autodiff
import Foundation
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
    _ backbone: String, task: String = "classify",
    canonicalizer: String = "{kind: learned, group: C4, prior: 1, layers: 1, kernel: 3}"
  ) throws -> RunConfiguration {
    try RunConfiguration(
      text: """
        data: {kind: folder, path: nowhere}
        input: {size: 8, channels: 1}
        task: \(task)
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
      ("{kind: onnx, path: nowhere.onnx}", "nowhere.onnx: there is no such file"),
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

  @Test(
    "A network that ends in a softmax tells the probabilities that it gives, also handed on, or read by another output",
    arguments: [["y"], ["z"], ["z", "y"], ["y", "t"]])
  func softmax(outputs: [String]) throws {
    var random = RandomStream(seed: 9, name: "scores")
    let weights = Tensor.uniform([64, 3], from: -1, to: 1, using: &random)
    let file = try WrittenModel(
      model(
        [
          node("Flatten", ["x"], ["f"]), node("MatMul", ["f", "w"], ["s"]),
          node("Softmax", ["s"], ["y"]), node("Identity", ["y"], ["i"]),
          node("Flatten", ["i"], ["z"]), node("Exp", ["y"], ["t"]),
        ], inputs: [port("x", [nil, 1, 8, 8])], outputs: outputs,
        constants: [tensor("w", [64, 3], weights.elements)]))
    let made = try configuration(
      "{kind: onnx, path: \(file.path)}", canonicalizer: "identity"
    ).makeModel(classNames: ["a", "b", "c"])
    let images = Tensor.uniform([4, 8, 8, 1], using: &random)
    let plain = try ONNXLayer(ONNXModel(path: file.path), input: [8, 8, 1], ImageConventions())
    let wanted = plain.predict(images)
    let told = try #require(made as? CanonicalizedModel).predict(images).output
    #expect(zip(told.elements, wanted.elements).allSatisfy { abs($0 - $1) < 1e-6 })
    #expect(told != wanted.softmax())
  }

  @Test("A mask that ends in a sigmoid is told as it is, also where the sigmoid is handed on")
  func sigmoid() throws {
    let file = try WrittenModel(
      model(
        [
          node("Conv", ["x", "w"], ["c"]), node("Sigmoid", ["c"], ["s"]),
          node("Identity", ["s"], ["y"]),
        ], inputs: [port("x", [nil, 1, 8, 8])], outputs: ["y"],
        constants: [tensor("w", [1, 1, 1, 1], [3])]))
    let made = try configuration(
      "{kind: onnx, path: \(file.path)}", task: "segment", canonicalizer: "identity"
    ).makeModel(classNames: [])
    var random = RandomStream(seed: 4, name: "images")
    let images = Tensor.uniform([2, 8, 8, 1], using: &random)
    let told = try #require(made as? CanonicalizedModel).predict(images).output
    let wanted = (images * 3).sigmoid()
    #expect(zip(told.elements, wanted.elements).allSatisfy { abs($0 - $1) < 1e-6 })
  }

  @Test(
    "A mask of a wrapped network turns with its image, bit for bit under quarter turns, and so does its exported pipeline's to rounding",
    arguments: ["{kind: learned, group: C8, layers: 1, kernel: 8}", "{kind: gradient, group: C4}"])
  func restoredMask(canonicalizer: String) throws {
    var random = RandomStream(seed: 6, name: "mask")
    let weights = Tensor.uniform([1, 1, 3, 3], from: -1, to: 1, using: &random)
    let file = try WrittenModel(
      model(
        [
          node("Conv", ["x", "w"], ["c"], [attribute("pads", [1, 1, 1, 1])]),
          node("Sigmoid", ["c"], ["y"]),
        ], inputs: [port("x", [nil, 1, 8, 8])], outputs: ["y"],
        constants: [tensor("w", [1, 1, 3, 3], weights.elements)]))
    let made = try #require(
      try configuration(
        "{kind: onnx, path: \(file.path)}", task: "segment", canonicalizer: canonicalizer
      ).makeModel(classNames: []) as? CanonicalizedModel)
    let images = Tensor.uniform([6, 8, 8, 1], using: &random)
    let quarter = SamplingMap(matrix: [0, -1, 1, 0])
    func turned(_ images: Tensor) -> Tensor {
      images.warped(by: [SamplingMap](repeating: quarter, count: images.shape[0]), .nearest)
    }
    let (masks, ofTurned) = (made.predict(images).output, made.predict(turned(images)).output)
    #expect(turned(masks).elements == ofTurned.elements && masks.elements != ofTurned.elements)
    // The network alone sees a turned image as another one.
    let plain = try ONNXLayer(ONNXModel(path: file.path), input: [8, 8, 1], ImageConventions())
    #expect(turned(plain.predict(images)) != plain.predict(turned(images)))
    let compared = try ExportCheck(
      try made.exported().serialized(), with: made.reference(for: images))
    #expect(compared.samePoses == 6 && compared.largestDifference < 1e-5)
  }

  @Test("A model file carries the network: its own file may be gone, or be another one")
  func carried() throws {
    let folder = NSTemporaryDirectory() + "canon-carried-\(getpid())"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let (path, classes) = (folder + "/model.safetensors", ["a", "b", "c"])
    var random = RandomStream(seed: 4, name: "images")
    let images = Tensor.uniform([4, 8, 8, 1], using: &random)
    var output = Tensor.zeros([0])
    do {
      let file = try file()
      let settings = try configuration("{kind: onnx, path: \(file.path)}")
      let made = try settings.makeModel(classNames: classes)
      output = try #require(made as? CanonicalizedModel).predict(images).output
      try made.safetensors(settings, classNames: classes).write(to: path)
    }
    let loaded = try loadModel(path)
    #expect(loaded.predict(images).output == output)
    // Written again, as `canon calibrate` does.
    try loaded.safetensors(try ModelFile(path: path).configuration, classNames: classes)
      .write(to: path)
    #expect(try loadModel(path).predict(images).output == output)
  }

  @Test("Only scores of classes are taken before a softmax: vectors that end in one stay")
  func vectors() throws {
    let file = try WrittenModel(
      model(
        [
          node("Flatten", ["x"], ["f"]), node("MatMul", ["f", "w"], ["s"]),
          node("Softmax", ["s"], ["y"]),
        ],
        inputs: [port("x", [nil, 1, 8, 8])], outputs: ["y"],
        constants: [tensor("w", [64, 2], (0..<128).map { Float($0 % 7) / 10 })]))
    let made = try configuration(
      "{kind: onnx, path: \(file.path)}", task: "vectors", canonicalizer: "identity"
    ).makeModel(classNames: [])
    let images = Tensor.ones([1, 8, 8, 1])
    let told = try #require(made as? CanonicalizedModel).predict(images).output
    #expect(told.elements.allSatisfy { $0 >= 0 } && abs(told.elements.reduce(0, +) - 1) < 1e-6)
  }

  @Test("A model file whose network is damaged is refused, and weights that are no numbers are")
  func damaged() throws {
    let folder = NSTemporaryDirectory() + "canon-damaged-\(getpid())"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let (path, file) = (folder + "/model.safetensors", try file())
    let settings = try configuration("{kind: onnx, path: \(file.path)}")
    let made = try settings.makeModel(classNames: ["a", "b", "c"])
    var written = made.safetensors(settings, classNames: ["a", "b", "c"])
    written.metadata["network"]?.removeLast(3)
    try written.write(to: path)
    let error = #expect(throws: WeightsError.self) { try loadModel(path) }
    #expect(error?.description.contains("the network that it carries is damaged") == true)
    let wrong = try WrittenModel(
      model(
        [node("Flatten", ["x"], ["f"]), node("MatMul", ["f", "w"], ["y"])],
        inputs: [port("x", [nil, 1, 8, 8])], outputs: ["y"],
        constants: [tensor("w", [64, 3], [Float](repeating: .nan, count: 192))]))
    let refusal = #expect(throws: SettingsError.self) {
      try configuration("{kind: onnx, path: \(wrong.path)}").makeModel(classNames: ["a", "b", "c"])
    }
    #expect(refusal?.description.contains("'w' holds values that are not numbers") == true)
  }

  @Test("Scores of other classes than the data's are refused")
  func classes() throws {
    let file = try file()
    let all = try configuration("{kind: onnx, path: \(file.path)}")
    let error = #expect(throws: SettingsError.self) { try all.makeModel(classNames: ["a", "b"]) }
    #expect(error?.description.contains("gives [3], and the task wants [2]") == true)
  }
}
