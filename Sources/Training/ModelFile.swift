import Autodiff
import Foundation
import Layers
import Settings
public import TensorCore

/// A model as a file holds it: weights, the configuration that they came about by, and figures.
///
/// Files of earlier formats are read through `upgraded`.
public struct ModelFile: Sendable {
  /// The format that is written.
  public static let format = "canon 3"

  public let path: String
  public let tensors: [String: Tensor]
  public let configuration: RunConfiguration
  public let classNames: [String]
  /// What is known of the model's quality.
  public let figures: [String: Double]
  /// What its training data were told by; `nil` in earlier files.
  public let fingerprint: String?

  /// Reads a file, or a folder of `canon train` with a `model.safetensors`.
  ///
  /// - Throws: `WeightsError`.
  public init(path: String, catalog: Catalog = .standard) throws(WeightsError) {
    let (content, path) = try ModelFile.content(of: path)
    guard let yaml = content.metadata["configuration"] else {
      throw WeightsError(path, "it carries no configuration of a canon model")
    }
    do {
      var configuration = try RunConfiguration(text: yaml, source: path, catalog: catalog)
      configuration.model.structure = try content.structure(path)
      self.configuration = configuration
    } catch let error as WeightsError { throw error } catch {
      throw WeightsError(path, "its configuration is wrong: \(error)")
    }
    func decode<Value: Decodable>(_ key: String, _ fallback: Value) -> Value {
      let json = content.metadata[key].map { Data($0.utf8) }
      return json.flatMap { try? JSONDecoder().decode(Value.self, from: $0) } ?? fallback
    }
    (self.path, tensors) = (path, content.tensors)
    classNames = decode("classes", [])
    figures = decode("figures", [:])
    fingerprint = content.metadata["data"]
  }

  private static let pyTorch =
    "a file of PyTorch; `torch.onnx.export` makes a network of it that `canon wrap` takes"

  /// What a file holds, in the present format, and where it is.
  static func content(of path: String) throws(WeightsError) -> (Safetensors, path: String) {
    var file = Files.isFolder(path) ? "\(path)/model.safetensors" : path
    if !FileManager.default.fileExists(atPath: file) {
      if let shipped = ShippedModels.path(of: path) { file = shipped }
    }
    if !FileManager.default.fileExists(atPath: file) {
      let isRun = FileManager.default.fileExists(atPath: "\(path)/checkpoint.safetensors")
      let known = ShippedModels.names
      let question = nearest(path, in: known).map { "; did you mean '\($0)'?" } ?? ""
      throw WeightsError(
        file,
        isRun
          ? "the run in its folder has not ended: `canon train --resume` goes on; \(path)/checkpoint.safetensors is the model as it is so far"
          : "there is no such file"
            + (known.isEmpty
              ? path.contains("/") || path.contains(".")
                ? "" : ", and there are no models beside the program, or in the folder CANON_MODELS"
              : ", and the models that come with canon are \(known.joined(separator: ", "))")
            + question)
    }
    let configuration = "a configuration: `canon train` makes a model of it"
    let foreign = [
      "onnx":
        "a network: of one that canon exported, name the model; of another `canon wrap` makes one",
      "yaml": configuration, "yml": configuration, "pt": pyTorch, "pth": pyTorch,
    ]
    if let ending = file.split(separator: ".").last, let what = foreign[ending.lowercased()] {
      throw WeightsError(unfit: file, "it is \(what)")
    }
    return (try upgraded(try Safetensors(path: file), path: file), file)
  }

  /// The model with its weights.
  ///
  /// - Throws: `WeightsError` where weights are missing, of other shapes, or not numbers.
  public func model() throws(WeightsError) -> any TrainableModel {
    let model: any TrainableModel
    do { model = try configuration.emptyModel(classNames: classNames) } catch {
      throw WeightsError(path, "its configuration is wrong: \(error)")
    }
    try model.assign(tensors, path: path)
    return model
  }

  /// The model, where it predicts.
  ///
  /// - Throws: `WeightsError`, also where it is of a family that does not.
  public func predictor() throws(WeightsError) -> any Predictor { try predictor(try model()) }

  /// The model that was made of the file, where it predicts.
  ///
  /// - Throws: `WeightsError` where it is of a family that does not.
  public func predictor(
    _ model: any TrainableModel
  ) throws(WeightsError) -> any Predictor {
    guard let predictor = model as? any Predictor else {
      let kind = type(of: configuration.model).kind
      throw WeightsError(
        unfit: path,
        kind == ClassPoseOptions.kind
          ? "a model of kind '\(kind)' finds poses and has no canonical forms: `canon predict` prints poses, `canon evaluate` measures them, and 'canonicalizer: {kind: class-pose, from: \(path), frozen: true}' in a configuration canonicalizes by them"
          : "a model of kind '\(kind)' has no canonical forms that are inputs; `canon evaluate` measures it"
      )
    }
    return predictor
  }
}

/// Reads a model that predicts: a file, or a folder of `canon train`.
///
///     let model = try loadModel("runs/my")
///     let prediction = model.predict(images)
///
/// - Throws: `WeightsError`.
public func loadModel(
  _ path: String, catalog: Catalog = .standard
) throws(WeightsError) -> any Predictor {
  try ModelFile(path: path, catalog: catalog).predictor()
}

extension Safetensors {
  /// What a model file carries beside configuration and weights.
  ///
  /// - Throws: `WeightsError` where it is damaged.
  func structure(_ path: String) throws(WeightsError) -> [UInt8]? {
    guard let text = metadata["network"] else { return nil }
    guard let bytes = Data(base64Encoded: text) else {
      throw WeightsError(path, "the network that it carries is damaged")
    }
    return Array(bytes)
  }
}

extension TrainableModel {
  /// The weights by name.
  public var tensors: [String: Tensor] {
    Dictionary(uniqueKeysWithValues: parameters.map { ($0.name, $0.parameter.value) })
  }

  /// The tensors and texts that a model file holds.
  public func safetensors(
    _ configuration: RunConfiguration, classNames: [String], figures: [String: Double] = [:],
    fingerprint: String? = nil
  ) -> Safetensors {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    func json(_ value: some Encodable) -> String {
      (try? encoder.encode(value)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
    var metadata = [
      "format": ModelFile.format, "configuration": configuration.yaml,
      "classes": json(classNames), "figures": json(figures.filter(\.value.isFinite)),
    ]
    metadata["data"] = fingerprint
    metadata["network"] = structure.map { Data($0).base64EncodedString() }
    return Safetensors(tensors: tensors, metadata: metadata)
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
      guard tensor.isFinite else {
        throw WeightsError(path, "'\(name)' holds values that are not numbers")
      }
      parameter.value = tensor
    }
  }
}
