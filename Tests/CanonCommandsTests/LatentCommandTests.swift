import Autodiff
import Foundation
import Images
import TensorCore
import Testing
import Training

@Suite struct LatentCommandTests {
  /// A model as it begins, on the disk.
  private func model(_ text: String, _ name: String) throws -> String {
    let configuration = try RunConfiguration(text: text, source: "test")
    let path = temporary("\(name).safetensors")
    try configuration.makeModel(classNames: []).safetensors(configuration, classNames: [])
      .write(to: path)
    return path
  }

  @Test("predict gives pose and orbit of each image, and counts what cannot be read")
  func predicts() throws {
    let text = """
      data: {kind: scenes, scene: rooms, count: 16, size: 12}
      model: {kind: class-pose, classDimensions: 3}
      backbone: {kind: pose-cnn, width: 2}
      """
    let path = try model(text, "latent-rooms")
    let folder = try pictures("latent-images", ["a.png", "b.png"])
    try Data("no".utf8).write(to: URL(fileURLWithPath: folder + "/broken.png"))
    let json = try canon("predict", path, folder, "--json")
    #expect(json.status == 2 && json.err.contains("broken.png"))
    struct Row: Decodable {
      let file: String
      let pose, orbit: [Double]
    }
    let rows = try json.out.split(separator: "\n").map {
      try JSONDecoder().decode(Row.self, from: Data($0.utf8))
    }
    #expect(rows.map(\.file) == ["a.png", "b.png"])
    // Two shifts and an angle; a point of the sphere.
    #expect(rows.allSatisfy { $0.pose.count == 3 && abs($0.pose[2]) <= .pi })
    for row in rows { #expect(abs(row.orbit.reduce(0) { $0 + $1 * $1 } - 1) < 1e-4) }
    let csv = try canon("predict", path, folder, "--format", "csv").out.split(separator: "\n")
    #expect(csv.first == "file,pose1,pose2,pose3,orbit1,orbit2,orbit3" && csv.count == 3)
    #expect(try canon("predict", path, folder).out.contains("°"))
    #expect(try canon("predict", path, folder, "--out", temporary("latent-out")).status == 1)
  }

  @Test("A variational autoencoder is measured, and its active numbers are drawn a row each")
  func variational() throws {
    let text = """
      data: {kind: dsprites, count: 64, size: 16}
      model: {kind: variational, symmetry: codebook, dimension: 3, elements: 2, width: 4, hidden: 16}
      """
    // As if it were trained: an encoder that tells pictures apart.
    let configuration = try RunConfiguration(text: text, source: "test")
    let made = try configuration.makeModel(classNames: [])
    for (name, parameter) in made.parameters where name == "backbone.encoder.head.weight" {
      parameter.value = parameter.value * 300
    }
    let run = temporary("variational.safetensors")
    try made.safetensors(configuration, classNames: []).write(to: run)
    let figures = try canon("evaluate", run, "test")
    #expect(figures.status == 0 && figures.out.contains("code moved to its partner, relative"))
    #expect(try canon("verify", run, "test", "--interpolated-tolerance", "99").status == 0)
    let sheet = temporary("variational.png")
    let drawn = try canon("traverse", run, "test", "--out", sheet, "--pairs", "5")
    #expect(drawn.status == 0 && drawn.out.contains("a row each"), "\(drawn.err)")
    let picture = try Image(path: sheet)
    #expect(picture.width == 5 * 68 + 4 && picture.height % 68 == 4 && picture.height > 68)
    // Untrained, no number says anything; without a codebook nothing moves.
    let plain = try model(
      text.replacing("symmetry: codebook, dimension: 3, elements: 2", with: "dimension: 3"),
      "variational-plain")
    #expect(try canon("traverse", plain, "test", "--out", sheet).err.contains("train it longer"))
    #expect(try canon("verify", plain, "test").err.contains("'symmetry: codebook'"))
  }

  @Test("Whatever pairs a file holds, evaluate ends in a sentence") func foreignPairs() throws {
    let operators = try model(
      """
      data: {kind: polygons, order: 4, size: 8, shapes: 4}
      model: {kind: operators, dimension: 8}
      """, "foreign-operators")
    let encoder = try model(
      """
      data: {kind: scenes, scene: glyphs, count: 16, size: 8}
      model: {kind: class-pose}
      backbone: {kind: pose-cnn, width: 2}
      """, "foreign-encoder")
    let pictures = Tensor(repeating: 0.5, shape: [40, 8, 8, 1])
    let file = temporary("foreign.safetensors")
    func evaluate(_ model: String, _ tensors: [String: Tensor]) throws -> (Int32, String) {
      let all = ["inputs": pictures, "partner": pictures].merging(tensors) { $1 }
      try Safetensors(tensors: all).write(to: file)
      let result = try canon("evaluate", model, file)
      return (result.status, result.out + result.err)
    }
    let steps = ["element": Tensor.ones([40, 1])]
    #expect(try evaluate(operators, steps).0 == 0)
    for size: Float in [1e9, 1e12] {
      #expect(
        try evaluate(operators, steps.merging(["inputs": pictures * size]) { $1 }).0 == 0)
    }
    let huge = try evaluate(operators, steps.merging(["inputs": pictures * 1e30]) { $1 })
    #expect(huge.0 == 1 && huge.1.contains("is no number"))
    for (name, shape) in [
      ("steps", [40, 0, 1]), ("steps", [40, 3]), ("partner2", [40, 4, 4, 1]),
    ] {
      var foreign = steps
      foreign["steps"] = .zeros([40, 2, 1])
      foreign[name] = .zeros(Shape(shape))
      let result = try evaluate(encoder, foreign)
      #expect(result.0 == 1 && result.1.contains("'\(name)' has shape"), "\(result)")
    }
    #expect(try canon("evaluate", encoder, digits).err.contains("no .safetensors file"))
    #expect(try canon("predict", encoder, "test").err.contains("canon evaluate"))
  }

