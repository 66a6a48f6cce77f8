import ArgumentParser
import Canonicalization
import Datasets
import Foundation
import Settings
import Symmetry
import TensorCore
import Training

struct Poses: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "poses",
    abstract: "Measures in which pose a model brings each class of upright images.",
    discussion: """
      DATA is a folder with one subfolder of upright images per class, or the folder of MNIST's IDX \
      files (then its upright test digits). For each class: the mean pose, and how far poses spread \
      about it (circular standard deviation). A model that knows which way is up has the same mean for \
      all classes and a small spread. The error is how far, as a median over a random turn of each image, the \
      pose of the turned image is from the turned pose. The first --orbits images are turned once around, \
      and those are counted whose pose goes once around too (winding number 1); the first --traced of them by \
      half a degree at a time, for the largest jump of a pose (poses in steps jump by these), and led to itself half \
      a turn on, straight, through their mean: past a picture with that symmetry an exact pose leaps by 180°. With --recenter a copy of \
      the model is written whose canonical forms are turned by the mean over all classes, so that they are \
      upright; what it predicts stays.

      Of a model of kind class-pose, whose group has a circle, DATA is the word test: the first --traced inputs of its test \
      part are moved once around by half a degree at a time, and led straight to themselves half a turn on.

      EXAMPLES
        canon poses runs/c64 Benchmarks/Data --limit 2000
        canon poses runs/c8 upright-photos --recenter runs/c8-upright.safetensors
        canon poses runs/glyphs test --traced 50
      """)

  @Argument(
    help:
      "A model: a .safetensors file, or a folder of `canon train`."
  )
  var model: String

  @Argument(help: "Upright images; or the word test, for a model of kind class-pose.")
  var data: String

  @Option(help: "Use the first so many images only.")
  var limit: Int?

  @Option(help: "How many images are turned once around, to see whether their poses follow.")
  var orbits = 100

  @Option(
    help: "How many of them are turned by half a degree at a time, for the largest jump of a pose.")
  var traced = 10

  @Option(help: "Where to write the model with upright forms.")
  var recenter: String?

  @Flag(help: "Print one line of JSON per class instead of a table.")
  var json = false

  @OptionGroup var common: CommonOptions

  func validate() throws {
    try requireFlag("--limit", limit, atLeast: 1)
    try requireFlag("--orbits", orbits, atLeast: 0)
    try requireFlag("--traced", traced, atLeast: 0)
  }

  func run() throws {
    common.apply()
    let file = try ModelFile(path: self.model, catalog: Canon.catalog)
    let made = try file.model()
    if let model = made as? OrbitModel { return try trace(model, file) }
    let loaded = try LoadedModel(file, made)
    guard loaded.domain is ImageDomain else {
      throw CommandError("\(self.model) is for \(loaded.domain.noun.many): angles are of images.")
    }
    try loaded.requireOutputs()
    guard !loaded.model.classNames.isEmpty else {
      throw CommandError("\(self.model) knows no classes.")
    }
    let (examples, _, failures) = try loaded.examples(data, limit: limit, isUpright: true)
    guard !examples.labels.isEmpty else {
      throw CommandError("\(data) has no classes; put images into a subfolder per class.")
    }
    let reports = PoseReport.all(
      examples.inputs, labels: examples.labels, classNames: loaded.model.classNames, orbits: orbits,
      traced: traced
    ) { loaded.model.poses(of: $0) }
    if json {
      try emit(jsonLines(reports).joined(separator: "\n"))
    } else {
      try emit(
        table(
          ["class", "images", "mean pose", "deviation", "resultant", "median error"],
          reports.map { line in
            [
              line.class, "\(line.count)", "\(line.meanDegrees.formatted(1))°",
              "\(line.deviationDegrees.formatted(1))°", line.resultant.formatted(3),
              "\(line.medianErrorDegrees.formatted(2))°",
            ]
          }))
    }
    guard let all = reports.last else { return }
    if !common.quiet && !json && orbits > 0 {
      note(
        "The poses of \(all.orbitsOnceAround ?? 0) of \(all.orbits ?? 0) images go once around as the images "
          + "do."
          + (all.largestJumpDegrees.map {
            " Half a degree changes one by \($0.formatted(1))° at most, of \(all.traced ?? 0)"
              + (all.symmetryJumpDegrees.map {
                "; from an image to itself half a turn on, through their mean, poses come \((all.symmetryChangeDegrees ?? 0).formatted(0))°, by \($0.formatted(1))° at once at most"
              } ?? "") + "."
          } ?? ""))
    }
    if let recenter { try write(loaded, all.meanDegrees, to: recenter) }
    try failures.finish()
  }

  private func write(_ loaded: LoadedModel, _ degrees: Double, to path: String) throws {
    var configuration = loaded.file.configuration
    guard var options = configuration.model as? CanonicalizedOptions else {
      throw CommandError(
        "\(self.model) is of kind '\(type(of: configuration.model).kind)', which cannot be recentered."
      )
    }
    try refuse(path, overwriting: loaded.file.path)
    try refuse(path, amongInputs: data)
    try prepareFolder(Files.parent(of: path))
    // A model that was recentered before has its poses from there.
    let turn = Double(options.recenter) + degrees
    options.recenter = Float(turn.remainder(dividingBy: 360))
    configuration.model = options
    try loaded.model.safetensors(
      configuration, classNames: loaded.file.classNames, figures: loaded.file.figures,
      fingerprint: loaded.file.fingerprint
    ).write(to: path)
    if !common.quiet { note("Forms are turned by \(options.recenter)°: \(path)") }
  }
}
