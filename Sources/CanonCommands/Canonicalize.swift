public import ArgumentParser
import Canonicalization
import Datasets
import Images
import Symmetry
public import TensorCore
import Training

struct Canonicalize: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Writes each image in its canonical pose, with a manifest of the poses.",
    discussion: """
      The pose is found at the model's input size and applied to the original, once: size, channels
      and bit depth stay (a quarter turn exchanges the sides of an image that is not square).
      `canon restore` undoes it: bit for bit where the pose is a quarter turn or flip.

      EXAMPLES
        canon canonicalize runs/c8 my-images upright
        canon canonicalize pca-sign my-images upright --border edge --interpolation bicubic
      """)

  @Argument(help: "A model, or one of the heuristics identity, pca, pca-sign, gradient.")
  var canonicalizer: String

  @Argument(help: "A folder of PNG files, or one file.")
  var folder: String

  @Argument(help: "The folder to write to.")
  var out: String

  @Option(help: "How values between pixels are made.")
  var interpolation = Interpolation.bilinear

  @Option(help: "What lies outside an image; by default the model's.")
  var border: BorderPolicy?

  @Flag(help: "Print the manifest's lines as JSON instead of a summary.")
  var json = false

  @OptionGroup var common: CommonOptions

  func run() throws {
    common.apply()
    let choice = try CanonicalizerChoice(canonicalizer)
    let images = try ImageFolder(path: folder)
    try prepareFolder(out, apartFrom: images.path)
    let action = ImageAction(O2(), interpolation: interpolation, border: border ?? choice.border)
    let manifest = try ManifestWriter(
      folder: out,
      Manifest.Header(
        canonicalizer: canonicalizer, interpolation: interpolation.rawValue,
        border: action.border.rawValue))
    var failures = Failures()
    var progress = Progress(total: images.files.count, unit: "images", isQuiet: common.quiet)
    var done = 0
    try images.forEachLot { [out] items in
      let lot = Lot(items)
      let poses =
        lot.files.isEmpty
        ? [] : choice.poses(lot.inputs(choice.input))
      let entries = try lot.writeCanonical(poses, action, to: out)
      return (count: items.count, entries: entries, errors: lot.errors)
    } use: { lot in
      failures.report(lot.errors)
      try manifest.append(lot.entries)
      if json && !lot.entries.isEmpty { print(jsonLines(lot.entries).joined(separator: "\n")) }
      done += lot.count
      progress.update(done)
    }
    try manifest.finish()
    if !json {
      print(
        "\(manifest.count) images in canonical pose in \(out), \(manifest.ambiguous) with ties.")
    }
    try failures.finish()
  }
}

extension Interpolation: ExpressibleByArgument {}
extension BorderPolicy: ExpressibleByArgument {}
