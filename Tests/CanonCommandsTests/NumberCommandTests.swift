import Datasets
import Foundation
import Images
import TensorCore
import Testing
import Training

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  .deletingLastPathComponent().deletingLastPathComponent().path
private let model = root + "/demo/model.safetensors"

/// Numbers that are none, or too many: refused, never certified, never a class, never a trap.
@Suite struct NumberCommandTests {
  /// The shipped model with every weight of some names changed.
  private func changed(
    _ name: String, _ part: String, _ change: (Tensor) -> Tensor
  ) throws -> String {
    var file = try Safetensors(path: model)
    for (key, tensor) in file.tensors where key.hasPrefix(part) {
      file.tensors[key] = change(tensor)
    }
    let path = temporary(name + ".safetensors")
    try file.write(to: path)
    return path
  }

  @Test(
    "Outputs that are not numbers are never certified, and never a certain class (correctness 1, 8)"
  )
  func certificates() throws {
    let huge = try changed("nan", "backbone.") { tensor in
      Tensor(tensor.elements.map { $0 < 0 ? -3e38 : 3e38 }, shape: tensor.shape)
    }
    let verified = try canon("verify", huge, digits, "--limit", "4")
    #expect(verified.status == 1 && verified.err.contains("Not equivariant"), "\(verified.err)")
    let predicted = try canon("predict", huge, digits, "--format", "csv")
    #expect(predicted.status == 1 && predicted.err.contains("no number"))
    for row in predicted.out.split(separator: "\n").dropFirst() {
      let cells = row.split(separator: ",", omittingEmptySubsequences: false)
      // A class only with a probability.
      #expect(
        cells[2] == "nan" ? cells[1].isEmpty : (0...1).contains(Double(cells[2]) ?? -1), "\(row)")
    }
    let evaluated = try canon("evaluate", huge, digits)
    #expect(evaluated.status == 1 && evaluated.out.isEmpty && evaluated.err.contains("no number"))
    let exported = try canon("export", huge, temporary("nan.onnx"))
    #expect(exported.status == 1 && exported.err.contains("no number"), "\(exported.err)")
  }

  @Test("A margin of scores that are no numbers is none: nothing is turned, and nothing certified")
  func margins() throws {
    let huge = try changed("margin", "canonicalizer.") {
      Tensor([Float](repeating: 3e38, count: $0.shape.count), shape: $0.shape)
    }
    let done = try canon(
      "canonicalize", huge, digits, temporary("margin-out"), "--min-margin", "1000000", "--json")
    #expect(
      done.status == 0 && !done.out.contains("inf") && !done.out.contains("\"isUnsure\":false"))
    #expect(done.out.contains("\"isUnsure\":true"))
    let verified = try canon("verify", huge, digits, "--limit", "4", "--group", "C4")
    #expect(verified.status == 1 && verified.err.contains("Not equivariant"), "\(verified.err)")
  }

  @Test(
    "Huge weights of a canonicalizer end no command (trust 11)",
    arguments: [Float(1e18), 1e30, 3e38])
  func hugeWeights(scale: Float) throws {
    let huge = try changed("huge\(scale)", "canonicalizer.") { $0 * scale }
    for arguments in [
      ["canonicalize", huge, digits, temporary("huge-out\(scale)")], ["predict", huge, digits],
      ["inspect", huge, digits, "--out", temporary("huge\(scale).png"), "--images", "1"],
      ["info", huge],
    ] {
      let result = try canon(arguments)
      #expect([0, 1, 2].contains(result.status), "\(arguments[0]): \(result.status)")
    }
  }

  @Test("Flags cannot say what a file could not; nothing is written then (correctness 2, 6)")
  func flags() throws {
    let yaml = temporary("starts.yaml")
    try """
    data: {kind: folder, path: \(digits)}
    canonicalizer: pca
    backbone: {kind: mlp, width: 2}
    training: {epochs: 4, batch: 8, starts: 2, startEpochs: 1}
    """.write(toFile: yaml, atomically: true, encoding: .utf8)
    let out = temporary("starts-out")
    let result = try canon("train", yaml, "--out", out, "--epochs", "1")
    #expect(result.status == 1 && result.err.contains("startEpochs"))
    #expect(!FileManager.default.fileExists(atPath: out))
    let restorer = root + "/demo/restore.safetensors"
    let same = try canon(
      "predict", restorer, root + "/demo/noisy", "--out", out, "--canonical", out)
    #expect(same.status == 1 && same.err.contains("used already"))
  }

  @Test(
    "Sets without members, with numbers that are none, and forecasts end in a sentence (correctness 10)"
  )
  func sets() throws {
    // A model as it begins: systems need no training to be refused.
    let configuration = try RunConfiguration(
      text: """
        data: {kind: particles}
        canonicalizer: {kind: pca}
        backbone: {kind: particles, width: 4}
        """, source: "test")
    let run = temporary("particles.safetensors")
    let untrained = try configuration.makeModel(classNames: [])
    try untrained.safetensors(configuration, classNames: []).write(to: run)
    let file = temporary("systems.safetensors")
    var random = RandomStream(seed: 1, name: "systems")
    let good = Tensor.normal([4, 5, 7], using: &random)
    func status(_ points: Tensor, _ command: String) throws -> (Int32, String) {
      try Safetensors(tensors: ["points": points]).write(to: file)
      let extra = command == "predict" ? ["--out", temporary("later.safetensors")] : []
      let result = try canon([command, run, file] + extra)
      return (result.status, result.err)
    }
    #expect(try status(good, "evaluate").0 == 1)
    #expect(try status(good, "predict").0 == 0)
    var none = good.elements
    none[3] = .nan
    for command in ["predict", "verify", "evaluate"] {
      let empty = try status(.zeros([0, 5, 7]), command)
      #expect(empty.0 == 1 && empty.1.contains("[0, 5, 7]"), "\(command): \(empty.1)")
      let nan = try status(Tensor(none, shape: [4, 5, 7]), command)
      #expect(nan.0 == 1 && nan.1.contains("not numbers"), "\(command): \(nan.1)")
    }
  }

  @Test(
    "A checkpoint that stands nowhere is refused (trust 11)", arguments: ["-5", "9999", "x", ""])
  func checkpoints(step: String) throws {
    let yaml = temporary("step\(step).yaml")
    try """
    data: {kind: folder, path: \(digits)}
    canonicalizer: pca
    backbone: {kind: mlp, width: 2}
    training: {epochs: 1, batch: 8}
    """.write(toFile: yaml, atomically: true, encoding: .utf8)
    let run = temporary("step-run\(step)")
    #expect(try canon("train", yaml, "--out", run, "--quiet").status == 0)
    var file = try Safetensors(path: run + "/checkpoint.safetensors")
    file.metadata["step"] = step
    try file.write(to: run + "/checkpoint.safetensors")
    let resumed = try canon("train", yaml, "--out", run, "--resume")
    #expect(resumed.status == 1 && resumed.err.contains("not a checkpoint"), "\(resumed.err)")
  }

  @Test("An image that declares more than memory allows is refused, and more is allowed (trust 12)")
  func memory() throws {
    let folder = try pictures("memory", ["a.png"])
    // 600 × 600 of 8 bytes a sample: 2.7 MiB.
    try noise(600, 600).write(to: folder + "/b.png")
    let little = try canon("predict", model, folder, "--memory", "2")
    #expect(
      little.status == 2 && little.err.contains("600 × 600") && little.err.contains("--memory"))
    #expect(try canon("predict", model, folder, "--memory", "8").status == 0)
    #expect(try canon("predict", model, folder, "--memory", "0").status == 64)
  }
}
