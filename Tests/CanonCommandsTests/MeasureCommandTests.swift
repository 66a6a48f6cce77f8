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
