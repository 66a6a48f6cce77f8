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
}
