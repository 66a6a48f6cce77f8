import ArgumentParser
import Foundation
import ONNX

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
    let readings = try image.map {
      try ImportedNetwork(model, size: size).readings(of: $0, classNames: names, output: nil)
    }
    let report = NetworkReport(
      inputs: ports(network.inputs), outputs: ports(network.outputs), opset: network.opset,
      parameters: network.parameterCount,
      operators: network.operators, metadata: network.metadata, readings: readings)
    if json { return try emit(report.jsonLine) }
    var rows = network.inputs.map { ["input", "\($0.name): \($0.text)"] }
    rows += network.outputs.map { ["output", "\($0.name): \($0.text)"] }
    rows += [["opset", "\(network.opset)"], ["parameters", "\(report.parameters)"]]
    let operators = network.operators.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
    rows.append(["operators", operators.map { "\($0.value) \($0.key)" }.joined(separator: ", ")])
    rows += network.metadata.sorted { $0.key < $1.key }.map { [$0.key, $0.value] }
    try emit(table(["of \(model)", "value"], rows.map { $0.map(\.visible) }))
    guard let readings, let image else { return }
    try emit("\nWhat it says of \(image), given in each of the usual ways:")
    try emit(
      table(
        ["--normalization", "colors", "class", "probability"],
        readings.map { [$0.normalization, $0.colors, $0.class, $0.probability.formatted(3)] }))
  }
}
