import ArgumentParser
import Canonicalization
import Foundation
import Symmetry
import TensorCore
import Training

struct Poses: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measures in which pose a model brings each class of upright images.",
    discussion: """
      DATA is a folder with one subfolder of upright PNG files per class, or the folder of MNIST's IDX
      files (then its upright test digits). For each class: the mean pose, and how far poses spread
      about it (circular standard deviation). A model that knows which way is up has the same mean for
      all classes and a small spread. With --recenter a copy of the model is written whose canonical
      forms are turned by the mean over all classes, so that they are upright; what it predicts stays.

      EXAMPLES
        canon poses runs/c64 Benchmarks/Data --limit 2000
        canon poses runs/c8 upright-photos --recenter runs/c8-upright.safetensors
      """)

  @Argument(help: "A model: a .safetensors file, or a folder of `canon train`.")
  var model: String

  @Argument(help: "Upright images.")
  var data: String

  @Option(help: "Use the first so many images only.")
  var limit: Int?

  @Option(help: "Where to write the model with upright forms.")
  var recenter: String?

  @Flag(help: "Print one line of JSON per class instead of a table.")
  var json = false

  @OptionGroup var common: CommonOptions

  private struct Line: Codable {
    var `class`: String
    var count: Int
    var meanDegrees, deviationDegrees, resultant: Double

    init(_ name: String, _ spread: PoseSpread) {
      (self.class, count, resultant) = (name, spread.count, spread.resultant)
      meanDegrees = spread.mean.angle * 180 / .pi
      deviationDegrees = spread.deviation * 180 / .pi
    }
  }

  func validate() throws { try requireFlag("--limit", limit, atLeast: 1) }

  func run() throws {
    common.apply()
    let model = try ImageModel.load(self.model).model
    guard !model.classNames.isEmpty else { throw CommandError("\(self.model) knows no classes.") }
    let examples = try EvaluationData(
      data, for: model, limit: limit, needsTargets: true, isUpright: true
    ).examples
    var found: [PlanarIsometry] = []
    model.forEachBatch(of: examples.inputs) { found += $1.poses.map(\.element) }
    let lines = model.classNames.indices.compactMap { label -> Line? in
      let own = zip(found, examples.labels).filter { $0.1 == label }.map(\.0)
      return own.isEmpty ? nil : Line(model.classNames[label], PoseSpread(own))
    }
    let all = PoseSpread(found)
    if json {
      print(jsonLines(lines + [Line("all", all)]).joined(separator: "\n"))
    } else {
      print(
        table(
          ["class", "images", "mean pose", "deviation", "resultant"],
          (lines + [Line("all", all)]).map { line in
            [
              line.class, "\(line.count)", "\(line.meanDegrees.formatted(1))°",
              "\(line.deviationDegrees.formatted(1))°", line.resultant.formatted(3),
            ]
          }))
    }
    if let recenter { try write(model, all.mean, to: recenter) }
  }

  private func write(_ model: ImageModel, _ mean: PlanarIsometry, to path: String) throws {
    guard model.configuration.canonicalizer.kind != .adaptive else {
      throw CommandError("\(self.model) has a pose for each class, and no one pose to recenter.")
    }
    let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
    try prepareFolder(folder)
    var configuration = model.configuration
    // A model that was recentered before has its poses from there.
    let turn = Double(configuration.canonicalizer.turn) + mean.angle * 180 / .pi
    configuration.canonicalizer.turn = Float(turn.remainder(dividingBy: 360))
    let upright = ImageModel(configuration, classNames: model.classNames)
    var file = model.safetensors(figures: try ImageModel.load(self.model).figures)
    file.metadata["configuration"] = upright.configuration.yaml
    try file.write(to: path)
    if !common.quiet {
      note("Forms are turned by \(configuration.canonicalizer.turn)°: \(path)")
    }
  }
}
