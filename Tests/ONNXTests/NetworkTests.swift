import Autodiff
import Foundation
import ONNX
import TensorCore
import Testing

/// Networks that `export-networks` has written, where CANON_NETWORKS says: each within 10⁻⁴ of what onnxruntime gave.
@Suite struct NetworkTests {
  @Test(
    "Networks of torchvision give what onnxruntime gives",
    .enabled(if: ProcessInfo.processInfo.environment["CANON_NETWORKS"] != nil))
  func agreement() throws {
    let folder = ProcessInfo.processInfo.environment["CANON_NETWORKS"] ?? ""
    let files = try FileManager.default.contentsOfDirectory(atPath: folder).filter {
      $0.hasSuffix(".onnx")
    }
    #expect(!files.isEmpty)
    for file in files.sorted() {
      let name = String(file.dropLast(5))
      let model = try ONNXModel(path: "\(folder)/\(file)")
      var (worst, count) = (0.0, 0)
      while FileManager.default.fileExists(atPath: "\(folder)/\(name)/input_\(count).pb") {
        let x = try Value(tensorAt: "\(folder)/\(name)/input_\(count).pb")
        guard case .floats(let y) = try model.run([x])[0],
          case .floats(let wanted) = try Value(tensorAt: "\(folder)/\(name)/output_\(count).pb")
        else { continue }
        #expect(y.shape == wanted.shape)
        let scale = wanted.value.elements.map(abs).max() ?? 0
        #expect(scale > 0)
        for (a, b) in zip(y.value.elements, wanted.value.elements) {
          worst = max(worst, a.isNaN ? .infinity : Double(abs(a - b)) / Double(scale))
        }
        count += 1
      }
      print("\(name): \(count) inputs, off by \(worst) of the largest")
      #expect(count > 0 && worst < 1e-4, "\(name)")
    }
  }
}
