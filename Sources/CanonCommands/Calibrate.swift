import ArgumentParser
import Canonicalization
import Datasets
import Foundation
import Symmetry
import TensorCore
import Training

struct Calibrate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "calibrate",
    abstract: "Chooses below which margin a model leaves an image alone, from upright images.",
    discussion: """
      Each image is turned, by a quarter turn and an angle within --skew, both drawn, and its pose is found. Poses off by more than \
      --tolerance are wrong. The smallest margin is chosen at which at most --error of those that have it or more are \
      wrong, and a copy of the model is written that has it as its --min-margin, with its coverage and its error. Take images \
      that the model has not learned from.

      EXAMPLE
        canon calibrate runs/pages held-out --skew 15 --out pages.safetensors
      """)

  /// The figure of a model file that is its smallest margin.
  static let figure = "min margin"

  @Argument(
    help:
      "A model: a .safetensors file, a folder of `canon train`, or one that comes with canon (pages, photos)."
  )
  var model: String

  @Argument(help: "A folder of upright images.")
  var data: String

  @Option(help: "The angle, in degrees, within which images are turned beside quarter turns.")
  var skew = 0.0

  @Option(help: "By how many degrees a pose may be off.")
  var tolerance = 2.0

  @Option(help: "Which part of the poses that are acted on may be wrong.")
  var error = 0.001

  @Option(help: "In how many poses each image is looked at.")
  var turns = 4

  @Option(help: "What the poses are drawn from.")
  var seed: UInt64 = 0

  @Option(help: "Where to write the model with its margin.")
  var out: String

  @Flag(help: "Print one line of JSON.")
  var json = false

  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard (1...1000).contains(turns) else {
      throw ValidationError("--turns must be from 1 to 1000, not \(turns).")
    }
    for (name, value, range) in [
      ("--skew", skew, 0...45.0), ("--tolerance", tolerance, 0...180), ("--error", error, 0...1),
    ] where !range.contains(value) {
      throw ValidationError(
        "\(name) must be from \(range.lowerBound) to \(range.upperBound), not \(value).")
    }
  }

  /// What was chosen.
  struct Choice: Encodable {
    var poses: Int
    var minMargin, coverage, error, errorOfAll: Double
  }

  func run() throws {
    common.apply()
    let loaded = try LoadedModel(model)
    guard loaded.domain is ImageDomain else {
      throw CommandError("\(model) is for \(loaded.domain.noun.many): angles are of images.")
    }
    let source = try loaded.domain.open(data)
    try refuse(out, overwriting: loaded.file.path)
    try refuse(out, amongInputs: data)
    var failures = Failures(loaded.domain.noun)
    var progress = Progress(
      total: source.names.count, unit: loaded.domain.noun.many, isQuiet: common.quiet)
    var (results, done): ([(margin: Double, isWrong: Bool)], Int) = ([], 0)
    Interruption.watch()
    try source.forEachLot { [turns, skew, tolerance, seed] lot in
      let found =
        lot.names.isEmpty ? [] : lot.tried(by: loaded.model, turns, skew, tolerance, seed)
      return (found, count: lot.names.count, errors: lot.errors)
    } use: { lot in
      results += lot.0
      failures.report(lot.errors)
      done += lot.count
      progress.update(done + failures.count)
      try Interruption.check(
        "\(done) of \(source.names.count) images are done; nothing is written.")
    }
    let choice = try chosen(results)
    if error > 0, Double(results.count) * error < 3, !common.quiet {
      note(
        "Note: \(results.count) poses cannot tell an error of \(error): of so many, up to \(String(format: "%.2g", min(1, 3 / Double(results.count)))) may be wrong where none is (at 95 %). Take more images, or --turns."
      )
    }
    var figures = loaded.file.figures
    figures[Self.figure] = choice.minMargin
    figures["coverage at min margin"] = choice.coverage
    figures["error at min margin"] = choice.error
    try prepareFolder(Files.parent(of: out))
    try loaded.model.safetensors(
      loaded.file.configuration, classNames: loaded.file.classNames, figures: figures,
      fingerprint: loaded.file.fingerprint
    ).write(to: out)
    if json {
      try emit(choice.jsonLine)
    } else {
      func percent(_ part: Double) -> String { "\((100 * part).formatted(2)) %" }
      try emit(
        "Of \(choice.poses) poses \(percent(choice.errorOfAll)) are off by more than \(tolerance.formatted(1))°. A margin of \(choice.minMargin.formatted(2)) or more have "
          + "\(percent(choice.coverage)) of them, which are acted on; of these \(percent(choice.error)) are off. Written: \(out)"
      )
    }
    try failures.finish()
  }

  /// - Throws: `CommandError` where no margin is enough.
  private func chosen(_ results: [(margin: Double, isWrong: Bool)]) throws -> Choice {
    let sure = results.filter { $0.margin.isFinite }.sorted { $0.margin > $1.margin }
    var (best, wrong): (Choice?, Int) = (nil, 0)
    let all = Double(results.count)
    let allWrong = Double(results.count { $0.isWrong }) / max(1, all)
    for (n, result) in sure.enumerated() {
      wrong += result.isWrong ? 1 : 0
      // Poses of one margin are acted on together.
      if n + 1 < sure.count && sure[n + 1].margin == result.margin { continue }
      if Double(wrong) <= error * Double(n + 1) {
        best = Choice(
          poses: results.count, minMargin: result.margin, coverage: Double(n + 1) / all,
          error: Double(wrong) / Double(n + 1), errorOfAll: allWrong)
      }
    }
    guard let best else {
      throw CommandError(
        "There is no margin at which at most \(error) of the poses are wrong (\(results.count) poses, \((100 * allWrong).formatted(1)) % wrong): "
          + "allow more with --error.")
    }
    return best
  }
}

extension InputLot {
  /// The margin of each image in several poses, and whether the pose that was found is wrong.
  fileprivate func tried(
    by model: any Predictor, _ turns: Int, _ skew: Double, _ tolerance: Double, _ seed: UInt64
  ) -> [(margin: Double, isWrong: Bool)] {
    (0..<turns).flatMap { turn in
      let angles = names.map { name in
        // By its name: an image's poses do not depend on what else there is.
        var random = RandomStream(seed: seed &+ UInt64(turn), name: name)
        return PlanarIsometry(
          quarterTurns: Int.random(in: 0..<4, using: &random),
          residual: skew == 0 ? 0 : Double.random(in: -skew...skew, using: &random) * .pi / 180)
      }
      let moved = model.domain.inputs.act(angles.map { Motion(isometry: $0) }, on: inputs)
      return zip(model.poses(of: moved), angles).map { pose, angle in
        let found = pose.element.planarIsometry
        let off = (found.angle - angle.angle).remainder(dividingBy: 2 * .pi)
        return (Double(pose.margin), !(abs(off) * 180 / .pi <= tolerance))
      }
    }
  }
}
