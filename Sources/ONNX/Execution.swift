import Autodiff
import TensorCore

/// What a run has done and holds, in all graphs: loops in loops are much soon.
final class Work {
  static let limit = 1_000_000
  /// How many nodes were carried out.
  var count = 0
  /// Of all values that something still needs, weights aside: a view as if it were none.
  var bytes = 0
}

/// The values of a graph that is being carried out, and through it those of the graphs outside.
final class Scope {
  /// By the places that the graph's wiring gives to names.
  fileprivate var values: [Value?]
  private let wiring: Wiring
  private let outer: Scope?
  fileprivate let work: Work

  fileprivate init(_ wiring: Wiring, in outer: Scope?) {
    (self.wiring, self.outer) = (wiring, outer)
    values = [Value?](repeating: nil, count: wiring.places.count)
    work = outer?.work ?? Work()
  }

  /// What is held when something begins, to go back to at its end.
  var held: Int {
    get { work.bytes }
    set { work.bytes = newValue }
  }

  /// Counts a value that is held.
  ///
  /// - Throws: `ONNXError` where memory is not enough for all that is.
  func hold(_ value: Value, for node: Node) throws {
    work.bytes += value.bytes
    guard work.bytes <= MemoryLimit.bytes else {
      throw ONNXError(
        "\(node.text): what is held at once with its result is more than memory allows.")
    }
  }

  /// What is there under a name.
  subscript(name: String) -> Value? {
    wiring.places[name].flatMap { values[$0] } ?? outer?[name]
  }
}

/// Where the values of a graph stand while it is carried out: names are looked up once for all runs.
struct Wiring: Sendable {
  struct Step: Sendable {
    /// Nothing is where an input is left out.
    let operands, results: [Int?]
    /// What nothing needs afterwards.
    let released: [Int]
    /// What carries the node out, where it is supported.
    let body: Operators.Body?
  }

  private(set) var places: [String: Int] = [:]
  private(set) var inputs: [Int] = []
  private(set) var constants: [(place: Int, constant: Constant)] = []
  private(set) var steps: [Step] = []
  /// What is made outside.
  private(set) var outer: [(place: Int, name: String)] = []

  init(
    _ inputs: [String], _ outputs: [String], _ constants: [String: Constant], _ nodes: [Node]
  ) {
    self.inputs = inputs.map { place($0) }
    self.constants = constants.map { (place($0), $1) }
    var own = Set(inputs).union(constants.keys)
    var (outside, last) = (Set<String>(), [String: Int]())
    for (n, node) in nodes.enumerated() {
      outside.formUnion(node.reads.filter { !own.contains($0) })
      own.formUnion(node.outputs)
      for name in node.reads + node.outputs { last[name] = n }
    }
    outside.formUnion(outputs.filter { !own.contains($0) })
    outer = outside.subtracting([""]).map { (place($0), $0) }
    for name in outputs { last[name] = nil }
    var released = [[Int]](repeating: [], count: nodes.count)
    for (name, n) in last where constants[name] == nil {
      released[n].append(place(name))
    }
    steps = nodes.enumerated().map { n, node in
      Step(
        operands: node.inputs.map { $0.isEmpty ? nil : place($0) },
        results: node.outputs.map { $0.isEmpty ? nil : place($0) },
        released: released[n], body: Operators.all[node.operation])
    }
  }

  private mutating func place(_ name: String) -> Int {
    if let place = places[name] { return place }
    places[name] = places.count
    return places.count - 1
  }
}

extension Graph {
  /// Carries out all nodes.
  ///
  /// - Parameters:
  ///   - given: The inputs, in the graph's order.
  ///   - outer: What a graph inside a node reads from outside.
  ///   - note: Called with each node that was carried out: its index, its inputs and its results.
  /// - Throws: `ONNXError`.
  func run(
    _ given: [Value], on tape: Tape, in outer: Scope? = nil,
    _ note: ((Int, [Value?], [Value]) -> Void)? = nil
  ) throws -> [Value] {
    let scope = Scope(wiring, in: outer)
    let held = scope.held
    defer { scope.held = held }
    for (place, name) in wiring.outer {
      scope.values[place] = outer?[name]
      scope.held += scope.values[place]?.bytes ?? 0
    }
    for (place, constant) in wiring.constants {
      scope.values[place] = outer == nil ? constant.value(on: tape) : constant.value
    }
    for (place, value) in zip(wiring.inputs, given) {
      scope.values[place] = value
      scope.held += value.bytes
    }
    for (n, step) in wiring.steps.enumerated() {
      let node = nodes[n]
      scope.work.count += 1
      guard scope.work.count <= Work.limit else {
        throw ONNXError("\(node.text): more than \(Work.limit) nodes are carried out.")
      }
      var operands: [Value?] = []
      operands.reserveCapacity(step.operands.count)
      for (i, place) in step.operands.enumerated() {
        let value = place.flatMap { scope.values[$0] }
        guard place == nil || value != nil else {
          throw ONNXError("\(node.text): '\(node.inputs[i])' is not there.")
        }
        operands.append(value)
      }
      guard let body = step.body else { throw ONNXError("\(node.text) is not supported.") }
      let results = try body(
        Call(node: node, inputs: operands, tape: tape, scope: scope, graph: self))
      note?(n, operands, results)
      for case (let place?, let result) in zip(step.results, results) {
        scope.values[place] = result
        try scope.hold(result, for: node)
      }
      for place in step.released {
        scope.held -= scope.values[place]?.bytes ?? 0
        scope.values[place] = nil
      }
    }
    return try outputs.map { name in
      guard let value = scope[name] else { throw ONNXError("Nothing makes the output '\(name)'.") }
      return value
    }
  }
}

/// The operators that are supported, by name: a family a file.
enum Operators {
  typealias Body = @Sendable (Call) throws -> [Value]

  static let all: [String: Body] = [
    activations, functions, arithmetic, comparisons, reductions, shapes, rearrangements, indexing,
    selections, products,
    convolutions, pooling, normalizations, resizing, casts, controlFlow, spatial, quantization,
    attention, losses, signals,
  ].reduce(into: [:]) { all, family in all.merge(family) { first, _ in first } }
}
