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
    #expect(restored.out.hasPrefix("1 images restored"))
    // A run that fails on its way leaves no manifest of an earlier one, and nothing half-written.
    try manager.createDirectory(atPath: "\(out)/b.png.d", withIntermediateDirectories: true)
    try manager.removeItem(atPath: "\(out)/b.png")
    try manager.createDirectory(atPath: "\(out)/b.png", withIntermediateDirectories: true)
    try Data().write(to: URL(fileURLWithPath: "\(out)/.canon-999999999-1.partial"))
    #expect(try canon("canonicalize", "gradient", folder, out).status == 1)
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
    #expect(two.status == 2 && two.out.hasPrefix("1 images restored"), "\(two.out)")
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
      #expect(left.allSatisfy { $0.hasSuffix(".png") }, "\(left.filter { !$0.hasSuffix(".png") })")
    }
    #expect(try canon("canonicalize", model, folder, out).status == 0)
    #expect(try canon("canonicalize", model, folder, whole).status == 0)
    for file in try manager.contentsOfDirectory(atPath: whole) {
      #expect(manager.contentsEqual(atPath: "\(whole)/\(file)", andPath: "\(out)/\(file)"))
    }
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
    #expect(process.terminationStatus == 0 && text.hasPrefix("1 images"))
  }
}

@Suite struct PictureCommandTests {
  /// The peak signal-to-noise ratio over all samples, in dB.
  private func psnr(_ a: Image, _ b: Image) -> Double {
    let square = zip(a.samples, b.samples).reduce(0.0) {
      $0 + pow(Double($1.0) - Double($1.1), 2)
    }
    return 10 * log10(pow(Double(a.maximum), 2) / max(1e-9, square / Double(a.samples.count)))
  }

  /// A smooth picture that is no square.
  private func smooth(_ channels: Int, depth: Int = 8) -> Image {
    let top = Double(depth == 8 ? 255 : 65535)
    let samples = (0..<61 * 48 * channels).map { i -> UInt16 in
      let (x, y) = (Double(i / channels % 61), Double(i / channels / 61))
      let c = Double(i % channels)
      return UInt16(top * (0.5 + 0.45 * sin(x / 6 + c) * cos(y / 7 - c) * (x + 40) / 101))
    }
    return Image(width: 61, height: 48, channels: channels, bitDepth: depth, samples: samples)
  }

  @Test(
    "With a canvas that grows every pixel comes back; crop and keep say what they are",
    arguments: [1, 2, 3, 4])
  func canvas(channels: Int) throws {
    let folder = temporary("canvas\(channels)")
    try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let image = smooth(channels, depth: channels == 3 ? 16 : 8)
    try image.write(to: folder + "/x.png")
    for canvas in ["grow", "crop", "keep"] {
      let (out, back) = (temporary("canvas-out\(channels)"), temporary("canvas-back\(channels)"))
      let made = try canon(
        "canonicalize", "{kind: pca-sign, threshold: 0}", folder, out, "--canvas", canvas)
      #expect(made.status == 0, "\(made.err)")
      let form = try Image(path: out + "/x.png")
      #expect(try canon("restore", out, back).status == 0)
      let restored = try Image(path: back + "/x.png")
      #expect((restored.width, restored.height) == (61, 48) && restored.bitDepth == image.bitDepth)
      let area = form.width * form.height
      switch canvas {
      // Measured 52 to 60 dB; sampling twice without correction gives 45.
      case "grow": #expect(area > 61 * 48 && psnr(image, restored) > 45, "\(psnr(image, restored))")
      case "crop": #expect(area < 61 * 48)
      default: #expect(area == 61 * 48)
      }
    }
  }

  @Test(
    "Under C4 every picture is only turned by quarters, and comes back bit for bit",
    arguments: ["pca", "pca-sign", "gradient"])
  func quarters(kind: String) throws {
    let folder = try pictures("quarters" + kind, ["a.png", "b/c.png"])
    try noise(31, 44, 4, depth: 16).write(to: folder + "/d.png")
    let (out, back) = (temporary("quarters-out" + kind), temporary("quarters-back" + kind))
    let made = try canon("canonicalize", kind, folder, out, "--group", "C4", "--json")
    #expect(made.status == 0 && !made.out.contains("\"isExact\":false"))
    #expect(try canon("restore", out, back).out.contains("3 of them bit for bit"))
    for file in ["a.png", "b/c.png", "d.png"] {
      #expect(try Image(path: "\(back)/\(file)") == Image(path: "\(folder)/\(file)"))
    }
    #expect(try canon("canonicalize", kind, folder, out, "--group", "D4").status == 1)
    #expect(try canon("canonicalize", model, folder, out, "--group", "C4").status == 64)
  }

