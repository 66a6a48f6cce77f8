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
    commandName: "inspect",
    abstract: "Draws a contact sheet: images in several poses above their canonical forms.",
    discussion: """
      Each image takes two rows: above, as it came and turned by further angles; below, the \
      canonical form of each. All of the lower row should look alike. A green frame marks a form \
      close to the first one's, an orange frame one that is not. What undoes poses within a window alone is shown such poses. An image-valued model adds a third \
      row: its outputs, in the poses that the images came in.

      EXAMPLES
        canon inspect runs/c8 my-images --out sheet.png
        canon inspect pca my-images --out sheet.png --images 4 --poses 12
      """)

  @Argument(
    help:
      "A model (a file, a folder of `canon train`, or pages or photos, which come with canon), or a canonicalizer that needs no training: a name or {kind: …} (see `canon components`)."
  )
  var canonicalizer: String

  @Argument(help: "A folder of images, one file, a .safetensors file, or the word test.")
  var folder: String

  @Option(help: "The PNG file to write.")
  var out: String

  @Option(help: "How many images are shown.")
  var images = 8

  @Option(help: "In how many poses each is shown.")
  var poses = 8

  @Option(help: "The side of a cell, in pixels.")
  var cell = 56

  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard ImageCodecs.isImage(out) else {
      throw ValidationError(
        "--out must name an image file that can be written, like sheet.png, not \(out).")
    }
    guard (16...512).contains(cell) else {
      throw ValidationError("--cell must be from 16 to 512, not \(cell).")
    }
    guard (1...64).contains(images), (1...64).contains(poses) else {
      throw ValidationError("--images and --poses must be from 1 to 64.")
    }
  }

  func run() throws {
    common.apply()
    let choice = try CanonicalizerChoice(canonicalizer)
    let domain = choice.domain
    let all = try choice.loaded?.source(folder, limit: 64) ?? domain.open(folder)
    // Evenly from the whole, so that a folder sorted by class shows several.
    let count = min(images, all.names.count)
    let some = all.selecting((0..<count).map { $0 * all.names.count / count })
    try refuse(out, overwriting: folder, canonicalizer)
    try refuse(out, amongInputs: folder)
    let shown = (choice.loaded?.model).flatMap { $0.task.presentation == .images ? $0 : nil }
    let rows = shown == nil ? 2 : 3
    let motions = shownMotions(choice)
    var sheet = ContactSheet(rows: rows * count, columns: poses, cell: cell)
    var (failures, row) = (Failures(domain.noun), 0)
    var names: [String] = []
    try some.forEachLot({ $0 }) { lot in
      failures.report(lot.errors)
      names += lot.names
      for n in lot.names.indices {
        let copies = Tensor.concatenated(
          [Tensor](repeating: lot.inputs.sliced(n..<n + 1), count: poses))
        let moved = domain.inputs.act(motions, on: copies)
        draw(moved, choice, shown?.predict(moved).output, on: &sheet, row: row)
        row += rows
      }
    }
    try prepareFolder(Files.parent(of: out))
    try sheet.image.write(to: out)
    try emit(
      "\(row / rows) \(domain.noun.many) in \(poses) poses, above their canonical forms: \(out)")
    // A picture has no letters: which row is whose is said beside it.
    if !common.quiet { note(names.enumerated().map { "\($0 + 1) \($1)" }.joined(separator: "\n")) }
    try failures.finish()
  }

  /// The poses in which each input is shown: as it came; images evenly around, others moved by elements of the
  /// group that the model claims.
  private func shownMotions(_ choice: CanonicalizerChoice) -> [Motion] {
    guard let model = choice.loaded?.model, !(choice.domain is ImageDomain) else {
      // Where only poses within a window are undone, those: upright first.
      if let window = choice.window {
        return (0..<poses).map { n in
          let step = Double((n + 1) / 2) / Double(max(1, poses / 2))
          return Motion(isometry: PlanarIsometry(residual: window * (n % 2 == 1 ? step : -step)))
        }
      }
      return (0..<poses).map {
        Motion(isometry: PlanarIsometry(residual: 2 * .pi * Double($0) / Double(poses)))
      }
    }
    var random = RandomStream(seed: 0, name: "inspect")
    let group = model.claims
    return [Motion()] + (1..<poses).map { _ in group.sample(using: &random) }
  }

  /// Draws the rows of one input.
  private func draw(
    _ moved: Tensor, _ choice: CanonicalizerChoice, _ outputs: Tensor?,
    on sheet: inout ContactSheet, row: Int
  ) {
    let domain = choice.domain
    let found = choice.poses(moved).map(\.element.inverse)
    let forms = domain.inputs.act(found, on: moved)
    // Of a white page little is ink: what differs is compared with what is not its ground.
    let ground = forms[0].mean().scalar
    let contrast = max(
      1e-6,
      min(forms[0].absolute().mean().scalar, (forms[0] - ground).absolute().mean().scalar))
    for n in 0..<poses {
      let difference = (forms[n] - forms[0]).absolute().mean().scalar
      let isClose = difference < 0.35 * contrast
      sheet.place(domain.picture(of: moved[n]), row: row, column: n)
      sheet.place(
        domain.picture(of: forms[n]), row: row + 1, column: n,
        frame: isClose ? (0.25, 0.75, 0.35) : (0.95, 0.55, 0.1))
      if let outputs { sheet.place(Image(outputs[n]), row: row + 2, column: n) }
    }
  }
}
