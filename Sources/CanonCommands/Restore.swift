import ArgumentParser
import Datasets
import Images
import Symmetry
import TensorCore

struct Restore: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Brings canonical images back into the poses that they came in.",
    discussion: """
      Reads the manifest that `canon canonicalize` wrote. Bit for bit where the pose is a quarter
      turn or flip; other angles are interpolated, and lose what left the image at its corners.

      EXAMPLE
        canon restore canonical back
      """)

  @Argument(help: "The folder that `canon canonicalize` wrote.")
  var folder: String

  @Argument(help: "The folder to write to.")
  var out: String

  @OptionGroup var common: CommonOptions

  func run() throws {
    common.apply()
    let manifest = try Manifest(folder: folder)
    try prepareFolder(out, apartFrom: folder)
    let pixels = Pixels(
      Interpolation(rawValue: manifest.header.interpolation) ?? .bilinear,
      border: BorderPolicy(rawValue: manifest.header.border) ?? .zero)
    let entries = Dictionary(
      manifest.images.map { ($0.file, $0) }, uniquingKeysWith: { first, _ in first })
    let images = ImageDomain()
    let files = images.source(ImageFolder(path: folder, files: manifest.images.map(\.file)))
    var failures = Failures(images.noun)
    var progress = Progress(total: files.names.count, unit: "images", isQuiet: common.quiet)
    var done = 0
    try files.forEachLot { [folder, out] lot in
      let poses = lot.names.compactMap { entries[$0] }
      let areSane = zip(poses, lot.images).allSatisfy { pose, image in
        [pose.width, pose.height].sorted() == [image.width, image.height].sorted()
      }
      guard areSane else {
        throw CommandError("\(folder) holds images of other sizes than its manifest says.")
      }
      try lot.writeRestored(poses, pixels, to: out)
      return (count: lot.names.count + lot.errors.count, errors: lot.errors)
    } use: { lot in
      failures.report(lot.errors)
      done += lot.count
      progress.update(done)
    }
    let exact = manifest.images.filter(\.isExact).count
    print(
      "\(done - failures.count) images restored in \(out), \(exact) of them bit for bit.")
    try failures.finish()
  }
}
