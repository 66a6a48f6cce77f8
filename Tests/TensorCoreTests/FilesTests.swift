import Foundation
import TensorCore
import Testing

@Suite struct FilesTests {
  private struct Failure: Error, Equatable { let reason: String }

  private let folder: String

  init() throws {
    folder = NSTemporaryDirectory() + "files-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  }

  private var names: [String] { Files.names(in: folder) ?? [] }

  @Test("A file is replaced as a whole", arguments: [true, false])
  func replaced(isDurable: Bool) throws {
    let path = "\(folder)/a"
    for text in ["first", "second"] {
      try Files.replace(path, isDurable: isDurable, Failure.init) { (temporary) throws(Failure) in
        #expect(Files.parent(of: temporary) == folder)
        guard Files.write(Array(text.utf8), to: temporary) else { throw Failure(reason: "full") }
      }
      #expect(Files.bytes(of: path) == Array(text.utf8))
      #expect(names == ["a"])
    }
  }

  @Test("A file is replaced by bytes, new or not, as anybody's file", arguments: [true, false])
  func replacedByBytes(isDurable: Bool) throws {
    let path = "\(folder)/a"
    #expect(Files.write([0], to: "\(folder)/other"))
    let mode = try permissions("\(folder)/other")
    for bytes in [[1, 2], [], [3]] as [[UInt8]] {
      try Files.replace(path, by: bytes, isDurable: isDurable, Failure.init)
      #expect(Files.bytes(of: path) == bytes)
      #expect(try permissions(path) == mode)
      #expect(names == ["a", "other"])
    }
    // A link is replaced itself, also one that leads nowhere.
    for target in ["other", "none"] {
      try FileManager.default.removeItem(atPath: path)
      try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: target)
      try Files.replace(path, by: [4], isDurable: isDurable, Failure.init)
      #expect(!Files.isLink(path) && Files.bytes(of: path) == [4])
      #expect(Files.bytes(of: "\(folder)/other") == [0] && names == ["a", "other"])
    }
    #expect(throws: Failure(reason: "something is there that is no regular file")) {
      try Files.replace(folder, by: [5], isDurable: isDurable, Failure.init)
    }
    #expect(throws: Failure(reason: "No such file or directory")) {
      try Files.replace("\(folder)/none/a", by: [5], isDurable: isDurable, Failure.init)
    }
  }

  private func permissions(_ path: String) throws -> Int? {
    try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
  }

  @Test("A folder is empty, but for some names, or cannot be listed") func empty() {
    #expect(Files.isEmpty(folder) == true)
    for name in ["a", "b"] { #expect(Files.write([], to: "\(folder)/\(name)")) }
    #expect(Files.isEmpty(folder) == false)
    #expect(Files.isEmpty(folder, passingOver: { $0 == "a" }) == false)
    #expect(Files.isEmpty(folder, passingOver: ["a", "b", "c"].contains) == true)
    #expect(Files.isEmpty("\(folder)/none") == nil && Files.isEmpty("\(folder)/a") == nil)
  }

  @Test("Entries come by their bytes, and links are no regular files") func entries() throws {
    for name in ["b", "a", "é", "B"] { #expect(Files.write([], to: "\(folder)/\(name)")) }
    try FileManager.default.createSymbolicLink(
      atPath: "\(folder)/link", withDestinationPath: "a")
    try FileManager.default.createDirectory(
      atPath: "\(folder)/sub", withIntermediateDirectories: false)
    let entries = try #require(Files.entries(in: folder))
    #expect(
      entries.map(\.name) == ["B", "a", "b", "link", "sub", "é"] && names == entries.map(\.name))
    // Not every file system says what is one.
    let known = entries.filter(\.isRegular).map(\.name)
    #expect(known == ["B", "a", "b", "é"] || known.isEmpty)
    #expect(Files.entries(in: "\(folder)/none")?.count == nil)
  }

  @Test("What cannot be written whole leaves the file as it was, and nothing beside it")
  func failed() throws {
    let path = "\(folder)/a"
    #expect(Files.write([1], to: path))
    #expect(throws: Failure(reason: "full")) {
      try Files.replace(path, Failure.init) { (temporary) throws(Failure) in
        _ = Files.write([2, 3], to: temporary)
        throw Failure(reason: "full")
      }
    }
    // Nothing was written: there is nothing to sync.
    #expect(throws: Failure.self) {
      try Files.replace(path, Failure.init) { (_) throws(Failure) in }
    }
    #expect(Files.bytes(of: path) == [1])
    #expect(names == ["a"])
  }

  @Test("What is no regular file is not replaced") func folderInPlace() throws {
    #expect(throws: Failure.self) {
      try Files.replace(folder, Failure.init) { (_) throws(Failure) in
        Issue.record("it was to be written")
      }
    }
  }

  @Test("Syncing says what went wrong") func synchronized() {
    #expect(Files.synchronize(folder) == nil)
    #expect(Files.synchronize("\(folder)/none") == "No such file or directory")
  }

  @Test("Lines come one by one, the last whole or not")
  func lines() throws {
    let path = "\(folder)/lines"
    #expect(Files.write(Array("a\n\nbc\nd".utf8), to: path))
    let lines = try #require(Lines(of: path))
    #expect(lines.next() == Array("a".utf8) && lines.offset == 2)
    #expect(lines.next() == [] && lines.next() == Array("bc".utf8))
    #expect(lines.isWhole && lines.offset == 6)
    #expect(lines.next() == Array("d".utf8) && !lines.isWhole)
    #expect(lines.next() == nil && Lines(of: folder + "/none") == nil)
    #expect(!lines.hasFailed)
    // Opened, but not read.
    let broken = try #require(Lines(of: folder))
    #expect(broken.next() == nil && broken.hasFailed)
  }

  @Test("A stamp is of the file as it is, or of the one that a path goes on behind")
  func stamps() throws {
    let path = "\(folder)/a.tar"
    #expect(Files.write([1, 2], to: path))
    let stamp = try #require(FileStamp(of: path))
    #expect(FileStamp(of: path) == stamp && FileStamp(of: path + "/b/c.png") == stamp)
    #expect(
      try JSONDecoder().decode(FileStamp.self, from: JSONEncoder().encode(stamp)) == stamp)
    // Another file of the same size, with the dates of the first.
    #expect(Files.write([3, 4], to: "\(folder)/b"))
    let dates = try FileManager.default.attributesOfItem(atPath: path)
    try FileManager.default.setAttributes(
      [.modificationDate: try #require(dates[.modificationDate])], ofItemAtPath: "\(folder)/b")
    #expect(unsafe rename("\(folder)/b", path) == 0)
    #expect(FileStamp(of: path) != stamp && FileStamp(of: "\(folder)/none") == nil)
  }

  @Test("What another host is writing is left to it for a day")
  func hosts() throws {
    let own = Files.partialName("1")
    let dead = own.replacing("-\(getpid())-", with: "-999999999-")
    let foreign = ".canon-00000000-999999999-1.partial"
    let old = ".canon-00000001-999999999-1.partial"
    for name in [own, dead, foreign, old] { #expect(Files.write([1], to: "\(folder)/\(name)")) }
    try FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSinceNow: -90_000)], ofItemAtPath: "\(folder)/\(old)")
    Files.removePartials(in: folder)
    #expect(Set(names) == [own, foreign])
  }

  @Test("A folder is shared by those that share it, and not by one that holds it alone")
  func shared() throws {
    let first = try #require(FolderLock(folder, isShared: true))
    let second = try #require(FolderLock(folder, isShared: true))
    #expect(FolderLock(folder) == nil)
    withExtendedLifetime((first, second)) {}
  }

  @Test(
    "A file's fingerprint changes with any bit, with two signs, and with a byte more",
    arguments: [1, 7, 8, 9, 40_000])
  func fingerprints(count: Int) throws {
    let path = folder + "/print"
    func print(_ bytes: [UInt8]) -> String? {
      #expect(Files.write(bytes, to: path))
      return Fingerprint(ofFileAt: path)?.text
    }
    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37) }
    var found = Set([print(bytes), print(bytes + [0])])
    for (n, place) in [0, count / 2, count - 1].enumerated() {
      var other = bytes
      other[place] ^= 1 << UInt8(2 * n + 1)
      found.insert(print(other))
    }
    #expect(found.count == 5)
    guard count > 16 else { return }
    // The highest bits of two words.
    var other = bytes
    other[7] ^= 128
    other[15] ^= 128
    #expect(print(other) != print(bytes))
    #expect(print(bytes) == print(bytes) && print(bytes)?.count == 16)
  }
}
