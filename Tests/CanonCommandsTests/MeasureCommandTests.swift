import Foundation
import Images
import Symmetry
import TensorCore
import Testing

private struct Measured: Decodable {
  struct Point: Decodable { var at, mean, largest: Double }
  var of, group: String
  var elements, inputs: Int
  var mean, percentile95, largest: Double
  var relative: Double?
  var curve: [Point]
}

private func measured(_ text: String) throws -> Measured {
  try JSONDecoder().decode(Measured.self, from: Data(text.utf8))
}

@Suite struct MeasureCommandTests {
  @Test("Models and the data that they learn from are measured, and bad calls are refused")
  func measure() throws {
    let folder = temporary("measure")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let config = folder + "/oscillator.yaml"
    try """
    data: {kind: dynamics, breaking: 0.5, count: 64}
    model: {kind: relaxed, budget: 0.05}
    canonicalizer: directions
    backbone: {kind: mlp, width: 8}
    training: {epochs: 2, batch: 16}
    """.write(toFile: config, atomically: true, encoding: .utf8)
    let run = folder + "/run"
    #expect(try canon("train", config, "--out", run, "--quiet").status == 0)
    let plot = folder + "/curve.svg"
    let model = try measured(
      try canon("measure", run, "test", "--json", "--limit", "32", "--plot", plot, "--quiet").out)
    #expect(model.of == "output" && model.group == "SO2" && model.inputs == 32)
    #expect(model.elements == 32 && model.curve.count == 13)
    // Twice the budget is the most, and rounding.
    #expect(model.largest > 0 && model.largest <= 0.1 + 1e-4 && model.mean <= model.percentile95)
    #expect(try String(contentsOfFile: plot, encoding: .utf8).hasPrefix("<svg"))
    let data = try measured(try canon("measure", "--data", config, "--json", "--quiet").out)
    #expect(data.of == "data" && data.mean > 0.2)
    let table = try canon(
      "measure", run, "test", "--of", "backbone", "--points", "3", "--limit", "8")
    #expect(table.status == 0 && table.out.contains("turn, radians: -3.142"))
    #expect(table.err.contains("lower bound"))
    let bad: [([String], Int32, String)] = [
      (["measure", run, "test", "--of", "layer:9"], 1, "has 6 layers"),
      (["measure", run, "test", "--of", "layer:0"], 64, "layer:N"),
      (["measure", run, "test", "--group", "SO3"], 64, "no group"),
      (["measure", run, "test", "--window", "0"], 64, "leaves nothing"),
      (["measure", run, "test", "--group", "O2", "--window", "1"], 64, "are drawn"),
      (["measure", run, "test", "--samples", "2000000000"], 64, "100000"),
      (["measure", run, "test", "--plot", run + "/curves.svg"], 1, "among the inputs"),
      (["measure", run, "test", "--window", "1,2"], 64, "1 generators"),
      (["measure", run], 64, "Name a model and inputs"),
      (["measure", run, "test", "--data", config], 64, "without a model"),
      (["measure", run, "test", "--plot", folder + "/a.png"], 64, ".svg"),
      (["measure", "--data", folder + "/none.yaml"], 1, "cannot be read"),
    ]
    for (arguments, status, words) in bad {
      let result = try canon(arguments)
      #expect(result.status == status && result.err.contains(words), "\(arguments): \(result.err)")
    }
    let uniform = folder + "/mnist.yaml"
    try "data: {kind: rotated-mnist}".write(toFile: uniform, atomically: true, encoding: .utf8)
    let unruled = try canon("measure", "--data", uniform)
    #expect(unruled.status == 1 && unruled.err.contains("no rule"))
  }

