import ArgumentParser
import Canonicalization
import Datasets
import Images
import Symmetry
import TensorCore
import Training

struct Predict: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Predicts the class of each image, or restores it, with its pose.",
    discussion: """
      Images may be of any size and color: the largest centered square is averaged down to the
      model's input. An image-valued model writes its output, in the pose that the image came in,
      to --out. With --canonical the images are also written in canonical pose, in the same pass.

      EXAMPLES
        canon predict runs/c8 my-images
        canon predict runs/c8 my-images/one.png --format json
        canon predict runs/c8 my-images --canonical upright --format csv
        canon predict runs/restore noisy-digits --out clean-digits
        canon predict runs/particles systems.safetensors --out later.safetensors
      """)

  enum Format: String, ExpressibleByArgument, CaseIterable { case table, csv, json }

  @Argument(help: "A model: a .safetensors file, or a folder of `canon train`.")
  var model: String

  @Argument(help: "A folder of PNG files, or one file; for sets of points a .safetensors file.")
  var folder: String

  @Option(help: "How results are printed.")
  var format = Format.table

  @Flag(help: "The same as --format json: one line of JSON per image.")
  var json = false

  @Option(help: "Where a model of images or of positions writes its outputs.")
  var out: String?

  @Option(help: "Where to write the images in canonical pose, as `canon canonicalize` does.")
  var canonical: String?

  @OptionGroup var common: CommonOptions

  /// What is said of one image.
  fileprivate struct Row: Codable {
    var file: String
    var `class`: String?
    var probability: Double?
    var degrees: Double
    var isReflected: Bool
    var margin: Double
    var ties: Int
  }

  func run() throws {
    common.apply()
    switch try LoadedModel(self.model) {
    case .points(let model):
      try PointSets(model, data: folder, limit: nil).predict(
        format: json ? .json : format, out: out)
    case .images(let model): try predict(model)
    }
  }

  private func predict(_ model: ImageModel) throws {
    let images = try ImageFolder(path: folder)
    let isClassification = model.configuration.data.task == .classify
    if !isClassification {
      guard let out else {
        throw ValidationError("\(self.model) makes images: name a folder for them with --out.")
      }
      try prepareFolder(out, apartFrom: images.path)
    }
    var failures = Failures()
    var progress = Progress(total: images.files.count, unit: "images", isQuiet: common.quiet)
    var done = 0
    let format = json ? Format.json : self.format
    // Widths are known beforehand, so that a large folder's table is printed as it is made.
    let columns = Columns(
      widths: [images.files.map(\.count).max() ?? 0]
        + (isClassification ? [model.classNames.map(\.count).max() ?? 0, 7] : []) + [9, 8, 4],
      header: ["file"] + (isClassification ? ["class", "probability"] : [])
        + ["pose", "margin", "ties"])
    let manifest = try canonical.map { folder in
      try prepareFolder(folder, apartFrom: images.path)
      return try ManifestWriter(
        folder: folder,
        Manifest.Header(
          canonicalizer: self.model, interpolation: model.action.interpolation.rawValue,
          border: model.action.border.rawValue))
    }
    switch format {
    case .csv: print("file,class,probability,degrees,reflected,margin,ties")
    case .table: print(columns.line(columns.header))
    case .json: break
    }
    try images.forEachLot { [canonical, out] items in
      let lot = Lot(items)
      let prediction = model.predict(lot.inputs(model.configuration.input))
      let rows =
        isClassification
        ? classRows(lot.files, prediction, model.classNames)
        : try imageRows(lot.files, prediction, to: out ?? "")
      let lines =
        switch format {
        case .json: jsonLines(rows)
        case .csv: rows.map(csv)
        case .table: rows.map { columns.line(cells($0, isClassification)) }
        }
      let entries =
        try canonical.map { try lot.writeCanonical(prediction.poses, model.action, to: $0) } ?? []
      return (count: items.count, lines: lines, entries: entries, errors: lot.errors)
    } use: { lot in
      failures.report(lot.errors)
      if !lot.lines.isEmpty { print(lot.lines.joined(separator: "\n")) }
      try manifest?.append(lot.entries)
      done += lot.count
      if images.files.count > 256 { progress.update(done) }
    }
    try manifest?.finish()
    try failures.finish()
  }
}

private func classRows(
  _ files: [String], _ prediction: ImageModel.Prediction, _ names: [String]
) -> [Predict.Row] {
  let probabilities = prediction.output.elements
  return prediction.output.largestColumn().enumerated().map { n, best in
    row(
      files[n], prediction.poses[n], name: names[best],
      probability: Double(probabilities[n * names.count + best]))
  }
}

private func imageRows(
  _ files: [String], _ prediction: ImageModel.Prediction, to out: String
) throws -> [Predict.Row] {
  try prepareParents(of: files, in: out)
  return try files.enumerated().map { n, file in
    try Image(prediction.output[n]).write(to: "\(out)/\(file)")
    return row(file, prediction.poses[n])
  }
}

private func row(
  _ file: String, _ pose: ImagePose, name: String? = nil, probability: Double? = nil
) -> Predict.Row {
  Predict.Row(
    file: file, class: name, probability: probability,
    degrees: pose.element.angle * 180 / .pi, isReflected: pose.element.isReflected,
    margin: Double(pose.margin), ties: pose.ties.count)
}

private func csv(_ row: Predict.Row) -> String {
  let file =
    row.file.contains { ",\"\n".contains($0) }
    ? "\"\(row.file.replacing("\"", with: "\"\""))\"" : row.file
  let probability = row.probability.map { $0.formatted(4) } ?? ""
  return "\(file),\(row.class ?? ""),\(probability),\(row.degrees.formatted(2)),"
    + "\(row.isReflected),\(row.margin),\(row.ties)"
}

private func cells(_ row: Predict.Row, _ isClassification: Bool) -> [String] {
  let probability = ((row.probability ?? 0) * 100).formatted(1) + " %"
  return [row.file] + (isClassification ? [row.class ?? "", probability] : [])
    + [
      row.degrees.formatted(1) + "°" + (row.isReflected ? " m" : ""), row.margin.formatted(4),
      row.ties == 0 ? "" : "\(row.ties)",
    ]
}
