import Canonicalization
import Foundation
import Images
import Layers
import Symmetry
import TensorCore
import Training

/// A model of a command, read once, whichever it is for.
enum LoadedModel {
  case images(ImageModel)
  case points(PointModel)

  /// - Throws: `WeightsError`.
  init(_ path: String) throws {
    let model = try loadModel(path).model
    if let points = model as? PointModel {
      self = .points(points)
    } else if let images = model as? ImageModel {
      self = .images(images)
    } else {
      throw CommandError("\(path) is a model of a kind that this command does not know.")
    }
  }
}

/// What the commands do with models for sets of points.
struct PointSets {
  let model: PointModel
  let examples: Examples

  /// A model with sets for it: the tensor `points` of a safetensors file; or, from MNIST's folder or the
  /// word `test`, the test part of the model's data.
  ///
  /// - Throws: `WeightsError`, `DatasetError` or `CommandError`.
  init(_ model: PointModel, data: String, limit: Int?) throws {
    self.model = model
    var configuration = model.configuration
    let all: Examples
    if data.hasSuffix(".safetensors") {
      guard let points = try Safetensors(path: data).tensors["points"] else {
        throw CommandError("\(data) holds no tensor named 'points'.")
      }
      let wanted = [configuration.data.points, model.frame.action.width]
      guard points.shape.rank == 3, Array(points.shape.extents.dropFirst()) == wanted else {
        throw CommandError(
          "\(data): 'points' has shape \(points.shape), but the model takes [sets, \(wanted[0]), "
            + "\(wanted[1])].")
      }
      all = Examples(inputs: points, targets: points)
    } else {
      if data != "test" { configuration.data.path = data }
      guard configuration.data.kind.isMNIST || data == "test" else {
        throw CommandError(
          "\(data): name a .safetensors file with a tensor 'points', or the word test.")
      }
      guard let test = try TrainingData.test(configuration) else {
        throw CommandError("The model's data have no test part.")
      }
      all = test
    }
    examples = all.selecting(0..<min(limit ?? all.count, all.count))
  }

  private var isForecast: Bool { model.configuration.data.task == .forecast }

  private var isOrdered: Bool { model.configuration.canonicalizer.order != .none }

  /// What is said of one set.
  private struct Row: Codable {
    var set: Int
    var `class`: String?
    var probability: Double?
  }

  /// `canon predict`.
  func predict(format: Predict.Format, out: String?) throws {
    if isForecast {
      guard let out else {
        throw CommandError(
          "The model tells positions: name a .safetensors file for them with --out.")
      }
      var positions: [Tensor] = []
      model.forEachBatch(of: examples.inputs) { range, prediction in
        let places = examples.inputs.sliced(range).sliced(0..<prediction.output.shape[2], axis: 2)
        positions.append(places + prediction.output)
      }
      try Safetensors(tensors: ["positions": .concatenated(positions)]).write(to: out)
      print("Positions of \(examples.count) systems: \(out)")
      return
    }
    var rows: [Row] = []
    model.forEachBatch(of: examples.inputs) { range, prediction in
      let classes = prediction.output.largestColumn()
      for (n, best) in zip(range, classes) {
        let probability = prediction.output[n - range.lowerBound].elements[best]
        rows.append(Row(set: n, class: model.classNames[best], probability: Double(probability)))
      }
    }
    switch format {
    case .json: print(jsonLines(rows).joined(separator: "\n"))
    case .csv:
      print("set,class,probability")
      for row in rows { print("\(row.set),\(row.class ?? ""),\(row.probability ?? 0)") }
    case .table:
      print(
        table(
          ["set", "class", "probability"],
          rows.map { ["\($0.set)", $0.class ?? "", ($0.probability ?? 0).formatted(4)] }))
    }
  }

  /// What `canon evaluate` says.
  private struct Report: Codable {
    var count: Int
    var quality: Quality
    /// The quality on the same sets, each moved and shuffled in a way of its own.
    var moved: Quality
  }

