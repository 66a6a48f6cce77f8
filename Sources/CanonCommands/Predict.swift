import ArgumentParser
import Canonicalization
import Datasets
import Foundation
import Images
import Symmetry
import TensorCore
import Training

struct Predict: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "predict",
    abstract: "Predicts for each input: its class, an image, places, …, with its pose.",
    discussion: """
      Images may be of any size and color: the largest centered square is averaged down to the \
      model's input. Sets of points come from a .safetensors file with a tensor 'points'. What is not a class is \
      written to --out, in the pose that the input came in: images to a folder, at the model's size; numbers to a \
      .safetensors file, with the inputs' names in its metadata. Places in images are in pixels of the model's input. \
      With --canonical the inputs are also written in canonical pose, in the same pass: images to a folder, sets \
      to a .safetensors file; what a calibrated model is not sure of is left as it is (see `canon canonicalize --min-margin`). Of a model of kind class-pose each input's pose and, in CSV and JSON, its orbit are \
      printed; with --reference, inputs in their natural poses, poses are told after the mean pose of the nearest \
      orbits there, with how far those lie apart. Of a model of kind transport each input's class and step are, with \
      the steps that explain it as well. Numbers of poses are in CSV and JSON those of the algebra: angles in radians, \
      counterclockwise, lengths in halves of the side, x to the right and y down, logarithms of scales; a turn of space is its \
      axis times its angle. The table has angles in degrees. Of these two kinds DATA is a folder, not the word test. Of a variational \
      autoencoder codes are told, posterior means; with --out in a .safetensors file that `canon disentanglement` reads, with the factors \
      where DATA is the word test and its data have some.

      EXAMPLES
        canon predict runs/c8 my-images
        canon predict runs/c8 my-images/one.png --format json
        canon predict runs/c8 my-images --canonical canonical --format csv
        canon predict runs/restore noisy-digits --out clean-digits
        canon predict runs/particles systems.safetensors --out later.safetensors
        canon predict runs/class-pose my-images --reference upright-images
        canon predict runs/vae test --out codes.safetensors
        find photos -name '*.jpg' | canon predict runs/c8 - --json > classes.jsonl
        canon predict runs/c8 my-images --json --shard 2/8 > classes-2.jsonl
      """)

  enum Format: String, ExpressibleByArgument, CaseIterable { case table, csv, json }

  @Argument(
    help:
      "A model: a .safetensors file, a folder of `canon train`, or one that comes with canon (pages, photos)."
  )
  var model: String

  @Argument(
    help:
      "A folder of images, or of tar archives of them, one archive, or one file; or - for a list of files on standard input; or a .safetensors file; or the word test."
  )
  var data: String

  @Option(help: "How results are printed.")
  var format = Format.table

  @Flag(help: "The same as --format json: one line of JSON per input.")
  var json = false

  @Option(help: "Where results that are not classes are written.")
  var out: String?

  @Option(help: "Where to write the inputs in canonical pose.")
  var canonical: String?

  @Option(help: "Inputs in their natural poses, for poses of a model of kind class-pose.")
  var reference: String?

  @Option(help: "How many of the nearest of --reference are asked (default: 20).")
  var neighbors: Int?

  @OptionGroup var shards: ShardOptions

  @OptionGroup(title: "How --canonical writes images") var pictures: PictureOptions

  @OptionGroup var common: CommonOptions

  /// The format that the two flags ask for.
  var printed: Format { json ? .json : format }

  func validate() throws {
    try requireFlag("--neighbors", neighbors, atLeast: 1)
    if neighbors != nil && reference == nil {
      throw ValidationError("--neighbors are those of --reference, which is missing.")
    }
  }

  /// What was made of some inputs.
  private struct Made: Sendable {
    var count: Int
    var names: [String]
    var rows: [String]
    var items: [ManifestWriter.Item]
    /// Results and forms that are kept to be written at the end.
    var numbers, forms: Tensor?
    var errors, unformed: [any Error]
    /// How many results are no numbers.
    var noNumbers: Int
  }

  func run() throws {
    common.apply()
    if namesNothing(data) { return }
    let file = try ModelFile(path: self.model, catalog: Canon.catalog)
    let made = try file.model()
    if let model = made as? OrbitModel { return try predict(model) }
    if let model = made as? TransportModel { return try predict(model) }
    if let model = made as? VariationalModel, reference == nil { return try predict(model, file) }
    guard reference == nil else {
      throw CommandError(
        "\(self.model) has no orbits: --reference is for models of kind class-pose.")
    }
    let loaded = try LoadedModel(file, made)
    let (model, domain) = (loaded.model, loaded.domain)
    let whole = try loaded.source(data).namedByPlace
    let shard = try shards.shard()
    let places = shard?.places(in: whole.names)
    let source = places.map(whole.selecting) ?? whole
    let presentation = model.task.presentation
    if !presentation.isPrinted && out == nil {
      let place = presentation == .images ? "folder" : ".safetensors file"
      throw ValidationError(
        "\(self.model) makes no classes: name a \(place) for its results with --out.")
    }
    if presentation.isPrinted && out != nil {
      throw ValidationError(
        "\(self.model) tells \(presentation == .poses ? "poses" : "classes"), which are printed: leave --out away."
      )
    }
    // Of files each part has one of its own.
    let out = presentation == .images ? out : out.map { shard.file($0) }
    let canonical = source.folder != nil ? canonical : canonical.map { shard.file($0) }
    for path in [out, canonical].compactMap({ $0 }) {
      try refuse(path, overwriting: data, self.model)
    }
    for path in [presentation == .images ? nil : out, source.folder == nil ? canonical : nil]
      .compactMap({ $0 })
    {
      try refuse(path, amongInputs: data)
      // Before anything is computed.
      try prepareFolder(Files.parent(of: path))
    }
    if let out, let canonical {
      try refuse(canonical, overwriting: out)
      if Place(out).overlaps(Place(canonical)) {
        throw CommandError("\(out) and \(canonical) lie one in the other; name folders apart.")
      }
    }
    let least = file.figures[Calibrate.figure]
    let header = Manifest.Header(canonicalizer: self.model, pictures, minMargin: least)
    let job = JobDescription("predict", goesOn: false, header, pictures, model: file.path)
    func folder(_ path: String) throws -> OutputFolder {
      try OutputFolder(path, apartFrom: data, source, job, shard: shard, of: whole.names)
    }
    let results = presentation == .images ? try out.map(folder) : nil
    let forms = source.folder == nil ? nil : try canonical.map(folder)
    let inputs = source.folder ?? data
    let manifest = try forms.map { try ManifestWriter($0, header, of: source.names, places) }
    let format = printed
    // Widths are known beforehand, so that a large folder's table is printed as it is made.
    let example = Row(
      source.names.map(source.label).max { $0.count < $1.count } ?? "", Pose(Motion()),
      output: model.noOutput,
      of: model, domain, least: least)
    let columns = Columns(
      widths: example.columns.compactMap(\.shown).map { shown in
        shown.title == "class"
          ? model.classNames.map(\.count).max() ?? 0
          : ["probability": 7, "pose": 9, "margin": 8, "unsure": 6, "ties": 4][shown.title]
            ?? shown.text.count
      }, header: example.columns.compactMap { $0.shown?.title })
    switch format {
    case .csv: try emit(example.columns.map(\.title).joined(separator: ","))
    case .table: try emit(columns.line(columns.header))
    case .json: break
    }
    var failures = Failures(domain.noun)
    if shard.isFirst { noteUnread(whole, in: data) }
    if shard?.index == 1 { failures.report(whole.errors) }
    var unformed = Failures(("canonical form", "canonical forms", "file"))
    var noNumbers = 0
    var progress = Progress(
      total: source.names.count, unit: domain.noun.many, isQuiet: common.quiet)
    var (done, numbers, moved): (Int, [Tensor], [Tensor]) = (0, [], [])
    var names: [String] = []
    Interruption.watch()
    try source.forEachLot { [canonical, pictures] lot in
      let prediction = model.predict(lot.inputs)
      let written = model.task.written(prediction.output, for: lot.inputs)
      var unwritten: [any Error] = []
      if let results {
        for (n, name) in lot.names.enumerated() {
          if let error = try results.written(Image(written[n]), to: name) {
            unwritten.append(error)
          }
        }
      }
      let rows = lot.names.indices.map { n in
        Row(
          source.label(of: lot.names[n]), prediction.poses[n],
          output: presentation == .classes ? prediction.output[n] : nil, of: model, domain,
          least: least)
      }
      let lines =
        switch format {
        case .json:
          jsonLines(rows.map(\.json))
            + lot.errorLines(in: inputs, of: source, domain.noun.name)
        case .csv: rows.map(\.csv)
        case .table: rows.map { columns.line($0.shown) }
        }
      let canonicals = try forms.map {
        try lot.writeCanonical(
          prediction.poses, pictures, least: least, from: inputs, to: $0)
      }
      var isNumbers = false
      if case .numbers = presentation { isNumbers = true }
      return Made(
        count: lot.names.count + lot.errors.count, names: lot.names, rows: lines,
        items: canonicals?.items ?? [], numbers: isNumbers ? written : nil,
        forms: canonical != nil && forms == nil ? prediction.forms : nil,
        errors: lot.errors + unwritten,
        // What a result was written of is done; its form alone is not.
        unformed: canonicals?.errors ?? [],
        noNumbers: (0..<lot.names.count).count { n in
          !written[n].isFinite
        })
    } use: { lot in
      failures.report(lot.errors)
      unformed.report(lot.unformed)
      if !lot.rows.isEmpty { try emit(lot.rows.joined(separator: "\n")) }
      noNumbers += lot.noNumbers
      try manifest?.append(lot.items)
      if let part = lot.numbers, !lot.names.isEmpty {
        numbers.append(part)
        names += lot.names
      }
      if let part = lot.forms { moved.append(part) }
      done += lot.count
      if source.names.count > 256 { progress.update(done) }
      try Interruption.check(
        "\(done) of \(source.names.count) \(domain.noun.many) are done; run it again for all.")
    }
    try forms?.finish { try manifest?.finish() }
    try results?.finish()
    if case .numbers(let name) = presentation, let out, !numbers.isEmpty {
      try Safetensors(
        tensors: [name: .concatenated(numbers)], metadata: ["names": names.jsonLine]
      ).write(to: out)
      note(
        "'\(name)' of \(names.count) \(names.count == 1 ? domain.noun.one : domain.noun.many): \(out)"
      )
    }
    if let canonical, !moved.isEmpty {
      try Safetensors(tensors: ["points": .concatenated(moved)]).write(to: canonical)
    }
    try unformed.finish(beside: failures)
    try failures.finish()
    if noNumbers > 0 {
      throw CommandError(
        "What \(self.model) says of \(noNumbers) \(noNumbers == 1 ? domain.noun.one : domain.noun.many) is no number: "
          + "its weights are not usable.")
    }
  }
}

extension Predictor {
  /// A result of the right shape, where classes are told.
  fileprivate var noOutput: Tensor? {
    task.presentation == .classes
      ? .zeros(Shape(task.outputShape(for: domain, classes: classNames.count))) : nil
  }
}
