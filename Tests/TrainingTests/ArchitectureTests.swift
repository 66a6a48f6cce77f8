import Foundation
import Testing

private let sources =
  URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  .deletingLastPathComponent().deletingLastPathComponent().path + "/Sources"

@Suite struct ArchitectureTests {
  /// From the lowest module to the highest.
  private let order = [
    "CKernels", "CZlib", "CPNG", "CLibraries", "CJPEG", "CTIFF", "CWebP", "TensorCore", "Settings",
    "Charts", "Disentanglement", "Images", "Symmetry", "Autodiff", "Layers", "ONNXFormat", "ONNX",
    "MessagePassing", "Optimizers", "Datasets", "Canonicalization", "Training", "Canon",
    "CanonCommands", "canon",
  ]

  @Test("Every module imports only modules below it, and is in the list") func downward() throws {
    let manager = FileManager.default
    let modules = try manager.contentsOfDirectory(atPath: sources)
    #expect(Set(modules) == Set(order))
    for module in modules {
      let place = try #require(order.firstIndex(of: module))
      for file in try manager.subpathsOfDirectory(atPath: "\(sources)/\(module)")
      where file.hasSuffix(".swift") {
        let text = try String(contentsOfFile: "\(sources)/\(module)/\(file)", encoding: .utf8)
        // What is generated is as long as it is.
        let isGenerated = file.hasSuffix(".pb.swift")
        #expect(
          isGenerated || text.split(separator: "\n").count <= 400, "\(module)/\(file) is long")
        for line in text.split(separator: "\n")
        where line.contains("import ") && !line.hasPrefix("//") {
          let words = line.split(separator: " ")
          guard let other = words.last.flatMap({ order.firstIndex(of: String($0)) }),
            words.dropLast().last == "import"
          else { continue }
          #expect(other < place, "\(module)/\(file): \(line)")
        }
      }
    }
  }

  @Test(
    "Each kind of component stands once in the catalog's source, and no command names a domain's kind"
  ) func commands()
    throws
  {
    let folder = sources + "/CanonCommands"
    for file in try FileManager.default.contentsOfDirectory(atPath: folder)
    where file.hasSuffix(".swift") {
      let text = try String(contentsOfFile: "\(folder)/\(file)", encoding: .utf8)
      #expect(!text.contains("SetDomain") || file == "Components.swift", "\(file) branches on sets")
      #expect(!text.contains("case .learned"), "\(file) switches over kinds")
    }
  }
}
