import Canonicalization
import Datasets
import Images
import Symmetry
import TensorCore
import Training

/// Images that were read, with their files' names.
struct Lot: Sendable {
  let files: [String]
  let images: [Image]
  /// Why others of the lot could not be read.
  let errors: [ImageError]

  init(_ items: [ImageFolder.Item]) {
    var (files, images, errors): ([String], [Image], [ImageError]) = ([], [], [])
    for item in items {
      switch item.image {
      case .success(let image):
        files.append(item.file)
        images.append(image)
      case .failure(let error): errors.append(error)
      }
    }
    (self.files, self.images, self.errors) = (files, images, errors)
  }

  /// What a model sees of them, `[count, size, size, channels]`.
  func inputs(_ input: RunConfiguration.Input) -> Tensor {
    images.isEmpty
      ? .zeros([0, input.size, input.size, input.channels])
      : .concatenated(
        Parallel.map(images) { $0.modelInput(size: input.size, channels: input.channels) })
  }

  /// Moves the images, of any size, by an isometry each, and writes them under the same names.
  ///
  /// - Parameter sizes: The sizes to write, where they are not to follow from the isometries.
  func write(
    movedBy isometries: [PlanarIsometry], _ action: ImageAction<O2>,
    sizes: [(height: Int, width: Int)]? = nil, to folder: String
  ) throws {
    try prepareParents(of: files, in: folder)
    for (n, image) in images.enumerated() {
      let moved = action.act([isometries[n]], on: image.tensor, size: sizes?[n])
      try Image(moved[0], bitDepth: image.bitDepth).write(to: "\(folder)/\(files[n])")
    }
  }

  /// Writes the images in canonical pose.
  ///
  /// - Returns: What a manifest says of them.
  func writeCanonical(
    _ poses: [Pose<PlanarIsometry>], _ action: ImageAction<O2>, to folder: String
  ) throws -> [Manifest.Entry] {
    try write(movedBy: poses.map { O2().inverse($0.element) }, action, to: folder)
    return poses.indices.map { n in
      let g = poses[n].element
      return Manifest.Entry(
        file: files[n], width: images[n].width, height: images[n].height,
        quarterTurns: g.quarterTurns, residual: g.residual, isReflected: g.isReflected,
        degrees: g.angle * 180 / .pi, margin: Double(poses[n].margin), ties: poses[n].ties.count,
        isExact: g.isExact)
    }
  }
}
