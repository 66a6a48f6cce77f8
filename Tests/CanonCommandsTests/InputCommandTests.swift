import Foundation
import Images
import TensorCore
import Testing

private let model =
  URL(fileURLWithPath: digits).deletingLastPathComponent().path
  + "/model.safetensors"
private let manager = FileManager.default

/// Runs the built command with a text on its standard input.
private func canon(
  _ arguments: String..., input: String
) throws -> (status: Int32, out: String, err: String) { try canon(arguments, input: input) }

@Suite struct InputCommandTests {
  @Test("A path of the CPU, or a number of threads, that is none is refused")
  func environment() throws {
    for (name, value) in [("CANON_CPU", "foo"), ("CANON_THREADS", "0"), ("CANON_THREADS", "abc")] {
      let process = Process()
      process.executableURL = URL(fileURLWithPath: commandPath)
      process.arguments = ["components"]
      process.environment = ProcessInfo.processInfo.environment.merging([name: value]) { $1 }
      let err = Pipe()
      (process.standardOutput, process.standardError) = (Pipe(), err)
      try process.run()
      let said = String(decoding: err.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      process.waitUntilExit()
      #expect(process.terminationStatus == 64 && said.contains("\(name) must be"), "\(said)")
    }
  }

  /// The shipped digits as an archive.
  private func archive(_ name: String) throws -> String {
    let path = temporary(name + ".tar")
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["tar", "-cf", path, "-C", digits, "."]
    try process.run()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0)
    return path
  }

