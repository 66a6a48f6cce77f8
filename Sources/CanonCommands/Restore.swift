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
      that is not the one that the manifest describes is named, and left out. A command that was stopped, or killed, goes on where \
      it was when it is given again.

      EXAMPLES
        canon restore canonical back
        canon restore upright.tar back.tar
        canon restore shards-upright shards-back    # archives of images
      """)

  @Argument(help: "The folder, archive, or folder of archives that `canon canonicalize` wrote.")
  var folder: String

  @Argument(help: "The folder, or tar archive, to write to.")
  var out: String

  @OptionGroup var shards: ShardOptions

  @OptionGroup var common: CommonOptions

  func run() throws {
    common.apply()
    let shard = try shards.shard()
    var failures = Failures(ImageDomain().noun)
    Interruption.watch()
    let archives = try ArchiveJob<Restored>.archives(in: folder, to: out)
    let total: Restored
    if archives.isEmpty {
      total = try restore(folder, to: out, shard: shard, &failures)
    } else {
      var job = try ArchiveJob<Restored>(
        archives, in: folder, to: out, JobDescription("restore", [:]), shard: shard)
      var unread = Failures(ImageDomain().noun)
      try job.run(isQuiet: common.quiet, &unread) { _, input, output, report, commit in
        try restore(input, to: output, &failures, report: report, commit: commit)
      }
      failures.add(unread)
      if shard.isFirst { failures.report(missing(archives)) }
      try job.finish()
      total = job.total
    }
    try emit(
      "\(total.count) \(total.count == 1 ? "image" : "images") restored in \(out), \(total.exact) of them bit for bit."
    )
    try failures.finish()
  }

  /// The archives that the folder's manifest tells of, and that are not there.
  private func missing(_ archives: [String]) -> [DatasetError] {
    var (seen, missing) = (Set(archives.map { Array($0.utf8) }), [DatasetError]())
    Manifest.forEachFile(in: folder) { file in
      if let name = Manifest.archive(of: file), seen.insert(Array(name.utf8)).inserted {
        let reason = "the manifest tells of it, and it is not there"
        missing.append(.unreadable(path: "\(folder)/\(name)", reason: reason))
      }
      return true
    }
    return missing
  }

  private struct Restored: Tally {
    var count = 0
    /// How many are what they were, bit for bit.
    var exact = 0
    var failed = 0

    mutating func add(_ other: Restored) {
      failed += other.failed
      count += other.count
      exact += other.exact
    }
  }

  /// Restores the images of one folder or archive, those that are not done yet.
  ///
  /// - Parameters:
  ///   - report: Told how many of how many are done; a bar of its own by default.
  ///   - commit: Told what was made when it is there, of an archive among others.
  private func restore(
    _ folder: String, to out: String, shard: Shard? = nil, _ failures: inout Failures,
    report: ((Int, Int) -> Void)? = nil, commit: ((Restored) throws -> Void)? = nil
  ) throws -> Restored {
    let before = failures.count
    let manifest = try Manifest(folder: folder)
    let all = manifest.images.map(\.file)
    let names = shard.map { shard in shard.places(in: all).map { all[$0] } } ?? all
    let images = ImageDomain()
    let job = JobDescription("restore", ["manifest": manifest.fingerprint])
    let place = try Refusal.of {
      try OutputFolder(
        out, apartFrom: folder, images.source(ImageFolder(path: folder, files: names)),
        pages: manifest.pages(among: names), job, shard: shard, of: all)
    }
    let entries = Dictionary(
      uniqueKeysWithValues: manifest.images.map { (Array($0.file.utf8), $0) })
    var made = Restored()
    try place.journal.forEach { _, isExact in
      made.add(Restored(count: 1, exact: isExact.elementsEqual("true".utf8) ? 1 : 0))
    }
    let failed = failures.count
    var progress = Progress(
      total: names.count, unit: "images", goingOnAt: made.count, in: out,
      isQuiet: common.quiet || report != nil)
    let left = place.journal.left.map { names[$0] }
    try ImageFolder(path: folder, files: left).forEachLot { items in
      var (done, errors): ([(name: String, file: String, isExact: Bool)], [any Error]) = ([], [])
      for item in items {
        do {
          guard let entry = entries[Array(item.file.utf8)] else { continue }
          let image = try item.image.get()
          try manifest.check(image, is: entry)
          let source = "\(folder)/\(item.file)"
          if entry.isUnsure == true, try place.copy(source, to: item.file) {
            done.append((item.file, item.file, true))
            continue
          }
          let restored = try manifest.restored(image, entry)
          let isTurned = try Rearrangement(entry.motion).map {
            try place.turn(source, by: $0, trims: false, to: item.file, like: restored) != nil
          }
          let isKept = isTurned == true
          if !isKept { try place.write(restored, to: item.file) }
          done.append(
            (
              item.file, isKept ? item.file : OutputFolder.fileName(item.file),
              entry.motion.isExact && entry.isExact
            ))
        } catch let error as ImageError {
          guard error.isOfOne else { throw error }
          errors.append(error)
        }
      }
      return (done, errors)
    } use: { lot in
      failures.report(lot.1)
      try place.journal.append(lot.0.map { ($0.name, $0.file, "\($0.isExact)") })
      made.add(Restored(count: lot.0.count, exact: lot.0.count { $0.isExact }))
      let done = made.count + failures.count - failed
      if let report { report(done, names.count) } else { progress.update(done) }
      try Interruption.check(
        "\(made.count) of \(names.count) images are restored; run it again to its end.")
    }
    made.failed = failures.count - before
    try place.finish {
    } commit: { [made] in
      try commit?(made)
    }
    return made
  }
}

extension Manifest {
  /// The files of several pages of which all are here, by name, with the names of these.
  ///
  /// - Parameter names: The files that are looked at.
  fileprivate func pages(among names: [String]) -> [[UInt8]: [String]] {
    let names = Set(names.map { Array($0.utf8) })
    let pages = images.filter {
      $0.pages != nil && $0.file.contains("/") && names.contains(Array($0.file.utf8))
    }
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
