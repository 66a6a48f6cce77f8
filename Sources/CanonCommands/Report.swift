import ArgumentParser
import Canonicalization
import Datasets
import Foundation
import Images
import Symmetry
import TensorCore
import Training

struct Report: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Writes a page that shows what a model does to some data, to be opened in a browser.",
    discussion: """
      DATA is what `canon evaluate` takes. The page needs nothing else, follows its reader's light or dark, and prints. It shows \
      the figures, which classes are taken for which, whether probabilities can be believed, errors by the angle at which images come, histograms of \
      poses and margins, the worst and the least sure inputs with their canonical forms, and how far the model is from \
      equivariance.

      EXAMPLES
        canon report runs/c8 photos --out report.html
        canon report runs/mine test --out report.html --images 24
      """)

  @Argument(
    help:
      "A model: a .safetensors file, or a folder of `canon train`."
  )
  var model: String

  @Argument(help: "The data.")
  var data: String

  @Option(help: "The HTML file to write.")
  var out: String

  @Option(help: "Use so many examples only.")
  var limit: Int?

  @Option(help: "How many of the worst, and of the least sure, inputs are shown.")
  var images = 12

  @Option(help: "At how many angles images come in turn.")
  var angles = 24

  @OptionGroup var common: CommonOptions

  func validate() throws {
    try requireFlag("--limit", limit, atLeast: 1)
    try requireFlag("--images", images, atLeast: 0)
    try requireFlag("--angles", angles, atLeast: 0)
    guard out.lowercased().hasSuffix(".html") else {
      throw ValidationError("--out must name an HTML file, like report.html, not \(out).")
    }
  }

  func run() throws {
    common.apply()
    let file = try ModelFile(path: self.model, catalog: Canon.catalog)
    let loaded = try LoadedModel(file, try file.model())
    try loaded.requireOutputs()
    let model = loaded.model
    let (found, names, failures) = try loaded.examples(
      data, limit: limit, needsClasses: model.task.presentation == .classes)
    try refuse(out, overwriting: data, file.path)
    try refuse(out, amongInputs: data)
    let examples = try model.prepared(found)
    let turned = examples.prefix(min(500, examples.count))
    let claimed = model.claims.elements(orSampled: 12)
    // Evenly from the whole group.
    let elements = (0..<min(12, claimed.count)).map {
      claimed[$0 * claimed.count / min(12, claimed.count)]
    }
    let some = examples.inputs.sliced(0..<min(64, examples.count))
    let steps = loaded.domain is ImageDomain ? angles : 0
    var progress = Progress(
      total: 1 + steps + elements.count, unit: "measurements", isQuiet: common.quiet)

    var figures = ReportFigures(
      model: self.model, data: data, summary: model.summary, classNames: model.classNames)
    figures.measure(model, examples, names)
    progress.update(1)
    for n in 0..<steps {
      let angle = 2 * .pi * Double(n) / Double(steps)
      let motion = Motion(isometry: PlanarIsometry(residual: angle))
      var meter = QualityMeter()
      let moved = model.moved(
        turned, by: [Motion](repeating: motion, count: turned.count))
      model.forEachBatch(of: moved.inputs) { range, prediction in
        if let targets = moved["targets"] {
          model.task.measure(prediction.output, targets.sliced(range), into: &meter)
        }
      }
      figures.byAngle.append((angle * 180 / .pi, meter.quality.selection))
      progress.update(2 + n)
    }
    for element in elements {
      figures.deviations.append(EquivarianceReport.row(for: element, model, some))
      progress.update(1 + steps + figures.deviations.count)
    }
    func cards(_ places: [Int]) -> [ReportFigures.Card] {
      let inputs = examples.inputs.gathered(places)
      guard !places.isEmpty else { return [] }
      let forms = model.predict(inputs).forms
      return places.enumerated().map { n, place in
        ReportFigures.Card(
          example: figures.examples[place], input: loaded.domain.picture(of: inputs[n]),
          form: loaded.domain.picture(of: forms[n]))
      }
    }
    figures.worst = cards(figures.places(of: images) { -$0.loss })
    figures.unsure = cards(figures.places(of: images) { $0.margin })
    try prepareFolder(Files.parent(of: out))
    let page = try ReportPage(figures, of: loaded.domain is ImageDomain).html
    try Files.replace(out, { CommandError("\(out) cannot be written (\($0)).") }) {
      (temporary) throws(CommandError) in
      guard Files.write(Array(page.utf8), to: temporary) else {
        throw CommandError("\(out) cannot be written; check the free space.")
      }
    }
    try emit("\(examples.count) \(loaded.domain.noun.many): \(out)")
    try failures.finish()
    let unusable = figures.examples.count { !$0.loss.isFinite }
    if unusable > 0 {
      throw CommandError(
        "What \(self.model) says of \(unusable) \(unusable == 1 ? loaded.domain.noun.one : loaded.domain.noun.many) is no number: its weights are not usable."
      )
    }
  }
}

