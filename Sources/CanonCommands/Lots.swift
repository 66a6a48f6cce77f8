import Canonicalization
import Datasets
import Foundation
import Images
import Symmetry
import TensorCore

/// An image in canonical form, written, or why it could not be.
typealias Written = (entries: [Manifest.Entry], errors: [any Error])

extension InputLot {
  /// Writes the images in canonical pose, under the same names.
  ///
  /// - Returns: What a manifest says of them, and why some could not be written.
  /// - Throws: `ImageError` where nothing can be written any more.
  func writeCanonical(
    _ poses: [Pose<Motion>], _ options: PictureOptions, to folder: OutputFolder
  ) throws -> Written {
    var written: Written = ([], [])
    for (n, image) in images.enumerated() {
      let (motion, g) = (poses[n].element, poses[n].element.planarIsometry)
      let action = try options.action(for: image)
      let size = action.size(of: (image.height, image.width), movedBy: motion.inverse)
      // Numbers before and after, and samples of both.
      guard motion.isExact || image.fits(size, bytes: 16) else {
        written.errors.append(
          ImageError.tooLarge(path: names[n], width: size.width, height: size.height))
        continue
      }
      let moved = action.act(motion.inverse, on: image)
      if let error = try folder.written(moved, to: names[n]) {
        written.errors.append(error)
        continue
      }
      var color: [Double]?
      if case .color(let numbers) = action.background, !motion.isExact {
        color = numbers.map { Double($0) }
      }
      written.entries.append(
        Manifest.Entry(
          file: OutputFolder.fileName(names[n]), width: image.width, height: image.height,
          checksum: moved.checksum,
          quarterTurns: g.quarterTurns, residual: g.residual, isReflected: g.isReflected,
          map: motion.map.map { $0.matrix + $0.translation },
          degrees: g.angle * 180 / .pi, margin: Double(poses[n].margin), ties: poses[n].ties.count,
          isExact: motion.isExact, background: color))
    }
    return written
  }
}

extension Image {
  /// Whether memory is enough to move it to a size, at so many bytes a sample of the larger one.
  func fits(_ size: (height: Int, width: Int), bytes: Int) -> Bool {
    bytes * max(size.height * size.width, height * width) <= MemoryLimit.bytes / channels
  }
}

extension OutputFolder {
  /// Writes an image.
  ///
  /// - Returns: The error where it is the file's name that cannot be written, and others can.
  /// - Throws: `ImageError` where nothing can be written any more.
  func written(_ image: Image, to name: String) throws -> ImageError? {
    do { try write(image, to: name) } catch let error as ImageError where error.isOfName {
      return error
    }
    return nil
  }
}

extension ImageError {
  /// Whether it is the file's name that cannot be written, and others can.
  var isOfName: Bool {
    guard case .unwritable(_, let reason) = self else { return false }
    return unsafe reason == String(cString: strerror(ENAMETOOLONG))
  }
}
