import Canonicalization
import Charts
import Datasets
import Foundation
import Images
import Symmetry
import TensorCore
import Training

/// Curves and pictures, of the tasks in `configs/bench/curves` and of others.
enum Curves {
  static let orders = [4, 8, 16, 32, 64]

  /// The curves that can be drawn of some results.
  static func charts(_ tasks: [Task], _ results: [Result], models: String, digits: String) throws
    -> [Chart]
  {
    var charts: [Chart] = []
    func statistic(_ task: String, _ method: String) -> Statistic {
      Statistic(results.filter { $0.task == task && $0.method == method }.map { $0.figure * 100 })
    }
    func point(_ x: Int, _ task: String, _ method: String) -> (Double, Double, Double)? {
      let s = statistic(task, method)
      return s.count > 0 ? (Double(x), s.mean, s.deviation) : nil
    }
    func add(
      _ id: String, _ title: String, _ xLabel: String, _ series: [Chart.Series],
      isLogarithmic: Bool = true
    ) {
      let filled = series.filter { !$0.points.isEmpty }
      if filled.isEmpty { return }
      charts.append(
        Chart(
          id: id, title: title, xLabel: xLabel, yLabel: "test error, %",
          content: .lines(filled, isLogarithmic: isLogarithmic)))
    }
    let byOrder = orders.compactMap { point($0, "group-order", "template C\($0)") }
    add(
      "error-by-order", "Error against the order of the group, learned template", "order",
      [.init(name: "template", points: byOrder)])
    let sizes = tasks.filter { $0.id.hasPrefix("images-") }
    let byImages = (sizes.first?.methods ?? []).map { method in
      Chart.Series(
        name: method.name,
        points: sizes.compactMap { task in
          Int(task.id.dropFirst(7)).flatMap { point($0, task.id, method.name) }
        })
    }
    add(
      "error-by-images", "Error against the number of training images", "training images", byImages)
    if let task = tasks.first(where: { $0.testData != nil }) {
      let series = task.methods.compactMap { method -> Chart.Series? in
        let rows = results.filter { $0.task == task.id && $0.method == method.name }
          .compactMap(\.byAngle)
        guard !rows.isEmpty, !["PCA", "gradients"].contains(method.name) else { return nil }
        return Chart.Series(
          name: method.name,
          points: measuredAngles.indices.map { i in
            (measuredAngles[i], Statistic(rows.map { $0[i] * 100 }).mean, 0)
          })
      }
      add(
        "error-by-angle", "Error against the angle of the test, trained upright", "degrees", series,
        isLogarithmic: false)
    }
    if let task = tasks.first(where: { $0.id == "rotated-cnn" }) {
      charts += try histogram(task, models: models, digits: digits)
    }
    return charts
  }

  /// The models of the first seed of which forms and poses are shown.
  static func shown(_ task: Task, models: String) throws -> [(name: String, model: any Predictor)] {
    try task.methods.filter {
      $0.isFromScratch && ($0.kind == .heuristic || $0.kind == .learned)
    }.compactMap { method in
      let path = savedModel(models, task.id, method.name, 0)
      guard FileManager.default.fileExists(atPath: path) else { return nil }
      return (method.name, try loadModel(path))
    }
  }

  /// How the poses of upright digits spread, about the mean of their class.
  private static func histogram(_ task: Task, models: String, digits: String) throws -> [Chart] {
    let examples = try upright(task, 1000)
    let bins = 36
    let series = try shown(task, models: models).map { name, model -> Chart.Series in
      let poses = model.poses(of: examples.inputs).map(\.element.planarIsometry)
      var counts = [Int](repeating: 0, count: bins)
      for label in Set(examples.labels) {
        let own = zip(poses, examples.labels).filter { $0.1 == label }.map(\.0)
        let mean = PoseSpread(own).mean
        for pose in own {
          let angle = SO2().log(SO2().compose(SO2().inverse(mean), pose))[0]
          counts[min(bins - 1, Int((angle + .pi) / (2 * .pi) * Double(bins)))] += 1
        }
      }
      return Chart.Series(
        name: name,
        points: counts.enumerated().map { i, n in
          ((Double(i) + 0.5) * 360 / Double(bins) - 180, Double(n) / Double(poses.count) * 100, 0)
        })
    }
    if series.isEmpty { return [] }
    return [
      Chart(
        id: "poses", title: "Poses of upright digits about the mean of their class",
        xLabel: "degrees", yLabel: "% of digits", content: .lines(series, isLogarithmic: false))
    ]
  }

  private static func upright(_ task: Task, _ count: Int) throws -> Examples {
    let configuration = try RunConfiguration(
      text: task.yaml(task.methods[0], seed: 0), source: task.id)
    guard let test = try configuration.data.upright?.test(seed: 0) else {
      throw BenchmarkError(description: "\(task.id) has no upright test part")
    }
    return test.selecting(0..<count)
  }

  /// Contact sheets: digits in several poses, above the forms that each method brings them to.
  static func sheets(
    _ tasks: [Task], models: String, to folder: String
  ) throws -> [(title: String, path: String)] {
    guard let task = tasks.first(where: { $0.id == "rotated-cnn" }) else { return [] }
    let (digits, poses) = ([3, 2, 1, 18], 12)
    let examples = try upright(task, 100)
    let turns = (0..<poses).map {
      PlanarIsometry(residual: 2 * .pi * Double($0) / Double(poses) + 0.1)
    }
    return try shown(task, models: models).map { name, model in
      var sheet = ContactSheet(rows: 2 * digits.count, columns: poses)
      for (row, n) in digits.enumerated() {
        let copies = [Tensor](repeating: examples.inputs.sliced(n..<n + 1), count: poses)
        let turned = model.domain.inputs.act(
          turns.map { Motion(isometry: $0) }, on: .concatenated(copies))
        let forms = model.predict(turned).forms
        for column in 0..<poses {
          sheet.place(Image(turned[column]), row: 2 * row, column: column)
          sheet.place(Image(forms[column]), row: 2 * row + 1, column: column)
        }
      }
      let path = "\(folder)/forms-\(fileName(name)).png"
      try sheet.image.write(to: path)
      return ("\(name): digits in \(poses) poses, above their canonical forms", path)
    }
  }
}

/// Where the model of a method and seed is kept.
func savedModel(_ folder: String, _ task: String, _ method: String, _ seed: Int) -> String {
  "\(folder)/\(task)-\(fileName(method))-\(seed).safetensors"
}

/// A method's name as part of a file's.
private func fileName(_ method: String) -> String {
  method.lowercased().map { $0.isLetter || $0.isNumber ? String($0) : "-" }.joined()
}
