import ArgumentParser
import Autodiff
import Layers
import TensorCore
import Training

struct Info: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Says what a model is: architecture, group, parameters, training figures.",
    discussion: """
      EXAMPLES
        canon info runs/c8
        canon info model.safetensors --json
      """)

  @Argument(help: "A model: a .safetensors file, or a folder of `canon train`.")
  var model: String

  @Flag(help: "Print JSON instead of a table.")
  var json = false

  private struct Report: Codable {
    var configuration: RunConfiguration
    var classes: [String]
    var canonicalizerParameters, backboneParameters: Int
    var figures: [String: Double]
  }

  func run() throws {
    let (model, figures) = try loadModel(self.model)
    let settings = model.configuration
    func count(_ prefix: String) -> Int {
      model.parameters.filter { $0.name.hasPrefix(prefix) && $0.parameter.isTrainable }
        .map(\.parameter.value.shape.count).reduce(0, +)
    }
    let report = Report(
      configuration: settings, classes: model.classNames,
      canonicalizerParameters: count("canonicalizer."), backboneParameters: count("backbone."),
      figures: figures)
    if json { return print(report.jsonLine) }
    let c = settings.canonicalizer
    let pose =
      switch c.kind {
      case .learned:
        "\(c.group), kernel \(c.kernel), \(c.layers) layer(s) of \(c.channels) channel(s)"
      case .steerable: "\(c.group), steerable of width \(c.channels)"
      case .orbit: "\(c.group), orbit scored by a network of width \(c.channels)"
      case .frame:
        "\(c.group), frame of vector neurons of width \(c.channels), order \(c.order.rawValue)"
      default:
        settings.data.kind.dimension == nil
          ? c.kind.rawValue : "\(c.group), \(c.kind.rawValue), order \(c.order.rawValue)"
      }
    var rows = [
      ["name", settings.name],
      ["task", settings.data.task.rawValue],
      [
        "input",
        settings.data.kind.dimension.map { "\(settings.data.points) points in \($0) dimensions" }
          ?? "\(settings.input.size) × \(settings.input.size) × \(settings.input.channels)",
      ],
      ["canonicalizer", pose + (c.frozen ? ", frozen" : "")],
      ["  its parameters", "\(report.canonicalizerParameters)"],
      ["backbone", settings.backbone.kind.rawValue],
      ["  its parameters", "\(report.backboneParameters)"],
      ["classes", model.classNames.isEmpty ? "–" : model.classNames.joined(separator: ", ")],
      ["seed", "\(settings.seed)"],
      ["epochs", "\(settings.training.epochs)"],
    ]
    rows += figures.sorted { $0.key < $1.key }.map { [$0.key, $0.value.formatted(5)] }
    print(table(["", settings.name], rows))
  }
}
