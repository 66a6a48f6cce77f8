import ArgumentParser
import Datasets
import Settings
import Symmetry
import TensorCore
import Training

struct Evaluate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate",
    abstract: "Measures accuracy, calibration and invariance over the orbit.",
    discussion: """
      DATA is a folder with one subfolder of images per class, a .safetensors file with inputs and targets, \
      an IDX file of images, beside that of its labels, the folder of MNIST's IDX files for a model of its digits (then the 50,000 test digits: rotated, or upright \
      for a model that was trained so; for one of kind idx the 10,000 of MNIST itself), or the word test: the test part of the model's data. Every input is also \
      moved: in ways that only move numbers (quarter turns of images, orders of sets), and in --angles other ways; \
      the two are reported apart. Of data that follow a known rule (dynamics, plume) the targets of moved states are the rule's: a \
      model is right that breaks the symmetry as they do.

      EXAMPLES
        canon evaluate runs/c8 Benchmarks/Data
        canon evaluate runs/mine photos --json
        canon evaluate runs/particles test
      """)

  @Argument(
    help:
      "A model: a .safetensors file, or a folder of `canon train`."
  )
  var model: String

  @Argument(help: "The data.")
  var data: String

  @Option(help: "Use the first so many examples only.")
  var limit: Int?

  @Option(help: "How many angles between quarter turns, or rotations of sets, are tried.")
  var angles = 3

  @Flag(help: "Print JSON instead of a table.")
  var json = false

  @OptionGroup var common: CommonOptions

  private struct Figures: Codable {
    var count: Int
    var quality: Quality
    /// The fraction of examples whose class is the same in all exact poses.
    var sameOverQuarterTurns: Double?
    /// The fraction, of examples and other poses, whose class is that of the example itself.
    var sameOverOtherAngles: Double?
    /// The quality averaged over the exact poses, and over the others.
    var qualityOverQuarterTurns, qualityOverOtherAngles: Quality?
    var errorOverOtherAngles: Double?
  }

  func validate() throws {
    try requireFlag("--limit", limit, atLeast: 1)
    try requireFlag("--angles", angles, atLeast: 0)
  }

  func run() throws {
    common.apply()
    let file = try ModelFile(path: self.model, catalog: Canon.catalog)
    let made = try file.model()
    if let model = made as? any MeasuredModel { return try measure(model, file) }
    let loaded = try LoadedModel(file, made)
    try loaded.requireOutputs()
    let model = loaded.model
    let (found, _, failures) = try loaded.examples(
      data, limit: limit, needsClasses: model.task.presentation == .classes)
    let examples = try model.prepared(found)
    noteIfLearned(from: data, loaded.file)
    let poses = loaded.domain.poses(angles)
    let isClassification = model.task.presentation == .classes
    var meters = [QualityMeter(), QualityMeter(), QualityMeter()]
    var (same, done) = ([0, 0], 0)
    var progress = Progress(
      total: examples.count, unit: loaded.domain.noun.many, isQuiet: common.quiet)
    for start in stride(from: 0, to: examples.count, by: 512) {
      let part = examples.selecting(start..<min(examples.count, start + 512))
      let plain = measure(model, part, into: &meters[0])
      var isSame = [Bool](repeating: true, count: part.count)
      for (kind, motions) in [poses.exact, poses.others].enumerated() {
        for g in motions {
          let moved = moved(part, by: g, of: model, loaded.file)
          let found = measure(model, moved, into: &meters[1 + kind])
          for n in found.indices where found[n] != plain[n] || found[n] < 0 {
            if kind == 0 { isSame[n] = false } else { same[1] -= 1 }
          }
          if kind == 1 { same[1] += part.count }
        }
      }
      same[0] += isSame.count { $0 }
      done += part.count
      progress.update(done)
    }
    func fraction(_ count: Int, _ total: Int) -> Double? {
      isClassification && total > 0 ? Double(count) / Double(total) : nil
    }
    // Moved copies of an example are no further examples: their sampling error is that of the plain ones.
    func quality(_ meter: QualityMeter) -> Quality {
      var quality = meter.quality
      (quality.errorSampling, quality.lossSampling) = (nil, nil)
      return quality
    }
    let others = poses.others.isEmpty ? nil : quality(meters[2])
    let report = Figures(
      count: examples.count, quality: meters[0].quality,
      sameOverQuarterTurns: fraction(same[0], examples.count),
      sameOverOtherAngles: fraction(same[1], examples.count * poses.others.count),
      qualityOverQuarterTurns: quality(meters[1]), qualityOverOtherAngles: others,
      errorOverOtherAngles: others?.error)
    guard report.quality.loss.isFinite else {
      throw CommandError(
        "What \(self.model) makes of \(data) is no number, or its squares are beyond one: its weights are not usable."
      )
    }
    if json {
      try emit(report.jsonLine)
      return try failures.finish()
    }
    func percent(_ value: Double?) -> String? { value.map { ($0 * 100).formatted(3) + " %" } }
    func plusMinus(_ value: String?, _ sampling: String?) -> String? {
      value.map { $0 + (sampling.map { " ± \($0)" } ?? "") }
    }
    let isEntropy = model.task is ClassificationTask
    let loss = isEntropy ? "cross entropy" : "mean squared error"
    let rows: [(String, String?)] = [
      (loaded.domain.noun.many, "\(report.count)"),
      (
        "test error ± its sampling error",
        plusMinus(percent(report.quality.error), percent(report.quality.errorSampling))
      ),
      (
        report.quality.lossSampling == nil ? loss : "\(loss) ± its sampling error",
        plusMinus(
          report.quality.loss.formatted(isEntropy ? 4 : 5),
          report.quality.lossSampling?.formatted(5))
      ),
      ("calibration error (ECE)", percent(report.quality.calibrationError)),
      ("same class for all \(poses.words.exact)", percent(report.sameOverQuarterTurns)),
      ("same class at \(poses.words.others)", percent(report.sameOverOtherAngles)),
      ("error at \(poses.words.others)", percent(others?.error)),
      (
        "\(loss) for \(poses.words.exact)",
        isClassification ? nil : meters[1].quality.loss.formatted(5)
      ),
      ("\(loss) at \(poses.words.others)", isClassification ? nil : others?.loss.formatted(5)),
    ]
    try emit(
      table(["figure", "value"], rows.compactMap { name, value in value.map { [name, $0] } }))
    try failures.finish()
  }

  /// Examples moved together.
  ///
  /// What a rule that is known makes of moved states is their target: it need not be the moved one.
  private func moved(
    _ part: Examples, by g: Motion, of model: any Predictor, _ file: ModelFile
  ) -> Examples {
    let moved = model.moved(part, by: [Motion](repeating: g, count: part.count))
    guard data == "test", let ruled = file.configuration.data as? any RuledOptions else {
      return moved
    }
    return Examples(
      inputs: moved.inputs, ["targets": ruled.next(moved.inputs) - moved.inputs])
  }

  /// Says so where the data are those that the model has learned from.
  private func noteIfLearned(from data: String, _ file: ModelFile) {
    let kind = file.configuration.data
    guard !common.quiet, data != "test", kind is any SplitOptions || kind is MovedImagesOptions,
      let own = file.configuration.resolved["data"]?["path"]?.text, Place(own) == Place(data)
    else { return }
    note(
      "Note: the model was trained on a part of these; `canon evaluate MODEL test` measures on what was held out."
    )
  }

  /// Measures a model that says itself what is to be measured.
  private func measure(_ model: any MeasuredModel, _ file: ModelFile) throws {
    noteIfLearned(from: data, file)
    let all = try pairsOf(data, file, model)
    let examples = limit.map(all.prefix) ?? all
    if !common.quiet { for remark in model.remarks(on: examples) { note("Note: \(remark)") } }
    let figures =
      try [("examples", Double(examples.count))] + model.figures(on: examples)
    guard figures.allSatisfy({ $0.1.isFinite }) else {
      throw CommandError(
        "What \(self.model) makes of \(data) is no number: its weights, or the data, are not usable."
      )
    }
    if json {
      try emit(Dictionary(figures.map { ($0.0, $0.1) }) { $1 }.jsonLine)
    } else {
      try emit(figureTable(figures.map { ($0.0, $0.1) }))
    }
  }

  /// Measures a batch, and gives its classes; −1 for outputs that are not numbers.
  private func measure(
    _ model: any Predictor, _ part: Examples, into meter: inout QualityMeter
  ) -> [Int] {
    let output = model.predict(part.inputs).output
    if let targets = part["targets"] { model.task.measure(output, targets, into: &meter) }
    guard model.task.presentation == .classes else { return [] }
    let width = output.shape[1]
    let numbers = output.elements
    return output.sliced(0..<model.classNames.count, axis: 1).largestColumn().enumerated()
      .map { numbers[$0 * width + $1].isFinite ? $1 : -1 }
  }
}
