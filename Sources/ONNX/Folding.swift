import Autodiff
import TensorCore

/// What a node takes in of its neighbors, for prediction: a convolution of the nodes after it.
struct Followers: Sendable {
  /// Of a batch normalization, whose four inputs stand behind the convolution's own three.
  var epsilon: Float?
  var activation: Activation?
  /// Whether the last input of a convolution, or of a product, is added to its result, before the activation.
  var isAdded = false
  /// Whether a batch normalization joins its inputs along the channels, all before its own four.
  var isJoined = false
}

extension Graph {
  /// The same for prediction: a convolution takes in the batch normalization, the sum and the activation that follow it alone,
  /// a product with weights what is added to it, and the activation, a batch normalization the joining of its channels.
  func folded() -> Graph {
    withoutIdentities().withWholeActivations().withFoldedConvolutions().withFoldedProducts()
      .withJoinedNormalizations()
  }

  /// The same with what nodes `Identity` hand on read where it comes from: exporters write weights that are equal once, and
  /// what is handed on is no weight that could be made ready.
  private func withoutIdentities() -> Graph {
    // What comes out, and what graphs in nodes read, keeps its name.
    let kept = Set(outputs).union(nodes.flatMap { $0.attributes.values.flatMap(\.outerNames) })
    var (sources, taken, replaced) = ([String: String](), Set<Int>(), [Int: Node]())
    for (n, node) in nodes.enumerated() {
      let inputs = node.inputs.map { sources[$0] ?? $0 }
      if node.operation == "Identity", inputs.count == 1, let output = node.outputs.first,
        !output.isEmpty, !kept.contains(output)
      {
        sources[output] = inputs[0]
        taken.insert(n)
      } else if inputs != node.inputs {
        replaced[n] = node.taking(node.followers, inputs: inputs, outputs: node.outputs)
      }
    }
    return without(taken, replaced)
  }

  /// The same with batch normalizations that join channels where a node `Concat` that they alone read does.
  private func withJoinedNormalizations() -> Graph {
    let uses = uses
    var (replaced, taken) = ([Int: Node](), Set<Int>())
    for (n, node) in nodes.enumerated() where node.operation == "Concat" && node.inputs.count > 1 {
      guard case .int(1)? = node.attributes["axis"] ?? .int(1), !node.inputs.contains(""),
        let next = follower(of: n, uses), nodes[next].operation == "BatchNormalization",
        nodes[next].inputs.count == 5
      else { continue }
      taken.insert(n)
      var followers = nodes[next].followers
      followers.isJoined = true
      replaced[next] = nodes[next].taking(
        followers, inputs: node.inputs + nodes[next].inputs[1...], outputs: nodes[next].outputs)
    }
    return without(taken, replaced)
  }

  private func withFoldedProducts() -> Graph {
    let (uses, numbers) = (uses, numbers)
    var (replaced, taken) = ([Int: Node](), Set<Int>())
    for (n, node) in nodes.enumerated() {
      guard ["MatMul", "Gemm"].contains(node.operation), node.inputs.count > 1,
        let columns = weights(node.inputs[1]), columns.count == 2
      else { continue }
      var (last, inputs, followers) = (n, node.inputs, Followers())
      if node.operation == "MatMul", node.inputs.count == 2, let next = onlyReader(of: n, uses),
        nodes[next.node].isPlainSum,
        let bias = nodes[next.node].inputs.first(where: { $0 != next.output }),
        weights(bias) == [columns[1]]
      {
        taken.insert(last)
        followers.isAdded = true
        (last, inputs) = (next.node, node.inputs + [bias])
      }
      if let next = follower(of: last, uses), let activation = activation(nodes[next], numbers) {
        taken.insert(last)
        (last, followers.activation) = (next, activation)
      }
      if last != n {
        replaced[last] = node.taking(followers, inputs: inputs, outputs: [nodes[last].outputs[0]])
      }
    }
    return without(taken, replaced)
  }

  private func withFoldedConvolutions() -> Graph {
    let (uses, numbers) = (uses, numbers)
    var (replaced, taken) = ([Int: Node](), Set<Int>())
    for (n, node) in nodes.enumerated() where node.operation == "Conv" && canTakeIn(node) {
      var (last, followers) = (n, Followers())
      var inputs = node.inputs + (node.inputs.count == 2 ? [""] : [])
      if let next = follower(of: last, uses), nodes[next].operation == "BatchNormalization",
        let epsilon = foldedEpsilon(nodes[next], channels: weights(node.inputs[1])?.first)
      {
        taken.insert(last)
        (last, followers.epsilon) = (next, epsilon)
        inputs += nodes[next].inputs[1...]
      }
      if let next = onlyReader(of: last, uses), nodes[next.node].isPlainSum,
        weights(node.inputs[1])?.count == 4,
        !taken.contains(next.node), replaced[next.node] == nil,
        let other = nodes[next.node].inputs.first(where: { $0 != next.output })
      {
        taken.insert(last)
        (last, followers.isAdded) = (next.node, true)
        inputs.append(other)
      }
      if let next = follower(of: last, uses), let activation = activation(nodes[next], numbers) {
        taken.insert(last)
        (last, followers.activation) = (next, activation)
      }
      if last != n {
        replaced[last] = node.taking(followers, inputs: inputs, outputs: [nodes[last].outputs[0]])
      }
    }
    // A normalization that stands before its convolution takes in the ReLU between them.
    for (n, node) in nodes.enumerated()
    where node.operation == "BatchNormalization" && !taken.contains(n) {
      guard replaced[n] == nil, let next = follower(of: n, uses),
        nodes[next].operation == "Relu"
      else { continue }
      taken.insert(n)
      replaced[next] = node.taking(
        Followers(activation: .relu), inputs: node.inputs, outputs: nodes[next].outputs)
    }
    return without(taken, replaced)
  }

  /// The node that alone reads what a node gives, as its first input.
  private func follower(of n: Int, _ uses: [String: [Int]]) -> Int? {
    guard let next = onlyReader(of: n, uses), nodes[next.node].inputs.first == next.output else {
      return nil
    }
    return next.node
  }

  /// The extents of a value that is weights of the file.
  private func weights(_ name: String) -> [Int]? {
    guard case .floats(let parameter)? = constants[name] else { return nil }
    return parameter.value.shape.extents
  }

  /// Whether a convolution runs on the kernels of images, with weights that are known.
  private func canTakeIn(_ node: Node) -> Bool {
    guard (2...3).contains(node.inputs.count), let shape = weights(node.inputs[1]),
      (3...4).contains(shape.count),
      node.inputs.count == 2 || node.inputs[2].isEmpty || weights(node.inputs[2]) != nil
    else { return false }
    return ["strides", "dilations"].allSatisfy { name in
      guard case .ints(let numbers)? = node.attributes[name] else { return true }
      return Set(numbers).count <= 1
    }
  }

  /// The ε of a batch normalization of a convolution's channels by weights of the file.
  private func foldedEpsilon(_ node: Node, channels: Int?) -> Float? {
    guard node.inputs.count == 5, node.outputs.dropFirst().allSatisfy(\.isEmpty),
      node.inputs[1...].allSatisfy({ weights($0) == channels.map { [$0] } })
    else { return nil }
    if case .int(let mode)? = node.attributes["training_mode"], mode != 0 { return nil }
    if case .float(let epsilon)? = node.attributes["epsilon"] { return epsilon }
    return 1e-5
  }
}
