import Foundation
import Images
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

  @Test("Standard input names files: by lines or zeros, each once, below their common folder")
  func list() throws {
    let files = try manager.subpathsOfDirectory(atPath: digits).filter { $0.hasSuffix(".png") }
      .map { "\(digits)/\($0)" }.sorted()
    let plain = try canon("predict", model, digits, "--json")
    let lines = try canon(
      "predict", model, "-", "--json", input: (files + files).joined(separator: "\r\n") + "\n")
    #expect(lines.status == 0 && lines.out == plain.out)
    let zeros = try canon(
      "predict", model, "-", "--json", input: files.map { $0 + "\0" }.joined())
    #expect(zeros.status == 0 && zeros.out == plain.out)
    let out = temporary("list-out")
    let some = try canon(
      "canonicalize", "identity", "-", out, input: files[0] + "\n" + files[23] + "\n")
    #expect(some.status == 0 && some.out.hasPrefix("2 images"))
    #expect(manager.fileExists(atPath: out + files[0].dropFirst(digits.count)))
    // One that is missing is named, and the others are done.
    let missing = try canon(
      "predict", model, "-", input: files[0] + "\n/missing/x.png\n")
    #expect(missing.status == 2 && missing.err.contains("missing/x.png"))
    #expect(try canon("predict", model, "-", input: "\n").status == 1)
    // Outputs never lie among the files that are named.
    let among = try canon(
      "canonicalize", "identity", "-", digits, input: files.joined(separator: "\n"))
    #expect(among.status == 1)
  }
}
