import Autodiff
import Foundation
import TensorCore

extension TrainableModel {
  /// The tensors and texts that a model file holds.
  ///
  /// - Parameter figures: What is known of the model's quality, kept beside the weights.
  public func safetensors(figures: [String: Double] = [:]) -> Safetensors {
    let tensors = Dictionary(
      uniqueKeysWithValues: parameters.map { ($0.name, $0.parameter.value) })
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    func json(_ value: some Encodable) -> String {
      (try? encoder.encode(value)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
    return Safetensors(
      tensors: tensors,
      metadata: [
        "format": "canon 1", "configuration": configuration.yaml, "classes": json(classNames),
        "figures": json(figures),
      ])
  }

  /// Sets all parameters.
  ///
  /// - Throws: `WeightsError` where one is missing, of another shape, or not a number.
  func assign(_ tensors: [String: Tensor], path: String) throws(WeightsError) {
    for (name, parameter) in parameters {
      guard let tensor = tensors[name] else { throw WeightsError(path, "'\(name)' is missing") }
      let expected = parameter.value.shape
      guard tensor.shape == expected else {
        throw WeightsError(path, "'\(name)' has shape \(tensor.shape), not \(expected)")
      }
      guard tensor.elements.allSatisfy(\.isFinite) else {
        throw WeightsError(path, "'\(name)' holds values that are not numbers")
      }
      parameter.value = tensor
    }
  }
}

extension ImageModel {
  /// Reads a model: a file, or a folder of `canon train` with a `model.safetensors`.
  ///
  /// - Returns: The model, and the figures kept with it.
  /// - Throws: `WeightsError`.
  public static func load(
    _ path: String
  ) throws(WeightsError) -> (model: ImageModel, figures: [String: Double]) {
    var isFolder: ObjCBool = false
    _ = unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
    let file = isFolder.boolValue ? "\(path)/model.safetensors" : path
    let content = try Safetensors(path: file)
    guard let yaml = content.metadata["configuration"] else {
      throw WeightsError(file, "it carries no configuration of a canon model")
    }
    let configuration: RunConfiguration
    do { configuration = try RunConfiguration(text: yaml, source: file) } catch {
      throw WeightsError(file, "its configuration is wrong: \(error)")
    }
    func decode<Value: Decodable>(_ key: String, _ fallback: Value) -> Value {
      let json = content.metadata[key].map { Data($0.utf8) }
      return json.flatMap { try? JSONDecoder().decode(Value.self, from: $0) } ?? fallback
    }
    let model = ImageModel(configuration, classNames: decode("classes", []))
    try model.assign(content.tensors, path: file)
    return (model, decode("figures", [:]))
  }
}
