import Foundation
import Images
import TensorCore
import Testing

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  .deletingLastPathComponent().deletingLastPathComponent().path
private let model = root + "/demo/model.safetensors"
private let manager = FileManager.default

/// What an adversary found: each was seen to go wrong.
@Suite struct ProtectedInputTests {
  @Test("What canon did not write is not replaced; what it wrote is, by a second run")
  func others() throws {
    let originals = try pictures("originals", ["a.png", "b.png"])
    let before = try contents("\(originals)/a.png")
    let out = temporary("originals-out")
    #expect(try canon("canonicalize", "pca", originals, out, "--canvas", "crop").status == 0)
    let back = try canon("restore", out, originals)
    #expect(back.status == 1 && back.err.contains("canon did not write"))
    #expect(try contents("\(originals)/a.png") == before)
    #expect(try canon("canonicalize", "pca", originals, out).status == 0)
    let restored = temporary("originals-back")
    for _ in 0..<2 { #expect(try canon("restore", out, restored).status == 0) }
    // Somebody's folder without a picture of that name is no loss.
    let mine = try pictures("mine", ["other.png"])
    #expect(try canon("canonicalize", "pca", "\(originals)/a.png", mine).status == 0)
    let taken = try pictures("taken", ["a.png"])
    #expect(try canon("canonicalize", "pca", "\(originals)/a.png", taken).status == 1)
  }

  @Test("A run is not written among the images that it learns from") func trainsElsewhere() throws {
    let folder = try pictures("own-data", ["a/1.png", "a/2.png", "b/1.png", "b/2.png"])
    let yaml = temporary("own-data.yaml")
    try
      "{data: {kind: folder, path: \(folder)}, canonicalizer: pca, backbone: {kind: mlp, width: 2}}"
      .write(toFile: yaml, atomically: true, encoding: .utf8)
    let result = try canon("train", yaml, "--out", "\(folder)/run")
    #expect(result.status == 1 && result.err.contains("among the inputs"))
  }

  @Test("No link below the outputs leads to inputs, and no single file lands among them")
  func links()
    throws
  {
    let folder = try pictures("below", ["in/sub/a.png", "in/b.png"])
    let (input, out) = ("\(folder)/in", "\(folder)/out")
    let before = try contents("\(input)/sub/a.png")
    try manager.createDirectory(atPath: out, withIntermediateDirectories: true)
    try manager.createSymbolicLink(atPath: out + "/sub", withDestinationPath: "../in/sub")
    let result = try canon("canonicalize", "pca", input, out)
    #expect(result.status == 1 && result.err.contains("by a link"))
    #expect(try contents("\(input)/sub/a.png") == before)
    #expect(
      try canon("poses", model, digits, "--limit", "4", "--recenter", digits + "/new.safetensors")
        .status == 1)
    #expect(try canon("inspect", "pca", input, "--out", input + "/new.png").status == 1)
    #expect(try canon("init", input, "--out", input + "/b.png", "--force").status == 64)
    let restorer = root + "/demo/restore.safetensors"
    let noisy = root + "/demo/noisy"
    let nested = try canon("predict", restorer, noisy, "--out", out, "--canonical", out + "/x")
    #expect(nested.status == 1 && nested.err.contains("one in the other"))
  }

  @Test("A run writes over no configuration, model or run that it did not write") func runs() throws
  {
    let folder = temporary("protected-run")
    try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let yaml = folder + "/configuration.yaml"
    let text = """
      # mine
      data: {kind: folder, path: \(digits)}
      canonicalizer: pca
      backbone: {kind: mlp, width: 2}
      training: {epochs: 1, batch: 8}
      """
    try text.write(toFile: yaml, atomically: true, encoding: .utf8)
    #expect(try canon("train", yaml, "--out", folder).status == 1)
    #expect(try String(contentsOfFile: yaml, encoding: .utf8) == text)
    let run = temporary("protected-out")
    #expect(try canon("train", yaml, "--out", run, "--quiet").status == 0)
    try manager.removeItem(atPath: run + "/checkpoint.safetensors")
    let again = try canon("train", yaml, "--out", run)
    #expect(again.status == 1 && again.err.contains("a model already"))
  }

  @Test("A test part, and a run, belong to the data that they began with") func changedData() throws
  {
    let folder = temporary("changed")
    try manager.copyItem(atPath: digits, toPath: folder)
    let yaml = temporary("changed.yaml")
    try """
    data: {kind: folder, path: \(folder), test: 0.2}
    canonicalizer: pca
    backbone: {kind: mlp, width: 2}
    training: {epochs: 1, batch: 8}
    """.write(toFile: yaml, atomically: true, encoding: .utf8)
    let run = temporary("changed-run")
    #expect(try canon("train", yaml, "--out", run, "--quiet").status == 0)
    #expect(try canon("evaluate", run, "test").status == 0)
    let first = try #require(
      try manager.subpathsOfDirectory(atPath: folder).first { $0.hasSuffix(".png") })
    try manager.copyItem(atPath: "\(folder)/\(first)", toPath: "\(folder)/\(first).png")
    let changed = try canon("evaluate", run, "test")
    #expect(changed.status == 1 && changed.err.contains("have changed"))
    let resumed = try canon("train", yaml, "--out", run, "--resume")
    #expect(resumed.status == 1 && resumed.err.contains("have changed"))
    let own = try canon("evaluate", run, folder)
    #expect(own.status == 0 && own.err.contains("trained on a part of these"))
  }

  @Test("A limit on training examples leaves the test part as it is") func limited() throws {
    let yaml = temporary("limited.yaml")
    try """
    data: {kind: folder, path: \(digits), test: 0.2, limit: 8}
    canonicalizer: pca
    backbone: {kind: mlp, width: 2}
    training: {epochs: 1, batch: 8}
    """.write(toFile: yaml, atomically: true, encoding: .utf8)
    let run = temporary("limited-run")
    #expect(try canon("train", yaml, "--out", run, "--quiet").status == 0)
    let evaluated = try canon("evaluate", run, "test", "--json", "--quiet")
    #expect(evaluated.status == 0 && evaluated.out.contains("\"count\":4"), "\(evaluated.err)")
  }

  @Test("Leftovers of a program that still runs are left to it") func partials() throws {
    let folder = try pictures("partials", ["a.png"])
    let out = temporary("partials-out")
    try manager.createDirectory(atPath: out, withIntermediateDirectories: true)
    let (living, dead) = (".canon-\(getpid())-7.partial", ".canon-999999999-7.partial")
    for name in [living, dead] { try Data().write(to: URL(fileURLWithPath: "\(out)/\(name)")) }
    #expect(try canon("canonicalize", "pca", folder, out).status == 0)
    #expect(manager.fileExists(atPath: "\(out)/\(living)"))
    #expect(!manager.fileExists(atPath: "\(out)/\(dead)"))
  }
}