  @Test("A test part of pairs that have changed is not measured; weights without use are said")
  func changedPairs() throws {
    let data = temporary("pairs.safetensors")
    var random = RandomStream(seed: 1, name: "pairs")
    func write() throws {
      let pictures = Tensor.uniform([40, 8, 8, 1], using: &random)
      try Safetensors(
        tensors: ["inputs": pictures, "partner": pictures, "element": .zeros([40, 1])]
      ).write(to: data)
    }
    try write()
    let yaml = temporary("pairs.yaml")
    try """
    data: {kind: tensors, path: \(data), test: 0.2}
    input: {size: 8}
    model: {kind: operators, dimension: 10, orders: [5]}
    training: {epochs: 1, batch: 8}
    """.write(toFile: yaml, atomically: true, encoding: .utf8)
    let run = temporary("pairs-run")
    #expect(try canon("train", yaml, "--out", run, "--quiet").status == 0)
    #expect(try canon("evaluate", run, "test").status == 0)
    try write()
    let changed = try canon("evaluate", run, "test")
    #expect(changed.status == 1 && changed.err.contains("have changed"))

    let path = try model(
      """
      data: {kind: scenes, scene: solids, count: 16, size: 8}
      model: {kind: class-pose}
      backbone: {kind: pose-cnn, width: 2}
      """, "infinite")
    var weights = try Safetensors(path: path)
    let name = try #require(weights.tensors.keys.first { $0.hasSuffix("0.weight") })
    weights.tensors[name] = weights.tensors[name].map { $0 * 1e38 }
    for name in weights.tensors.keys where name.hasSuffix("weight") {
      weights.tensors[name] = weights.tensors[name].map { $0 * 1e30 }
    }
    for (name, tensor) in weights.tensors where !tensor.elements.allSatisfy(\.isFinite) {
      weights.tensors[name] = Tensor(repeating: 3e38, shape: tensor.shape)
    }
    try weights.write(to: path)
    let evaluated = try canon("evaluate", path, "test")
    #expect(evaluated.status == 1 && evaluated.err.contains("is no number"))
    let predicted = try canon("predict", path, try pictures("infinite-images", ["a.png"]))
    #expect(predicted.status == 1 && predicted.err.contains("not usable"))
  }

