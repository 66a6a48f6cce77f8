import Foundation
import TensorCore
import Testing

@Suite("Limits of the address space")
struct AddressSpaceTests {
  /// Runs the command below a limit, in KiB; ended by a signal where it does not end.
  private func canon(limit: Int, _ arguments: [String]) throws -> (status: Int32, err: String) {
    try shell("ulimit -v \(limit); exec timeout -s KILL 60 \"$0\" \"$@\"", arguments)
  }

  @Test("Too little to begin with is refused in a sentence, and nothing waits for ever")
  func beginning() throws {
    // OpenBLAS's buffers alone are 256 MiB.
    let (status, err) = try canon(
      limit: 400 << 10,
      ["predict", "demo/model.safetensors", "demo/digits", "--quiet", "--threads", "2"])
    #expect(status == 1)
    #expect(err.hasPrefix("Error: the address space is limited to 400 MiB (ulimit -v)"))
    #expect(err.split(separator: "\n").count == 1)
  }

  @Test("Below any limit a command ends by itself, well or with a sentence", arguments: [2, 4])
  func limits(threads: Int) throws {
    var ends: Set<Int32> = []
    for limit in stride(from: 400, through: 1040, by: 80) {
      let (status, err) = try canon(
        limit: limit << 10,
        [
          "predict", "demo/model.safetensors", "demo/digits", "--quiet", "--threads", "\(threads)",
        ])
      #expect(status == 0 || status == 1, "\(limit): \(err)")
      ends.insert(status)
    }
    #expect(ends == [0, 1])
  }

  @Test("What does not fit later ends in a sentence")
  func later() throws {
    let (configuration, run) = (temporary("large.yaml"), temporary("run"))
    // A tensor of 2 GB, once there.
    try """
    data: {kind: folder, path: '\(FileManager.default.currentDirectoryPath)/demo/digits'}
    input: {size: 1000}
    canonicalizer: identity
    backbone: {kind: small-cnn}
    training: {epochs: 1, batch: 16}
    """.write(toFile: configuration, atomically: true, encoding: .utf8)
    let (status, err) = try canon(
      limit: 1500 << 10,
      [
        "train", configuration, "--out", run, "--quiet", "--threads", "2",
      ])
    #expect(status == 1)
    #expect(err.contains("Error: no more memory could be had"))
    #expect(!FileManager.default.fileExists(atPath: "\(run)/model.safetensors"))
  }

  @Test("There is none by default, and some addresses are used")
  func values() {
    #expect(AddressSpace.limit == nil)
    #expect(AddressSpace.used > 1 << 20)
  }
}
