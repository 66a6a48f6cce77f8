import Autodiff
import TensorCore

// Files write activations in parts where their opset had no operator for them, and a pass over an image for each part is
// most of what a small network takes.
extension Graph {
  /// The nodes that read each value; −1 stands for the graph's outputs.
  var uses: [String: [Int]] {
    var uses: [String: [Int]] = [:]
    for (n, node) in nodes.enumerated() {
      for name in node.reads where !name.isEmpty { uses[name, default: []].append(n) }
    }
    for name in outputs { uses[name, default: []].append(-1) }
    return uses
  }

  /// The node that alone reads the only result of a node, not from inside a graph of its own.
  ///
  /// - Parameter uses: See the property of this name.
  func onlyReader(of n: Int, _ uses: [String: [Int]]) -> (node: Int, output: String)? {
    guard let output = nodes[n].outputs.first, nodes[n].outputs.dropFirst().allSatisfy(\.isEmpty),
      let readers = uses[output], readers.count == 1, readers[0] >= 0,
      nodes[readers[0]].inputs.contains(output)
    else { return nil }
    return (readers[0], output)
  }

  /// The numbers without axes that nodes `Constant` give: unlike those of the file they are not trained, and unlike lists
  /// of one they leave the rank of what they meet.
  var numbers: [String: Float] {
    nodes.reduce(into: [:]) { numbers, node in
      guard node.operation == "Constant", let name = node.outputs.first else { return }
      if let number = node.number("value_float") { numbers[name] = number }
      if case .constant(.floats(let parameter))? = node.attributes["value"],
        parameter.value.shape.rank == 0
      {
        numbers[name] = parameter.value.elements[0]
      }
    }
  }

  /// The same with `Swish`, `HardSwish` and `Gelu` where the file has what they are made of.
  func withWholeActivations() -> Graph {
    let uses = uses
    let numbers = numbers
    var (replaced, taken) = ([Int: Node](), Set<Int>())

    /// The one node that reads a node's result, and what else that one reads.
    func next(_ n: Int, _ operation: String) -> (node: Int, other: String)? {
      guard let reader = onlyReader(of: n, uses), nodes[reader.node].operation == operation,
        nodes[reader.node].inputs.count == 2
      else { return nil }
      let inputs = nodes[reader.node].inputs
      return (reader.node, inputs[inputs[0] == reader.output ? 1 : 0])
    }
    func replace(_ parts: [Int], by operation: String, of input: String) {
      guard let last = parts.last else { return }
      taken.formUnion(parts.dropLast())
      replaced[last] = Node(
        name: nodes[last].name, operation: operation, opset: nodes[last].opset, inputs: [input],
        outputs: nodes[last].outputs, attributes: [:])
    }

    for (n, node) in nodes.enumerated() where node.inputs.count == 1 || node.operation == "Div" {
      switch node.operation {
      case "Sigmoid", "HardSigmoid":
        guard let product = next(n, "Mul"), product.other == node.inputs[0] else { continue }
        if node.operation == "Sigmoid" {
          replace([n, product.node], by: "Swish", of: product.other)
        } else if case .float(let slope)? = node.attributes["alpha"], abs(slope - 1 / 6) < 1e-6,
          [nil, 0.5].contains(node.number("beta"))
        {
          replace([n, product.node], by: "HardSwish", of: product.other)
        }
      case "Div":
        // x / √2 → Erf → + 1 → · x → · 1/2
        guard node.inputs.count == 2, let root = numbers[node.inputs[1]],
          abs(root - 1.414_213_5) < 1e-6, let erf = onlyReader(of: n, uses)?.node,
          nodes[erf].operation == "Erf", let sum = next(erf, "Add"), numbers[sum.other] == 1,
          let product = next(sum.node, "Mul"), product.other == node.inputs[0],
          let half = next(product.node, "Mul"), numbers[half.other] == 0.5
        else { continue }
        replace([n, erf, sum.node, product.node, half.node], by: "Gelu", of: node.inputs[0])
      default: continue
      }
    }
    return without(taken, replaced)
  }

  /// What a node computes of each number alone, where it is known without carrying it out.
  ///
  /// - Parameter numbers: See the property of this name.
  func activation(_ node: Node, _ numbers: [String: Float]) -> Activation? {
    switch node.operation {
    case "Relu": return .relu
    case "Sigmoid": return .sigmoid
    case "HardSwish": return .hardSwish
    case "Swish": return [nil, 1].contains(node.number("alpha")) ? .swish : nil
    case "Gelu":
      if case .string(let mode)? = node.attributes["approximate"], mode != "none" { return nil }
      return .gelu
    case "HardSigmoid":
      return .clamped(
        0, 1, scale: node.number("alpha") ?? 0.2, shift: node.number("beta") ?? 0.5)
    case "Clip":
      func bound(_ index: Int, _ name: String, _ none: Float) -> Float? {
        guard node.inputs.indices.contains(index), !node.inputs[index].isEmpty else {
          return node.number(name) ?? none
        }
        return numbers[node.inputs[index]]
      }
      guard let low = bound(1, "min", -.infinity), let high = bound(2, "max", .infinity) else {
        return nil
      }
      return .clamped(min(low, high), high)
    default: return nil
    }
  }
}