  @Test("The background is the picture's own, or the one asked for") func background() throws {
    let folder = temporary("background")
    try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
    // A slanted bar on paper of 230.
    let samples = (0..<40 * 40 * 3).map { i -> UInt16 in
      let (x, y) = (i / 3 % 40, i / 120)
      return abs(x - 2 * y + 15) < 6 && (8..<32).contains(x) ? 20 : 230
    }
    try Image(width: 40, height: 40, channels: 3, samples: samples).write(to: folder + "/x.png")
    func corner(_ color: String?) throws -> [UInt16] {
      let out = temporary("background-out")
      let extra = color.map { ["--background", $0] } ?? []
      let made = try canon(["canonicalize", "{kind: pca, threshold: 0}", folder, out] + extra)
      #expect(made.status == 0, "\(made.err)")
      let form = try Image(path: out + "/x.png")
      #expect(form.width > 40)
      return Array(form.samples.prefix(3))
    }
    #expect(try corner(nil) == [230, 230, 230])
    #expect(try corner("black") == [0, 0, 0])
    #expect(try corner("ffcc00") == [255, 204, 0])
    #expect(
      try canon("canonicalize", "pca", folder, temporary("b"), "--background", "pink").status == 64)
  }

  @Test("Hidden color under transparency stays hidden (correctness 11)") func premultiplied() throws
  {
    // White and opaque in the middle, transparent green around it.
    let samples = (0..<40 * 40).flatMap { i -> [UInt16] in
      let (x, y) = (i % 40 - 20, i / 40 - 20)
      return abs(x + y / 2) < 6 && abs(y) < 14 ? [255, 255, 255, 255] : [0, 255, 0, 0]
    }
    let folder = temporary("alpha")
    try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try Image(width: 40, height: 40, channels: 4, samples: samples).write(to: folder + "/x.png")
    let out = temporary("alpha-out")
    #expect(try canon("canonicalize", "{kind: pca, threshold: 0}", folder, out).status == 0)
    let form = try Image(path: out + "/x.png").samples
    var halfway = 0
    for i in stride(from: 0, to: form.count, by: 4) where form[i + 3] > 8 {
      // What is seen at all is white, at the edges too.
      #expect(form[i] >= 250 && form[i + 1] >= 250, "\(Array(form[i..<i + 4]))")
      if form[i + 3] < 250 { halfway += 1 }
    }
    #expect(halfway > 10)
  }

  @Test(
    "A picture and its half turn have one form, where sides differ by an odd number (correctness 5)"
  )
  func oddSides() throws {
    let folder = temporary("odd")
    try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let image = noise(33, 28, 3)
    let half = Image(
      width: 33, height: 28, channels: 3,
      samples: (0..<33 * 28).reversed().flatMap { Array(image.samples[3 * $0..<3 * $0 + 3]) })
    try image.write(to: folder + "/a.png")
    try half.write(to: folder + "/b.png")
    for size in [16, 28] {
      #expect(
        image.modelInput(size: size, channels: 3).elements
          == half.modelInput(size: size, channels: 3).reversedPixels)
    }
    let out = temporary("odd-out")
    #expect(try canon("canonicalize", "pca-sign", folder, out).status == 0)
    #expect(try Image(path: out + "/a.png") == Image(path: out + "/b.png"))
  }
}

extension Tensor {
  /// The elements of `[1, height, width, channels]` with the pixels from the last to the first.
  fileprivate var reversedPixels: [Float] {
    let channels = shape[3]
    return (0..<shape.count / channels).reversed().flatMap {
      Array(elements[channels * $0..<channels * $0 + channels])
    }
  }
}

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
      "train", yaml, "--out", run, "--test", "--set", "canonicalizer=pca-sign", "--set",
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
      let folder = FileManager.default.temporaryDirectory.path + "/canon-command-idx"
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
    let trained = try canon("train", yaml, "--out", run, "--test")
    #expect(
      trained.status == 0 && trained.err.contains("no test part to measure on; 'data.test' cuts"))
    let evaluated = try canon("evaluate", run, images, "--json", "--quiet")
    #expect(evaluated.status == 0 && evaluated.out.contains("\"count\":20"), "\(evaluated.err)")
    #expect(
      try canon("predict", run, images, "--format", "csv").out.split(separator: "\n").count == 21)
  }
}

/// What an adversary found: each was seen to go wrong.
@Suite struct ProtectedInputTests {
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