  @Test("States are told step after step, beside the rule, drawn and written")
  func rollout() throws {
    let folder = temporary("rollout")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    func trained(_ name: String, _ text: String) throws -> String {
      try text.write(toFile: "\(folder)/\(name).yaml", atomically: true, encoding: .utf8)
      let made = try canon(
        "train", "\(folder)/\(name).yaml", "--out", "\(folder)/\(name)", "--quiet")
      #expect(made.status == 0, "\(made.err)")
      return "\(folder)/\(name)"
    }
    let body = try trained(
      "body",
      """
      data: {kind: dynamics, system: pendulum, count: 64}
      canonicalizer: directions
      backbone: {kind: mlp, width: 8}
      training: {epochs: 2, batch: 16}
      """)
    struct Told: Decodable { var states: Int, error, unmoved: [Double] }
    let (sheet, file) = (folder + "/told.png", folder + "/told.safetensors")
    let told = try canon(
      "rollout", body, "test", "--steps", "3", "--limit", "16", "--json", "--plot", sheet, "--out",
      file)
    #expect(told.status == 0, "\(told.err)")
    let figures = try JSONDecoder().decode(Told.self, from: Data(told.out.utf8))
    #expect(figures.states == 16 && figures.error.count == 3 && figures.unmoved.count == 3)
    #expect(figures.error.allSatisfy { $0 > 0 })
    #expect(try #require(Safetensors(path: file).tensors["told"]).shape == [3, 16, 1, 4])
    #expect(try Image(path: sheet).width > 200)
    // One step is what `evaluate` measures.
    let table = try canon("rollout", body, "test", "--steps", "1", "--limit", "1000")
    let quality = try canon("evaluate", body, "test", "--json", "--angles", "0", "--quiet")
    struct Evaluated: Decodable {
      struct Quality: Decodable { var loss: Double }
      var quality: Quality
    }
    let loss = try JSONDecoder().decode(Evaluated.self, from: Data(quality.out.utf8)).quality.loss
    #expect(
      table.out.contains(" " + String(format: "%.4f", loss.squareRoot())), "\(table.out) \(loss)")
    // Of a body on the pivot the rule says nothing, and of one far off it soon no number.
    let states = folder + "/states.safetensors"
    let numbers: [Float] = [1, 0, 0, 0.5, 0, 0, 0, 0, 1e20, 1e20, 1e30, 0]
    try Safetensors(tensors: ["points": Tensor(numbers, shape: [3, 1, 4])]).write(to: states)
    let some = try canon("rollout", body, states, "--steps", "4", "--plot", sheet)
    #expect(
      some.status == 2 && some.err.contains("state 1") && !some.out.contains("nan"), "\(some)")
    try Safetensors(tensors: ["points": .zeros([2, 1, 4])]).write(to: states)
    let none = try canon("rollout", body, states, "--steps", "4", "--plot", sheet)
    #expect(none.status == 1 && none.out.isEmpty && none.err.contains("no numbers"))
    let smoke = try trained(
      "smoke",
      """
      data: {kind: plume, size: 8, count: 8}
      canonicalizer: identity
      backbone: {kind: unet, width: 4}
      training: {epochs: 1, batch: 4}
      """)
    let drawn = try canon(
      "rollout", smoke, "test", "--steps", "2", "--limit", "4", "--plot", sheet)
    #expect(drawn.status == 0 && drawn.out.contains("unmoved"), "\(drawn.err)")
    // Two rows of four states, at three times.
    #expect(try Image(path: sheet).height > 2 * (try Image(path: sheet)).width)
    let many = try canon("rollout", smoke, "test", "--steps", "10000")
    #expect(many.status == 1 && many.err.contains("memory"))
    let bad: [([String], Int32, String)] = [
      (["rollout", body, "test", "--steps", "0"], 64, "--steps"),
      (["rollout", body, file], 1, "inputs"),
      (["rollout", body, "test", "--plot", folder + "/a.svg"], 64, "image file"),
      (["rollout", body, "test", "--out", body], 64, ".safetensors"),
      (["rollout", body, "test", "--out", body + "/model.safetensors"], 1, "used already"),
    ]
    for (arguments, status, words) in bad {
      let result = try canon(arguments)
      #expect(result.status == status && result.err.contains(words), "\(arguments): \(result.err)")
    }
  }

  @Test("Codes of a variational autoencoder are told and written, with the factors that are known")
  func codes() throws {
    let folder = temporary("codes")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let (config, run) = (folder + "/vae.yaml", folder + "/vae")
    try """
    data: {kind: dsprites, size: 16, count: 64}
    model: {kind: variational, dimension: 3}
    training: {epochs: 1, batch: 32}
    """.write(toFile: config, atomically: true, encoding: .utf8)
    #expect(try canon("train", config, "--out", run, "--quiet").status == 0)
    let file = folder + "/codes.safetensors"
    let written = try canon("predict", run, "test", "--out", file)
    #expect(written.status == 0 && written.err.contains("factors"), "\(written)")
    let codes = try Safetensors(path: file)
    #expect(try #require(codes.tensors["codes"]).shape == [11_520, 3])
    #expect(try #require(codes.tensors["factors"]).shape == [11_520, 5])
    #expect(codes.metadata["factors"] == "silhouette,scale,orientation,x,y")
    let metrics = try canon("disentanglement", file, "--metrics", "mig", "--factors", "x,scale")
    #expect(metrics.out.contains("MIG") || metrics.err.contains("mig"), "\(metrics)")
    let model = run + "/model.safetensors"
    let good = try Data(contentsOf: URL(fileURLWithPath: model))
    let content = try Safetensors(path: model)
    try Safetensors(
      tensors: content.tensors.mapValues { $0 * 1e12 }, metadata: content.metadata
    ).write(to: model)
    let wild = folder + "/wild.safetensors"
    let refused = try canon("predict", run, digits, "--out", wild)
    #expect(refused.status == 1 && refused.err.contains("no numbers"))
    #expect(!FileManager.default.fileExists(atPath: wild))
    try good.write(to: URL(fileURLWithPath: model))
    let told = try canon("predict", run, digits, "--format", "csv", "--quiet")
    #expect(told.status == 0 && told.out.hasPrefix("file,z0,z1,z2\n"), "\(told)")
    let bad: [([String], Int32, String)] = [
      (["predict", run, digits, "--out", folder + "/codes.csv"], 1, ".safetensors"),
      (["predict", run, digits, "--canonical", folder + "/forms"], 1, "no poses"),
      (["predict", run, digits, "--shard", "1/2"], 1, "one run"),
    ]
    for (arguments, status, words) in bad {
      let result = try canon(arguments)
      #expect(result.status == status && result.err.contains(words), "\(arguments): \(result.err)")
    }
  }

  @Test(
    "A generator is found in pairs, written, drawn, and what models and pairs are measured under")
  func discover() throws {
    let folder = temporary("discover")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let files = try FileManager.default.subpathsOfDirectory(atPath: digits)
      .filter { $0.hasSuffix(".png") }.sorted()
    let images = try Tensor.concatenated(
      files.prefix(8).map { try Image(path: digits + "/" + $0).modelInput(size: 20, channels: 1) })
    var random = RandomStream(seed: 1, name: "amounts")
    let amounts = (0..<8).map { _ in random.uniformDouble() - 0.5 }
    let turns = PlanarAffine([.rotation])
    let moved = AffineImageAction(turns).act(amounts.map { turns.exp([$0]) }, on: images)
    let pairs = folder + "/pairs.safetensors"
    try Safetensors(tensors: [
      "inputs": images, "partner": moved,
      "element": Tensor(amounts.map { Float($0) }, shape: [8, 1]),
    ]).write(to: pairs)
    let (file, sheet) = (folder + "/generator.json", folder + "/orbits.png")
    let found = try canon("discover", pairs, "--out", file, "--plot", sheet)
    #expect(found.status == 0 && found.out.contains("rotation"), "\(found)")
    #expect(try Image(path: sheet).width > 400)
    // About another point than the middle it is a turn too, by degrees; quarter turns about the middle are none of its own.
    let elsewhere = PlanarAffine([.found([0, 1, 0.1, -1, 0, 0.2])])
    let off = folder + "/off.safetensors"
    try Safetensors(tensors: [
      "inputs": images,
      "partner": AffineImageAction(elsewhere).act(amounts.map { elsewhere.exp([$0]) }, on: images),
    ]).write(to: off)
    let about = try canon("discover", off, "--out", folder + "/off.json")
    #expect(about.out.contains("° about (0.20, -0.10)"), "\(about.out)")
    // Pairs that are what they are said to be have no error; by another generator they have.
    let own = try measured(
      try canon("measure", "--data", pairs, "--group", "SO2", "--json", "--quiet").out)
    #expect(own.of == "pairs" && own.largest < 1e-4)
    let other = try measured(
      try canon("measure", "--data", pairs, "--group", "scalings", "--json", "--quiet").out)
    #expect(other.mean > 0.5)
    let bad: [([String], Int32, String)] = [
      (["discover", pairs, digits], 64, "has its partners"),
      (["discover", digits], 64, "Name the folder"),
      (["discover", pairs, "--generators", "7"], 64, "from 1 to 6"),
      (["discover", pairs, "--generators", "3"], 1, "too few"),
      (["discover", pairs, "--out", pairs], 64, ".json"),
      (["discover", digits, digits, "--size", "16"], 1, "no pair differs"),
      (["measure", "--data", pairs, "--group", sheet], 1, "Name the Lie group"),
      (["measure", "--data", pairs, "--group", folder + "/none.json"], 1, "cannot be read"),
      (["measure", "--data", pairs], 1, "Name the Lie group"),
    ]
    for (arguments, status, words) in bad {
      let result = try canon(arguments)
      #expect(result.status == status && result.err.contains(words), "\(arguments): \(result.err)")
    }
    // A group of a file is what elements are drawn from.
    #expect(try canon("measure", "--data", pairs, "--group", file, "--quiet").status == 0)
    try
      #"{"generators":[{"tangent":[0,0,0,0,0,0],"pairs":1,"explained":1,"explainedByChance":0,"nearest":"","degreesToNearest":0,"amounts":[]}]}"#
      .write(toFile: file, atomically: true, encoding: .utf8)
    let zero = try canon("measure", "--data", pairs, "--group", file)
    #expect(zero.status == 1 && zero.err.contains("not all 0"))
  }
}
