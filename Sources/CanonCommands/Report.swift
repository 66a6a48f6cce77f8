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
      equivariance. Of models that find poses alone, DATA may be any images: the page shows what is acted on, and what of it \
      has the smallest margins.

      EXAMPLES
        canon report runs/c8 photos --out report.html
        canon report runs/mine test --out report.html --images 24
        canon report pages scans --out scans.html
      """)

  @Argument(
    help:
      "A model: a .safetensors file, a folder of `canon train`, or one that comes with canon (pages, photos)."
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
    try refuse(out, overwriting: data, file.path)
    try refuse(out, amongInputs: data)
    let isOfPoses = loaded.model.task.presentation == .poses
    let (figures, failures) = try isOfPoses ? ofPoses(loaded) : ofOutputs(loaded)
    guard !figures.examples.isEmpty else { return try failures.finish() }
    try prepareFolder(Files.parent(of: out))
    let page = try ReportPage(figures, of: loaded.domain is ImageDomain).html
    try writeFile(page, to: out)
    let noun = loaded.domain.noun
    try emit(
      "\(figures.examples.count) \(figures.examples.count == 1 ? noun.one : noun.many): \(out)")
    try failures.finish()
    let unusable = figures.examples.count { isOfPoses ? $0.margin.isNaN : !$0.loss.isFinite }
    if unusable > 0 {
      throw CommandError(
        "What \(self.model) says of \(unusable) \(unusable == 1 ? noun.one : noun.many) is no number: its weights are not usable."
      )
    }
  }

  /// What a model that tells classes or numbers does to examples whose truth is known.
  private func ofOutputs(_ loaded: LoadedModel) throws -> (ReportFigures, Failures) {
    let model = loaded.model
    let (found, names, failures) = try loaded.examples(
      data, limit: limit, needsClasses: model.task.presentation == .classes)
    let examples = try model.prepared(found)
    let turned = examples.prefix(min(500, examples.count))
    let some = examples.inputs.sliced(0..<min(64, examples.count))
    let (steps, elements) = moved(loaded)
    var progress = Progress(
      total: 1 + steps.count + elements.count, unit: "measurements", isQuiet: common.quiet)
    var figures = ReportFigures(model: self.model, data: data, model)
    figures.measure(model, examples, names)
    progress.update(1)
    for (n, motion) in steps.enumerated() {
      var meter = QualityMeter()
      let moved = model.moved(turned, by: [Motion](repeating: motion, count: turned.count))
      model.forEachBatch(of: moved.inputs) { range, prediction in
        if let targets = moved["targets"] {
          model.task.measure(prediction.output, targets.sliced(range), into: &meter)
        }
      }
      figures.byAngle.append((degrees(n), meter.quality.selection))
      progress.update(2 + n)
    }
    (figures.turnedCount, figures.movedCount) = (turned.count, some.shape[0])
    for element in elements {
      figures.deviations.append(EquivarianceReport.row(for: element, model, some))
      progress.update(1 + steps.count + figures.deviations.count)
    }
    func cards(_ places: [Int]) -> [ReportFigures.Card] {
      guard !places.isEmpty else { return [] }
      return figures.cards(places, examples.inputs.gathered(places), loaded)
    }
    figures.worst = cards(figures.places(of: images) { -$0.loss })
    figures.unsure = cards(figures.places(of: images) { $0.margin })
    return (figures, failures)
  }

  /// What a model that tells poses alone does to inputs, of which nothing else is known: they are read in lots, and few are held.
  private func ofPoses(_ loaded: LoadedModel) throws -> (ReportFigures, Failures) {
    let model = loaded.model
    let all = try loaded.source(data)
    func evenly(_ count: Int) -> [Int] {
      (0..<min(count, all.names.count)).map { $0 * all.names.count / min(count, all.names.count) }
    }
    let source = limit.map { all.selecting(evenly($0)) } ?? all
    let (steps, elements) = moved(loaded)
    var failures = Failures(loaded.domain.noun)
    var figures = ReportFigures(model: self.model, data: data, model)
    figures.least = loaded.file.figures[Calibrate.figure]
    var progress = Progress(
      total: source.names.count, unit: loaded.domain.noun.many, isQuiet: common.quiet)
    Interruption.watch()
    try source.forEachLot { lot in
      let poses = lot.names.isEmpty ? [] : model.poses(of: lot.inputs)
      return (zip(lot.names, poses).map { ReportFigures.Example($0, $1) }, lot.errors)
    } use: { lot in
      figures.examples += lot.0
      failures.report(lot.1)
      progress.update(figures.examples.count + failures.count)
      try Interruption.check(
        "\(figures.examples.count) of \(source.names.count) \(loaded.domain.noun.many) are done; nothing is written."
      )
    }
    let places = Dictionary(
      uniqueKeysWithValues: all.names.enumerated().map { (Array($1.utf8), $0) })
    // What is made of each of some: large images are not held.
    func made<Made>(
      of examples: [ReportFigures.Example], _ make: (ReportFigures.Example, InputLot) -> Made
    ) throws -> [Made] {
      var made: [[UInt8]: Made] = [:]
      let own = Dictionary(uniqueKeysWithValues: examples.map { (Array($0.name.utf8), $0) })
      try all.selecting(own.keys.compactMap { places[$0] }).forEachLot({ $0 }) { lot in
        for one in lot.single {
          let name = Array(one.names[0].utf8)
          made[name] = own[name].map { make($0, one) }
        }
      }
      return examples.compactMap { made[Array($0.name.utf8)] }
    }
    func cards(_ places: [Int]) throws -> [ReportFigures.Card] {
      try made(of: places.map { figures.examples[$0] }) { .init($0, $1, loaded) }
    }
    // Of the images that are acted on, those with the smallest margins: the likeliest mistakes.
    let least = figures.least ?? -.infinity
    figures.worst = try cards(
      figures.places(of: images, where: { $0.margin >= least && $0.isMoved }) { $0.margin })
    figures.unsure = try cards(figures.places(of: images) { $0.margin })
    let count = min(16, figures.examples.count)
    let some = try made(
      of: (0..<count).map { figures.examples[$0 * figures.examples.count / count] }
    ) { $1.inputs }
    (figures.turnedCount, figures.movedCount) = (some.count, some.count)
    guard !some.isEmpty else { return (figures, failures) }
    let inputs = Tensor.concatenated(some)
    progress = Progress(
      total: steps.count + elements.count, unit: "measurements", isQuiet: common.quiet)
    for (n, motion) in steps.enumerated() {
      let row = EquivarianceReport.row(for: motion, model, inputs)
      figures.byAngle.append((degrees(n), row.pose.mean * 180 / .pi))
      progress.update(n + 1)
    }
    for element in elements {
      figures.deviations.append(EquivarianceReport.row(for: element, model, inputs))
      progress.update(steps.count + figures.deviations.count)
    }
    return (figures, failures)
  }

  /// The turns, and the elements of the claimed group, evenly from all of it, by which inputs are moved.
  private func moved(_ loaded: LoadedModel) -> (steps: [Motion], elements: [Motion]) {
    let own = loaded.model.claims
    let usual = loaded.file.configuration.data.symmetries.compactMap {
      loaded.model.domain.group(named: $0)
    }
    let claimed = (own.isTrivial ? MotionGroup(usual) : own).elements(orSampled: 12)
    let count = min(12, claimed.count)
    return (
      (0..<(loaded.domain is ImageDomain ? angles : 0)).map {
        Motion(isometry: PlanarIsometry(residual: degrees($0) * .pi / 180))
      },
      (0..<count).map { claimed[$0 * claimed.count / count] }
    )
  }

  private func degrees(_ step: Int) -> Double { 360 * Double(step) / Double(angles) }
}