  /// `canon evaluate`.
  func evaluate(json: Bool) throws {
    guard isForecast || !examples.labels.isEmpty else {
      throw CommandError("The sets have no classes: evaluate on MNIST's folder or on 'test'.")
    }
    var random = RandomStream(seed: 0, name: "evaluate")
    let moves = model.moved(examples.inputs, using: &random)
    let targets = isForecast ? moves.move(examples.targets) : examples.targets
    let moved = Examples(inputs: moves.inputs, targets: targets, labels: examples.labels)
    let report = Report(
      count: examples.count, quality: model.quality(on: examples), moved: model.quality(on: moved))
    if json { return print(report.jsonLine) }
    func row(_ name: String, _ value: (Quality) -> String?) -> [String] {
      [name, value(report.quality) ?? "–", value(report.moved) ?? "–"]
    }
    print(
      table(
        ["figure", "as given", model.claimsMotions ? "moved" : "shuffled"],
        [
          row("sets") { _ in "\(report.count)" },
          row("test error") { $0.error.map { ($0 * 100).formatted(3) + " %" } },
          row(isForecast ? "mean squared error" : "cross entropy") { $0.loss.formatted(5) },
          row("calibration error (ECE)") {
            $0.calibrationError.map { ($0 * 100).formatted(3) + " %" }
          },
        ]))
  }

  /// `canon verify`; rounding, times a network's depth, is what `tolerance` must allow.
  ///
  /// Forms must stay the same where outputs are theirs, not where outputs are averaged over frames: a frame that is
  /// about to jump is turned by rounding, and weighs nothing.
  ///
  /// - Returns: Whether all deviations are within the tolerance.
  func verify(tolerance: Double, json: Bool) -> Bool {
    let (laws, output) = model.deviations(on: examples.inputs, samples: 16)
    let figures = [
      "pose": laws.pose, "form": laws.form, "restoration": laws.restoration, "output": output,
    ]
    if json {
      print(figures.jsonLine)
    } else {
      print(
        table(
          ["largest deviation over 16 elements", "value"],
          figures.sorted { $0.key < $1.key }.map { [$0.key, String(format: "%.2e", $0.value)] }))
    }
    let form = model.configuration.canonicalizer.frame > 1 ? 0 : laws.form
    return max(form, laws.restoration, output) <= tolerance
  }

  /// `canon inspect`: sets in several poses, seen from the front, above their canonical forms.
  ///
  /// Where members are put in order, they are the brighter the later they come.
  func inspect(poses: Int, out: String) throws {
    var sheet = ContactSheet(rows: 2 * examples.count, columns: poses)
    var random = RandomStream(seed: 0, name: "inspect")
    for n in 0..<examples.count {
      let set = examples.inputs.sliced(n..<n + 1)
      let copies = Tensor.concatenated([Tensor](repeating: set, count: poses))
      let moved = model.moved(copies, shuffles: isOrdered, using: &random).inputs
      let shown = Tensor.concatenated([set, moved.sliced(1..<poses)])
      let forms = model.predict(shown).forms
      for column in 0..<poses {
        let difference = (forms[column] - forms[0]).absolute().elements.max() ?? 0
        sheet.place(picture(shown[column]), row: 2 * n, column: column)
        sheet.place(
          picture(forms[column]), row: 2 * n + 1, column: column,
          frame: difference < 1e-2 ? (0.25, 0.75, 0.35) : (0.95, 0.55, 0.1))
      }
    }
    try prepareFolder(URL(fileURLWithPath: out).deletingLastPathComponent().path)
    try sheet.image.write(to: out)
    print("\(examples.count) sets in \(poses) poses, above their canonical forms: \(out)")
  }

  /// The first two coordinates of a set's points, *x* to the right and *y* up.
  private func picture(_ set: Tensor) -> Image {
    let side = 56
    let (members, width) = (set.shape[0], set.shape[1])
    let numbers = set.elements
    let center = (0..<2).map { c in
      (0..<members).reduce(Float(0)) { $0 + numbers[$1 * width + c] } / Float(members)
    }
    let reach = numbers.indices.filter { $0 % width < 2 }.reduce(Float(1e-6)) {
      max($0, abs(numbers[$1] - center[$1 % width]))
    }
    var pixels = [UInt16](repeating: 0, count: side * side)
    for i in 0..<members {
      let place = (0..<2).map { (numbers[i * width + $0] - center[$0]) / reach * 0.45 + 0.5 }
      let (x, y) = (Int(place[0] * Float(side - 2)), Int((1 - place[1]) * Float(side - 2)))
      let brightness = isOrdered ? UInt16(55 + 200 * (i + 1) / members) : 255
      for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        pixels[(y + dy) * side + x + dx] = brightness
      }
    }
    return Image(width: side, height: side, channels: 1, samples: pixels)
  }
}
