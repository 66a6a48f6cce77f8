import ArgumentParser
import Datasets
import Images
import Settings
import Symmetry
import TensorCore
import Training

struct Rollout: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rollout",
    abstract: "Tells states step after step, each from what was told before it.",
    discussion: """
      The model's task is flow: it tells by how much a state changes. DATA is the word test, the test part of the model's data, or a \
      .safetensors file with `inputs` (or `points`) of states. Where the data follow a rule (kinds dynamics and plume) the table has how far what is \
      told is from it after each step: the root mean square over all numbers of a state (of a body place and velocity, of smoke density, vorticity and \
      inflow), beside that of states that stay as they are. States of which the rule makes no numbers are named and left out.

      --plot draws some states as time goes on, to the right, what is told in orange, what the rule says, where it is known, in blue: of \
      images the first channel in frames of these colors, the rule's above; of a body the path up to then, with a point for each step.

      EXAMPLES
        canon rollout runs/pendulum test --steps 20
        canon rollout runs/plume test --steps 8 --plot plume.png
        canon rollout runs/plume states.safetensors --steps 50 --out told.safetensors
      """)

  @Argument(help: "A model of task flow: a .safetensors file, or a folder of `canon train`.")
  var model: String

  @Argument(help: "The word test, or a .safetensors file of states.")
  var data: String

  @Option(help: "How many steps are told.")
  var steps = 10

  @Option(help: "Use the first so many states only.")
  var limit = 256

  @Option(help: "Where told states are written, .safetensors: told [steps, count, …].")
  var out: String?

  @Option(help: "The picture to write, a PNG file.")
  var plot: String?

  @Option(help: "How many states are drawn.")
  var states = 4

  @Option(help: "Side of a picture on the sheet, in pixels.")
  var cell = 96

  @Flag(help: "Print one object of JSON instead of a table.")
  var json = false

  @OptionGroup var common: CommonOptions

  /// How far what is told is from the rule.
  private struct Figures: Encodable {
    let states: Int
    /// After each step, of what is told and of states that stay.
    let error, unmoved: [Double]
  }

  func validate() throws {
    try requireFlag("--steps", steps, atLeast: 1)
    try requireFlag("--limit", limit, atLeast: 1)
    guard steps <= 10_000 else { throw ValidationError("--steps must be at most 10000.") }
    guard (1...64).contains(states) else { throw ValidationError("--states must be from 1 to 64.") }
    guard (16...512).contains(cell) else {
      throw ValidationError("--cell must be from 16 to 512, not \(cell).")
    }
    if let plot, !ImageCodecs.isImage(plot) {
      throw ValidationError("--plot must name an image file, like told.png, not \(plot).")
    }
    if let out, !out.hasSuffix(".safetensors") {
      throw ValidationError("--out must name a .safetensors file, not \(out).")
    }
  }

  func run() throws {
    common.apply()
    let loaded = try LoadedModel(model)
    guard loaded.model.task is FlowTask else {
      throw CommandError(
        "\(model) does not tell how states change: its task is '\(type(of: loaded.model.task).kind)', and not 'flow'."
      )
    }
    for path in [out, plot].compactMap({ $0 }) {
      try refuse(path, overwriting: data, model)
      try refuse(path, amongInputs: data)
      try prepareFolder(Files.parent(of: path))
    }
    if let out, let plot, Place(out) == Place(plot) {
      throw CommandError("--out and --plot name the same file.")
    }
    var (examples, _, failures) = try loaded.examples(data, limit: limit)
    guard examples.count > 0 else { throw CommandError("\(data) holds no state.") }
    let first = examples.inputs
    guard first.shape.count <= (1 << 28) / steps else {
      throw CommandError(
        "\(steps) steps of \(first.shape[0]) states are more than memory is asked for: fewer --steps, or a smaller --limit."
      )
    }
    let ruled = loaded.file.configuration.data as? any RuledOptions
    var (starts, right) = (first, [Tensor]())
    if let ruled {
      (starts, right) = try followed(ruled, first, examples.count, failures: &failures)
    }
    var told: [Tensor] = []
    var progress = Progress(total: steps, unit: "steps", isQuiet: common.quiet)
    for step in 0..<steps {
      told += loaded.model.rollout(from: told.last ?? starts, steps: 1)
      guard told[step].isFinite else {
        throw CommandError("What \(model) tells of \(data) is no number after step \(step + 1).")
      }
      progress.update(step + 1)
    }
    if let out {
      try Safetensors(
        tensors: [
          "told": .concatenated(told.map { $0.reshaped(Shape([1] + $0.shape.extents)) })
        ]
      ).write(to: out)
      note("\(steps) steps of \(starts.shape[0]) states: \(out)")
    }
    if let plot { try draw(starts, told, right, loaded.domain, to: plot) }
    if ruled != nil {
      try tell(starts, told, right)
    } else if out == nil, plot == nil {
      throw CommandError(
        "The model's data follow no rule that is known: name a file for what is told with --out, or --plot it."
      )
    }
    try failures.finish()
  }

  /// States and what follows on them by a rule, without those of which it makes no numbers, which are named.
  private func followed(
    _ ruled: any RuledOptions, _ first: Tensor, _ count: Int, failures: inout Failures
  ) throws -> (states: Tensor, right: [Tensor]) {
    let right = ruled.states(after: first, steps: steps)
    let sums = right.map { $0.reshaped([count, -1]).absolute().sum([1]).elements }
    let kept = (0..<count).filter { n in sums.allSatisfy { $0[n].isFinite } }
    guard !kept.isEmpty else {
      throw CommandError(
        "The rule of the model's data makes no numbers of \(data): its states are none of such a system."
      )
    }
    guard kept.count < count else { return (first, right) }
    failures.report(
      Set(0..<count).subtracting(kept).sorted().map { n in
        CommandError("state \(n): the rule of the model's data makes no numbers of it; left out.")
      })
    return (first.gathered(kept), right.map { $0.gathered(kept) })
  }

  private func tell(_ first: Tensor, _ told: [Tensor], _ right: [Tensor]) throws {
    func errors(_ states: [Tensor]) -> [Double] {
      // In double precision: squares of what runs away are beyond a Float.
      zip(states, right).map { a, b in
        let squares = zip(a.elements, b.elements).reduce(0.0) { sum, pair in
          let apart = Double(pair.0) - Double(pair.1)
          return sum + apart * apart
        }
        return (squares / Double(max(1, a.shape.count))).squareRoot()
      }
    }
    let figures = Figures(
      states: first.shape[0], error: errors(told),
      unmoved: errors([Tensor](repeating: first, count: told.count)))
    if !common.quiet,
      let step = figures.error.indices.first(where: { figures.error[$0] > figures.unmoved[$0] })
    {
      note(
        "Note: from step \(step + 1) on what is told may be further from the rule than states that stay as they are."
      )
    }
    if json { return try emit(figures.jsonLine) }
    // Of many steps some, the last one among them.
    let stride = (steps + 19) / 20
    let shown = (1...steps).filter { $0 % stride == 0 || $0 == steps || $0 == 1 }
    try emit(
      table(
        ["step", "error", "unmoved"],
        shown.map {
          ["\($0)", figures.error[$0 - 1].formatted(4), figures.unmoved[$0 - 1].formatted(4)]
        }))
  }

  /// Draws states as time goes on.
  ///
  /// `right`: What the rule says; empty where none is known.
  private func draw(
    _ first: Tensor, _ told: [Tensor], _ right: [Tensor], _ domain: any ReadableDomain,
    to path: String
  ) throws {
    let columns = min(12, steps + 1)
    let times = (0..<columns).map { $0 * steps / max(1, columns - 1) }
    let count = min(states, first.shape[0])
    let isOfImages = domain is ImageDomain
    let rows = ([right, told].filter { !$0.isEmpty }).map { [first] + $0 }
    var sheet = ContactSheet(
      rows: (isOfImages ? rows.count : 1) * count, columns: columns, cell: cell)
    for n in 0..<count {
      // All on one scale.
      let all = rows.map { row in row.map { $0.sliced(n..<n + 1) } }
      let pictures = isOfImages ? images(all, times) : [paths(all, times)]
      for (row, shown) in pictures.enumerated() {
        for (column, picture) in shown.enumerated() {
          let isTold = row == pictures.count - 1
          sheet.place(
            picture, row: pictures.count * n + row, column: column,
            frame: isOfImages ? (isTold ? Self.orange : Self.blue) : nil)
        }
      }
    }
    try sheet.image.write(to: path)
    note(
      "\(count) states at steps \(times.map(String.init).joined(separator: ", ")): what is told in orange"
        + (right.isEmpty ? "" : ", what the rule says in blue") + ": \(path)")
  }

  private static let orange: (Float, Float, Float) = (0.95, 0.55, 0.1)
  private static let blue: (Float, Float, Float) = (0.3, 0.6, 0.95)

  /// The first channel at some times, from its least to its largest value.
  private func images(_ rows: [[Tensor]], _ times: [Int]) -> [[Image]] {
    let shown = rows.map { row in times.map { row[$0].sliced(0..<1, axis: 3)[0] } }
    let numbers = shown[0].flatMap(\.elements)
    let (low, high) = (numbers.min() ?? 0, numbers.max() ?? 1)
    return shown.map { row in row.map { Image(($0 - low) * (1 / max(1e-6, high - low))) } }
  }

  /// The paths of the first member up to some times, the rule's below the one that is told, in a square that holds all of the first.
  private func paths(_ rows: [[Tensor]], _ times: [Int]) -> [Image] {
    func place(_ state: Tensor) -> SIMD2<Float> { SIMD2(state.elements[0], state.elements[1]) }
    let reach = rows[0].map(place).reduce(Float(1e-6)) { max($0, abs($1.x), abs($1.y)) }
    let colors = rows.count > 1 ? [Self.blue, Self.orange] : [Self.orange]
    return times.map { time in
      var canvas = Tensor(repeating: 0.08, shape: [cell, cell, 3])
      for (row, color) in zip(rows, colors) {
        func dot(_ place: SIMD2<Float>, _ brightness: Float, size: Int) {
          let shares = place / reach * 0.45 + 0.5
          guard shares.x >= 0, shares.y >= 0, shares.x <= 1, shares.y <= 1 else { return }
          let (x, y) = (shares.x * Float(cell - size), (1 - shares.y) * Float(cell - size))
          let color = Tensor([color.0, color.1, color.2]) * brightness
          canvas.assign(color.broadcast(to: [size, size, 3]), at: [Int(y), Int(x), 0])
        }
        let path = row[0...time].map(place)
        for (a, b) in zip(path, path.dropFirst()) {
          for part in 0...16 { dot(a + (b - a) * (Float(part) / 16), 0.6, size: 1) }
        }
        for place in path.dropLast() { dot(place, 0.8, size: 2) }
        dot(path[time], 1, size: 4)
      }
      return Image(canvas)
    }
  }
}
