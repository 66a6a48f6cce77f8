/// One operation of a graph.
struct Node: Sendable {
  let name, operation: String
  /// The version of the operators that its file is written for.
  let opset: Int
  /// Names of values; an empty one is left out.
  let inputs, outputs: [String]
  let attributes: [String: Attribute]
  /// What it takes in of the nodes after it.
  var followers = Followers()
  /// What is made ready once for it.
  let cache = NodeCache()

  /// The same settings for another operation.
  func renamed(_ operation: String) -> Node {
    Node(
      name: name, operation: operation, opset: opset, inputs: inputs, outputs: outputs,
      attributes: attributes)
  }

  /// A convolution that takes in what follows it.
  func taking(_ followers: Followers, inputs: [String], outputs: [String]) -> Node {
    Node(
      name: name, operation: operation, opset: opset, inputs: inputs, outputs: outputs,
      attributes: attributes, followers: followers)
  }

  var text: String { "\(operation) '\(name)' (opset \(opset))" }
}

/// A setting of a node.
enum Attribute: Sendable {
  case int(Int)
  case float(Float)
  case string(String)
  case ints([Int])
  case floats([Float])
  case strings([String])
  case constant(Constant)
  case graph(Graph)
}

/// What a graph takes or gives, as its file says it.
public struct Port: Sendable, Equatable {
  public let name: String
  public let type: ElementType
  /// The extents; `nil` where the file leaves one free, and no list where it says nothing.
  public let shape: [Int?]?
}

/// Operations in an order in which each finds its inputs made.
final class Graph: Sendable {
  let inputs: [String]
  let outputs: [String]
  let constants: [String: Constant]
  let nodes: [Node]
  /// The values that are not needed after each node.
  let released: [[String]]

  init(inputs: [String], outputs: [String], constants: [String: Constant], nodes: [Node]) {
    (self.inputs, self.outputs) = (inputs, outputs)
    (self.constants, self.nodes) = (constants, nodes)
    var last: [String: Int] = [:]
    for (n, node) in nodes.enumerated() {
      for name in node.inputs + node.outputs { last[name] = n }
      for name in node.attributes.values.flatMap(\.outerNames) { last[name] = n }
    }
    for name in outputs { last[name] = nil }
    var released = [[String]](repeating: [], count: nodes.count)
    for (name, n) in last where constants[name] == nil { released[n].append(name) }
    self.released = released
  }

  /// The same with scores in place of the probabilities of an output that is a softmax over its last axis.
  func withScores(_ output: String) -> Graph {
    let isRead = nodes.contains { node in
      node.inputs.contains(output)
        || node.attributes.values.contains { $0.outerNames.contains(output) }
    }
    guard !isRead, let place = nodes.firstIndex(where: { $0.outputs == [output] }),
      nodes[place].operation == "Softmax"
    else { return self }
    var changed = nodes
    changed[place] = nodes[place].renamed("LogSoftmax")
    return Graph(inputs: inputs, outputs: outputs, constants: constants, nodes: changed)
  }

  /// Names that it reads, and that are made outside.
  var outerNames: Set<String> {
    var own = Set(inputs).union(constants.keys)
    var outer: Set<String> = []
    for node in nodes {
      outer.formUnion(
        (node.inputs + node.attributes.values.flatMap(\.outerNames)).filter { !own.contains($0) })
      own.formUnion(node.outputs)
    }
    return outer.union(outputs.filter { !own.contains($0) }).subtracting([""])
  }
}

extension Attribute {
  /// What a graph in it reads from outside.
  var outerNames: [String] {
    if case .graph(let graph) = self { Array(graph.outerNames) } else { [] }
  }
}
