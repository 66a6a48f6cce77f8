import Datasets
import Images
import TensorCore
import Training

/// Images that were read, with their files' names.
struct Lot {
  let files: [String]
  let images: [Image]

  /// What a model sees of them, `[count, size, size, channels]`.
  func inputs(_ input: RunConfiguration.Input) -> Tensor {
    .concatenated(
      Parallel.map(images) { $0.modelInput(size: input.size, channels: input.channels) })
  }
}

/// The images of a window that could be read, none or one lot; the others are reported.
func readable(_ items: [ImageFolder.Item], _ failures: inout Failures) -> [Lot] {
  var (files, images): ([String], [Image]) = ([], [])
  for item in items {
    switch item.image {
    case .success(let image):
      files.append(item.file)
      images.append(image)
    case .failure(let error): failures.report(error)
    }
  }
  return files.isEmpty ? [] : [Lot(files: files, images: images)]
}
