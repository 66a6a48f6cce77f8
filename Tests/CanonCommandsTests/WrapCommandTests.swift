import Foundation
import Images
import Testing

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  .deletingLastPathComponent().deletingLastPathComponent().path
/// A CNN that learned upright digits in PyTorch (Examples/onnx/train-digits.py, width 8).
private let network = root + "/Tests/CanonCommandsTests/Fixtures/digits.onnx"
/// An upright seven, the first test digit of MNIST.
private let image = root + "/Tests/CanonCommandsTests/Fixtures/seven.png"
private let manager = FileManager.default

@Suite struct WrapCommandTests {
  private func wrapped(_ name: String, _ canonicalizer: String) throws -> String {
    let (copy, out) = (temporary("\(name).onnx"), temporary("\(name).safetensors"))
    try manager.copyItem(atPath: network, toPath: copy)
    let result = try canon(
      "wrap", copy, "--canonicalizer", canonicalizer, "--normalization", "none", "--out", out)
    #expect(result.status == 0, "\(result.err)")
    try manager.removeItem(atPath: copy)
    return out
  }

  /// What a model says of a digit in its four quarter turns.
  private func classes(_ model: String, _ name: String) throws -> [Row] {
    let folder = temporary(name)
    try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
    var picture = try Image(path: image)
    for turn in 0..<4 {
      try picture.write(to: "\(folder)/\(turn).png")
      let samples = (0..<28 * 28).map { place -> UInt16 in
        let (row, column) = place.quotientAndRemainder(dividingBy: 28)
        return picture.samples[column * 28 + 27 - row]
      }
      picture = Image(width: 28, height: 28, channels: 1, samples: samples)
    }
    return try canon("predict", model, folder, "--json").out.split(separator: "\n").map {
      try JSONDecoder().decode(Row.self, from: Data($0.utf8))
    }
  }

  private struct Row: Decodable, Hashable { var `class`: String, probability: Double }

  @Test(
    "A wrapped network needs its file no more, and tells the same in every quarter turn",
    arguments: ["{kind: gradient, group: C4}", "photos"])
  func wrapped(canonicalizer: String) throws {
    let name = canonicalizer.hasPrefix("{") ? "own" : canonicalizer
    let model = try wrapped(name, canonicalizer)
    let rows = try classes(model, name + "-turns")
    #expect(rows.count == 4 && Set(rows).count == 1)
    // What learned small images in color sees large gray ones so.
    let info = try canon("info", model).out
    #expect(info.contains("seenSize 32, seenChannels 3") == (canonicalizer == "photos"))
    // It learned from nothing.
    #expect(!info.contains("epochs") && !info.contains("data "))
  }

  @Test("What the network says of a known image decides how it wants pixels")
  func check() throws {
    let out = temporary("checked.safetensors")
    func wrap(
      _ normalization: String, _ expected: String, _ canonicalizer: String = "identity"
    ) throws -> (status: Int32, err: String) {
      let result = try canon(
        "wrap", network, "--canonicalizer", canonicalizer, "--normalization", normalization,
        "--out",
        out, "--check", image, "--expect", expected)
      return (result.status, result.err)
    }
    let wrong = try wrap("imagenet", "7")
    #expect(wrong.status == 1 && wrong.err.contains("--normalization none"))
    #expect(!manager.fileExists(atPath: out))
    #expect(try wrap("none", "seven").err.contains("'seven' is no class"))
    // Alone it is right, and behind what turns the digit it is not.
    #expect(try wrap("none", "7", "pca").err.contains("behind pca, turned by"))
    #expect(!manager.fileExists(atPath: out))
    #expect(try wrap("none", "7").status == 0)
    #expect(manager.fileExists(atPath: out))
    let table = try canon("info", network, "--image", image)
    #expect(table.out.contains("none                rgb      7"))
    struct Network: Decodable { var operators: [String: Int], parameters: Int }
    let json = try canon("info", network, "--json").out
    let told = try JSONDecoder().decode(Network.self, from: Data(json.utf8))
    #expect(told.operators["Conv"] == 2 && told.parameters > 20_000)
  }

  @Test(
    "A wrapped model's canonicalizer is taken again, its border with it; nothing else is written over"
  )
  func again() throws {
    let first = try wrapped("first", "photos")
    let second = try wrapped("second", first)
    let info = try canon("info", second, "--json").out
    #expect(info.contains("\"border\":\"edge\"") && info.contains("\"seenSize\":32"))
    let text = temporary("text.safetensors")
    try Data("mine".utf8).write(to: URL(fileURLWithPath: text))
    for out in [text, first] {
      let result = try canon(
        "wrap", network, "--canonicalizer", first, "--normalization", "none", "--out", out)
      #expect(result.status == 1, "\(out)")
    }
    #expect(try Data(contentsOf: URL(fileURLWithPath: text)) == Data("mine".utf8))
  }

  @Test(
    "What cannot be wrapped is said, and nothing is written",
    arguments: [
      (["--canonicalizer", "gradient"], Int32(64), "--normalization"),
      (["--canonicalizer", "gradient", "--mean", "0"], 64, "--deviation is missing"),
      (["--canonicalizer", "gradient", "--normalization", "none", "--bgr"], 1, "in color"),
      (["--canonicalizer", network, "--normalization", "none"], 1, "canon wrap"),
      (["--canonicalizer", "gradent", "--normalization", "none"], 1, "Did you mean 'gradient'?"),
      (["--canonicalizer", "{kind: learned}", "--normalization", "none"], 1, "has to learn first"),
      (["--canonicalizer", "{kind: gradient, order: 4}", "--normalization", "none"], 1, "order"),
      (
        ["--canonicalizer", "gradient", "--normalization", "none", "--size", "32"], 1,
        "images of 28 pixels"
      ),
      (
        ["--canonicalizer", "gradient", "--normalization", "none", "--task", "segment"], 1,
        "gives [10]"
      ),
      (
        ["--canonicalizer", "gradient", "--normalization", "none", "--classes", network], 1,
        "each class has one of its own"
      ),
      (
        ["--canonicalizer", "gradient", "--normalization", "none", "--output", "z"], 1,
        "gives no 'z'"
      ),
    ])
  func mistakes(_ arguments: [String], _ status: Int32, _ reason: String) throws {
    let out = temporary("mistake.safetensors")
    let result = try canon(["wrap", network, "--out", out] + arguments)
    #expect(result.status == status, "\(result.err)")
    #expect(result.err.contains(reason), "\(result.err)")
    #expect(!manager.fileExists(atPath: out))
    #expect(
      try canon(
        "wrap", network, "--canonicalizer", "gradient", "--normalization", "none", "--out", network
      ).status == 64)
  }
}
