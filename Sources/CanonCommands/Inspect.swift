import ArgumentParser
import Canonicalization
import Datasets
import Foundation
import Images
import Symmetry
import TensorCore
import Training

struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Draws a contact sheet: images in several poses above their canonical forms.",
    discussion: """
      Each image takes two rows: above, as it came and turned by further angles; below, the
      canonical form of each. All of the lower row should look alike. A green frame marks a form
      close to the first one's, an orange frame one that is not. An image-valued model adds a third
      row: its outputs, in the poses that the images came in.

      EXAMPLES
        canon inspect runs/c8 my-images --out sheet.png
        canon inspect pca my-images --out sheet.png --images 4 --poses 12
      """)

  @Argument(help: "A model, or one of the heuristics identity, pca, pca-sign, gradient.")
  var canonicalizer: String

  @Argument(help: "A folder of PNG files, or one file.")
  var folder: String

  @Option(help: "The PNG file to write.")
  var out: String

  @Option(help: "How many images are shown.")
  var images = 8

  @Option(help: "In how many poses each is shown.")
  var poses = 8

  @OptionGroup var common: CommonOptions

  func run() throws {
    common.apply()
    guard (1...64).contains(images), (1...64).contains(poses) else {
      throw ValidationError("--images and --poses must be from 1 to 64.")
    }
    if !CanonicalizerChoice.heuristics.contains(canonicalizer),
      FileManager.default.fileExists(atPath: canonicalizer)
    {
      switch try LoadedModel(canonicalizer) {
      case .points(let model):
        return try PointSets(model, data: folder, limit: images).inspect(poses: poses, out: out)
      case .images(let model): return try inspect(CanonicalizerChoice(model))
      }
    }
    try inspect(CanonicalizerChoice(canonicalizer))
  }

  private func inspect(_ choice: CanonicalizerChoice) throws {
    let all = try ImageFolder(path: folder)
    // Evenly from the whole folder, so that a folder sorted by class shows several.
    let count = min(images, all.files.count)
    let some = ImageFolder(
      path: all.path, files: (0..<count).map { all.files[$0 * all.files.count / count] })
    let action = ImageAction(O2(), border: choice.border)
    let turns = (0..<poses).map { PlanarIsometry(residual: 2 * .pi * Double($0) / Double(poses)) }
    let rows = choice.imageModel == nil ? 2 : 3
    var sheet = ContactSheet(rows: rows * count, columns: poses)
    var (failures, row) = (Failures(), 0)
    try some.forEachLot(Lot.init) { lot in
      failures.report(lot.errors)
      let inputs = lot.inputs(choice.input)
      for n in lot.files.indices {
        let copies = [Tensor](repeating: inputs.sliced(n..<n + 1), count: poses)
        let turned = action.act(turns, on: .concatenated(copies))
        draw(turned, choice, action, on: &sheet, row: row)
        row += rows
      }
    }
    try prepareFolder(URL(fileURLWithPath: out).deletingLastPathComponent().path)
    try sheet.image.write(to: out)
    print("\(row / rows) images in \(poses) poses, above their canonical forms: \(out)")
    try failures.finish()
  }

  /// Draws the rows of one image.
  private func draw(
    _ turned: Tensor, _ choice: CanonicalizerChoice, _ action: ImageAction<O2>,
    on sheet: inout ContactSheet, row: Int
  ) {
    let forms = action.canonicalize(turned, by: choice.poses(turned))
    let outputs = choice.imageModel?.predict(turned).output
    let contrast = max(1e-6, forms[0].mean().scalar)
    for n in 0..<poses {
      let difference = (forms[n] - forms[0]).absolute().mean().scalar
      let isClose = difference < 0.35 * contrast
      sheet.place(Image(turned[n]), row: row, column: n)
      sheet.place(
        Image(forms[n]), row: row + 1, column: n,
        frame: isClose ? (0.25, 0.75, 0.35) : (0.95, 0.55, 0.1))
      if let outputs { sheet.place(Image(outputs[n]), row: row + 2, column: n) }
    }
  }
}
