import Autodiff
import Foundation
import ONNX
import ONNXFormat
import SwiftProtobuf
import TensorCore
import Testing

/// A folder of ONNX's own backend tests: a model, and inputs with the outputs that they must give.
struct BackendCase {
  let folder: String
  var name: String { URL(fileURLWithPath: folder).lastPathComponent }

  /// The operators of the model.
  var operators: [String] {
    let bytes = (try? Data(contentsOf: URL(fileURLWithPath: folder + "/model.onnx"))) ?? Data()
    return (try? Onnx_ModelProto(serializedBytes: bytes))?.graph.node.map(\.opType) ?? []
  }

  /// What is wrong, or `nil`.
  func failure() -> String? {
    do {
      let model = try ONNXModel(path: folder + "/model.onnx")
      var n = 0
      while case let set = "\(folder)/test_data_set_\(n)",
        FileManager.default.fileExists(atPath: set)
      {
        let inputs = try model.inputs.indices.map { try Value(tensorAt: "\(set)/input_\($0).pb") }
        for (k, output) in try model.run(inputs).enumerated() {
          let expected = try Value(tensorAt: "\(set)/output_\(k).pb")
          if let reason = difference(output, expected) { return "output \(k): \(reason)" }
        }
        n += 1
      }
      return n == 0 ? "it has no data" : nil
    } catch { return "\(error)" }
  }

  /// The tolerances of ONNX's own runner: 1e-3 relative, 1e-7 absolute.
  private func difference(_ a: Value, _ b: Value) -> String? {
    guard a.type == b.type && a.shape == b.shape else {
      return "\(a.type) \(a.shape), not \(b.type) \(b.shape)"
    }
    switch (a, b) {
    case (.integers(let a), .integers(let b)):
      return a.elements == b.elements
        ? nil : "\(a.elements.prefix(12)), not \(b.elements.prefix(12))"
    case (.floats(let a), .floats(let b)):
      for (x, y) in zip(a.value.elements, b.value.elements) where x != y && !(x.isNaN && y.isNaN) {
        if !(abs(x - y) <= 1e-7 + 1e-3 * abs(y)) { return "\(a.value), not \(b.value)" }
      }
      return nil
    default: return "\(a.type), not \(b.type)"
    }
  }
}

/// The folders of the packed tests, unpacked once.
let packedCases: [BackendCase] = {
  let folder = NSTemporaryDirectory() + "canon-onnx-\(ProcessInfo.processInfo.processIdentifier)"
  let archive =
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().path
    + "/Fixtures/nodes.tar.gz"
  try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  let process = Process()
  process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
  process.arguments = ["tar", "xzf", archive, "-C", folder]
  try? process.run()
  process.waitUntilExit()
  let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
  return names.sorted().map { BackendCase(folder: "\(folder)/\($0)") }
}()

@Suite struct OperatorTests {
  @Test("ONNX's own node tests that are small, of all operators that are supported")
  func packed() {
    let cases = packedCases
    #expect(cases.count > 1000)
    var operators: Set<String> = []
    for one in cases {
      let failure = one.failure()
      #expect(failure == nil, "\(one.name): \(failure ?? "")")
      operators.formUnion(one.operators)
    }
    #expect(operators.count >= 145, "\(operators.count) operators")
  }

  /// With `CANON_ONNX_TESTS`, a folder that `export-nodes` has written: all of them, and the table of the documents.
  @Test(
    "All of ONNX's node tests make the table of operators",
    .enabled(if: ProcessInfo.processInfo.environment["CANON_ONNX_TESTS"] != nil))
  func table() throws {
    let root = try #require(ProcessInfo.processInfo.environment["CANON_ONNX_TESTS"])
    var counts: [String: (passed: Int, all: Int, reason: String)] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: root).sorted() {
      let one = BackendCase(folder: "\(root)/\(name)")
      guard !name.hasSuffix("_expanded"), !name.contains("expanded_ver"),
        let operation = one.operators.last
      else { continue }
      let failure = one.failure()
      print(failure == nil ? "PASS" : "FAIL", name, failure ?? "")
      var count = counts[operation] ?? (0, 0, "")
      count.all += 1
      if let failure { count.reason = failure } else { count.passed += 1 }
      counts[operation] = count
    }
    let rows = counts.sorted { $0.key < $1.key }.map { name, count in
      let word = count.passed == 0 ? "no" : count.passed < count.all ? "partly" : "yes"
      return "| \(name) | \(word) | \(count.passed) of \(count.all) |"
    }
    let whole = counts.values.count { $0.passed == $0.all }
    let partly = counts.values.count { $0.passed > 0 && $0.passed < $0.all }
    let text = """
      # ONNX's operators

      ONNX's own node tests, by operator: `make onnx-table` writes this. \(whole) operators pass all of theirs, \(partly) some:
      of floats, which of 16 and 64 bits too are computed in 32, and of the integer types; strings and sequences are not supported.

      | operator | supported | tests that pass |
      |---|---|---|

      """ + rows.joined(separator: "\n") + "\n"
    if let out = ProcessInfo.processInfo.environment["CANON_ONNX_TABLE"] {
      try text.write(toFile: out, atomically: true, encoding: .utf8)
    }
    #expect(whole + partly >= 130)
  }
}
