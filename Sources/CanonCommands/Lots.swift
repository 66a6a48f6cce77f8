import Canonicalization
import Datasets
import Foundation
import Images
import Symmetry
import TensorCore

/// Images in canonical form, written, or why they could not be; of how many pixels at the sides are cut off, and how many are
/// JPEG files that were written anew.
typealias Written = (items: [ManifestWriter.Item], errors: [any Error], trimmed: Int, lossy: Int)

extension InputLot {
  /// A line of JSON for each input that could not be read, by the name that was given.
  ///
  /// `noun`: What inputs are called there.
  func errorLines(in folder: String, of source: any InputSource, _ noun: String) -> [String] {
    jsonLines(
      errors.map { error in
        let isBelow = error.path.hasPrefix("\(folder)/")
        let name =
          isBelow ? source.label(of: String(error.path.dropFirst(folder.count + 1))) : error.path
        return [noun: name, "error": "\(error)"]
      })
  }

  /// Writes the images in canonical pose, under the same names.
  ///
  /// A JPEG file that is turned by quarters or flipped stays one: its coefficients are moved. What is unsure stays the file that it was.
  ///
  /// - Parameters:
  ///   - least: Below which margin an image is left as it is.
  ///   - source: The folder that the images were read from.
  /// - Returns: What a manifest says of them, and why some could not be written.
  /// - Throws: `ImageError` where nothing can be written any more.
  func writeCanonical(
    _ found: [Pose<Motion>], _ options: PictureOptions, least: Double? = nil, from source: String,
    to folder: OutputFolder
  ) throws -> Written {
    var written: Written = ([], [], 0, 0)
    let poses = found.map { $0.isSure(least) ? $0 : Pose(Motion(), margin: $0.margin) }
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
      let (moved, file, isKept): (Image, String, Bool)
      do {
        if !found[n].isSure(least), try folder.copy("\(source)/\(names[n])", to: names[n]) {
          (moved, file, isKept) = (image, names[n], true)
        } else if let change = Rearrangement(motion.inverse),
          let turned = try folder.turn(
            "\(source)/\(names[n])", by: change, trims: options.trim, to: names[n],
            like: image.rearranged(change))
        {
          (moved, file, isKept) = (turned, names[n], true)
        } else {
          (moved, file, isKept) = try folder.write(
            action.act(motion.inverse, on: image), to: names[n], jpeg: options.jpeg)
        }
      } catch let error as ImageError where error.isOfOne {
        written.errors.append(error)
        continue
      }
      // Of what restoring gives back: a JPEG file's may have been trimmed.
      let original =
        motion.isExact
        ? action.size(of: (moved.height, moved.width), movedBy: motion)
        : (height: image.height, width: image.width)
      if !isKept { written.lossy += 1 }
      if original != (image.height, image.width) { written.trimmed += 1 }
      var color: [Double]?
      if case .color(let numbers) = action.background, !motion.isExact {
        color = numbers.map { Double($0) }
      }
      let entry = Manifest.Entry(
        file: file, width: original.width, height: original.height, checksum: moved.checksum,
        quarterTurns: g.quarterTurns, residual: g.residual, isReflected: g.isReflected,
        map: motion.map.map { $0.matrix + $0.translation },
        degrees: g.angle * 180 / .pi, margin: Double(poses[n].margin), ties: poses[n].ties.count,
        isExact: isKept && motion.isExact && original == (image.height, image.width),
        background: color, pages: folder.pageCount(of: names[n]),
        isUnsure: found[n].isSure(least) ? nil : true)
      written.items.append((names[n], entry))
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
  /// - Returns: The error where it is of this image alone, and others can be written.
  /// - Throws: `ImageError` or `CommandError` where nothing can be written any more.
  func written(_ image: Image, to name: String) throws -> ImageError? {
    do { try write(image, to: name) } catch let error as ImageError where error.isOfOne {
      return error
    }
    return nil
  }

  /// Writes a file of a format that is not lossless again, turned or flipped without loss.
  ///
  /// - Parameter expected: What is to be there. Programs disagree about unusual files (segments of EXIF, inks, blocks of small
  ///   sides): what was written is read again, and does not stay where it is another picture.
  /// - Returns: The image as it is read from there; `nil` where that could not be done, and nothing was written.
  /// - Throws: `ImageError` or `CommandError`.
  func turn(
    _ source: String, by change: Rearrangement, trims: Bool, to name: String,
    like expected: @autoclosure () -> Image
  ) throws -> Image? {
    guard Self.fileName(name) != name else { return nil }
    let file = try prepared(for: name)
    guard try Image.turn(source, by: change, trims: trims, to: file) else { return nil }
    guard let turned = try? Image(path: file), turned.isPart(of: expected()) else {
      unsafe unlink(file)
      return nil
    }
    removeEarlier(Self.fileName(name))
    return turned
  }
}

extension Image {
  /// Whether it is another image, or what is left where strips at its sides were cut off, but for the rounding of colors
  /// that are enlarged before a turn or after it.
  fileprivate func isPart(of whole: Image) -> Bool {
    let (x, y) = (whole.width - width, whole.height - height)
    guard channels == whole.channels, x >= 0, y >= 0 else { return false }
    return [(0, 0), (x, 0), (0, y), (x, y)].contains { left, top in
      (0..<height).allSatisfy { row in
        let (own, other) = (row * width, (row + top) * whole.width + left)
        return (0..<width * channels).allSatisfy {
          let apart = Int(samples[own * channels + $0]) - Int(whole.samples[other * channels + $0])
          return abs(apart) <= 8
        }
      }
    }
  }
}

extension ImageError {
  /// Whether it is about one file, so that others can be written.
  var isOfOne: Bool {
    guard case .unwritable(_, let reason) = self else { return true }
    return [ENAMETOOLONG, ENOTDIR, EISDIR].contains {
      unsafe reason == String(cString: strerror($0))
    }
  }
}