/// What a report shows.
struct ReportFigures {
  /// What a model says of one input.
  struct Example {
    let name: String
    /// The places of its class and of the one that is told; −1 without classes, or for what is no number.
    let label, told: Int
    let probability, loss, margin, degrees: Double
    let ties: Int
  }

  /// An input that is shown, beside its canonical form.
  struct Card {
    let example: Example
    let input, form: Image
  }

  let model, data: String
  let summary: [(name: String, value: String)]
  let classNames: [String]
  var quality = Quality(loss: .nan)
  var examples: [Example] = []
  /// The error, or the loss, of inputs turned by an angle in degrees.
  var byAngle: [(degrees: Double, value: Double)] = []
  var deviations: [EquivarianceReport.Row] = []
  var worst: [Card] = []
  var unsure: [Card] = []

  init(
    model: String, data: String, summary: [(name: String, value: String)], classNames: [String]
  ) {
    (self.model, self.data, self.summary) = (model, data, summary)
    self.classNames = classNames
  }

  /// Looks at each example once.
  mutating func measure(_ model: any Predictor, _ all: Examples, _ names: [String]) {
    var meter = QualityMeter()
    var found: [Example] = []
    let isClassification = model.task.presentation == .classes
    model.forEachBatch(of: all.inputs) { range, prediction in
      guard let targets = all["targets"]?.sliced(range) else { return }
      model.task.measure(prediction.output, targets, into: &meter)
      let width = prediction.output.shape.count / max(1, range.count)
      let numbers = prediction.output.elements
      for (n, place) in range.enumerated() {
        let pose = prediction.poses[n]
        var (told, label, probability, loss) = (-1, -1, Double.nan, Double.nan)
        if isClassification {
          let scores = numbers[n * width..<n * width + classNames.count]
          let best = scores.indices.reduce(scores.startIndex) { scores[$1] > scores[$0] ? $1 : $0 }
          (probability, label) = (Double(scores[best]), all.labels[place])
          if probability.isFinite { told = best - scores.startIndex }
          let own = Double(scores[scores.startIndex + label])
          loss = own.isNaN ? .nan : -Foundation.log(max(own, 1e-30))
        } else {
          var own = QualityMeter()
          model.task.measure(
            prediction.output.sliced(n..<n + 1), targets.sliced(n..<n + 1), into: &own)
          loss = own.quality.loss
        }
        found.append(
          Example(
            name: names.indices.contains(place) ? names[place] : "\(place)", label: label,
            told: told, probability: probability, loss: loss, margin: Double(pose.margin),
            degrees: (pose.element.planarIsometry.angle * 180 / .pi)
              .remainder(dividingBy: 360), ties: pose.ties.count))
      }
    }
    (quality, examples) = (meter.quality, found)
  }

  /// The places of the examples for which something is smallest; what is no number comes first.
  func places(of count: Int, by value: (Example) -> Double) -> [Int] {
    let values = examples.map(value)
    let order = values.indices.sorted {
      if values[$0].isNaN != values[$1].isNaN { return values[$0].isNaN }
      return values[$0] != values[$1] ? values[$0] < values[$1] : $0 < $1
    }
    return Array(order.prefix(count))
  }

  /// How often each class (a row) was taken for each (a column).
  var confusion: [[Int]] {
    var counts = [[Int]](
      repeating: [Int](repeating: 0, count: classNames.count), count: classNames.count)
    for one in examples where one.label >= 0 && one.told >= 0 { counts[one.label][one.told] += 1 }
    return counts
  }

  /// The part that is right among examples of about the same probability, five at least.
  var reliability: [(probability: Double, right: Double, count: Int)] {
    let bins = 10
    return (0..<bins).compactMap { bin in
      let own = examples.filter {
        $0.told >= 0 && min(bins - 1, Int($0.probability * Double(bins))) == bin
      }
      guard own.count >= 5 else { return nil }
      return (
        own.map(\.probability).reduce(0, +) / Double(own.count),
        Double(own.count { $0.told == $0.label }) / Double(own.count), own.count
      )
    }
  }
}
