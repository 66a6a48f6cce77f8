import ArgumentParser
import Datasets
import Foundation
import Images
import Settings
import TensorCore
import Training

struct Traverse: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "traverse",
    abstract: "Draws inputs moved through latent space beside the true motion.",
    discussion: """
      DATA is the word test, the test part of the model's data, or a .safetensors file with inputs, partner and \
      element. Of each pair three pictures stand above each other: the input, its partner, which is the true motion, and \
      what the latent space makes of it. An autoencoder draws that; of an encoder alone it is the picture whose code is nearest, \
      among all partners. Its frame is green where it is the true one, to a third of how much the pictures vary, else orange. Of a \
      variational autoencoder DATA needs inputs alone: each row is the first input as one number of its code goes from -2 to 2, for \
      every number whose posterior means vary by more than 0.01 over DATA.

      EXAMPLES
        canon traverse runs/polygons test --out moved.png
        canon traverse runs/sprites test --out moved.png --pairs 20
      """)

  @Argument(help: "A model of kind class-pose, operators or variational.")
  var model: String

  @Argument(help: "The word test, or a .safetensors file of pairs.")
  var data: String

  @Option(help: "The picture to write, a PNG file.")
  var out: String

  @Option(help: "How many pairs, or values of a number, are shown.")
  var pairs = 12

  @Option(help: "Side of a picture on the sheet, in pixels.")
  var cell = 64

  @OptionGroup var common: CommonOptions

  func validate() throws {
    try requireFlag("--pairs", pairs, atLeast: 1)
    guard pairs <= 200 else { throw ValidationError("--pairs must be at most 200.") }
    guard (8...512).contains(cell) else {
      throw ValidationError("--cell must be from 8 to 512.")
    }
  }

  func run() throws {
    common.apply()
    let file = try ModelFile(path: model, catalog: Canon.catalog)
    let loaded = try file.model()
    if let made = loaded as? any CodeTraversableModel { return try traverse(made, file) }
    guard let made = loaded as? any TraversableModel else {
      throw CommandError(
        "\(model) is no model of kind class-pose, operators or variational, whose codes are moved and drawn; `canon evaluate` measures others, and "
          + "`canon inspect` shows canonical forms where they are inputs.")
    }
    let examples = try pairsOf(data, file, made)
    guard let partners = examples["partner"] else { return }
    try refuse(out, overwriting: data, model)
    try refuse(out, amongInputs: data)
    let count = min(pairs, examples.count)
    let shown = made.traversed(examples, count: count)
    guard shown.isFinite else {
      throw CommandError(
        "What \(model) makes of \(data) is no number: its weights, or the data, are not usable.")
    }
    var sheet = ContactSheet(rows: 3, columns: count, cell: cell)
    let scatter = (partners - partners.mean([0], keepingAxes: true)).absolute().mean().scalar
    var close = 0
    for n in 0..<count {
      let difference = (shown[n] - partners[n]).absolute().mean().scalar
      let isClose = difference < scatter / 3
      close += isClose ? 1 : 0
      sheet.place(Image(examples.inputs[n]), row: 0, column: n)
      sheet.place(Image(partners[n]), row: 1, column: n)
      sheet.place(
        Image(shown[n]), row: 2, column: n,
        frame: isClose ? (0.25, 0.75, 0.35) : (0.95, 0.55, 0.1))
    }
    try prepareFolder(Files.parent(of: out))
    try sheet.image.write(to: out)
    try emit(
      "\(count) inputs, below them their partners, and in the third row what the latent space makes of them (\(close) close): \(out)"
    )
  }
}

extension Traverse {
  /// Draws the first input as its active numbers go from −2 to 2, one row each.
  private func traverse(_ made: any CodeTraversableModel, _ file: ModelFile) throws {
    let examples = try pairsOf(data, file, made)
    try refuse(out, overwriting: data, model)
    try refuse(out, amongInputs: data)
    let values = (0..<pairs).map { pairs == 1 ? 0 : 4 * Float($0) / Float(pairs - 1) - 2 }
    let rows = try made.traversal(from: examples, values: values)
    guard !rows.isEmpty else {
      throw CommandError(
        "No number of the codes of \(model) says anything of \(data): train it longer, or with a smaller 'beta'."
      )
    }
    guard rows.allSatisfy({ $0.pictures.isFinite }) else {
      throw CommandError(
        "What \(model) makes of \(data) is no number: its weights, or the data, are not usable.")
    }
    var sheet = ContactSheet(rows: rows.count, columns: pairs, cell: cell)
    for (row, shown) in rows.enumerated() {
      for column in 0..<pairs {
        sheet.place(Image(shown.pictures[column]), row: row, column: column)
      }
    }
    try prepareFolder(Files.parent(of: out))
    try sheet.image.write(to: out)
    try emit(
      "the first input as numbers \(rows.map { String($0.number) }.joined(separator: ", ")) of its code go from −2 to 2, a row each: \(out)"
    )
  }
}

/// The pairs that a path or the word `test` stands for, prepared for a model.
func pairsOf(
  _ path: String, _ file: ModelFile, _ model: any MeasuredModel
) throws -> Examples {
  let data = file.configuration.data
  let found: Examples?
  if path != "test", !path.hasSuffix(".safetensors"), let other = data.located(at: path) {
    found = try other.test(seed: UInt64(file.configuration.seed))
  } else if path != "test", model is any CodeTraversableModel, !path.hasSuffix(".safetensors") {
    // Inputs alone are asked for.
    let (examples, _, errors) = try readable(data.domain).examples(at: path, classNames: [])
    for error in errors { note("Error: \("\(error)".visible)") }
    found = examples
  } else if path != "test" {
    guard path.hasSuffix(".safetensors") else {
      throw CommandError(
        "\(path) is no .safetensors file; models of kind '\(type(of: file.configuration.model).kind)' are measured on the word test, or "
          + "on a file with inputs, partner and element.")
    }
    found = try Examples(tensorsAt: path, for: data.domain)
  } else if let split = data as? any SplitOptions {
    found = try file.testPart(split).test
  } else {
    if data is MovedImagesOptions {
      try file.refuseChanged(try file.configuration.loadData())
    }
    found = try data.test(seed: UInt64(file.configuration.seed))
  }
  guard let found else {
    throw CommandError(
      "The model's data, of kind '\(type(of: data).kind)', have no test part; name a .safetensors file of pairs."
    )
  }
  return try model.prepared(found)
}
