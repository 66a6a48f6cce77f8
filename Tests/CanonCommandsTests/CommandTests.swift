import Foundation
import Images
import TensorCore
import Testing

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  .deletingLastPathComponent().deletingLastPathComponent().path
private let model = root + "/demo/model.safetensors"

@Suite struct CommandTests {
  @Test(
    "Every command explains itself with examples",
    arguments: [
      "train", "predict", "canonicalize", "restore", "evaluate", "verify", "inspect", "poses",
      "info", "components", "init", "report", "calibrate", "traverse", "disentanglement",
      "rollout", "measure", "discover", "wrap", "export", "merge",
    ])
  func help(command: String) throws {
    let (status, out, _) = try canon(command, "--help")
    #expect(status == 0 && out.contains("EXAMPLE") && out.contains("canon \(command)"))
    let overview = out.components(separatedBy: "\n\nUSAGE")[0]
    for paragraph in overview.components(separatedBy: "\n\n") {
      let lines = paragraph.split(separator: "\n")
      // Examples are not broken, and texts are broken once: a word that would have fit is not on the next line.
      let isExamples = lines[0].hasPrefix("EXAMPLE")
      for (line, next) in zip(lines.dropFirst(isExamples ? 1 : 0), lines.dropFirst()) {
        let isWhole =
          isExamples
          ? line.hasPrefix("  ") : line.count + next.prefix { $0 != " " }.count + 1 >= 80
        #expect(isWhole, "\(line)")
      }
    }
  }

