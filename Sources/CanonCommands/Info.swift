import ArgumentParser
import Datasets
import Settings
import TensorCore
import Training

struct Info: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "info",
    abstract: "Says what a model is: architecture, group, parameters, training figures.",
    discussion: """
      EXAMPLES
        canon info runs/c8
        canon info model.safetensors --json
        canon info resnet18.onnx
        canon info resnet18.onnx --image cat.jpg --classes names.txt
        canon info digits.onnx --image 7.png --mean 0.1307 --deviation 0.3081
      """)

  @Argument(
    help:
      "A model: a .safetensors file, a folder of `canon train`, one that comes with canon (pages, photos), or a network, an .onnx file."
  )
  var model: String

  @Option(
    help: "Of a network: an image, to see what it says of it for each way to give it its pixels.")
  var image: String?

  @Option(
    help: ArgumentHelp(
      "Of a network: a mean to try, of all channels or each, beside the usual ones.",
      valueName: "r,g,b"))
  var mean: String?

  @Option(help: ArgumentHelp("Of a network: a deviation to try with it.", valueName: "r,g,b"))
  var deviation: String?

  @Option(help: "Of a network: the side of its images, where its file leaves it free.")
  var size: Int?

  @Option(help: "Of a network: a file with the name of a class on each line, in its order.")
  var classes: String?

  @Flag(help: "Print JSON instead of a table.")
  var json = false

  @OptionGroup var common: CommonOptions

  private struct Report: Encodable {
    var configuration: SettingsValue
    var classes: [String]
    var canonicalizerParameters, backboneParameters, parameters: Int
    var figures: [String: Double]
  }

  func validate() throws {
    try requireFlag("--size", size, atLeast: 8)
    if image == nil, classes != nil || size != nil || mean != nil || deviation != nil {
      throw ValidationError(
        "--classes, --size, --mean and --deviation are for --image, which is missing.")
    }
    try ImportedNetwork.requireBoth(mean, deviation)
    if image != nil, !isNetwork {
      throw ValidationError("--image is for a network, an .onnx file, and \(model) is none.")
    }
  }

  private var isNetwork: Bool { model.lowercased().hasSuffix(".onnx") }

  func run() throws {
    common.apply()
    if isNetwork { return try describeNetwork() }
    let file = try ModelFile(path: self.model, catalog: Canon.catalog)
    let model = try file.model()
    let report = Report(
      configuration: file.configuration.resolved, classes: file.classNames,
      canonicalizerParameters: model.trainableCount("canonicalizer."),
      backboneParameters: model.trainableCount("backbone."), parameters: model.trainableCount(),
      figures: file.figures)
    if json { return try emit(report.jsonLine) }
    var rows = [["name", file.configuration.name]]
    // One that was wrapped learned from nothing.
    let isWrapped = (file.configuration.data as? FolderOptions)?.path.isEmpty == true
    for key in (isWrapped ? [] : ["data"]) + ["model", "canonicalizer", "backbone"] {
      if let value = report.configuration[key] { rows += lines(key, value) }
    }
    rows += model.summary.map { [$0.name, $0.value] }
    rows += [
      ["parameters", "\(report.parameters)"],
      ["classes", Self.list(file.classNames)],
    ]
    if !isWrapped {
      rows += [
        ["seed", "\(file.configuration.seed)"],
        ["epochs", "\(file.configuration.training.epochs)"],
      ]
    }
    rows += file.figures.sorted { $0.key < $1.key }.map { [$0.key, $0.value.formatted(5)] }
    let width = rows.map { $0[0].count }.max() ?? 0
    for row in rows {
      try emit(row[0] + String(repeating: " ", count: width - row[0].count + 2) + row[1].visible)
    }
  }

  /// Some of many classes.
  private static func list(_ names: [String]) -> String {
    guard names.count > 24 else { return names.isEmpty ? "–" : names.joined(separator: ", ") }
    return
      "\(names.count): \(names.prefix(10).joined(separator: ", ")), …, \(names[names.count - 1])"
  }

  /// A section as its kind and the keys behind it; each step of a list on a line of its own.
  private func lines(_ key: String, _ value: SettingsValue) -> [[String]] {
    switch value {
    case .list(let steps):
      return steps.enumerated().flatMap { lines($0 == 0 ? key : "", $1) }
    case .mapping(let entries):
      let rest = entries.dropFirst().filter {
        !["path", "from"].contains($0.key) || !$0.value.text.isEmpty
      }
      let keys = rest.map { "\($0.key) \($0.value.text)" }.joined(separator: ", ")
      return [[key, (entries.first?.value.text ?? "") + (keys.isEmpty ? "" : ": \(keys)")]]
    default: return [[key, value.text]]
    }
  }
}