  @Test("A tar archive is what its folder is: for predictions, measurements, forms and back")
  func tar() throws {
    let tar = try archive("digits")
    let (folder, packed) = try (
      canon("predict", model, digits, "--json"), canon("predict", model, tar, "--json")
    )
    #expect(packed.status == 0 && packed.out == folder.out)
    let (out, back) = (temporary("tar-out"), temporary("tar-back"))
    #expect(try canon("canonicalize", "pca-sign", tar, out, "--group", "C4").status == 0)
    #expect(try canon("restore", out, back).status == 0)
    for name in try manager.subpathsOfDirectory(atPath: digits) where name.hasSuffix(".png") {
      #expect(try Image(path: "\(back)/\(name)") == Image(path: "\(digits)/\(name)"))
    }
    #expect(
      try canon("evaluate", model, tar, "--json").out
        == canon("evaluate", model, digits, "--json").out)
    // The archive is no place to write to.
    let before = try Data(contentsOf: URL(fileURLWithPath: tar))
    #expect(try canon("canonicalize", "identity", digits, tar).status == 1)
    #expect(try canon("canonicalize", "identity", tar, tar + "/out").status == 1)
    #expect(try Data(contentsOf: URL(fileURLWithPath: tar)) == before)
  }

  @Test("Photographs of an archive are turned without loss, as files are") func photos() throws {
    let folder = temporary("tarred")
    try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try noise(24, 16, 3).write(to: folder + "/a.jpg")
    let tar = temporary("tarred.tar")
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["tar", "-cf", tar, "-C", folder, "a.jpg"]
    try process.run()
    process.waitUntilExit()
    let (out, back) = (temporary("tarred-out"), temporary("tarred-back"))
    #expect(try canon("canonicalize", "pca-sign", tar, out, "--group", "C4").status == 0)
    #expect(manager.fileExists(atPath: out + "/a.jpg"))
    #expect(try canon("restore", out, back).status == 0)
    #expect(try Image(path: back + "/a.jpg") == Image(path: folder + "/a.jpg"))
  }

  @Test(
    "An archive can be written too, and read back; nobody else's is replaced, nor what lies beside it"
  )
  func archives() throws {
    let (out, back) = (temporary("packed.tar"), temporary("packed-back.tar"))
    #expect(try canon("canonicalize", "pca-sign", digits, out, "--group", "C4").status == 0)
    let first = try Data(contentsOf: URL(fileURLWithPath: out))
    #expect(try TarArchive(path: out).names.first == "manifest.jsonl")
    #expect(!manager.fileExists(atPath: out + ".parts"))
    #expect(try canon("restore", out, back).status == 0)
    for name in try manager.subpathsOfDirectory(atPath: digits) where name.hasSuffix(".png") {
      #expect(try Image(path: "\(back)/\(name)") == Image(path: "\(digits)/\(name)"))
    }
    // Its own it replaces, with the same bytes.
    #expect(try canon("canonicalize", "pca-sign", digits, out, "--group", "C4").status == 0)
    #expect(try Data(contentsOf: URL(fileURLWithPath: out)) == first)
    // A folder beside it is somebody's, or of a command that was killed.
    try manager.createDirectory(atPath: out + ".parts", withIntermediateDirectories: true)
    try Data("mine".utf8).write(to: URL(fileURLWithPath: out + ".parts/thesis.txt"))
    let refused = try canon("canonicalize", "pca-sign", digits, out, "--group", "C4")
    #expect(refused.status == 1 && refused.err.contains(".parts is there"))
    #expect(manager.fileExists(atPath: out + ".parts/thesis.txt"))
    // Of one that was killed right at its beginning nothing stays.
    try manager.removeItem(atPath: out + ".parts/thesis.txt")
    #expect(Files.write([], to: out + ".parts/.canon-999999999-1.partial"))
    #expect(try canon("canonicalize", "pca-sign", digits, out, "--group", "C4").status == 0)
    #expect(!manager.fileExists(atPath: out + ".parts"))
    #expect(try Data(contentsOf: URL(fileURLWithPath: out)) == first)
    // An archive with a manifest of somebody else's.
    let folder = temporary("foreign")
    try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try Data("{}".utf8).write(to: URL(fileURLWithPath: folder + "/manifest.jsonl"))
    let foreign = temporary("foreign.tar")
    let writer = try TarWriter(path: foreign)
    try writer.add(folder + "/manifest.jsonl", as: "manifest.jsonl")
    try writer.finish()
    let before = try Data(contentsOf: URL(fileURLWithPath: foreign))
    #expect(try canon("canonicalize", "identity", digits, foreign).status == 1)
    #expect(try Data(contentsOf: URL(fileURLWithPath: foreign)) == before)
    // What failed leaves nothing.
    let none = temporary("none.tar")
    #expect(try canon("canonicalize", "no-such", digits, none).status != 0)
    #expect(!manager.fileExists(atPath: none) && !manager.fileExists(atPath: none + ".parts"))
  }

  @Test("With --jpeg a JPEG file stays one, and what was lost is not called bit for bit")
  func jpeg() throws {
    let folder = temporary("jpegs")
    try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
    // Sides of no whole blocks: a turn moves what is left of them.
    let odd = noise(27, 21, 3)
    try odd.write(to: folder + "/odd.jpg")
    try odd.rearranged(Rearrangement(isTransposed: true, flipsX: true, flipsY: false))
      .write(to: folder + "/turned.jpg")
    let (out, back) = (temporary("jpegs-out"), temporary("jpegs-back"))
    #expect(
      try canon("canonicalize", "pca-sign", folder, out, "--group", "C4", "--jpeg", "90").status
        == 0)
    let lines = try String(contentsOfFile: out + "/manifest.jsonl", encoding: .utf8)
      .split(separator: "\n").dropFirst()
    #expect(
      lines.allSatisfy { $0.contains(".jpg\"") }
        && lines.contains { $0.contains("\"isExact\":false") })
    let exact = lines.count { $0.contains("\"isExact\":true") }
    let restored = try canon("restore", out, back)
    #expect(restored.status == 0 && restored.out.contains("\(exact) of them bit for bit"))
    #expect(try canon("canonicalize", "pca-sign", folder, out, "--jpeg", "0").status == 64)
  }

  @Test("Standard input names files: by lines or zeros, each once; what is written has their paths")
  func list() throws {
    let files = try manager.subpathsOfDirectory(atPath: digits).filter { $0.hasSuffix(".png") }
      .map { "\(digits)/\($0)" }.sorted()
    let plain = try canon("predict", model, digits, "--json").out
      .replacing("\"file\":\"", with: "\"file\":\"\(digits)/")
    let lines = try canon(
      "predict", model, "-", "--json", input: (files + files).joined(separator: "\r\n") + "\n")
    #expect(lines.status == 0 && lines.out == plain)
    let zeros = try canon(
      "predict", model, "-", "--json", input: files.map { $0 + "\0" }.joined())
    #expect(zeros.status == 0 && zeros.out == plain)
    let out = temporary("list-out")
    let some = try canon(
      ["canonicalize", "identity", "-", out], in: "/usr",
      input: files[0] + "\n" + files[23] + "\n")
    #expect(some.status == 0 && some.out.hasPrefix("2 images"))
    // Whatever else is listed: below the working folder, where they lie there.
    #expect(manager.fileExists(atPath: out + (Files.real(files[0]) ?? "")))
    let lists = try pictures("listed", ["a/1.png", "b/1.png", "b/2.png"])
    for list in ["a/1.png\nb/1.png", "./b/1.png\nb/2.png", "b/2.png"] {
      let one = try canon(
        ["canonicalize", "pca-sign", "-", "out", "--group", "C4"], in: lists, input: list)
      #expect(one.status == 0, "\(one.err)")
    }
    let names = try manager.subpathsOfDirectory(atPath: lists + "/out")
    #expect(Set(names.filter { $0.hasSuffix(".png") }) == ["a/1.png", "b/1.png", "b/2.png"])
    // One that is missing is named, and the others are done.
    let missing = try canon(
      "predict", model, "-", input: files[0] + "\n/missing/x.png\n")
    #expect(missing.status == 2 && missing.err.contains("missing/x.png"))
    #expect(try canon("evaluate", model, "-", input: "\n").status == 1)
    // Outputs never lie among the files that are named.
    let among = try canon(
      "canonicalize", "identity", "-", digits, input: files.joined(separator: "\n"))
    #expect(among.status == 1)
  }
}
