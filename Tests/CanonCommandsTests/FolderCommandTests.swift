import Foundation
import Images
import TensorCore
import Testing

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  .deletingLastPathComponent().deletingLastPathComponent().path
private let model = root + "/demo/model.safetensors"
private let manager = FileManager.default

/// A picture whose pixels follow from a seed.
func noise(_ width: Int, _ height: Int, _ channels: Int = 1, depth: Int = 8, seed: UInt64 = 1)
  -> Image
{
  var random = RandomStream(seed: seed, name: "noise")
  let samples = (0..<width * height * channels).map { _ in
    UInt16.random(in: 0...UInt16(depth == 8 ? 255 : 65535), using: &random)
  }
  return Image(width: width, height: height, channels: channels, bitDepth: depth, samples: samples)
}

/// A folder of some pictures, by name.
func pictures(_ name: String, _ files: [String]) throws -> String {
  let folder = temporary(name)
  for (n, file) in files.enumerated() {
    let path = "\(folder)/\(file)"
    try manager.createDirectory(
      atPath: URL(fileURLWithPath: path).deletingLastPathComponent().path,
      withIntermediateDirectories: true)
    try noise(20 + n, 17, seed: UInt64(n)).write(to: path)
  }
  return folder
}

func contents(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

@Suite struct FolderCommandTests {
  @Test("Unreadable images alone are counted, and the results of others are there (trust 1)")
  func unreadableAlone() throws {
    let folder = try pictures("two", ["a.png"])
    try Data("no image".utf8).write(to: URL(fileURLWithPath: folder + "/b.png"))
    let result = try canon("predict", model, folder, "--format", "csv")
    #expect(result.status == 2 && result.out.split(separator: "\n").count == 2)
    try manager.removeItem(atPath: folder + "/a.png")
    let none = try canon("predict", model, folder)
    #expect(none.status == 2 && none.err.contains("b.png"))
  }

  @Test("Pictures of formats that are not read are named, in folders and in archives")
  func unread() throws {
    let folder = try pictures("unread", ["sub/a.png"])
    for name in ["sub/photo.HEIC", "old.gif"] {
      try Data("GIF89a".utf8).write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
    }
    let archive = temporary("unread.tar")
    let writer = try TarWriter(path: archive)
    for name in try manager.subpathsOfDirectory(atPath: folder) where name.contains(".") {
      try writer.add("\(folder)/\(name)", as: name)
    }
    try writer.finish()
    for input in [folder, archive] {
      let result = try canon("canonicalize", "pca", input, temporary("unread-out"))
      #expect(result.status == 0 && result.err.contains("2 pictures in \(input) left out"))
      #expect(result.err.contains("\n  old.gif\n  sub/photo.HEIC"), "\(result.err)")
    }
  }

  @Test("Archives beside pictures are left out, and named")
  func archivesBeside() throws {
    let folder = try pictures("beside", ["a.png"])
    try tar(try pictures("beside-packed", ["b.png"]), "\(folder)/more.tar")
    let result = try canon("canonicalize", "identity", folder, temporary("beside-out"))
    #expect(result.status == 0 && result.out.hasPrefix("1 image in canonical pose"))
    #expect(result.err.contains("1 tar archive in \(folder) left out"), "\(result.err)")
    #expect(result.err.contains("\n  more.tar"))
  }

  @Test("Outputs lie apart from inputs, whatever links lead there (correctness 3, trust 3 and 10)")
  func apart() throws {
    let folder = try pictures("apart", ["in/x.png", "in/in/x.png"])
    let input = "\(folder)/in"
    let before = try contents("\(input)/in/x.png")
    for out in ["\(input)/out", folder, "\(input)/../in", input + "/"] {
      let result = try canon("canonicalize", "pca", input, out)
      #expect(result.status == 1 && result.err.contains("name"), "\(out)")
    }
    // An image of the inputs is a link into the outputs.
    let other = try pictures("apart-other", ["x.png"])
    try manager.removeItem(atPath: "\(input)/x.png")
    try manager.createSymbolicLink(
      atPath: "\(input)/x.png", withDestinationPath: "\(other)/x.png")
    let result = try canon("canonicalize", "pca", input, other)
    #expect(result.status == 1 && result.err.contains("would be overwritten"))
    #expect(try contents("\(input)/in/x.png") == before)
    // One file among the outputs is fine, where it is not the output.
    #expect(try canon("canonicalize", "pca", "\(input)/in/x.png", "\(input)/one").status == 0)
    #expect(try canon("canonicalize", "pca", "\(input)/in/x.png", "\(input)/in").status == 1)
    let canonical = temporary("apart-canonical")
    let link = temporary("apart-link")
    #expect(try canon("canonicalize", "gradient", input, canonical).status == 0)
    try manager.createSymbolicLink(atPath: link, withDestinationPath: canonical)
    #expect(try canon("restore", canonical, link).status == 1)
  }

  @Test(
    "Linked folders are read, once; what is no file is never opened (correctness 14, trust 9, 10)")
  func linksAndDevices() throws {
    let folder = try pictures("real", ["a/1.png", "b/2.png", "dir.png/3.png"])
    let elsewhere = try pictures("elsewhere", ["4.png"])
    try manager.createSymbolicLink(atPath: folder + "/c", withDestinationPath: elsewhere)
    try manager.createSymbolicLink(atPath: folder + "/a/loop", withDestinationPath: folder)
    #expect(unsafe mkfifo(folder + "/z.png", 0o600) == 0)
    let link = temporary("link-to-folder")
    try manager.createSymbolicLink(atPath: link, withDestinationPath: folder)
    for input in [folder, link] {
      let result = try canon("canonicalize", "pca", input, temporary("linked-out"))
      #expect(result.status == 2 && result.out.hasPrefix("4 images"), "\(result.out)")
      #expect(result.err.contains("z.png") && result.err.contains("no regular file"))
    }
    let one = try canon("canonicalize", "pca", folder + "/z.png", temporary("fifo-out"))
    #expect(one.status == 2 && one.err.contains("no regular file"))
    let locked = try pictures("locked", ["a/1.png", "b/2.png"])
    #expect(unsafe mkfifo(locked + "/manifest.jsonl", 0o600) == 0)
    #expect(try canon("restore", locked, temporary("fifo-back")).status == 1)
  }

  @Test("A folder without images says what there is (newcomer 7)") func others() throws {
    let folder = temporary("jpegs")
    try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try Data([1]).write(to: URL(fileURLWithPath: folder + "/a.tga"))
    let result = try canon("canonicalize", "pca", folder, temporary("jpegs-out"))
    #expect(
      result.status == 1 && result.err.contains("none of the 1 files in it is an image")
        && result.err.contains("png"))
  }

  @Test(
    "Names of 252 bytes, with control characters and commas are written, shown and listed (trust 8, 10)"
  )
  func names() throws {
    let long = String(repeating: "x", count: 248) + ".png"
    let odd = "a,\u{301}\r\u{1B}[31m\"b\".png"
    let folder = try pictures("names", [long, odd])
    let out = temporary("names-out")
    #expect(try canon("canonicalize", "pca", folder, out).status == 0)
    #expect(manager.fileExists(atPath: "\(out)/\(long)"))
    #expect(try canon("restore", out, temporary("names-back")).out.hasPrefix("2 images restored"))
    let table = try canon("predict", model, folder)
    #expect(table.out.contains("\\x1b[31m") && !table.out.contains("\u{1B}"))
    let csv = try canon("predict", model, folder, "--format", "csv").out
    #expect(csv.contains("\"a,\u{301}\r\u{1B}[31m\"\"b\"\".png\","))
    try Data("no".utf8).write(to: URL(fileURLWithPath: folder + "/\u{1B}[2J.png"))
    #expect(try !canon("predict", model, folder).err.contains("\u{1B}"))
  }

  @Test(
    "A path too long to write is reported, and the others are written",
    arguments: ["canonicalize", "predict"])
  func longPaths(command: String) throws {
    let part = String(repeating: "d", count: 200) + "/"
    // 4,000 bytes whatever the temporary folder is called: within PATH_MAX to read, 195 more and beyond it to write.
    let room = 4000 - temporary("long-x/").utf8.count - "/deep.png".utf8.count
    let deep = String(repeating: part, count: (room - 1) / part.utf8.count)
    let last = String(repeating: "e", count: room - deep.utf8.count)
    let long = deep + last + "/deep.png"
    let folder = try pictures("long-\(command.prefix(1))", [long, "good.png"])
    let out = temporary("long-\(command.prefix(1))-out-" + String(repeating: "o", count: 190))
    let result =
      command == "canonicalize"
      ? try canon("canonicalize", "pca", folder, out)
      : try canon("predict", root + "/demo/restore.safetensors", folder, "--out", out)
    #expect(result.status == 2 && result.err.contains("File name too long"))
    #expect(manager.fileExists(atPath: "\(out)/good.png"))
  }

  @Test(
    "A folder whose path is too long is one image's error", arguments: ["canonicalize", "predict"])
  func longFolders(command: String) throws {
    let part = String(repeating: "d", count: 200) + "/"
    let out = temporary("deep-\(command.prefix(1))-out-" + String(repeating: "o", count: 200))
    let room = 4090 - out.utf8.count
    // As long as the inputs' folder allows, beyond what the outputs' does.
    let deep = String(repeating: part, count: room / part.utf8.count)
    let rest = room - deep.utf8.count
    let folder = try pictures(
      "deep-\(command.prefix(1))",
      [deep + String(repeating: "e", count: max(1, rest)) + "/f.png", "good.png", "zz.png"])
    let result =
      command == "canonicalize"
      ? try canon("canonicalize", "pca", folder, out)
      : try canon("predict", root + "/demo/restore.safetensors", folder, "--out", out)
    #expect(result.status == 2 && result.err.contains("1 image could not be used"), "\(result.err)")
    #expect(manager.fileExists(atPath: "\(out)/zz.png"))
  }

  @Test(
    "Images in no class's folder are left out of what is measured, and a limit takes from all classes"
  )
  func looseImages() throws {
    let folder = temporary("loose")
    try manager.copyItem(atPath: digits, toPath: folder)
    try noise(20, 20, seed: 1).write(to: "\(folder)/loose.png")
    let result = try canon("evaluate", model, folder, "--json")
    #expect(result.status == 0 && result.err.contains("1 image lies in no class's folder"))
    // The same images as without it.
    #expect(try canon("evaluate", model, digits, "--json").out == result.out)
    try manager.moveItem(atPath: "\(folder)/9", toPath: "\(folder)/zebra")
    let few = try canon("evaluate", model, folder, "--limit", "2")
    #expect(few.status == 1 && few.err.contains("zebra"))
    let poses = try canon("poses", model, digits, "--limit", "10", "--orbits", "0", "--json").out
    // The first ten are of four classes.
    #expect(poses.split(separator: "\n").count > 8)
  }

  @Test("Folders that are no classes of the model are named") func otherClasses() throws {
    let folder = try pictures("other-classes", ["zebra/a.png"])
    let result = try canon("evaluate", model, folder)
    #expect(result.status == 1 && result.err.contains("no classes of the model: zebra"))
  }

  @Test("Names that look alike are two files, and two classes (correctness 7)") func lookalikes()
    throws
  {
    let files = ["\u{E9}.png", "e\u{301}.png"]
    let folder = try pictures("alike", files)
    let (out, back) = (temporary("alike-out"), temporary("alike-back"))
    #expect(try canon("canonicalize", "pca", folder, out, "--group", "C4").status == 0)
    #expect(try canon("restore", out, back).out.contains("2 of them bit for bit"))
    for file in files {
      #expect(try Image(path: "\(back)/\(file)") == Image(path: "\(folder)/\(file)"))
    }
    let classes = try pictures(
      "alike-classes", (1...8).map { ($0 % 2 == 0 ? "\u{E9}" : "e\u{301}") + "/\($0).png" })
    #expect(try canon("init", classes, "--out", temporary("alike.yaml")).out.contains("2 classes"))
  }

  @Test("Standard output that nobody can read ends a command (trust 7)") func fullOutput() throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", "'\(commandPath)' predict '\(model)' '\(digits)' > /dev/full"]
    let err = Pipe()
    process.standardError = err
    try process.run()
    let text = String(decoding: err.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 1 && text.contains("Standard output cannot be written"))
  }

  @Test("A manifest describes the images beside it, or is not there (trust 4)") func staleManifest()
    throws
  {
    let folder = try pictures("stale", ["a.png", "b.png"])
    let out = temporary("stale-out")
    #expect(try canon("canonicalize", "pca", folder, out).status == 0)
    // Another image under the same name, of the same size.
    let copy = try Image(path: "\(out)/a.png")
    try noise(copy.width, copy.height, seed: 9).write(to: "\(out)/a.png")
    let restored = try canon("restore", out, temporary("stale-back"))
    #expect(
      restored.status == 2 && restored.err.contains("a.png") && restored.err.contains("checksum"))
    #expect(restored.out.hasPrefix("1 image restored"))
    // A run that fails on its way leaves no manifest of an earlier one, and nothing half-written.
    try noise(8, 9, seed: 3).write(to: "\(folder)/c.png")
    try manager.createDirectory(atPath: "\(folder)/sub", withIntermediateDirectories: true)
    try noise(8, 9, seed: 4).write(to: "\(folder)/sub/d.png")
    let away = temporary("stale-away")
    try manager.createDirectory(atPath: away, withIntermediateDirectories: true)
    try manager.createSymbolicLink(atPath: "\(out)/sub", withDestinationPath: away)
    try Data().write(to: URL(fileURLWithPath: "\(out)/.canon-999999999-1.partial"))
    #expect(try canon("canonicalize", "gradient", folder, out).status == 1)
    #expect(manager.fileExists(atPath: "\(out)/c.png"))
    let left = try manager.contentsOfDirectory(atPath: out)
    #expect(!left.contains("manifest.jsonl") && !left.contains { $0.hasSuffix(".partial") })
  }

  @Test("A folder that another command writes is refused, until that ends (trust 5)") func locked()
    throws
  {
    let folder = try pictures("lock-in", ["a.png"])
    let out = temporary("lock-out")
    try manager.createDirectory(atPath: out, withIntermediateDirectories: true)
    var lock = FolderLock(out)
    #expect(lock != nil && FolderLock(out) == nil)
    let refused = try canon("canonicalize", "pca", folder, out)
    #expect(refused.status == 1 && refused.err.contains("another command"))
    lock = nil
    #expect(try canon("canonicalize", "pca", folder, out).status == 0)
  }

  @Test("What a manifest may hold is checked line by line (correctness 12, 13, trust 9)")
  func manifests() throws {
    let folder = try pictures("manifest-in", ["a.png", "b.png", "c.png"])
    let out = temporary("manifest-out")
    #expect(try canon("canonicalize", "pca", folder, out, "--canvas", "keep").status == 0)
    let path = "\(out)/manifest.jsonl"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    func restore(_ changed: String) throws -> (status: Int32, out: String, err: String) {
      try changed.write(toFile: path, atomically: true, encoding: .utf8)
      return try canon("restore", out, temporary("manifest-back"))
    }
    #expect(try restore(text.replacing("\n", with: "\r\n")).status == 0)
    let second = String(text.split(separator: "\n")[2])
    let double = try restore(text + second + "\n")
    #expect(
      double.status == 1 && double.err.contains("line 5") && double.err.contains("second time"))
    for (old, new) in [
      ("\"residual\":", "\"residual\":1e300,\"old\":"),
      ("\"quarterTurns\":", "\"quarterTurns\":9223372036854775807,\"old\":"),
      ("\"width\":", "\"width\":0,\"old\":"), ("\"a.png\"", "\"../\u{301}evil.png\""),
      ("\"a.png\"", "\"/tmp/a.png\""), ("\"a.png\"", "\"b/../../a.png\""),
      ("\"bicubic\"", "\"tricubic\""),
    ] {
      let result = try restore(text.replacing(old, with: new))
      #expect(
        result.status == 1 && result.err.contains("manifest.jsonl, line"), "\(new): \(result.err)")
    }
    // Two of three are missing or of another size: named, and one is restored.
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    try manager.removeItem(atPath: "\(out)/b.png")
    try noise(3, 4).write(to: "\(out)/c.png")
    let two = try canon("restore", out, temporary("manifest-two"))
    #expect(two.status == 2 && two.out.hasPrefix("1 image restored"), "\(two.out)")
    #expect(two.err.contains("b.png") && two.err.contains("c.png") && two.err.contains("3 × 4"))
  }

  @Test(
    "A request to end leaves nothing half-written, and a second run completes it (correctness 15)")
  func interruption() throws {
    let folder = try pictures("stop-in", (0..<200).map { "\($0).png" })
    let (out, whole) = (temporary("stop-out"), temporary("stop-whole"))
    let process = Process()
    process.executableURL = URL(fileURLWithPath: commandPath)
    process.arguments = ["canonicalize", model, folder, out, "--quiet", "--threads", "1"]
    process.standardError = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    while (try? manager.contentsOfDirectory(atPath: out))?.contains(where: { $0.hasSuffix(".png") })
      != true
    { usleep(500) }
    process.interrupt()
    process.waitUntilExit()
    #expect(process.terminationReason == .exit)
    if process.terminationStatus == 130 {
      let left = try manager.contentsOfDirectory(atPath: out)
      #expect(
        left.allSatisfy {
          $0.hasSuffix(".png") || [".canon", ".canon-journal.jsonl"].contains($0)
        },
        "\(left.filter { !$0.hasSuffix(".png") })")
    }
    #expect(try canon("canonicalize", model, folder, out).status == 0)
    #expect(try canon("canonicalize", model, folder, whole).status == 0)
    for file in try manager.contentsOfDirectory(atPath: whole) {
      #expect(manager.contentsEqual(atPath: "\(whole)/\(file)", andPath: "\(out)/\(file)"))
    }
  }

  @Test(
    "A second command in the same folder keeps the poses of the first, or refuses where it moves in another way"
  )
  func merged() throws {
    let (one, two) = (
      try pictures("merge-1", ["a.png"]), try pictures("merge-2", ["a.png", "b.png"])
    )
    try FileManager.default.moveItem(atPath: "\(one)/a.png", toPath: "\(one)/c.png")
    let (out, back) = (temporary("merge-out"), temporary("merge-back"))
    #expect(try canon("canonicalize", "pca-sign", one, out, "--group", "C4").status == 0)
    for _ in 0..<2 {
      let second = try canon("canonicalize", "pca-sign", two, out, "--group", "C4")
      #expect(second.status == 0 && second.err.contains("the manifest has 1 more"))
    }
    #expect(try canon("restore", out, back).out.hasPrefix("3 images restored"))
    #expect(try Image(path: "\(back)/c.png") == Image(path: "\(one)/c.png"))
    let other = try canon("canonicalize", "pca-sign", two, out, "--canvas", "crop")
    #expect(other.status == 1 && other.err.contains("holds 1 other image"))
    #expect(try canon("restore", out, temporary("merge-again")).status == 0)
  }

  @Test("A file whose name begins with a dash is no row of flags (trust 13)") func dash() throws {
    let folder = try pictures("dash", ["-dash.png"])
    let process = Process()
    process.executableURL = URL(fileURLWithPath: commandPath)
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    process.arguments = ["canonicalize", "pca", "-dash.png", temporary("dash-out")]
    let out = Pipe()
    process.standardOutput = out
    try process.run()
    let text = String(decoding: out.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0 && text.hasPrefix("1 image "))
  }
}
