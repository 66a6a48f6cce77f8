import Autodiff
import Foundation
import Layers
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

extension TrainableModel {
  /// Gives the backbone the weights of the model that the configuration names, if it does.
  ///
  /// - Throws: `WeightsError`.
  public func loadBackbone() throws(WeightsError) {
    let path = configuration.backbone.from
    if path.isEmpty { return }
    let file = try ModelFile(path)
    for (name, parameter) in backbone.parameters {
      let tensor = file.content.tensors["backbone.\(name)"]
      guard let tensor, tensor.shape == parameter.value.shape else {
        throw WeightsError(file.path, "its backbone has no '\(name)' of \(parameter.value.shape)")
      }
      parameter.value = tensor
    }
  }
}

/// What a model file holds.
private struct ModelFile {
  let path: String
  let content: Safetensors
  let configuration: RunConfiguration
  let classNames: [String]
  let figures: [String: Double]

  /// Reads a file, or a folder of `canon train` with a `model.safetensors`.
  init(_ path: String) throws(WeightsError) {
    var isFolder: ObjCBool = false
    _ = unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
    let file = isFolder.boolValue ? "\(path)/model.safetensors" : path
    let content = try Safetensors(path: file)
    guard let yaml = content.metadata["configuration"] else {
      throw WeightsError(file, "it carries no configuration of a canon model")
    }
    do { configuration = try RunConfiguration(text: yaml, source: file) } catch {
      throw WeightsError(file, "its configuration is wrong: \(error)")
    }
    func decode<Value: Decodable>(_ key: String, _ fallback: Value) -> Value {
      let json = content.metadata[key].map { Data($0.utf8) }
      return json.flatMap { try? JSONDecoder().decode(Value.self, from: $0) } ?? fallback
    }
    (self.path, self.content) = (file, content)
    classNames = decode("classes", [])
    figures = decode("figures", [:])
  }

  func model<Model: TrainableModel>(_: Model.Type) throws(WeightsError) -> Model {
    guard (configuration.data.kind.dimension != nil) == Model.takesPoints else {
      throw WeightsError(
        path,
        Model.takesPoints
          ? "its model is for images" : "its model is for sets of points, not images")
    }
    let model = Model(configuration, classNames: classNames)
    try model.assign(content.tensors, path: path)
    return model
  }
}

extension TrainableModel {
  /// Reads a model: a file, or a folder of `canon train` with a `model.safetensors`.
  ///
  /// - Returns: The model, and the figures kept with it.
  /// - Throws: `WeightsError`.
  public static func load(
    _ path: String
  ) throws(WeightsError) -> (model: Self, figures: [String: Double]) {
    let file = try ModelFile(path)
    return (try file.model(Self.self), file.figures)
  }
}

/// Reads a model of any kind: a file, or a folder of `canon train`.
///
/// - Throws: `WeightsError`.
public func loadModel(
  _ path: String
) throws(WeightsError) -> (model: any TrainableModel, figures: [String: Double]) {
  let file = try ModelFile(path)
  let takesPoints = file.configuration.data.kind.dimension != nil
  let model: any TrainableModel =
    takesPoints ? try file.model(PointModel.self) : try file.model(ImageModel.self)
  return (model, file.figures)
}
