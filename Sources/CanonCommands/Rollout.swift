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
      told is from it after each step: the root mean square over all numbers of a state, beside that of states that stay as \
      they are.

      --plot draws some states as time goes on, to the right, above what is told what the rule says, where it is known: of images \
      the first channel, of a body the path up to then.

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
  var cell = 64

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
    let (examples, _, failures) = try loaded.examples(data, limit: limit)
    guard examples.count > 0 else { throw CommandError("\(data) holds no state.") }
    let first = examples.inputs
    let told = loaded.model.rollout(from: first, steps: steps)
    guard told.allSatisfy({ $0.elements.allSatisfy(\.isFinite) }) else {
      throw CommandError(
        "What \(model) tells of \(data) is no number after step \((told.firstIndex { !$0.elements.allSatisfy(\.isFinite) } ?? 0) + 1)."
      )
    }
    let right = (loaded.file.configuration.data as? any RuledOptions)?
      .states(after: first, steps: steps)
    if let out {
      try Safetensors(
        tensors: [
          "told": .concatenated(told.map { $0.reshaped(Shape([1] + $0.shape.extents)) })
        ]
      ).write(to: out)
      note("\(steps) steps of \(first.shape[0]) states: \(out)")
    }
    if let plot { try draw(first, told, right, loaded.domain, to: plot) }
    if let right {
      try tell(first, told, right)
    } else if out == nil, plot == nil {
      throw CommandError(
        "The model's data follow no rule that is known: name a file for what is told with --out, or --plot it."
      )
    }
    try failures.finish()
  }

  private func tell(_ first: Tensor, _ told: [Tensor], _ right: [Tensor]) throws {
    func errors(_ states: [Tensor]) -> [Double] {
      zip(states, right).map { Double(($0 - $1).squared().mean().scalar).squareRoot() }
    }
    let figures = Figures(
      states: first.shape[0], error: errors(told),
      unmoved: errors([Tensor](repeating: first, count: told.count)))
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
  private func draw(
    _ first: Tensor, _ told: [Tensor], _ right: [Tensor]?, _ domain: any ReadableDomain,
    to path: String
  ) throws {
    let columns = min(12, steps + 1)
    let times = (0..<columns).map { $0 * steps / max(1, columns - 1) }
    let count = min(states, first.shape[0])
    let rows = [right, told].compactMap { $0 }.map { [first] + $0 }
    var sheet = ContactSheet(rows: rows.count * count, columns: columns, cell: cell)
    for n in 0..<count {
      // All on one scale.
      let all = rows.map { row in row.map { $0.sliced(n..<n + 1) } }
      let pictures = domain is ImageDomain ? images(all, times) : paths(all, times)
      for (row, shown) in pictures.enumerated() {
        for (column, picture) in shown.enumerated() {
          sheet.place(picture, row: rows.count * n + row, column: column)
        }
      }
    }
    try sheet.image.write(to: path)
    note(
      "\(count) states at steps \(times.map(String.init).joined(separator: ", "))"
        + (right == nil ? "" : ", above what is told what the rule says") + ": \(path)")
  }

  /// The first channel at some times, from its least to its largest value.
  private func images(_ rows: [[Tensor]], _ times: [Int]) -> [[Image]] {
    let shown = rows.map { row in times.map { row[$0].sliced(0..<1, axis: 3)[0] } }
    let numbers = shown[0].flatMap(\.elements)
    let (low, high) = (numbers.min() ?? 0, numbers.max() ?? 1)
    return shown.map { row in row.map { Image(($0 - low) * (1 / max(1e-6, high - low))) } }
  }

  /// The path of the first member up to some times, in a square that holds all of the rule's.
  private func paths(_ rows: [[Tensor]], _ times: [Int]) -> [[Image]] {
    func place(_ state: Tensor) -> (x: Float, y: Float) { (state.elements[0], state.elements[1]) }
    let reach = rows[0].map(place).reduce(Float(1e-6)) { max($0, abs($1.x), abs($1.y)) }
    let side = cell
    return rows.map { row in
      let path = row.map(place)
      return times.map { time in
        var pixels = [UInt16](repeating: 20, count: side * side)
        func pixel(_ value: Float) -> Int {
          Int(min(max(value / reach * 0.45 + 0.5, 0), 1) * Float(side - 2))
        }
        func dot(_ x: Float, _ y: Float, _ brightness: UInt16) {
          let (column, row) = (pixel(x), side - 2 - pixel(y))
          for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            pixels[(row + dy) * side + column + dx] = brightness
          }
        }
        for step in 0..<max(time, 1) where step < time {
          let (a, b) = (path[step], path[step + 1])
          for part in 0...8 {
            let share = Float(part) / 8
            dot(a.x + (b.x - a.x) * share, a.y + (b.y - a.y) * share, 120)
          }
        }
        dot(path[time].x, path[time].y, 255)
        return Image(width: side, height: side, channels: 1, samples: pixels)
      }
    }
  }
}
