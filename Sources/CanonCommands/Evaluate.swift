import ArgumentParser
import Canonicalization
import Layers
import Symmetry
import TensorCore
import Training

struct Evaluate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measures accuracy, calibration and invariance over the orbit.",
    discussion: """
      DATA is a folder with one subfolder of PNG files per class, or the folder of MNIST's IDX files
      (then the 50,000 test digits: rotated, or upright for a model that was trained so). Every image is
      also turned: by quarter turns, exactly, and by --angles other angles, interpolated; the two are
      reported apart.

      EXAMPLES
        canon evaluate runs/c8 Benchmarks/Data
        canon evaluate runs/mine photos --json
        canon evaluate runs/particles test
      """)

  @Argument(help: "A model: a .safetensors file, or a folder of `canon train`.")
  var model: String

  @Argument(help: "The data.")
  var data: String

  @Option(help: "Use the first so many examples only.")
  var limit: Int?

  @Option(help: "How many angles between quarter turns are tried.")
  var angles = 3

  @Flag(help: "Print JSON instead of a table.")
  var json = false

  @OptionGroup var common: CommonOptions

  private struct Report: Codable {
    var count: Int
    var quality: Quality
    /// The fraction of examples whose output is the same for all four quarter turns.
    var sameOverQuarterTurns: Double
    /// The fraction, of examples and angles, whose class is that of the example itself.
    var sameOverOtherAngles: Double
    /// The quality averaged over the other angles.
    var errorOverOtherAngles: Double?
  }

  func validate() throws {
    try requireFlag("--limit", limit, atLeast: 1)
    try requireFlag("--angles", angles, atLeast: 0)
  }

  func run() throws {
    common.apply()
    switch try LoadedModel(self.model) {
    case .points(let model):
      try PointSets(model, data: data, limit: limit).evaluate(json: json)
    case .images(let model): try evaluate(model)
    }
  }

  private func evaluate(_ model: ImageModel) throws {
    guard model.configuration.data.task == .classify else {
      throw CommandError("\(self.model) makes images; use `canon verify` for it.")
    }
    let examples = try EvaluationData(data, for: model, limit: limit, needsTargets: true).examples
    let turns = (1..<4).map { PlanarIsometry(quarterTurns: $0) }
    let others = (0..<angles).map {
      PlanarIsometry(residual: 2 * .pi * (Double($0) + 0.5) / Double(max(1, angles)) + 0.1)
    }
    var (meter, turned) = (QualityMeter(), QualityMeter())
    var (sameTurns, sameOthers, done) = (0, 0, 0)
    var progress = Progress(total: examples.count, unit: "images", isQuiet: common.quiet)
    model.forEachBatch(of: examples.inputs) { range, prediction in
      let labels = Array(examples.labels[range])
      let images = examples.inputs.sliced(range)
      meter.add(probabilities: prediction.output, labels: labels)
      let classes = prediction.output.largestColumn()
      func outcome(under g: PlanarIsometry) -> (classes: [Int], output: Tensor) {
        let output = model.predict(
          model.action.act([PlanarIsometry](repeating: g, count: range.count), on: images)
        ).output
        return (output.largestColumn(), output)
      }
      let byTurn = turns.map { outcome(under: $0).classes }
      sameTurns += classes.indices.filter { n in byTurn.allSatisfy { $0[n] == classes[n] } }.count
      for g in others {
        let (found, output) = outcome(under: g)
        turned.add(probabilities: output, labels: labels)
        sameOthers += zip(found, classes).filter { $0 == $1 }.count
      }
      done += range.count
      progress.update(done)
    }
    let report = Report(
      count: examples.count, quality: meter.quality,
      sameOverQuarterTurns: Double(sameTurns) / Double(examples.count),
      sameOverOtherAngles: Double(sameOthers) / Double(max(1, examples.count * others.count)),
      errorOverOtherAngles: others.isEmpty ? nil : turned.quality.error)
    if json { return print(report.jsonLine) }
    func percent(_ value: Double?) -> String { value.map { ($0 * 100).formatted(3) + " %" } ?? "–" }
    print(
      table(
        ["figure", "value"],
        [
          ["images", "\(report.count)"],
          ["test error", percent(report.quality.error)],
          ["cross entropy", report.quality.loss.formatted(4)],
          ["calibration error (ECE)", percent(report.quality.calibrationError)],
          ["same class for all quarter turns", percent(report.sameOverQuarterTurns)],
          ["same class at other angles", percent(report.sameOverOtherAngles)],
          ["error at other angles", percent(report.errorOverOtherAngles)],
        ]))
  }
}
