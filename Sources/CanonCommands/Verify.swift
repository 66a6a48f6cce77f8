import ArgumentParser
import Canonicalization
import Layers
import Symmetry
import TensorCore
import Training

struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Certifies equivariance: measures it for every group element.",
    discussion: """
      For every element g of the group (all of C_n or D_n; 16 rotations for the continuous
      heuristics) and every image x: how far the pose of g·x is from g times the pose of x, in
      degrees; how much the canonical form and the output differ. Quarter turns and flips must agree
      within --tolerance; other elements are interpolated, their output must agree on average within
      --interpolated-tolerance. Exit status 1 if not.

      EXAMPLES
        canon verify runs/c8 my-images
        canon verify runs/c64 Benchmarks/Data --limit 500 --json
        canon verify runs/particles test
      """)

  @Argument(help: "A model: a .safetensors file, or a folder of `canon train`.")
  var model: String

  @Argument(help: "A folder of PNG files, or the folder of MNIST's IDX files.")
  var data: String

  @Option(help: "Use the first so many images only.")
  var limit: Int?

  @Option(
    help:
      "The largest deviation allowed for quarter turns and flips (default: 0, or 0.01 after a normalization and for points)."
  )
  var tolerance: Float?

  @Option(help: "The largest mean deviation of the output allowed for other elements.")
  var interpolatedTolerance: Float = 0.2

  @Flag(help: "Print one line of JSON per element instead of a table.")
  var json = false

  @OptionGroup var common: CommonOptions

  func validate() throws { try requireFlag("--limit", limit, atLeast: 1) }

  func run() throws {
    common.apply()
    switch try LoadedModel(self.model) {
    case .points(let model):
      let sets = try PointSets(model, data: data, limit: limit ?? 256)
      guard sets.verify(tolerance: Double(tolerance ?? 1e-2), json: json) else {
        note("Not equivariant within the tolerance.")
        throw ExitCode(1)
      }
    case .images(let model):
      // A center and a size are sums, and an energy's minimum is found by steps.
      try verify(model, tolerance: tolerance ?? (model.normalizer == nil ? 0 : 1e-2))
    }
  }

  private func verify(_ model: ImageModel, tolerance: Float) throws {
    let data = try EvaluationData(self.data, for: model, limit: limit, needsTargets: false)
    let elements = model.groupElements(rotations: 16)
    var rows: [EquivarianceReport.Row] = []
    var progress = Progress(total: elements.count, unit: "elements", isQuiet: common.quiet)
    for g in elements {
      rows.append(EquivarianceReport.row(for: g, model, data.examples.inputs))
      progress.update(rows.count)
    }
    if json {
      rows.forEach { print(Line($0, data.names).jsonLine) }
    } else {
      print(
        table(
          [
            "element", "kind", "pose max", "mean", "form max", "mean", "output max", "mean",
            "worst",
          ],
          rows.map { row in
            [
              row.element.text, row.element.isExact ? "exact" : "interpolated",
              "\(row.pose.maximum.formatted(2))°", "\(row.pose.mean.formatted(3))°",
              row.form.maximum.formatted(5), row.form.mean.formatted(5),
              row.output.maximum.formatted(5), row.output.mean.formatted(5),
              data.names[row.output.worst],
            ]
          }))
    }
    let failed = rows.filter { row in
      row.element.isExact
        ? Float(max(row.form.maximum, row.output.maximum)) > tolerance
        : Float(row.output.mean) > interpolatedTolerance
    }
    guard failed.isEmpty else {
      note(
        "Not equivariant within the tolerance for \(failed.map(\.element.text).joined(separator: ", "))."
      )
      throw ExitCode(1)
    }
    if !common.quiet { note("Equivariant within the tolerance for all \(rows.count) elements.") }
  }

  /// A row with the worst images by name.
  private struct Line: Codable {
    var degrees: Double
    var isReflected, isExact: Bool
    var poseMaximum, poseMean, formMaximum, formMean, outputMaximum, outputMean: Double
    var worstPose, worstForm, worstOutput: String

    init(_ row: EquivarianceReport.Row, _ names: [String]) {
      degrees = row.element.angle * 180 / .pi
      isReflected = row.element.isReflected
      isExact = row.element.isExact
      (poseMaximum, poseMean) = (row.pose.maximum, row.pose.mean)
      (formMaximum, formMean) = (row.form.maximum, row.form.mean)
      (outputMaximum, outputMean) = (row.output.maximum, row.output.mean)
      worstPose = names[row.pose.worst]
      worstForm = names[row.form.worst]
      worstOutput = names[row.output.worst]
    }
  }
}
