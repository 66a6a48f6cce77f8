import Autodiff
import Synchronization
import TensorCore

/// Graphs of which all that follows from the inputs' shapes alone is done already, for the last few shapes.
///
/// Files compute shapes, windows and masks anew from each input: of a vision transformer most nodes do only that.
final class ShapeFolding: Sendable {
  private static let most = 4
  private let kept = Mutex<[(shapes: [[Int]], graph: Graph)]>([])

  /// What was made for inputs of these shapes.
  func graph(_ shapes: [[Int]]) -> Graph? {
    kept.withLock { $0.first { $0.shapes == shapes }?.graph }
  }

  func keep(_ graph: Graph, for shapes: [[Int]]) {
    kept.withLock { kept in
      if kept.contains(where: { $0.shapes == shapes }) { return }
      if kept.count >= Self.most { kept.removeFirst() }
      kept.append((shapes, graph))
    }
  }
}

/// While a graph is carried out: which values follow from the shapes of the inputs, and what these are.
struct ShapeRecord {
  /// Values that are the same for all inputs of these shapes.
  private var known: [String: Value] = [:]
  /// Values whose extents are.
  private var shaped: Set<String>
  /// The nodes that make no other values than known ones.
  private var done: Set<Int> = []
  /// How many numbers are known, and how many may be: a file that makes many large ones must not fill the memory.
  private var size = 0
  private let most = min(1 << 24, MemoryLimit.bytes / 64)

  /// Whose result's extents follow from the numbers of what they are given.
  private static let counting: Set = [
    "NonZero", "Compress", "Unique", "NonMaxSuppression", "If", "Loop", "StringSplit",
  ]
  /// Floats among whose inputs after the first say extents.
  private static let scaling: Set = ["Resize", "Upsample", "OneHot"]

  init(_ graph: Graph) {
    shaped = Set(graph.inputs).union(graph.constants.keys)
    for (name, constant) in graph.constants {
      if case .integers = constant { known[name] = constant.value }
    }
  }

  mutating func take(_ node: Node, at n: Int, _ operands: [Value?], _ results: [Value]) {
    guard size <= most else { return }
    let reads = node.reads.filter { !$0.isEmpty }
    let hasShapes = reads.allSatisfy(shaped.contains)
    let isKnown =
      reads.allSatisfy { known[$0] != nil }
      || hasShapes && ["Shape", "Size"].contains(node.operation)
    let saysExtents = zip(node.inputs, operands).enumerated().contains { place, input in
      guard let operand = input.1, known[input.0] == nil else { return false }
      if case .integers = operand { return true }
      return node.operation == "Range" || Self.scaling.contains(node.operation) && place > 0
    }
    for (name, result) in zip(node.outputs, results) where !name.isEmpty {
      if isKnown {
        known[name] = result
        size += result.count
      }
      if isKnown || hasShapes && !saysExtents && !Self.counting.contains(node.operation) {
        shaped.insert(name)
      }
    }
    if isKnown { done.insert(n) }
    if size > most { known = [:] }
  }

  /// The graph without what is known; `nil` where that is nothing, or more than memory should keep.
  func folded(_ graph: Graph) -> Graph? {
    guard !done.isEmpty, size <= most else { return nil }
    var nodes = graph.nodes.indices.filter { !done.contains($0) }.map { graph.nodes[$0] }
    let needed = Set(nodes.flatMap(\.reads)).union(graph.outputs)
    var constants = graph.constants
    for (name, value) in known where needed.contains(name) && constants[name] == nil {
      constants[name] =
        switch value {
        case .floats(let variable): .floats(Parameter(variable.value, isTrainable: false))
        case .integers(let integers): .integers(integers)
        }
    }
    // What is made ready of values that are others for other shapes is kept apart.
    for (n, node) in nodes.enumerated() where node.inputs.contains(where: { known[$0] != nil }) {
      nodes[n] = node.taking(node.followers, inputs: node.inputs, outputs: node.outputs)
    }
    return Graph(
      inputs: graph.inputs, outputs: graph.outputs, constants: constants, nodes: nodes)
  }
}
