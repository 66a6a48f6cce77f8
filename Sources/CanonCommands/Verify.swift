import ArgumentParser
import Canonicalization
import Datasets
import Symmetry
import TensorCore
import Training

struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract:
      "Certifies equivariance: measures it for elements of the group that the model claims.",
    discussion: """
      For every element g of the group, where it is finite, or 16 drawn from it (rotations, reflections, shifts, \
      scalings, affine maps, permutations, and products of them), and every input x: how far the pose of g·x is \
      from g times the pose of x; how much the canonical form and the output differ. Elements that only move \
      numbers, and all motions of sets, must agree within --tolerance; others resample images, and their output \
      must agree on average within --interpolated-tolerance, and the class of no more than that part of the inputs may change. Of models that find poses alone, the poses must agree so, in radians. \
      Exit status 1 if not. --group measures another group than the one that is claimed.

      Models that learn from pairs (class-pose, operators, transport) are asked how far the code of a partner is from the \
      moved code, on the word test or a .safetensors file of pairs: poses in radians and halves of the side, codes relative \
      to their length. The mean must be within --interpolated-tolerance. How far apart the orbits of a pair are is told too.

      EXAMPLES
        canon verify runs/c8 my-images
        canon verify runs/c64 Benchmarks/Data --limit 500 --json
        canon verify runs/particles test
        canon verify runs/plain my-images --group SO2
        canon verify runs/sprites test
      """)

  @Argument(
    help:
      "A model: a .safetensors file, a folder of `canon train`, or one that comes with canon (pages, photos)."
  )
  var model: String

  @Argument(help: "A folder of images, a .safetensors file, MNIST's folder, or the word test.")
  var data: String

  @Option(help: "Use the first so many inputs only (256 by default of a test part).")
  var limit: Int?

  @Option(
    help:
      "The largest deviation allowed where numbers are only moved (default: 0, or 0.01 where poses are sums)."
  )
  var tolerance: Float?

  @Option(
    help:
      "The largest mean deviation of the output (of the pose in radians, where a model has no other) allowed where images are resampled, and the largest part of the inputs whose class may change (default: 0.05; of poses and codes 0.2)."
  )
  var interpolatedTolerance: Double?

  @Option(
    help:
      "Elements of this group instead: C8, D4, SO2, O2, T2, scalings, SE2, similarity, SL2, GL2, affine; SO3, E3, S, …; or a file of `canon discover`."
  )
  var group: String?

  @Flag(help: "Print one line of JSON per element instead of a table.")
  var json = false

  @OptionGroup var common: CommonOptions

  func validate() throws { try requireFlag("--limit", limit, atLeast: 1) }

  func run() throws {
    common.apply()
    let file = try ModelFile(path: self.model, catalog: Canon.catalog)
    let made = try file.model()
    if let model = made as? any MeasuredModel { return try verify(model, file) }
    let loaded = try LoadedModel(file, made)
    let model = loaded.model
    let isFolder = data != "test" && loaded.file.configuration.data.located(at: data) == nil
    let (examples, names, failures) = try loaded.examples(
      data, limit: limit ?? (isFolder ? nil : 256))
    let elements: [Motion]
    // Quarter turns about the middle are in no group of other generators.
    var turnsAboutMiddle = model.claims.turnsAboutMiddle
    if let group {
      guard let factor = try groupFactor(group, of: model.domain) else {
        throw ValidationError(
          "There is no group '\(group)' of \(model.domain.text); there are C8, D4, SO2, O2, T2, scalings, SE2, similarity, SL2, GL2 and affine of images, "
            + "SO3, O3, SE3, E3 (or with 2) and S of sets.")
      }
      elements = MotionGroup([factor]).elements(orSampled: 16)
      turnsAboutMiddle = factor.turnsAboutMiddle
    } else {
      guard !model.claims.isTrivial else {
        let partial =
          model.canonicalized?.steps.window.map {
            ", within its window: canon measure \(self.model) \(data) --group SO2 --window \(($0 / 2).formatted(2)) --of form"
          } ?? ""
        throw CommandError(
          "\(self.model) claims no symmetry; name a group with --group, or measure how far from one it is with `canon measure`\(partial)."
        )
      }
      elements = model.claims.elements(orSampled: 16)
    }
    // What moves numbers exactly is held to more: it is among what is drawn.
    let isDrawn =
      turnsAboutMiddle && elements.allSatisfy { model.domain.interpolates($0) }
      && elements.contains { abs($0.planarIsometry.angle) > 1e-3 }
    let exactly = isDrawn ? loaded.domain.poses(0).exact : []
    let exact = Double(tolerance ?? (model.isExact ? 0 : 1e-2))
    var rows: [EquivarianceReport.Row] = []
    var progress = Progress(
      total: exactly.count + elements.count, unit: "elements", isQuiet: common.quiet)
    for g in exactly + elements {
      rows.append(EquivarianceReport.row(for: g, model, examples.inputs))
      progress.update(rows.count)
    }
    if json {
      try rows.forEach { try emit(Line($0, names).jsonLine) }
    } else {
      try emit(rowsTable(rows, names, model))
    }
    // Without an output the pose is what is held.
    let isOfPoses = model.task.presentation == .poses
    let held = isOfPoses ? "Poses" : "Outputs"
    let allowed = interpolatedTolerance ?? (isOfPoses ? 0.2 : 0.05)
    // Written so that what is not a number is never within a tolerance.
    let failed = rows.filter { row in
      let output = isOfPoses ? row.pose : row.output
      if [row.pose.maximum, row.form.maximum, row.output.maximum].contains(where: \.isNaN) {
        return true
      }
      if model.domain.interpolates(row.element) {
        return !(output.mean <= allowed && row.otherClass ?? 0 <= allowed)
      }
      // Of another group than the claimed one only outputs can be asked for.
      let form = model.hasOnePose && group == nil ? row.form.maximum : 0
      return !(output.maximum <= exact && form <= exact)
    }
    guard failed.isEmpty else {
      let some =
        failed.prefix(8).map(\.element.text).joined(separator: ", ")
        + (failed.count > 8 ? " and \(failed.count - 8) more" : "")
      note(
        "Not equivariant within the tolerance for \(failed.count) of \(rows.count) elements: \(some)."
          + (isOfPoses && group == nil && failed.allSatisfy { !$0.element.isExact }
            ? " Quarter turns are; at other angles the model may not be made for images that lie so (--group C4 measures quarter turns alone)."
            : ""))
      throw ExitCode(1)
    }
    if !common.quiet {
      let between = rows.filter { model.domain.interpolates($0.element) }
      let exactCount = rows.count - between.count
      note(
        "\(held) are equivariant"
          + (between.isEmpty
            ? " within the tolerance for all \(rows.count) elements."
            : exactCount == 0
              ? " on average, within \(allowed)."
              : " for the \(exactCount) elements that only move numbers, and on average, within \(allowed), for the \(between.count) others.")
      )
      // What was not held to anything is said.
      if !between.isEmpty {
        func mean(_ value: (EquivarianceReport.Row) -> Double) -> Double {
          between.map(value).reduce(0, +) / Double(between.count)
        }
        let classes = between.compactMap(\.otherClass)
        let others =
          classes.isEmpty
          ? ""
          : "\((classes.reduce(0, +) / Double(classes.count) * 100).formatted(1)) % of the inputs change their class; "
        note(
          "Of the others: \(others)"
            + (isOfPoses
              ? ""
              : "the largest difference of an output there is \((between.map(\.output.maximum).max() ?? 0).formatted(2)); ")
            + "poses are off by "
            + "\((mean { $0.pose.mean } * 180 / .pi).formatted(1))° on average, and forms differ by up to "
            + "\(mean { $0.form.mean }.formatted(2)) on average, \((between.map(\.form.maximum).max() ?? 0).formatted(2)) at most."
        )
      }
    }
    try failures.finish()
  }

  private func rowsTable(
    _ rows: [EquivarianceReport.Row], _ names: [String], _ model: any Predictor
  ) -> String {
    let classes = rows.contains { $0.otherClass != nil } ? ["other class"] : []
    return table(
      ["element", "kind", "pose max", "mean", "form max", "mean", "output max", "mean"] + classes
        + ["worst"],
      rows.map { row in
        let kind =
          row.element.isExact
          ? "exact" : model.domain.interpolates(row.element) ? "interpolated" : "rounded"
        let isAngle = row.element.map == nil && row.element.isometry != nil
        func pose(_ value: Double, _ decimals: Int) -> String {
          isAngle ? (value * 180 / .pi).formatted(decimals) + "°" : value.formatted(5)
        }
        return [
          row.element.text, kind, pose(row.pose.maximum, 2), pose(row.pose.mean, 3),
          row.form.maximum.formatted(5), row.form.mean.formatted(5),
          row.output.maximum.formatted(5), row.output.mean.formatted(5),
        ] + (row.otherClass.map { ["\(($0 * 100).formatted(1)) %"] } ?? []) + [
          names.indices.contains(row.output.worst) ? names[row.output.worst] : ""
        ]
      })
  }

  /// A row with the worst inputs by name; poses in the group's metric, radians for rotations.
  private struct Line: Codable {
    var element: String
    var isExact: Bool
    var poseMaximum, poseMean, formMaximum, formMean, outputMaximum, outputMean: Double
    /// Nothing of models without classes.
    var otherClass: Double?
    var worstPose, worstForm, worstOutput: String

    init(_ row: EquivarianceReport.Row, _ names: [String]) {
      element = row.element.text
      isExact = row.element.isExact
      (poseMaximum, poseMean) = (row.pose.maximum, row.pose.mean)
      (formMaximum, formMean) = (row.form.maximum, row.form.mean)
      (outputMaximum, outputMean) = (row.output.maximum, row.output.mean)
      otherClass = row.otherClass
      worstPose = names[row.pose.worst]
      worstForm = names[row.form.worst]
      worstOutput = names[row.output.worst]
    }
  }
}