  @Test("Wrong usage exits with 64") func usage() throws {
    #expect(try canon("predict").status == 64)
    #expect(try canon("nonsense").status == 64)
    let kind = try canon("components", "foo")
    #expect(kind.status == 64 && kind.err.contains("See 'canon components --help'"))
    #expect(try canon("predict", model, digits, "--threads", "0").status == 64)
    #expect(try canon("evaluate", model, digits, "--angles=-1").status == 64)
    #expect(try canon("evaluate", model, digits, "--limit", "0").status == 64)
    #expect(try canon("verify", model, digits, "--limit=-5").status == 64)
    #expect(
      try canon("train", root + "/configs/rotated-mnist-c4.yaml", "--seed=-1").status == 64)
  }

  @Test("The shipped digits are predicted, as a table, as CSV and as JSON") func predict() throws {
    let table = try canon("predict", model, digits)
    #expect(table.status == 0 && table.out.hasPrefix("file"))
    let csv = try canon("predict", model, digits, "--format", "csv").out.split(separator: "\n")
    #expect(csv.count == 25 && csv[0] == "file,class,probability,degrees,reflected,margin,ties")
    // One of the 24 is a 6 that the model takes for a 0.
    let right = csv.dropFirst().filter { $0.prefix(1) == $0.split(separator: ",")[1] }.count
    #expect(right >= 22)
    let json = try canon("predict", model, digits, "--json", "--threads", "1").out.split(
      separator: "\n")
    struct Row: Decodable { var file, `class`: String; var probability: Double }
    let rows = try json.map { try JSONDecoder().decode(Row.self, from: Data($0.utf8)) }
    #expect(rows.count == 24 && rows.allSatisfy { $0.probability > 0.1 && $0.probability <= 1 })
    #expect(
      rows.map { "\($0.file),\($0.class)" }
        == csv.dropFirst().map { $0.split(separator: ",").prefix(2).joined(separator: ",") })
  }

  @Test("Predicting and canonicalizing in one pass gives what both give apart") func onePass()
    throws
  {
    let (both, apart) = (temporary("both"), temporary("apart"))
    let combined = try canon("predict", model, digits, "--canonical", both, "--format", "csv")
    let plain = try canon("predict", model, digits, "--format", "csv", "--threads", "1")
    #expect(combined.status == 0 && combined.out == plain.out && !plain.out.isEmpty)
    #expect(try canon("canonicalize", model, digits, apart).status == 0)
    let files = try #require(FileManager.default.enumerator(atPath: apart))
      .compactMap { $0 as? String }.filter { $0.hasSuffix(".png") || $0.hasSuffix(".jsonl") }
    #expect(files.count > 4)
    for file in files {
      #expect(
        FileManager.default.contentsEqual(atPath: "\(both)/\(file)", andPath: "\(apart)/\(file)"),
        "\(file)")
    }
    // A folder is not written over itself.
    #expect(try canon("predict", model, digits, "--canonical", digits).status == 1)
  }

  @Test("A profile names the operations; a steady step allocates nothing") func profile() throws {
    let path = temporary("profile.yaml")
    try """
    data: {kind: rotated-mnist, path: \(root)/Benchmarks/Data, limit: 64}
    canonicalizer: {group: C4, batchNorm: false}
    backbone: {kind: small-cnn, width: 8}
    training: {batch: 16}
    """.write(toFile: path, atomically: true, encoding: .utf8)
    let (status, out, _) = try canon("train", path, "--profile", "--json", "--threads", "1")
    #expect(status == 0)
    let report = try #require(
      JSONSerialization.jsonObject(with: Data(out.utf8)) as? [String: Any])
    #expect(report["allocationsPerStep"] as? Double == 0)
    let operations = try #require(report["operations"] as? [[String: Any]])
    let names = operations.compactMap { $0["name"] as? String }
    #expect(names.contains { $0.hasPrefix("convolution, weight gradient") })
    let shares = operations.compactMap { $0["share"] as? Double }.reduce(0, +)
    #expect(shares > 0.5 && shares <= 1)
    let text = try canon("train", path, "--profile").out
    #expect(text.contains("GFLOP/s") && text.contains("in no operation"))
  }

  @Test("Bad input is a sentence with the path, and status 1") func badInput() throws {
    let text = root + "/README.md"
    for (arguments, word) in [
      ([model, "/nonexistent"], "/nonexistent"), (["/nonexistent", digits], "/nonexistent"),
      ([text, digits], "README.md"), ([model, text], "README.md"),
    ] {
      let result = try canon("predict", arguments[0], arguments[1])
      #expect(result.status == 1 && result.err.contains(word) && result.out.isEmpty)
    }
    let yaml = temporary("bad.yaml")
    try "training: {epcohs: 3}".write(toFile: yaml, atomically: true, encoding: .utf8)
    let train = try canon("train", yaml, "--out", temporary("never"))
    #expect(train.status == 1 && train.err.contains("did you mean 'epochs'?"))
  }

  @Test("One bad image never stops a folder: it is named, and the status is 2") func badImage()
    throws
  {
    let folder = temporary("mixed")
    try FileManager.default.copyItem(atPath: digits, toPath: folder)
    try Data("no image".utf8).write(to: URL(fileURLWithPath: folder + "/bad.png"))
    let result = try canon("predict", model, folder, "--format", "csv")
    #expect(result.status == 2 && result.err.contains("bad.png"))
    #expect(result.out.split(separator: "\n").count == 25)
  }

  @Test(
    "Canonicalized and restored photographs keep size, channels and depth, and quarter turns all bits",
    arguments: ["C4", "C8"])
  func roundTrip(group: String) throws {
    let (folder, out, back) = (
      temporary("photos" + group), temporary("upright" + group), temporary("back" + group)
    )
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    var random = RandomStream(seed: 3, name: "photo")
    for (n, size) in [(40, 30), (31, 31), (64, 17), (17, 40), (30, 20), (20, 33)].enumerated() {
      let samples = (0..<size.0 * size.1 * 4).map { _ in
        UInt16.random(in: 0...65535, using: &random)
      }
      try Image(width: size.0, height: size.1, channels: 4, bitDepth: 16, samples: samples)
        .write(to: "\(folder)/\(n).png")
    }
    // The identity is a quarter turn too; an untrained C4 model gives the others.
    let yaml = temporary("\(group).yaml")
    try """
    name: \(group)
    data: {kind: folder, path: \(digits)}
    canonicalizer: {kind: learned, group: \(group), kernel: 28, layers: 1, channels: 1}
    backbone: {kind: mlp, width: 4}
    training: {epochs: 1, batch: 8}
    """.write(toFile: yaml, atomically: true, encoding: .utf8)
    let run = temporary("run" + group)
    #expect(try canon("train", yaml, "--out", run, "--quiet").status == 0)
    #expect(try canon("train", yaml, "--out", run, "--quiet").err.contains("--resume"))
    #expect(try canon("train", yaml, "--out", run, "--quiet", "--resume").status == 0)
    #expect(try canon("canonicalize", run, folder, out).status == 0)
    let restored = try canon("restore", out, back)
    #expect(restored.status == 0)
    for n in 0..<6 {
      let before = try Image(path: "\(folder)/\(n).png")
      let after = try Image(path: "\(back)/\(n).png")
      // C8 has odd eighths of a turn among its poses, where an oblong image's canvas is a choice.
      #expect(after.width == before.width && after.height == before.height)
      #expect(after.channels == 4 && after.bitDepth == 16)
      if group == "C4" { #expect(after == before) }
    }
    if group == "C4" { #expect(restored.out.contains("6 of them bit for bit")) }
    #expect(try canon("canonicalize", run, folder, folder).err.contains("folder of the inputs"))
    #expect(try canon("restore", folder, back).status == 1)
  }

  @Test("Ctrl-C saves, and the run resumed ends as one that was never stopped, bit for bit")
  func interrupt() throws {
    let yaml = temporary("interrupt.yaml")
    try """
    name: interrupt
    data: {kind: folder, path: \(digits)}
    canonicalizer: {kind: learned, group: C4, kernel: 28, layers: 1, channels: 1}
    backbone: {kind: mlp, width: 64}
    training: {epochs: 150, batch: 4}
    """.write(toFile: yaml, atomically: true, encoding: .utf8)
    let (stopped, whole) = (temporary("stopped"), temporary("whole"))
    let process = Process()
    process.executableURL = command
    process.arguments = ["train", yaml, "--out", stopped, "--quiet"]
    process.standardError = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    while !FileManager.default.fileExists(atPath: "\(stopped)/metrics.jsonl") { usleep(2000) }
    process.interrupt()
    process.waitUntilExit()
    #expect(process.terminationReason == .exit && process.terminationStatus == 130)
    #expect(!FileManager.default.fileExists(atPath: "\(stopped)/model.safetensors"))
    #expect(try canon("train", yaml, "--out", stopped, "--quiet", "--resume").status == 0)
    #expect(try canon("train", yaml, "--out", whole, "--quiet", "--threads", "1").status == 0)
    for file in ["checkpoint.safetensors", "model.safetensors", "metrics.jsonl"] {
      let (a, b) = ("\(stopped)/\(file)", "\(whole)/\(file)")
      #expect(FileManager.default.contentsEqual(atPath: a, andPath: b), "\(file)")
    }
  }

  @Test("The certificate holds for the shipped model, and fails where it is asked too much")
  func verify() throws {
    let good = try canon("verify", model, digits, "--limit", "8")
    #expect(good.status == 0 && good.out.contains("exact"))
    #expect(good.err.contains("for the 4 elements that only move numbers"))
    #expect(
      try canon("verify", model, digits, "--limit", "8", "--interpolated-tolerance", "0").status
        == 1)
  }

  @Test("Evaluation, inspection and information") func others() throws {
    let evaluation = try canon("evaluate", model, digits, "--json", "--quiet")
    #expect(evaluation.status == 0 && evaluation.out.contains("\"sameOverQuarterTurns\":1"))
    let sheet = temporary("sheet.png")
    #expect(
      try canon("inspect", "pca-sign", digits, "--out", sheet, "--images", "3", "--poses", "5")
        .status == 0)
    let image = try Image(path: sheet)
    #expect(image.width == 5 * 60 + 4 && image.height == 6 * 60 + 4)
    let info = try canon("info", model)
    #expect(info.status == 0 && info.out.contains("C64") && info.out.contains("351914"))
  }

  @Test("Components are listed with their keys, and a wrong name has a suggestion")
  func components()
    throws
  {
    let all = try canon("components")
    #expect(
      all.status == 0 && all.out.contains("canonicalizer learned")
        && all.out.contains("task detect"))
    #expect(try canon("components", "backbone", "mlp").out == (try canon("components", "mlp").out))
    #expect(try canon("components", "data", "mlp").status == 64)
    let json = try canon("components", "--json").out.split(separator: "\n")
    #expect(json.count == 66)
    for line in json {
      struct Line: Decodable { var role, kind, summary: String }
      let one = try JSONDecoder().decode(Line.self, from: Data(line.utf8))
      let keys = try canon("components", one.kind)
      #expect(keys.status == 0 && keys.out.contains(one.summary))
    }
    #expect(try canon("components", "learned").out.contains("groupKernel: 1"))
    #expect(try canon("components", "particles").out.contains("width: 64"))
    let wrong = try canon("components", "leraned")
    #expect(wrong.status == 64 && wrong.err.contains("did you mean 'learned'?"))
  }

  @Test("A canonicalizer that needs no training is used by name, or with its settings")
  func heuristics()
    throws
  {
    let out = temporary("heuristic")
    for name in ["pca", "gradient", "center", "scale", "{kind: pca-sign, threshold: 0}"] {
      let made = try canon("canonicalize", name, digits, out)
      #expect(made.status == 0 && made.out.contains("24 images"), "\(name): \(made.err)")
    }
    let learned = try canon("canonicalize", "learned", digits, out)
    #expect(learned.status == 1 && learned.err.contains("neither a model nor one of"))
    let wrong = try canon("canonicalize", "{kind: pca, treshold: 0}", digits, out)
    #expect(wrong.status == 1 && wrong.err.contains("did you mean 'threshold'?"))
  }

  @Test("No output takes the place of an input, of a model or of another output, by links neither")
  func overwriting()
    throws
  {
    let manager = FileManager.default
    let (folder, link, copy) = (
      temporary("inputs"), temporary("link"), temporary("copy.safetensors")
    )
    try manager.copyItem(atPath: digits, toPath: folder)
    try manager.createSymbolicLink(atPath: link, withDestinationPath: folder)
    try manager.copyItem(atPath: model, toPath: copy)
    let first = try #require(
      try manager.subpathsOfDirectory(atPath: folder).first { $0.hasSuffix(".png") })
    let before = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(first)"))
    for arguments in [
      ["canonicalize", "gradient", folder, link],
      ["inspect", "gradient", folder, "--out", "\(folder)/\(first)"],
      ["inspect", copy, folder, "--out", copy], ["poses", copy, folder, "--recenter", copy],
      ["predict", copy, folder, "--canonical", link],
    ] {
      let process = Process()
      process.executableURL = command
      process.arguments = arguments
      process.standardError = FileHandle.nullDevice
      process.standardOutput = FileHandle.nullDevice
      try process.run()
      process.waitUntilExit()
      #expect([1, 64].contains(process.terminationStatus), "\(arguments)")
    }
    #expect(try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(first)")) == before)
    #expect(manager.contentsEqual(atPath: model, andPath: copy))
  }

  @Test("One bad image stops neither a certificate nor an evaluation") func badImageElsewhere()
    throws
  {
    let folder = temporary("mixed-verify")
    try FileManager.default.copyItem(atPath: digits, toPath: folder)
    try Data("no image".utf8).write(to: URL(fileURLWithPath: folder + "/0/bad.png"))
    for command in ["verify", "evaluate"] {
      let result = try canon(command, model, folder, "--limit", "4")
      #expect(
        result.status == 2 && result.err.contains("bad.png") && !result.out.isEmpty, "\(command)")
    }
    let empty = temporary("only-bad")
    try FileManager.default.createDirectory(atPath: empty, withIntermediateDirectories: true)
    try Data("no image".utf8).write(to: URL(fileURLWithPath: empty + "/bad.png"))
    #expect(try canon("verify", model, empty).status == 1)
    #expect(try canon("predict", model, empty).status == 2)
  }

  @Test("Poses are measured by class, and a recentered model predicts the same, upright")
  func poses() throws {
    let upright = temporary("poses")
    let again = temporary("recentered.safetensors")
    let manager = FileManager.default
    try manager.createDirectory(atPath: upright, withIntermediateDirectories: true)
    let shipped = try manager.subpathsOfDirectory(atPath: digits).filter { $0.hasSuffix(".png") }
    for (n, file) in shipped.prefix(12).enumerated() {
      let folder = "\(upright)/\(n % 3)"
      try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
      try manager.copyItem(atPath: "\(digits)/\(file)", toPath: "\(folder)/\(n).png")
    }
    let (status, out, err) = try canon(
      "poses", model, upright, "--json", "--orbits", "5", "--recenter", again)
    #expect(status == 0, "\(err)")
    let lines = out.split(separator: "\n")
    #expect(lines.count == 4 && lines[3].contains("\"all\"") && lines[3].contains("\"count\":12"))
    #expect(lines[3].contains("\"orbits\":5") && lines[3].contains("\"orbitsOnceAround\":"))
    let (plain, moved) = (
      try canon("predict", model, upright, "--format", "csv").out.split(separator: "\n"),
      try canon("predict", again, upright, "--format", "csv").out.split(separator: "\n")
    )
    #expect(plain.count == 13 && moved.count == 13)
    for (a, b) in zip(plain.dropFirst(), moved.dropFirst()) {
      #expect(a.split(separator: ",").prefix(3) == b.split(separator: ",").prefix(3))
    }
    #expect(try canon("poses", model, upright + "/none").status == 1)
    #expect(try canon("poses", model, upright, "--limit", "0").status == 64)
    #expect(try canon("poses", model, upright, "--orbits=-1").status == 64)
  }
}
