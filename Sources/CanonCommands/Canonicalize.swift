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
        canon canonicalize runs/c8 my-images canonical
        canon canonicalize pca-sign my-images canonical --border edge --interpolation bicubic
        canon canonicalize '{kind: pca-sign, threshold: 0}' my-images canonical
      """)

  @Argument(
    help:
      "A model, or a canonicalizer that needs no training: a name or {kind: …} (see `canon components`)."
  )
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
    let source = try choice.domain.open(folder)
    guard let input = source.folder else {
      throw CommandError(
        "\(folder) holds \(choice.domain.noun.many), which have no files of their own: "
          + "`canon predict` writes their canonical forms with --canonical.")
    }
    try prepareFolder(out, apartFrom: input)
    let pixels = Pixels(interpolation, border: border ?? CanonCommands.border(of: choice.domain))
    let manifest = try ManifestWriter(
      folder: out,
      Manifest.Header(
        canonicalizer: canonicalizer, interpolation: interpolation.rawValue,
        border: pixels.border.rawValue))
    var failures = Failures(choice.domain.noun)
    var progress = Progress(
      total: source.names.count, unit: choice.domain.noun.many, isQuiet: common.quiet)
    var done = 0
    try source.forEachLot { [out] lot in
      let poses = lot.names.isEmpty ? [] : choice.poses(lot.inputs)
      let entries = try lot.writeCanonical(poses, pixels, to: out)
      return (count: lot.names.count + lot.errors.count, entries: entries, errors: lot.errors)
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