  @Test("evaluate measures the test part, as a table and as JSON; other commands say who does")
  func evaluates() throws {
    let path = try model(
      """
      data: {kind: scenes, scene: glyphs, count: 16, size: 8}
      model: {kind: class-pose}
      backbone: {kind: pose-cnn, width: 2}
      """, "latent-glyphs")
    let table = try canon("evaluate", path, "test")
    #expect(table.status == 0 && table.out.contains("hit-rate, 20 steps"))
    let json = try canon("evaluate", path, "test", "--json", "--limit", "40").out
    let figures = try JSONDecoder().decode([String: Double].self, from: Data(json.utf8))
    #expect(figures["examples"] == 40 && figures["pose error, median"] != nil)
    let verify = try canon("verify", path, "test", "--interpolated-tolerance", "4", "--json")
    #expect(verify.status == 0 && verify.out.contains("\"of\":\"pose\""))
    #expect(
      try canon("verify", path, "test", "--interpolated-tolerance", "0.001").status == 1)
    #expect(try canon("verify", path, "test", "--group", "C4").err.contains("leave --group away"))
    let traced = try canon("poses", path, "test", "--json")
    #expect(
      traced.status == 0 && traced.out.split(separator: "\n").count == 3
        && traced.out.contains("largestJumpDegrees") && traced.out.contains("symmetryJump"))
    let around = try traced.out.split(separator: "\n").map {
      try JSONDecoder().decode([String: Double].self, from: Data($0.utf8))
    }
    #expect(
      around.allSatisfy {
        ($0["symmetryJumpDegrees"] ?? -1) >= 0 && ($0["symmetryJumpDegrees"] ?? 181) <= 180.01
      })
    #expect(try canon("poses", path, digits).err.contains("the word test"))
    let operators = try model(
      """
      data: {kind: polygons, order: 4, size: 8, shapes: 4}
      model: {kind: operators, dimension: 8}
      """, "latent-operators")
    #expect(try canon("evaluate", operators, "test").out.contains("second view, squared error"))
    for (latent, name) in [(path, "glyphs"), (operators, "operators")] {
      let sheet = temporary("traverse-\(name).png")
      #expect(try canon("traverse", latent, "test", "--out", sheet, "--pairs", "5").status == 0)
      let picture = try Image(path: sheet)
      // Five columns and three rows of 64 pixels, 4 between.
      #expect(picture.width == 5 * 68 + 4 && picture.height == 3 * 68 + 4)
    }
    let no = try canon(
      "traverse",
      URL(fileURLWithPath: digits).deletingLastPathComponent().path + "/model.safetensors", "test",
      "--out", temporary("x.png"))
    #expect(no.status == 1 && no.err.contains("canon inspect"))
    #expect(try canon("predict", operators, digits).err.contains("canon evaluate"))
  }

  @Test("Poses after those of a reference; an image of one value has none") func references() throws
  {
    let path = try model(
      """
      data: {kind: scenes, scene: glyphs, count: 16, size: 8}
      model: {kind: class-pose}
      backbone: {kind: pose-cnn, width: 2}
      """, "latent-reference")
    let folder = try pictures("latent-natural", ["a.png", "b.png", "c.png"])
    let csv = try canon(
      "predict", path, folder, "--reference", folder, "--neighbors", "1", "--format", "csv")
    #expect(csv.status == 0 && csv.out.hasPrefix("file,pose1,spread,orbit1"))
    #expect(try canon("predict", path, folder, "--neighbors", "3").status == 64)
    // Each is its own nearest: its pose is that of the reference.
    for line in csv.out.split(separator: "\n").dropFirst() {
      let cells = line.split(separator: ",")
      #expect(abs(Double(cells[1]) ?? 1) < 1e-4 && abs(Double(cells[2]) ?? 1) < 1e-4)
    }
    let flat = Image(
      width: 9, height: 9, channels: 1, samples: [UInt16](repeating: 80, count: 81))
    try flat.write(to: folder + "/flat.png")
    let flatly = try canon("predict", path, folder, "--json")
    #expect(flatly.status == 2 && flatly.err.contains("flat.png has no pose"))
    #expect(flatly.out.split(separator: "\n").count == 3)
  }

  @Test("predict of a latent canonicalizer gives class, step, and steps that fit as well")
  func transport() throws {
    let yaml = """
      data: {kind: tensors}
      input: {size: 8}
      model: {kind: transport, order: 4, dimension: 8, hidden: 0, references: 2}
      """
    let configuration = try RunConfiguration(text: yaml, source: "test")
    let path = temporary("latent-transport.safetensors")
    let names = ["left", "right"]
    let made = try configuration.makeModel(classNames: names)
    let transport = try #require(made as? TransportModel)
    transport.references.value = Tensor((0..<16).map { Float($0) }, shape: [2, 8])
    try made.safetensors(configuration, classNames: names).write(to: path)
    let folder = try pictures("latent-steps", ["a.png", "b.png"])
    struct Row: Decodable {
      let file, `class`: String
      let probability: Double
      let step: Int
      let ties: [Int]
    }
    let json = try canon("predict", path, folder, "--json")
    let rows = try json.out.split(separator: "\n").map {
      try JSONDecoder().decode(Row.self, from: Data($0.utf8))
    }
    #expect(json.status == 0 && rows.map(\.file) == ["a.png", "b.png"])
    #expect(
      rows.allSatisfy {
        names.contains($0.class) && (0..<4).contains($0.step) && $0.probability <= 1
      })
    #expect(try canon("predict", path, folder, "--format", "csv").out.hasPrefix("file,class,"))
    #expect(try canon("predict", path, folder).out.contains("step"))
    #expect(
      try canon("predict", path, folder, "--reference", folder).err.contains("leave --reference"))
  }
}
