import Foundation
import Images
import TensorCore
import Testing

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  .deletingLastPathComponent().deletingLastPathComponent().path
private let model = root + "/demo/model.safetensors"
private let manager = FileManager.default

@Suite struct InitCommandTests {
  /// Bars and crosses, one in four a cross; and a broken file.
  private func unequal(_ name: String) throws -> String {
    let folder = temporary(name)
    var random = RandomStream(seed: 1, name: "unequal")
    for n in 0..<48 {
      let isCross = n % 4 == 0
      let shift = Int(random.uniform() * 4)
      let samples = (0..<256).map { i -> UInt16 in
        let (x, y) = (i % 16 - 6 - shift, i / 16 - 8)
        return abs(y) < 2 && abs(x) < 6 || isCross && abs(x) < 2 && abs(y) < 6 ? 220 : 20
      }
      let path = "\(folder)/\(isCross ? "cross" : "bar \"1\"")"
      try manager.createDirectory(atPath: path, withIntermediateDirectories: true)
      try Image(width: 16, height: 16, channels: 1, samples: samples).write(to: "\(path)/\(n).png")
    }
    try Data("none".utf8).write(to: URL(fileURLWithPath: "\(folder)/cross/broken.png"))
    return folder
  }

  @Test("init writes what train learns from; a broken image is counted; the test part is measured")
  func initAndTrain() throws {
    let folder = try unequal("init's \"folder\": no. 1, 100 %")
    let yaml = temporary("init.yaml")
    let made = try canon("init", folder, "--out", yaml)
    #expect(
      made.status == 0 && made.out.contains("49 images, 2 classes (13 to 36"),
      "\(made.out)\(made.err)")
    let text = try String(contentsOfFile: yaml, encoding: .utf8)
    #expect(text.contains("channels: 1") && text.contains("size: 16"))
    #expect(try canon("init", folder, "--out", yaml).err.contains("already"))
    let run = temporary("init-run")
    let trained = try canon(
      "train", yaml, "--out", run, "--test", "--json", "--set", "canonicalizer=pca-sign", "--set",
      "backbone={kind: mlp, width: 8}", "--set", "training={epochs: 30, classWeights: balanced}")
    #expect(trained.status == 2 && trained.err.contains("broken.png"), "\(trained.err)")
    #expect(
      trained.out.contains("\"test examples\":4") && trained.out.contains("test error sampling"))
    let evaluated = try canon("evaluate", run, folder)
    #expect(evaluated.status == 2 && evaluated.out.contains(" ± "))
    #expect(try canon("evaluate", run, "test").out.contains("images"))
    #expect(
      try canon("evaluate", run, folder, "--angles", "0").out.contains("at other angles") == false)
    let wrong = try canon("train", yaml, "--out", temporary("init-w"), "--set", "training.epcohs=3")
    #expect(wrong.status == 1 && wrong.err.contains("did you mean 'epochs'?"))
    #expect(try canon("init", folder + "/cross").status == 1)
  }

  @Test("A model of IDX files is measured, and predicts, on IDX files (learning 6)") func idx()
    throws
  {
    func file(_ name: String, _ extents: [UInt8], _ bytes: [UInt8]) throws -> String {
      let folder = temporaryPath("idx")
      try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
      let path = "\(folder)/\(name)"
      try Data([0, 0, 8, UInt8(extents.count)] + extents.flatMap { [0, 0, 0, $0] } + bytes).write(
        to: URL(fileURLWithPath: path))
      return path
    }
    let pixels = (0..<20).flatMap { n in (0..<64).map { UInt8($0 % 8 < 4 ? 200 * (n % 2) : 40) } }
    let images = try file("small-images-idx3-ubyte", [20, 8, 8], pixels)
    let labels = try file("small-labels-idx1-ubyte", [20], (0..<20).map { UInt8($0 % 2) })
    let yaml = temporary("idx.yaml")
    try """
    data: {kind: idx, path: \(images), targets: \(labels)}
    input: {size: 8}
    canonicalizer: pca
    backbone: {kind: mlp, width: 4}
    training: {epochs: 20}
    """.write(toFile: yaml, atomically: true, encoding: .utf8)
    let run = temporary("idx-run")
    // Before anything is learned.
    let tested = try canon("train", yaml, "--out", run, "--test")
    #expect(tested.status == 1 && tested.err.contains("--set data.test=0.1"), "\(tested.err)")
    #expect(!manager.fileExists(atPath: run))
    #expect(try canon("components", "idx").out.contains("test: 0"))
    #expect(try canon("train", yaml, "--out", run).status == 0)
    let evaluated = try canon("evaluate", run, images, "--json", "--quiet")
    #expect(evaluated.status == 0 && evaluated.out.contains("\"count\":20"), "\(evaluated.err)")
    #expect(
      try canon("predict", run, images, "--format", "csv").out.split(separator: "\n").count == 21)
  }
}
