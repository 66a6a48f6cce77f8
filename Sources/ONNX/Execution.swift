import Autodiff

/// How many nodes were carried out: loops in loops are many soon.
final class NodeCount {
  static let limit = 1_000_000
  var count = 0
}

/// Values by name, and those of the graphs outside.
struct Scope {
  var values: [String: Value] = [:]
  let done = NodeCount()

  /// What is there under a name.
  subscript(name: String) -> Value? {
    get { values[name] }
    set { values[name] = newValue }
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
    var scope = outer ?? Scope()
    for (name, constant) in constants {
      scope[name] = outer == nil ? constant.value(on: tape) : constant.value
    }
    for (name, value) in zip(inputs, given) { scope[name] = value }
    for (n, node) in nodes.enumerated() {
      scope.done.count += 1
      guard scope.done.count <= NodeCount.limit else {
        throw ONNXError("\(node.text): more than \(NodeCount.limit) nodes are carried out.")
      }
      let operands = try node.inputs.map { name -> Value? in
        guard !name.isEmpty else { return nil }
        guard let value = scope[name] else {
          throw ONNXError("\(node.text): '\(name)' is not there.")
        }
        return value
      }
      guard let body = Operators.all[node.operation] else {
        throw ONNXError("\(node.text) is not supported.")
      }
      let results = try body(
        Call(node: node, inputs: operands, tape: tape, scope: scope, graph: self))
      note?(n, operands, results)
      for (name, result) in zip(node.outputs, results) where !name.isEmpty { scope[name] = result }
      for name in released[n] { scope.values[name] = nil }
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
