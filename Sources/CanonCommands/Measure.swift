import ArgumentParser
import Autodiff
import Charts
import Datasets
import Layers
import Settings
import Symmetry
import TensorCore
import Training

struct Measure: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "measure",
    abstract: "Measures how far a model, or data, are from equivariant: ε.",
    discussion: """
      For elements g of a group and inputs x, the distance of f(g·x) from g·f(x), Euclidean, of all numbers of an output: its \
      mean, the 95 % quantile, the largest of the sample (a lower bound of ε), and the mean relative to the mean length of \
      f(x). f is a model, its backbone without canonicalizer (--of backbone), or what brings it to canonical form (--of form, \
      which elements are to leave as it is), or a relaxed model's residual (--of residual). Outputs are what `canon predict` gives: \
      probabilities of classes, pixels, places. With --data f is the rule that data follow, and no model is needed.

      Elements of a finite group are all taken. Those of a Lie group are drawn from a window of its algebra, |aᵢ| ≤ rᵢ: angles \
      in radians; of images, shifts in halves of the side and logarithms of scales. --window names rᵢ, one for each generator; \
      without it π where a generator goes around, and 0.3 (images) or 1. Of a generator that `canon discover` found the numbers are \
      multiples of its six. The curves are along one generator each; what is drawn is always the same.

      Groups: C8, D4, SO2, O2, T2 (shifts), scalings, SE2, similarity, SL2, GL2 and affine of images; SO3, O3, SE3, E3 (or with 2) and S of \
      sets; a file of `canon discover`.

      --data takes a configuration whose data follow a rule (dynamics, plume), measured on its test part; or a .safetensors file \
      of pairs, `inputs`, `partner` and `element` (numbers of the algebra of --group): how far a partner is from the moved input.

      With --of layer:N it is what the backbone's first N layers make of inputs: maps of features are to move as images do, anything \
      else is to stay.

      EXAMPLES
        canon measure runs/plain test --group SO2 --plot curve.svg
        canon measure runs/c8 my-images --group SE2 --window 3.14,0.1,0.1
        canon measure runs/plain test --group C4 --of layer:3
        canon measure runs/relaxed test --json
        canon measure --data configs/oscillator-relaxed.yaml
        canon measure --data pairs.safetensors --group SO2
      """)

  /// What is measured of a model.
  enum Part: ExpressibleByArgument {
    case output, backbone, form, residual
    /// The first so many layers of the backbone.
    case layers(Int)

    init?(argument: String) {
      switch argument {
      case "output": self = .output
      case "backbone": self = .backbone
      case "form": self = .form
      case "residual": self = .residual
      default:
        guard argument.hasPrefix("layer:"), let count = Int(argument.dropFirst(6)), count > 0 else {
          return nil
        }
        self = .layers(count)
      }
    }

    var name: String {
      switch self {
      case .output: "output"
      case .backbone: "backbone"
      case .form: "form"
      case .residual: "residual"
      case .layers(let count): "layer \(count)"
      }
    }

    var defaultValueDescription: String { name }

    static var allValueStrings: [String] { ["output", "backbone", "form", "residual", "layer:N"] }
  }

  @Argument(help: "A model: a .safetensors file, or a folder of `canon train`.")
  var model: String?

  @Argument(help: "A folder of images, a .safetensors file, or the word test.")
  var inputs: String?

  @Option(help: "Measure data instead: a configuration, or a .safetensors file of pairs.")
  var data: String?

  @Option(
    help:
      "The group (default: what the model claims, or its data are drawn in all poses of), or a file of `canon discover`."
  )
  var group: String?

  @Option(help: "The window in the algebra, a radius for each generator: 3.14,0.1,0.1.")
  var window: String?

  @Option(help: "How many elements are drawn from the window.")
  var samples = 32

  @Option(help: "How many elements along each generator a curve has.")
  var points = 13

  @Option(
    help:
      "What is measured of a model: output, backbone, form, residual, or layer:N, the backbone's first N layers, whose maps of features are to move as images do."
  )
  var of: Part = .output

  @Option(help: "Use the first so many inputs only.")
  var limit = 256

  @Option(help: "A picture of the curves, .svg.")
  var plot: String?

  @Flag(help: "Print one object of JSON instead of a table.")
  var json = false

  @OptionGroup var common: CommonOptions

  func validate() throws {
    try requireFlag("--limit", limit, atLeast: 1)
    try requireFlag("--samples", samples, atLeast: 1)
    try requireFlag("--points", points, atLeast: 2)
    guard samples <= 100_000, points <= 10_000 else {
      throw ValidationError("--samples go up to 100000, and --points to 10000.")
    }
    if data?.hasSuffix(".safetensors") == true && (window != nil || plot != nil) {
      throw ValidationError(
        "Pairs have one element each: there is no --window to draw from, and no curve to --plot.")
    }
    if data == nil && (model == nil || inputs == nil) {
      throw ValidationError("Name a model and inputs (a path, or test), or data with --data.")
    }
    if data != nil && model != nil {
      throw ValidationError("--data is measured without a model: leave one of them away.")
    }
    if let plot, !plot.hasSuffix(".svg") {
      throw ValidationError("--plot writes a picture whose name ends in .svg, not \(plot).")
    }
    if data != nil, of.name != Part.output.name {
      throw ValidationError("--of is for parts of a model, and --data has none.")
    }
  }

  func run() throws {
    common.apply()
    if let plot {
      for input in [model, inputs, data].compactMap({ $0 }) where input != "test" {
        try refuse(plot, overwriting: input)
        try refuse(plot, amongInputs: input)
      }
      try prepareFolder(Files.parent(of: plot))
    }
    if let data { return try measure(data: data) }
    guard let model, let inputs else { return }
    try measure(model: model, on: inputs)
  }

  private func measure(model path: String, on inputs: String) throws {
    let loaded = try LoadedModel(path)
    let model = loaded.model
    if case .output = of { try loaded.requireOutputs() }
    let (examples, names, failures) = try loaded.examples(inputs, limit: limit)
    let group = try elements(
      of: model.domain, claimed: model.claims, names: loaded.file.configuration.data.symmetries,
      whose: path)
    let function: (Tensor) -> Tensor
    let outputs: any Quantity
    switch of {
    case .output: (function, outputs) = ({ model.predict($0).output }, model.outputs)
    case .form: (function, outputs) = ({ model.predict($0).forms }, Scores())
    case .residual:
      guard let relaxed = model as? RelaxedModel else {
        throw CommandError("\(path) has no residual: that is a part of models of kind 'relaxed'.")
      }
      (function, outputs) = (
        { relaxed.correction(Variable($0), on: .inference()).value }, model.outputs
      )
    case .backbone:
      guard let canonicalized = model.canonicalized else {
        throw CommandError("\(path) has no backbone of its own: leave --of away.")
      }
      (function, outputs) = ({ canonicalized.backboneResults($0) }, model.outputs)
    case .layers(let count):
      (function, outputs) = try layers(count, of: model, path)
    }
    try report(
      MeasureReport(
        of: of.name, group, function, on: examples.inputs, names: names,
        moving: model.domain.inputs, outputs: outputs, quiet: common.quiet))
    try failures.finish()
  }

  /// The first layers of a backbone, and how what they make of inputs is moved: maps of features as images are, anything else not at all.
  private func layers(
    _ count: Int, of model: any Predictor, _ path: String
  ) throws -> ((Tensor) -> Tensor, any Quantity) {
    guard let backbone = model.canonicalized?.backbone as? Sequential else {
      throw CommandError(
        "\(path) has no backbone of layers one after the other: `--of backbone` measures it whole.")
    }
    // What each layer makes of an input.
    var made: [Tensor] = []
    for layer in backbone.layers {
      made.append(layer.predict(made.last ?? .zeros(Shape([1] + model.domain.shape))))
    }
    let words = zip(backbone.layers, made).map { layer, made in
      "\(type(of: layer)) → "
        + made.shape.extents.dropFirst().map(String.init).joined(separator: " × ")
    }
    guard count <= made.count else {
      throw CommandError(
        "The backbone of \(path) has \(made.count) layers, and no layer \(count): "
          + words.enumerated().map { "\($0.offset + 1) \($0.element)" }.joined(separator: ", ")
          + ".")
    }
    let shape = made[count - 1].shape
    let isMap = model.domain.shape.count == 3 && shape.rank == 4 && shape[1] == shape[2]
    if !common.quiet {
      note(
        "Layer \(count): \(words[count - 1]), \(isMap ? "which is to move as images do" : "which is to stay")."
      )
    }
    let first = Sequential(Array(backbone.layers.prefix(count)))
    let pixels = Pixels((model.domain.inputs as? Pixels)?.interpolation ?? .bilinear)
    return ({ first.predict($0) }, isMap ? pixels : Scores())
  }

  private func measure(data path: String) throws {
    guard !path.hasSuffix(".safetensors") else { return try measure(pairs: path) }
    let configuration = try RunConfiguration(path: path, catalog: Canon.catalog)
    let data = configuration.data
    guard let ruled = data as? any RuledOptions else {
      throw CommandError(
        "\(path): data of kind '\(type(of: data).kind)' follow no rule that is known; those of kind dynamics and plume do. "
          + "Pairs are measured as a .safetensors file.")
    }
    guard let test = try data.test(seed: UInt64(configuration.seed)) else {
      throw CommandError("\(path): the data have no test part.")
    }
    let group = try elements(
      of: data.domain, claimed: MotionGroup([]), names: data.symmetries, whose: path)
    let states = test.prefix(limit).inputs
    let task = FlowTask()
    // What changes is what a model is asked for.
    try report(
      MeasureReport(
        of: "data", group, { ruled.next($0) - $0 }, on: states,
        names: (0..<states.shape[0]).map { "input \($0)" },
        moving: data.domain.inputs, outputs: task.quantity(for: data.domain, classes: 0),
        quiet: common.quiet))
  }

  private func measure(pairs path: String) throws {
    let file = try Safetensors(path: path)
    guard let inputs = file.tensors["inputs"], let partners = file.tensors["partner"],
      let numbers = file.tensors["element"], inputs.shape == partners.shape,
      (3...4).contains(inputs.shape.rank), inputs.shape.count > 0
    else {
      throw CommandError(
        "\(path) needs `inputs` and `partner` of one shape, [count, height, width, channels] or [count, members, dimension], and `element`."
      )
    }
    let domain = Examples(inputs: inputs).geometry
    guard inputs.shape.rank == 3 || inputs.shape[1] == inputs.shape[2] else {
      throw CommandError("\(path): images are square, not \(inputs.shape[1]) × \(inputs.shape[2]).")
    }
    guard let group, let factor = try groupFactor(group, of: domain), let algebra = factor.algebra
    else {
      throw CommandError(
        "Name the Lie group whose algebra `element` is of: --group SO2, SE2, scalings, … (its generators in order)."
      )
    }
    let count = inputs.shape[0]
    let dimension = algebra.window.radii.count
    guard numbers.shape.extents == [count, dimension] else {
      throw CommandError(
        "\(path): `element` has shape \(numbers.shape), and \(count) elements of \(group) have [\(count), \(dimension)]."
      )
    }
    let values = numbers.elements.map { Double($0) }
    guard values.allSatisfy({ $0.isFinite && abs($0) < 1e3 }) else {
      throw CommandError("\(path): `element` holds numbers that are no elements.")
    }
    let all = (0..<count).map {
      algebra.exponential(Array(values[$0 * dimension..<($0 + 1) * dimension]))
    }
    let size = { (motion: Motion) in
      (motion.map.map { $0.matrix + $0.translation } ?? []).map(abs).max() ?? 0
    }
    guard all.allSatisfy({ size($0) < 1e6 }) else {
      throw CommandError(
        "\(path): an element of `element` moves places by more than can be computed with.")
    }
    let error = EquivarianceError(
      ofPairs: inputs, partners, apart: all, moving: domain.inputs)
    try report(
      MeasureReport(
        of: "pairs", group: group, error: error, names: (0..<count).map { "pair \($0)" }))
  }

  private func report(_ report: MeasureReport) throws {
    try report.requireNumbers()
    guard plot == nil || !report.curves.isEmpty else {
      throw CommandError(
        "There is no curve to draw: \(report.line.group) has elements that no generator leads to; leave --plot away."
      )
    }
    try emit(json ? report.line.jsonLine : report.table)
    if let plot { try writeFile(report.picture, to: plot) }
    if !common.quiet && !json { note(report.remark) }
  }

  /// The elements to measure under.
  private func elements(
    of domain: any Domain, claimed: MotionGroup, names: [String], whose: String
  ) throws -> MeasureReport.Elements {
    var (measured, name) = (claimed, group ?? "the claimed group")
    if let group {
      guard let factor = try groupFactor(group, of: domain) else {
        throw ValidationError(
          "There is no group '\(group)' of \(domain.text); `canon measure --help` lists them.")
      }
      measured = MotionGroup([factor])
    } else if claimed.isTrivial {
      let found = names.compactMap { domain.group(named: $0) }
      guard !found.isEmpty else {
        throw CommandError("\(whose) claims no symmetry; name a group with --group.")
      }
      (measured, name) = (MotionGroup(found), names.joined(separator: " × "))
    }
    if let all = measured.elements {
      guard window == nil else {
        throw ValidationError("--window is for Lie groups, and \(name) is finite.")
      }
      return MeasureReport.Elements(finite: all, name: name)
    }
    guard let algebra = measured.algebra else {
      guard window == nil else {
        throw ValidationError(
          "--window is for groups that an algebra reaches all of, and \(name) is none: its elements are drawn."
        )
      }
      return MeasureReport.Elements(
        sampled: measured.elements(orSampled: samples), name: name)
    }
    var box = algebra.window
    if let window {
      let radii = window.split(separator: ",", omittingEmptySubsequences: false).map {
        Double($0.drop { $0 == " " })
      }
      guard radii.count == box.radii.count,
        radii.allSatisfy({ $0.map { $0.isFinite && $0 >= 0 && $0 <= 10 } ?? false })
      else {
        throw ValidationError(
          "--window has a radius from 0 to 10 for each of the \(box.radii.count) generators of \(name), not '\(window)'."
        )
      }
      box = AlgebraWindow(radii.compactMap { $0 })
      guard box.radii.contains(where: { $0 > 0 }) else {
        throw ValidationError(
          "--window leaves nothing but the identity, which says nothing: name a radius above 0.")
      }
    }
    return MeasureReport.Elements(
      algebra: algebra, window: box, samples: samples, points: points, name: name)
  }
}
