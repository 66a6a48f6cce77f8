import ArgumentParser
import Foundation
import ONNX
import TensorCore

// `canon info` of a network of an ONNX file.
extension Info {
  private struct NetworkReport: Encodable {
    var inputs, outputs: [String: String]
    var opset, parameters: Int
    var operators: [String: Int]
    var metadata: [String: String]
    var readings: [ImportedNetwork.Reading]?
  }

  /// - Throws: `ONNXError` for a file that is damaged or not supported, by node.
  func describeNetwork() throws {
    let network = try ONNXModel(path: model)
    func ports(_ ports: [ONNX.Port]) -> [String: String] {
      Dictionary(ports.map { ($0.name, $0.text) }, uniquingKeysWith: { $1 })
    }
    let names = try classes.map(ImportedNetwork.classNames) ?? []
    var report = NetworkReport(
      inputs: ports(network.inputs), outputs: ports(network.outputs), opset: network.opset,
      parameters: network.parameterCount, operators: network.operators,
      metadata: network.metadata)
    if !json { try emit(text(of: network)) }
    if let image {
      let imported = try ImportedNetwork(model, size: size)
      report.readings = try imported.readings(
        of: image, classNames: names, output: nil,
        own: ImportedNetwork.pixels(mean, deviation, imported))
    }
    if json { return try emit(report.jsonLine) }
    guard let readings = report.readings, let image else { return }
    try emit(
      "\nWhat it says of \(image), given in each of the usual ways; the class counts, and not how sure it is:"
    )
    try emit(
      table(
        ["--normalization", "colors", "class", "probability"],
        readings.map {
          [$0.normalization, $0.colors, $0.class, $0.probability?.formatted(3) ?? "–"]
        }))
  }

  /// As much as a line holds of a long text, such as the names of 1,000 classes; `--json` has all.
  private static func shortened(_ text: String) -> String {
    text.count <= 240 ? text : "\(text.prefix(240)) … (\(text.count) characters)"
  }

  private func text(of network: ONNXModel) -> String {
    var rows = network.inputs.map { ("input", "\($0.name): \($0.text)") }
    rows += network.outputs.map { ("output", "\($0.name): \($0.text)") }
    rows += [("opset", "\(network.opset)"), ("parameters", "\(network.parameterCount)")]
    var lines = [""]
    for (name, count) in network.operators.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
      if lines[lines.count - 1].count > 64 { lines.append("") }
      lines[lines.count - 1] += (lines[lines.count - 1].isEmpty ? "" : ", ") + "\(count) \(name)"
    }
    rows += lines.enumerated().map { ($0 == 0 ? "operators" : "", $1) }
    rows += network.metadata.sorted { $0.key < $1.key }.map { ($0.key, Self.shortened($0.value)) }
    let width = rows.map(\.0.visible.count).max() ?? 0
    return rows.map { name, value in
      name.visible + String(repeating: " ", count: width - name.visible.count + 2) + value.visible
    }.joined(separator: "\n")
  }
}
