import Autodiff
import Foundation
import Images
import ONNX
import TensorCore
import Testing

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  .deletingLastPathComponent().deletingLastPathComponent().path
private let network = root + "/Tests/CanonCommandsTests/Fixtures/digits.onnx"
private let image = root + "/Tests/CanonCommandsTests/Fixtures/seven.png"

@Suite struct WrapTaskTests {
  /// A network of gray images `[batch, 1, 28, 28]`, as a file.
  private func written(_ name: String, _ computation: (Variable) -> Variable) throws -> String {
    let path = temporary("\(name).onnx")
    let bytes = try ONNXExport(input: "x", shape: [1, 28, 28]) { images in
      [.init("y", computation(images))]
    }.serialized()
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    return path
  }

  private func wrap(_ network: String, _ out: String, _ more: String...) throws -> (
    status: Int32, out: String, err: String
  ) {
    try canon(
      ["wrap", network, "--canonicalizer", "identity", "--normalization", "none", "--out", out]
        + more)
  }

  @Test("An image that a network gives is given as it is, with and without a sigmoid at its end")
  func restored() throws {
    for (name, computation) in [
      ("plain", { ($0 * 0.9) + 0.05 }), ("sigmoid", { (($0 * 4) - 2).sigmoid() }),
    ] as [(String, (Variable) -> Variable)] {
      let (model, out) = (temporary("\(name).safetensors"), temporary("\(name)-out"))
      let wrapped = try wrap(written(name, computation), model, "--task", "restore")
      #expect(wrapped.status == 0, "\(wrapped.err)")
      #expect(try canon("predict", model, image, "--out", out).status == 0)
      let (before, after) = (try Image(path: image), try Image(path: out + "/seven.png"))
      let inputs = Tensor(before.samples.map { Float($0) / 255 })
      let wanted = computation(Variable(inputs)).value.elements
      for (found, wanted) in zip(after.samples, wanted) {
        #expect(abs(Float(found) - wanted * 255) <= 0.51)
      }
      let export = try canon("export", model, temporary("\(name)-whole.onnx"))
      #expect(export.status == 0, "\(export.err)")
    }
  }

  @Test("A network that gives boxes tells classes too, or is refused")
  func boxes() throws {
    func sums(_ count: Int) -> (Variable) -> Variable {
      { x in
        let mean = x.mean([1, 2, 3]).reshaped([-1, 1])
        return .concatenated((0..<count).map { mean * (0.1 * Float($0)) }, axis: 1)
      }
    }
    let alone = try wrap(
      written("four", sums(4)), temporary("four.safetensors"), "--task", "detect")
    #expect(alone.status == 1 && alone.err.contains("a score for each of two or more classes"))
    let model = temporary("seven.safetensors")
    let both = try wrap(written("seven", sums(7)), model, "--task", "detect")
    #expect(both.status == 0, "\(both.err)")
    let rows = try canon("predict", model, image, "--json")
    #expect(rows.status == 0 && rows.out.contains("\"class\":\"2\""), "\(rows.out) \(rows.err)")
  }

  @Test("A model that learned with the usual settings goes in front, and is not written over")
  func trained() throws {
    let out = temporary("behind.safetensors")
    let result = try canon(
      "wrap", network, "--canonicalizer", root + "/demo/model.safetensors", "--normalization",
      "none",
      "--out", out)
    #expect(result.status == 0, "\(result.err)")
    // Once more over what was wrapped.
    #expect(try wrap(network, out).status == 0)
    let copy = temporary("trained.safetensors")
    try FileManager.default.copyItem(atPath: root + "/demo/model.safetensors", toPath: copy)
    let over = try wrap(network, copy)
    #expect(over.status == 1 && over.err.contains("was trained"))
    let test = try canon("predict", out, "test")
    #expect(test.status == 1 && test.err.contains("no test part"))
  }

