/// One operation of a graph.
final class Node: Sendable {
  let name, operation: String
  /// The version of the operators that its file is written for.
  let opset: Int
  /// Names of values; an empty one is left out.
  let inputs, outputs: [String]
  let attributes: [String: Attribute]
  /// What it takes in of the nodes after it.
  let followers: Followers
  /// What is made ready once for it.
  let cache = NodeCache()

  init(
    name: String, operation: String, opset: Int, inputs: [String], outputs: [String],
    attributes: [String: Attribute], followers: Followers = Followers()
  ) {
    (self.name, self.operation, self.opset) = (name, operation, opset)
    (self.inputs, self.outputs) = (inputs, outputs)
    (self.attributes, self.followers) = (attributes, followers)
  }

  /// A setting that is a number.
  func number(_ name: String) -> Float? {
    switch attributes[name] {
    case .float(let number): number
    case .int(let number): Float(number)
    default: nil
    }
  }

  /// Whether it adds two values, aligned at their last axes: before opset 7 a node may say otherwise.
  var isPlainSum: Bool {
    operation == "Add" && inputs.count == 2 && (opset >= 7 || attributes["axis"] == nil)
  }

  /// The same settings for another operation.
  func renamed(_ operation: String, inputs: [String], outputs: [String]) -> Node {
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

  /// The values that it takes, and those that graphs in it read from outside.
  var reads: [String] { inputs + attributes.values.flatMap(\.outerNames) }

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
  /// How it is carried out.
  let wiring: Wiring

  init(inputs: [String], outputs: [String], constants: [String: Constant], nodes: [Node]) {
    (self.inputs, self.outputs) = (inputs, outputs)
    (self.constants, self.nodes) = (constants, nodes)
    wiring = Wiring(inputs, outputs, constants, nodes)
  }

  /// The same without some nodes, and others in the places of some.
  func without(_ taken: Set<Int>, _ replaced: [Int: Node] = [:]) -> Graph {
    guard !(taken.isEmpty && replaced.isEmpty) else { return self }
    return Graph(
      inputs: inputs, outputs: outputs, constants: constants,
      nodes: nodes.indices.filter { !taken.contains($0) }.map { replaced[$0] ?? nodes[$0] })
  }

  /// The same with what goes into a last softmax or sigmoid in place of an output.
  ///
  /// Of a softmax over the scores that is its logarithm, which a softmax takes back to it. Nodes that only hand on what they get may
  /// stand behind it.
  ///
  /// - Parameter operation: `Softmax` or `Sigmoid`.
  func withScores(at index: Int, before operation: String) -> Graph {
    var (chain, name) = ([Node](), outputs[index])
    while let node = nodes.first(where: { $0.outputs.first == name }), chain.count < 8 {
      chain.append(node)
      guard node.operation != operation else { break }
      guard ["Identity", "Flatten", "Squeeze"].contains(node.operation),
        let input = node.inputs.first
      else { return self }
      name = input
    }
    guard let last = chain.last, last.operation == operation else { return self }
    if operation == "Softmax", case .int(let axis)? = last.attributes["axis"],
      ![-1, 1].contains(axis)
    {
      return self
    }
    // Beside what is there, under names that no file has.
    let added = chain.reversed().map { node in
      let renamed =
        node.operation != operation
        ? node.operation
        : operation == "Softmax" ? "LogSoftmax" : "Identity"
      let input = node.inputs.first ?? ""
      return node.renamed(
        renamed,
        inputs: [node.operation == operation ? input : input + "\0"] + node.inputs.dropFirst(),
        outputs: [(node.outputs.first ?? "") + "\0"])
    }
    var wanted = outputs
    wanted[index] += "\0"
    return Graph(inputs: inputs, outputs: wanted, constants: constants, nodes: nodes + added)
      .withoutDead()
  }

  /// Without what no output needs.
  func withoutDead() -> Graph {
    var (needed, dead) = (Set(outputs), Set<Int>())
    for (n, node) in nodes.enumerated().reversed() {
      if node.outputs.contains(where: needed.contains) {
        needed.formUnion(node.reads)
      } else {
        dead.insert(n)
      }
    }
    return without(dead)
  }
}

extension Attribute {
  /// What a graph in it reads from outside.
  var outerNames: [String] {
    if case .graph(let graph) = self { graph.wiring.outer.map(\.name) } else { [] }
  }
}
