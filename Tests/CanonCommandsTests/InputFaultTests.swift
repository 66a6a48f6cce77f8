import Foundation
import Images
import TensorCore
import Testing

@testable import CanonCommands

private let manager = FileManager.default

/// Names and descriptors that are not what they seem.
@Suite struct InputFaultTests {
  @Test("A member that has the name of a folder of others is named, however many threads there are")
  func members() throws {
    let folder = try pictures("members", ["a.png", "b.png"])
    let archive = temporary("members.tar")
    let writer = try TarWriter(path: archive)
    for (file, name) in [("a", "x.png"), ("b", "x.png/y.png"), ("a", "c.png")] {
      try writer.add("\(folder)/\(file).png", as: name)
    }
    try writer.finish()
    for threads in ["1", "2"] {
      let out = temporary("members-\(threads)")
      let done = try canon("canonicalize", "identity", archive, out, "--threads", threads)
      #expect(done.status == 2 && done.err.contains("a folder of others has its name"))
      #expect(try Image(path: out + "/x.png/y.png") == Image(path: folder + "/b.png"))
      #expect(try Image(path: out + "/c.png") == Image(path: folder + "/a.png"))
    }
  }

  @Test("A page that a member has the name of is named, and the manifest can be restored")
  func pages() throws {
    let folder = try pictures("both", ["1.tif", "2.tif", "b.tif"])
    try #require(
      try ImageCodecs.join(["\(folder)/1.tif", "\(folder)/2.tif"], to: folder + "/scan.tif"))
    let (archive, out) = (temporary("both.tar"), temporary("both-out"))
    let writer = try TarWriter(path: archive)
    try writer.add(folder + "/b.tif", as: "other/scan.tif")
    try writer.add(folder + "/scan.tif", as: "scan.tif")
    try writer.add(folder + "/b.tif", as: "scan.tif/1.tif")
    try writer.finish()
    let done = try canon("canonicalize", "identity", archive, out)
    #expect(done.status == 2 && done.err.contains("scan.tif"), "\(done.err)")
    #expect(try canon("restore", out, temporary("both-back")).status == 0)
  }

  @Test("An output that would have the name of a folder of others is refused, by every part")
  func folders() throws {
    let folder = try pictures("folders", ["a.jpg.png/x.png"])
    try noise(20, 17, seed: 1).writeJPEG(to: folder + "/a.jpg", quality: 90)
    for more in [[], ["--shard", "1/2"], ["--shard", "2/2"]] {
      let refused = try canon(["canonicalize", "center", folder, temporary("folders-out")] + more)
      #expect(refused.status == 1 && refused.err.contains("or of a folder of others"))
    }
  }

  @Test("Archives need no folder for temporary files") func temporaryFolder() throws {
    let folder = try pictures("nowhere", ["a.png", "b.png"])
    let archive = temporary("nowhere.tar")
    try tar(folder, archive)
    let done = try shell(
      "TMPDIR=/nowhere exec \"$0\" canonicalize center \"$1\" \"$2\"", archive,
      temporary("nowhere-out"))
    #expect(done.status == 0, "\(done.err)")
  }

  @Test("Standard input that cannot be read is not an empty list", arguments: ["</", "<&-"])
  func standardInput(redirection: String) throws {
    let out = temporary("unread")
    let failed = try shell("exec \"$0\" canonicalize center - \"$1\" \(redirection)", out)
    #expect(failed.status == 1 && failed.err.contains("standard input"), "\(failed.err)")
  }

  @Test("What is said goes into no file where standard error is closed") func closed() throws {
    let folder = try pictures("closed", ["a.png", "b.png"])
    try Data("none".utf8).write(to: URL(filePath: folder + "/0.png"))
    let out = temporary("closed-out")
    let done = try shell("exec \"$0\" canonicalize center \"$1\" \"$2\" <&- >&- 2>&-", folder, out)
    #expect(done.status != 0)
    for name in try manager.subpathsOfDirectory(atPath: out) {
      let bytes = Files.bytes(of: "\(out)/\(name)") ?? []
      #expect(!String(decoding: bytes, as: UTF8.self).contains("Error"), "\(name)")
    }
    #expect(try canon("canonicalize", "center", folder, out).status == 2)
  }

  @Test("A place is that of a folder, by whatever way, and of a name below it") func places() throws
  {
    let folder = temporary("places")
    try manager.createDirectory(atPath: folder + "/a/b", withIntermediateDirectories: true)
    try manager.createSymbolicLink(atPath: folder + "/link", withDestinationPath: "a")
    try Data("x".utf8).write(to: URL(filePath: folder + "/a/file"))
    try manager.createSymbolicLink(atPath: folder + "/alias", withDestinationPath: "a/file")
    let a = Place(folder + "/a")
    #expect(a == Place(folder + "/link") && a == Place(folder + "/a/b/..") && a.name == "a")
    #expect(Place(folder + "/alias") == Place(folder + "/link/file"))
    #expect(Place(folder + "/a/none/x") == Place(folder + "/link/./none/y/../x"))
    #expect(Set([a, Place(folder + "/link"), Place(folder + "/a/b")]).count == 2)
    for below in ["a", "a/b", "link/b/none", "link/file", "a/none/x"] {
      #expect(a.contains(Place("\(folder)/\(below)")), "\(below)")
    }
    let none = Place(folder + "/a/none")
    #expect(none.contains(Place(folder + "/link/none/x")) && none.overlaps(a))
    for apart in ["", "ab", "link2", "alias2", "a/../b"] {
      #expect(!a.contains(Place("\(folder)/\(apart)")), "\(apart)")
    }
    #expect(!none.contains(Place(folder + "/a/nonesuch")) && !none.contains(a))
  }
}
