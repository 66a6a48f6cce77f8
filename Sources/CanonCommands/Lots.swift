import Canonicalization
import Datasets
import Images
import Symmetry
import TensorCore

extension InputLot {
  /// Moves the images, of any size, and writes them under the same names.
  private func write(to folder: String, _ move: (Int, Tensor) -> Tensor) throws {
    try prepareParents(of: names, in: folder)
    for (n, image) in images.enumerated() {
      try Image(move(n, image.tensor)[0], bitDepth: image.bitDepth).write(
        to: "\(folder)/\(names[n])")
    }
  }

  /// Writes canonical images in the poses, and sizes, of the entries of a manifest.
  func writeRestored(_ entries: [Manifest.Entry], _ pixels: Pixels, to folder: String) throws {
    let action = ImageAction(O2(), interpolation: pixels.interpolation, border: pixels.border)
    try write(to: folder) { n, image in
      let entry = entries[n]
      return entry.map == nil
        ? action.act([entry.isometry], on: image, size: (entry.height, entry.width))
        : pixels.act([entry.motion], on: image)
    }
  }

  /// Writes the images in canonical pose.
  ///
  /// - Returns: What a manifest says of them.
  func writeCanonical(
    _ poses: [Pose<Motion>], _ pixels: Pixels, to folder: String
  ) throws -> [Manifest.Entry] {
    try write(to: folder) { n, image in pixels.act([poses[n].element.inverse], on: image) }
    return poses.indices.map { n in
      let (motion, g) = (poses[n].element, poses[n].element.planarIsometry)
      return Manifest.Entry(
        file: names[n], width: images[n].width, height: images[n].height,
        quarterTurns: g.quarterTurns, residual: g.residual, isReflected: g.isReflected,
        map: motion.map.map { $0.matrix + $0.translation },
        degrees: g.angle * 180 / .pi, margin: Double(poses[n].margin), ties: poses[n].ties.count,
        isExact: motion.isExact)
    }
  }
}