  @Test("A mistyped command, class or deviation is told, with what it may have meant")
  func mistyped() throws {
    let command = try canon("predikt", "model", "images")
    #expect(command.status == 64 && command.err.contains("Did you mean 'predict'?"))
    #expect(try canon("help", "predict").status == 0)
    let out = temporary("mistyped.safetensors")
    let other = try wrap(network, out, "--check", image, "--expect", "seven")
    #expect(other.status == 1 && other.err.contains("--classes FILE names them"))
    let flat = try canon(
      "wrap", network, "--canonicalizer", "identity", "--mean", "0", "--deviation", "0", "--out",
      out)
    #expect(flat.status == 64 && flat.err.contains("positive"))
  }

  @Test("Of several outputs others are named")
  func severalOutputs() throws {
    let path = temporary("several.onnx")
    let bytes = try ONNXExport(input: "x", shape: [1, 28, 28]) { images in
      let mean = images.mean([1, 2, 3]).reshaped([-1, 1])
      return [
        .init("features", images.reshaped([-1, 4, 14, 14])),
        .init("scores", .concatenated([mean, mean * 2], axis: 1)),
      ]
    }.serialized()
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    let out = temporary("several.safetensors")
    let first = try wrap(path, out)
    #expect(first.status == 1 && first.err.contains("--output: features, scores"))
    #expect(try wrap(path, out, "--task", "classify").status == 1)
    let named = try wrap(path, out, "--output", "scores")
    #expect(named.status == 0 && !named.err.contains("outputs"), "\(named.err)")
    #expect(try wrap(path, out, "--output", "scores", "--quiet").out.isEmpty)
  }

  @Test("What a wrapped network is not sure to be is said")
  func notes() throws {
    func scores(_ images: Variable) -> Variable {
      images.reshaped([-1, 784]).sliced(400..<410, axis: 1)
    }
    let out = temporary("noted.safetensors")
    let ending = try wrap(written("sigmoid-classes", { scores($0).sigmoid() }), out)
    #expect(ending.status == 0 && ending.err.contains("ends in a sigmoid"), "\(ending.err)")
    let plain = try wrap(written("plain-classes", scores), out)
    #expect(plain.status == 0 && plain.err.isEmpty, "\(plain.err)")
    let mask = try wrap(written("mask", { $0 * 0.5 }), out)
    #expect(mask.status == 0 && mask.err.contains("--task restore"), "\(mask.err)")
    let one = try wrap(written("one", { $0.mean([1, 2, 3]).reshaped([-1, 1]) }), out)
    #expect(one.status == 1 && one.err.contains("a score for each"), "\(one.err)")
    let path = temporary("two.onnx")
    let bytes = try ONNXExport(input: "x", shape: [1, 28, 28]) { images in
      [.init("first", scores(images)), .init("second", scores(images) * 2)]
    }.serialized()
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    let two = try wrap(path, out)
    #expect(two.status == 0 && two.err.contains("'second'"), "\(two.err)")
    func turned(_ more: String...) throws -> String {
      let result = try canon(
        ["wrap", network, "--canonicalizer", "pca", "--normalization", "none", "--out", out] + more)
      #expect(result.status == 0, "\(result.err)")
      return result.err
    }
    #expect(try turned().contains("need not be upright"))
    #expect(try turned("--quiet").isEmpty)
  }

  @Test(
    "A mean and a deviation of one's own are tried on a known image; a gray one has one of each")
  func ownPixels() throws {
    let table = try canon(
      "info", network, "--image", image, "--mean", "0", "--deviation", "1", "--json")
    #expect(table.status == 0 && table.out.contains("\"normalization\":\"own\""), "\(table.err)")
    #expect(try canon("info", network, "--image", image, "--mean", "0").status == 64)
    let out = temporary("three.safetensors")
    let three = try canon(
      "wrap", network, "--canonicalizer", "identity", "--mean", "0.1,0.2,0.3", "--deviation", "1",
      "--out", out)
    #expect(three.status == 64 && three.err.contains("in gray"), "\(three.err)")
  }
}
