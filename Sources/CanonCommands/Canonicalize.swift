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
    try images.forEachWindow { items in
      for lot in readable(items, &failures) {
        let poses = choice.canonicalizer.planarPoses(of: lot.inputs(choice.input))
        try moveImages(lot, poses.map { O2().inverse($0.element) }, action, to: out)
        for (n, pose) in poses.enumerated() {
          let (g, image) = (pose.element, lot.images[n])
          let entry = Manifest.Entry(
            file: lot.files[n], width: image.width, height: image.height,
            quarterTurns: g.quarterTurns, residual: g.residual,
            isReflected: g.isReflected, degrees: g.angle * 180 / .pi, margin: Double(pose.margin),
            ties: pose.ties.count, isExact: g.isExact)
          try manifest.append(entry)
          if json { print(entry.jsonLine) }
        }
      }
      done += items.count
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

/// Moves images of any size by an isometry each, and writes them under the same names.
///
/// - Parameter sizes: The sizes to write, where they are not to follow from the isometries.
func moveImages(
  _ lot: Lot, _ isometries: [PlanarIsometry], _ action: ImageAction<O2>,
  sizes: [(height: Int, width: Int)]? = nil, to folder: String
) throws {
  try prepareParents(of: lot.files, in: folder)
  let results = Parallel.map(Array(lot.files.indices)) { n -> Result<Void, ImageError> in
    let image = lot.images[n]
    let moved = action.act([isometries[n]], on: image.tensor, size: sizes?[n])
    do throws(ImageError) {
      try Image(moved[0], bitDepth: image.bitDepth).write(to: "\(folder)/\(lot.files[n])")
      return .success(())
    } catch { return .failure(error) }
  }
  for result in results { try result.get() }
}

extension Interpolation: ExpressibleByArgument {}
extension BorderPolicy: ExpressibleByArgument {}
