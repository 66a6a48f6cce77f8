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

  /// Moves the images, of any size, and writes them under the same names.
  private func write(to folder: String, _ move: (Int, Tensor) -> Tensor) throws {
    try prepareParents(of: files, in: folder)
    for (n, image) in images.enumerated() {
      try Image(move(n, image.tensor)[0], bitDepth: image.bitDepth).write(
        to: "\(folder)/\(files[n])")
    }
  }

  /// Writes canonical images in the poses, and sizes, of the entries of a manifest.
  func writeRestored(
    _ entries: [Manifest.Entry], _ action: ImageAction<O2>, to folder: String
  ) throws {
    try write(to: folder) { n, image in
      let entry = entries[n]
      return entry.map == nil
        ? action.act([entry.isometry], on: image, size: (entry.height, entry.width))
        : action.restore(image, by: [entry.pose])
    }
  }

  /// Writes the images in canonical pose.
  ///
  /// - Returns: What a manifest says of them.
  func writeCanonical(
    _ poses: [ImagePose], _ action: ImageAction<O2>, to folder: String
  ) throws -> [Manifest.Entry] {
    try write(to: folder) { n, image in action.canonicalize(image, by: [poses[n]]) }
    return poses.indices.map { n in
      let g = poses[n].element
      return Manifest.Entry(
        file: files[n], width: images[n].width, height: images[n].height,
        quarterTurns: g.quarterTurns, residual: g.residual, isReflected: g.isReflected,
        map: poses[n].map.map { $0.matrix + $0.translation },
        degrees: g.angle * 180 / .pi, margin: Double(poses[n].margin), ties: poses[n].ties.count,
        isExact: g.isExact && poses[n].map == nil)
    }
  }
}
