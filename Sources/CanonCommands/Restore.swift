import ArgumentParser
import Datasets
import Images
import Symmetry
import TensorCore

struct Restore: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore",
    abstract: "Brings canonical images back into the poses that they came in.",
    discussion: """
      Reads the manifest that `canon canonicalize` wrote. Bit for bit where the pose is a quarter \
      turn or flip; other angles are interpolated, and what a canvas of crop or keep has cut off stays away. An image \
      that is not the one that the manifest describes is named, and left out.

      EXAMPLE
        canon restore canonical back
      """)

  @Argument(help: "The folder, or tar archive, that `canon canonicalize` wrote.")
  var folder: String

  @Argument(help: "The folder, or tar archive, to write to.")
  var out: String

  @OptionGroup var common: CommonOptions

  func run() throws {
    common.apply()
    let manifest = try Manifest(folder: folder)
    let images = ImageDomain()
    let files = ImageFolder(path: folder, files: manifest.images.map(\.file))
    let place = try OutputFolder(
      out, apartFrom: folder, images.source(files), pages: manifest.pages)
    let entries = Dictionary(
      uniqueKeysWithValues: manifest.images.map { (Array($0.file.utf8), $0) })
    Interruption.watch()
    var failures = Failures(images.noun)
    var progress = Progress(total: files.files.count, unit: "images", isQuiet: common.quiet)
    var (done, exact) = (0, 0)
    try files.forEachLot { items in
      var (isExact, errors): ([Bool], [any Error]) = ([], [])
      for item in items {
        do {
          guard let entry = entries[Array(item.file.utf8)] else { continue }
          let image = try item.image.get()
          try manifest.check(image, is: entry)
          if entry.isUnsure == true, try place.copy("\(folder)/\(item.file)", to: item.file) {
            isExact.append(true)
            continue
          }
          let restored = try manifest.restored(image, entry)
          let isTurned = try Rearrangement(entry.motion).map {
            try place.turn(
              "\(folder)/\(item.file)", by: $0, trims: false, to: item.file, like: restored) != nil
          }
          if isTurned != true { try place.write(restored, to: item.file) }
          isExact.append(entry.motion.isExact && entry.isExact)
        } catch let error as ImageError {
          guard error.isOfOne else { throw error }
          errors.append(error)
        }
      }
      return (isExact, errors)
    } use: { lot in
      failures.report(lot.1)
      done += lot.0.count
      exact += lot.0.count { $0 }
      progress.update(done + failures.count)
      try Interruption.check(
        "\(done) of \(files.files.count) images are restored; run it again for all.")
    }
    try place.finish()
    try emit(
      "\(done) \(done == 1 ? "image" : "images") restored in \(out), \(exact) of them bit for bit.")
    try failures.finish()
  }
}

extension Manifest {
  /// The files of several pages of which all are here, by name, with the names of these.
  fileprivate var pages: [[UInt8]: [String]] {
    let pages = images.filter { $0.pages != nil && $0.file.contains("/") }
    return Dictionary(grouping: pages) { Array(Files.parent(of: $0.file).utf8) }
      .filter { $0.value.count == $0.value[0].pages }.mapValues { $0.map(\.file) }
  }

  /// How images are moved.
  private func action(_ entry: Entry) -> PictureAction {
    let background: Background =
      switch header.background {
      case "edge": .edge
      case "reflect": .reflect
      default: .color((entry.background ?? []).map { Float($0) })
      }
    return PictureAction(
      Interpolation(rawValue: header.interpolation) ?? .bilinear,
      canvas: header.canvas.flatMap(Canvas.init) ?? .keep, background: background)
  }

  /// - Throws: `ImageError` where an image is not the one that an entry describes.
  fileprivate func check(_ image: Image, is entry: Entry) throws(ImageError) {
    let moved = action(entry).size(
      of: (height: entry.height, width: entry.width), movedBy: entry.motion.inverse)
    guard image.width == moved.width, image.height == moved.height else {
      throw .unreadable(
        path: entry.file,
        reason:
          "it is of \(image.width) × \(image.height) pixels, and the manifest describes one of "
          + "\(moved.width) × \(moved.height)")
    }
    if let checksum = entry.checksum, checksum != image.checksum {
      throw .unreadable(
        path: entry.file, reason: "it is not the image that the manifest describes, by its checksum"
      )
    }
  }

  /// An image that an entry describes, brought back into the pose that it came in.
  ///
  /// - Throws: `ImageError` where memory is not enough.
  fileprivate func restored(_ image: Image, _ entry: Entry) throws(ImageError) -> Image {
    let size = (height: entry.height, width: entry.width)
    // Corrections are more numbers at once.
    guard entry.motion.isExact || image.fits(size, bytes: 32) else {
      throw .tooLarge(path: entry.file, width: size.width, height: size.height)
    }
    return action(entry).undo(entry.motion.inverse, on: image, size: size)
  }
}
