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
      all classes and a small spread. The error is how far, as a median over a random turn of each image, the
      pose of the turned image is from the turned pose. Of the first --orbits images it is counted whose
      pose goes once around (winding number 1) as they are turned once around. With --recenter a copy of
      the model is written whose canonical forms are turned by the mean over all classes, so that they are
      upright; what it predicts stays.

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

  @Option(help: "Of so many images the pose's way around is counted.")
  var orbits = 100

  @Option(help: "Where to write the model with upright forms.")
  var recenter: String?

  @Flag(help: "Print one line of JSON per class instead of a table.")
  var json = false

  @OptionGroup var common: CommonOptions

  private struct Line: Codable {
    var `class`: String
    var count: Int
    var meanDegrees, deviationDegrees, resultant, medianErrorDegrees: Double
    /// How many images were turned once around, and of how many the pose went once around too.
    var orbits, orbitsOnceAround: Int?

    init(_ name: String, _ poses: [(found: PlanarIsometry, error: Double)]) {
      let spread = PoseSpread(poses.map(\.found))
      (self.class, count, resultant) = (name, spread.count, spread.resultant)
      medianErrorDegrees = poses.map(\.error).sorted()[poses.count / 2] * 180 / .pi
      meanDegrees = spread.mean.angle * 180 / .pi
      deviationDegrees = spread.deviation * 180 / .pi
    }
  }

  func validate() throws {
    try requireFlag("--limit", limit, atLeast: 1)
    try requireFlag("--orbits", orbits, atLeast: 0)
  }

  func run() throws {
    common.apply()
    let model = try ImageModel.load(self.model).model
    guard !model.classNames.isEmpty else { throw CommandError("\(self.model) knows no classes.") }
    let examples = try EvaluationData(
      data, for: model, limit: limit, needsTargets: true, isUpright: true
    ).examples
    let poses = measured(model, examples.inputs)
    var lines = model.classNames.indices.compactMap { label -> Line? in
      let own = zip(poses, examples.labels).filter { $0.1 == label }.map(\.0)
      return own.isEmpty ? nil : Line(model.classNames[label], own)
    }
    var all = Line("all", poses)
    let turned = min(orbits, examples.count)
    let once = (0..<turned).count {
      winding(model, examples.inputs.sliced($0..<$0 + 1)) == 1
    }
    (all.orbits, all.orbitsOnceAround) = (turned, once)
    lines.append(all)
    if json {
      print(jsonLines(lines).joined(separator: "\n"))
    } else {
      print(
        table(
          ["class", "images", "mean pose", "deviation", "resultant", "median error"],
          lines.map { line in
            [
              line.class, "\(line.count)", "\(line.meanDegrees.formatted(1))°",
              "\(line.deviationDegrees.formatted(1))°", line.resultant.formatted(3),
              "\(line.medianErrorDegrees.formatted(2))°",
            ]
          }))
    }
    if !common.quiet && !json {
      note("The poses of \(once) of \(turned) images go once around as the images do.")
    }
    if let recenter { try write(model, PoseSpread(poses.map(\.found)).mean, to: recenter) }
  }

  /// The pose of each image, and how far that of a turned copy is from the turned one, in radians.
  private func measured(
    _ model: ImageModel, _ images: Tensor
  ) -> [(found: PlanarIsometry, error: Double)] {
    var random = RandomStream(seed: 0, name: "poses")
    var result: [(found: PlanarIsometry, error: Double)] = []
    for start in stride(from: 0, to: images.shape[0], by: 256) {
      let part = images.sliced(start..<min(images.shape[0], start + 256))
      let turns = (0..<part.shape[0]).map { _ in SO2().sample(using: &random) }
      let plain = model.poses(of: part).map(\.element)
      let moved = model.poses(of: model.action.act(turns, on: part)).map(\.element)
      for n in plain.indices {
        let expected = O2().compose(turns[n], plain[n])
        result.append((plain[n], O2().distance(moved[n], expected)))
      }
    }
    return result
  }

  /// How often the pose goes around as an image is turned once around.
  private func winding(_ model: ImageModel, _ image: Tensor) -> Int {
    let steps = 36
    let turns = (0..<steps).map { PlanarIsometry(residual: 2 * .pi * Double($0) / Double(steps)) }
    let copies = Tensor.concatenated([Tensor](repeating: image, count: steps))
    return model.poses(of: model.action.act(turns, on: copies)).map(\.element).windingNumber
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
