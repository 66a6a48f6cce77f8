import Datasets
import Foundation
import Images
import Layers
import TensorCore
import Training

/// The data that a model is evaluated on: MNIST's folder (its rotated test part), or PNG files.
struct EvaluationData {
  let examples: Examples
  let names: [String]

  /// - Throws: `DatasetError`, `ImageError` or `CommandError`.
  init(
    _ path: String, for model: ImageModel, limit: Int?, needsTargets: Bool, isUpright: Bool = false
  ) throws {
    var configuration = model.configuration
    configuration.data.path = path
    let manager = FileManager.default
    let isMNIST = ["", ".gz"].contains {
      manager.fileExists(atPath: "\(path)/train-images-idx3-ubyte\($0)")
    }
    if isMNIST {
      if configuration.data.kind != .uprightMNIST {
        configuration.data.kind = isUpright ? .uprightMNIST : .rotatedMNIST
      }
      guard let test = try TrainingData.test(configuration) else {
        throw CommandError("\(path) has no test part.")
      }
      examples = test.selecting(0..<min(limit ?? test.count, test.count))
      names = (0..<examples.count).map { "digit \($0)" }
      return
    }
    let folder = try ImageFolder(path: path)
    let files = Array(folder.files.prefix(limit ?? folder.files.count))
    let input = configuration.input
    let images = try files.map {
      try Image(path: "\(folder.path)/\($0)").modelInput(size: input.size, channels: input.channels)
    }
    let inputs = Tensor.concatenated(images)
    names = files
    guard needsTargets else {
      examples = Examples(inputs: inputs, targets: inputs)
      return
    }
    let labels = try files.map { file -> Int in
      let name = ImageFolder.className(of: file) ?? ""
      guard let label = model.classNames.firstIndex(of: name) else {
        throw CommandError(
          "\(path)/\(file): '\(name)' is none of the model's classes "
            + "\(model.classNames.joined(separator: ", ")); put images into a subfolder per class.")
      }
      return label
    }
    examples = Examples(
      inputs: inputs, targets: .oneHot(labels, classes: model.classNames.count), labels: labels)
  }
}
