import Foundation
import ONNX
import Testing

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  .deletingLastPathComponent().deletingLastPathComponent().path
private let network = root + "/Tests/CanonCommandsTests/Fixtures/digits.onnx"
private let image = root + "/Tests/CanonCommandsTests/Fixtures/seven.png"
private let manager = FileManager.default

/// Whether a Python with onnxruntime, numpy and Pillow is there: `CANON_PYTHON` names one.
private let python: String? = {
  let path = ProcessInfo.processInfo.environment["CANON_PYTHON"] ?? "python3"
  let process = Process()
  process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
  process.arguments = [path, "-c", "import onnxruntime, numpy, PIL"]
  process.standardError = FileHandle.nullDevice
  guard (try? process.run()) != nil else { return nil }
  process.waitUntilExit()
  return process.terminationStatus == 0 ? path : nil
}()

@Suite struct ExportCommandTests {
  /// A CNN of digits behind a heuristic, wrapped.
  private func wrapped(_ name: String) throws -> String {
    let out = temporary("\(name).safetensors")
    let result = try canon(
      "wrap", network, "--canonicalizer", "{kind: gradient, group: C4}", "--normalization", "none",
      "--out", out)
    #expect(result.status == 0, "\(result.err)")
    return out
  }

  @Test("A wrapped network is exported as one, which says what the model says")
  func exported() throws {
    let (model, out) = (try wrapped("exported"), temporary("exported.onnx"))
    let reference = temporary("exported-reference.safetensors")
    let result = try canon("export", model, out, "--json", "--reference", reference)
    #expect(result.status == 0, "\(result.err)")
    struct Report: Decodable {
      var path: String
      var opset, checked, samePoses: Int
      var largestDifference: Double
    }
    let report = try JSONDecoder().decode(Report.self, from: Data(result.out.utf8))
    #expect(report.path == out && report.checked == 32 && report.samePoses == 32)
    // As the network within asks for.
    #expect(report.opset == 20 && report.largestDifference < 1e-4)
    let written = try ONNXModel(path: out)
    #expect(written.outputs.map(\.name) == ["scores", "pose", "margin", "form"])
    #expect(written.metadata["canon.canonicalizer"]?.contains("gradient") == true)
    #expect(!written.metadata.values.contains { $0.contains("/") })
    #expect(manager.fileExists(atPath: reference))
    // Again, over what canon wrote; the reference is nobody's to write over.
    #expect(try canon("export", model, out).status == 0)
    #expect(try canon("export", model, out, "--reference", reference).status == 1)
  }

  @Test("Nothing that is there already is written over, and what cannot be exported is said")
  func refused() throws {
    let model = try wrapped("refused")
    let copy = temporary("refused-network.onnx")
    try manager.copyItem(atPath: network, toPath: copy)
    let before = try Data(contentsOf: URL(fileURLWithPath: copy))
    let over = try canon("export", model, copy)
    #expect(over.status == 1 && over.err.contains("there already"))
    #expect(try Data(contentsOf: URL(fileURLWithPath: copy)) == before)
    #expect(try canon("export", model, temporary("out.txt")).status == 64)
    let many = ["export", model, temporary("many.onnx"), "--limit", "\(Int.max)"]
    #expect(try canon(many).status == 64)
    let pages = try canon("export", "pages", temporary("pages.onnx"))
    #expect(pages.status == 1 && pages.err.contains("'page' is not exported"))
    #expect(!manager.fileExists(atPath: temporary("pages.onnx")))
  }

  @Test(
    "The program of the documents runs an exported model in Python, and finds what canon finds",
    .enabled(if: python != nil, "no Python with onnxruntime"))
  func documented() throws {
    let text = try String(contentsOfFile: root + "/docs/onnx.md", encoding: .utf8)
    let program = try #require(
      text.components(separatedBy: "```python\n").dropFirst().first?
        .components(separatedBy: "```").first)
    #expect(program.split(separator: "\n").count <= 12)
    let folder = temporary("documented")
    try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let model = try wrapped("documented")
    #expect(try canon("export", model, folder + "/model.onnx").status == 0)
    try manager.copyItem(atPath: image, toPath: folder + "/image.png")
    let (process, pipe) = (Process(), Pipe())
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [try #require(python), "-c", program]
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    process.standardOutput = pipe
    try process.run()
    let said = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    struct Row: Decodable { var `class`: String }
    let row = try JSONDecoder().decode(
      Row.self, from: Data(canon("predict", model, image, "--json").out.utf8))
    #expect(said.split(separator: " ").first.map(String.init) == row.class, "\(said)")
  }
}
