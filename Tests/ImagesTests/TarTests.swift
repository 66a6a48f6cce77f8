import Foundation
import Images
import TensorCore
import Testing

private let manager = FileManager.default

@Suite struct TarTests {
  /// A folder for one test.
  private func place(_ name: String) throws -> String {
    let path =
      manager.temporaryDirectory.path
      + "/canon-tar-\(ProcessInfo.processInfo.processIdentifier)-\(name)"
    try? manager.removeItem(atPath: path)
    try manager.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
  }

  private func tar(_ arguments: String...) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["tar"] + arguments
    try process.run()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0)
  }

  private func noise(_ seed: UInt64) -> Image {
    var random = RandomStream(seed: seed, name: "tar")
    return Image(
      width: 9, height: 7, channels: 1,
      samples: (0..<63).map { _ in UInt16.random(in: 0...255, using: &random) })
  }

  @Test(
    "What tar packs is found, whatever it writes names in",
    arguments: ["ustar", "pax", "gnu", "oldgnu"])
  func formats(format: String) throws {
    let folder = try place(format)
    let long = String(repeating: "long", count: 30)
    let names = ["cats/1.png", "cats/ä 2.png", "\(String(repeating: "d", count: 60))/\(long).png"]
      .filter { format != "ustar" || $0.utf8.count < 100 }
    for (n, name) in names.enumerated() {
      let file = "\(folder)/in/\(name)"
      try manager.createDirectory(
        atPath: (file as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
      try noise(UInt64(n)).write(to: file)
    }
    try Data("text".utf8).write(to: URL(fileURLWithPath: "\(folder)/in/note.txt"))
    try tar("--format=\(format)", "-cf", "\(folder)/all.tar", "-C", "\(folder)/in", ".")
    let archive = try TarArchive(path: "\(folder)/all.tar")
    #expect(Set(archive.names) == Set(names + ["note.txt"]))
    #expect(archive.bytes(of: "note.txt") == Array("text".utf8))
    #expect(archive.bytes(of: "missing") == nil)
    for (n, name) in names.enumerated() {
      #expect(try Image(path: "\(folder)/all.tar/\(name)") == noise(UInt64(n)))
      #expect(Image.sampleCount(path: "\(folder)/all.tar/\(name)") == 63)
    }
    #expect(throws: ImageError.self) { try Image(path: "\(folder)/all.tar/missing.png") }
  }

  @Test("Of two members of one name the later one counts, and names that lead out are passed over")
  func names() throws {
    let folder = try place("names")
    try noise(1).write(to: "\(folder)/a.png")
    try tar("-cf", "\(folder)/all.tar", "-C", folder, "a.png")
    try noise(2).write(to: "\(folder)/a.png")
    try tar("-rf", "\(folder)/all.tar", "-C", folder, "a.png")
    try tar("-rPf", "\(folder)/all.tar", "-C", folder, "--transform", "s,^,../,", "a.png")
    try tar("-rPf", "\(folder)/all.tar", "\(folder)/a.png")
    // A slash before all is left out, as tar does where it unpacks.
    let archive = try TarArchive(path: "\(folder)/all.tar")
    #expect(archive.names == ["a.png", "\(folder)/a.png".dropFirst().description])
    #expect(archive.skipped.map(\.name) == ["../a.png"])
    #expect(try Image(path: "\(folder)/all.tar/a.png") == noise(2))
  }

  @Test("A hard link is what it leads to; a symbolic one, and one that leads nowhere, are named")
  func links() throws {
    let folder = try place("links")
    try manager.createDirectory(atPath: folder + "/in", withIntermediateDirectories: true)
    let long = String(repeating: "long", count: 30) + ".png"
    try noise(3).write(to: "\(folder)/in/\(long)")
    try manager.linkItem(atPath: "\(folder)/in/\(long)", toPath: folder + "/in/z.png")
    try manager.createSymbolicLink(atPath: folder + "/in/s.png", withDestinationPath: "z.png")
    for format in ["pax", "gnu"] {
      let path = "\(folder)/\(format).tar"
      try tar("--format=\(format)", "-cf", path, "-C", folder + "/in", long, "z.png", "s.png")
      let archive = try TarArchive(path: path)
      #expect(archive.names == [long, "z.png"] && archive.skipped.map(\.name) == ["s.png"])
      #expect(try Image(path: path + "/z.png") == noise(3))
      // Without what it leads to.
      try tar("--delete", "-f", path, long)
      let rest = try TarArchive(path: path)
      #expect(rest.names.isEmpty && rest.skipped.map(\.name) == ["z.png", "s.png"])
    }
  }

  @Test("What is damaged, cut off or no archive is an error, never a trap") func damaged() throws {
    let folder = try place("damaged")
    for n in 0..<3 { try noise(UInt64(n)).write(to: "\(folder)/\(n).png") }
    try tar("-cf", "\(folder)/all.tar", "-C", folder, "0.png", "1.png", "2.png")
    let whole = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/all.tar"))
    let path = "\(folder)/bad.tar"
    func written(_ bytes: Data) throws { try bytes.write(to: URL(fileURLWithPath: path)) }
    for bytes in [Data(), Data("no archive".utf8), Data(count: 700), whole.prefix(600)] {
      try written(bytes)
      if bytes.count == 700 {
        // Nothing was packed: that ends with empty blocks.
        #expect(try TarArchive(path: path).names.isEmpty)
      } else {
        #expect(throws: ArchiveError.self) { try TarArchive(path: path) }
      }
    }
    // Cut anywhere, also between two members, some are lost.
    let last = try #require([UInt8](whole).lastIndex { $0 != 0 })
    for length in stride(from: 512, through: last / 512 * 512 + 512, by: 512) {
      try written(whole.prefix(length))
      #expect(throws: ArchiveError.self, "\(length)") { try TarArchive(path: path) }
    }
    try written(whole.prefix(last / 512 * 512 + 1024))
    #expect(try TarArchive(path: path).names.count == 3)
    // Of two that are joined as files the second one would be lost.
    try written(whole + whole)
    #expect(throws: ArchiveError.self) { try TarArchive(path: path) }
    var random = RandomStream(seed: 9, name: "damage")
    for _ in 0..<400 {
      var bytes = [UInt8](whole)
      for _ in 0..<3 {
        bytes[Int.random(in: 0..<2048, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      try written(Data(bytes))
      // Whatever is found can be asked for.
      if let archive = try? TarArchive(path: path) {
        for name in archive.names { _ = archive.bytes(of: name) }
      }
    }
  }
}

@Suite struct TarWriterTests {
  @Test(
    "What is packed is found again, by this program and by tar, whatever its name; twice the same bytes"
  )
  func written() throws {
    let folder =
      manager.temporaryDirectory.path
      + "/canon-tar-writer-\(ProcessInfo.processInfo.processIdentifier)"
    try? manager.removeItem(atPath: folder)
    try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let names = [
      "a.png", "müßig/ë.png", String(repeating: "long/", count: 40) + "z.png", "empty",
      String(repeating: "n", count: 100), String(repeating: "m", count: 101),
    ]
    var contents: [String: [UInt8]] = [:]
    for (n, name) in names.enumerated() {
      let bytes = name == "empty" ? [] : [UInt8](repeating: UInt8(n), count: 500 + 6 * n)
      contents[name] = bytes
      try Data(bytes).write(to: URL(fileURLWithPath: "\(folder)/\(n)"))
    }
    func pack(_ path: String) throws {
      let writer = try TarWriter(path: path)
      for (n, name) in names.enumerated() { try writer.add("\(folder)/\(n)", as: name) }
      try writer.finish()
    }
    try pack("\(folder)/a.tar")
    try pack("\(folder)/b.tar")
    #expect(manager.contentsEqual(atPath: "\(folder)/a.tar", andPath: "\(folder)/b.tar"))
    let archive = try TarArchive(path: "\(folder)/a.tar")
    #expect(archive.names == names && archive.skipped.isEmpty)
    for name in names { #expect(archive.bytes(of: name) == contents[name]) }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["tar", "-xf", "\(folder)/a.tar", "-C", folder]
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    for name in names {
      #expect(
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)"))) == contents[name])
    }
    #expect(throws: ArchiveError.self) {
      try TarWriter(path: "\(folder)/c.tar").add("\(folder)/none", as: "none")
    }
  }
}
