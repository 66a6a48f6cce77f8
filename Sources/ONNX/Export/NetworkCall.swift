import Autodiff
import ONNXFormat
import TensorCore

/// A network of a file, as one operation of a computation that is written down.
struct NetworkCall: OwnOperation {
  let model: ONNXModel
  /// Which output is taken.
  let index: Int
}

extension GraphWriter {
  /// Writes a network's nodes among the others.
  ///
  /// - Throws: `ONNXError` where they mean something else in the opset that is written.
  mutating func write(_ call: NetworkCall, _ input: String) throws(ONNXError) -> String {
    let (model, graph) = (call.model, call.model.graph)
    guard model.opset >= 13 else {
      throw ONNXError(
        "\(model.path) is written for opset \(model.opset), whose operators mean something else than those of the opset 16 that sampling images needs; from 13 on they do not: export it again from where it comes from, for opset 17 or later."
      )
    }
    for node in graph.nodes where model.opset < 16 && node.operation == "RoiAlign" {
      guard node.attributes["coordinate_transformation_mode"] != nil else {
        throw ONNXError(
          "\(model.path): \(node.text) means something else from opset 16 on, which sampling images needs."
        )
      }
    }
    let prefix = name("network") + "/"
    let given = model.inputs[0].name
    // Weights are written once, however often the network is called.
    var names = [given: input]
    for (name, constant) in graph.constants.sorted(by: { $0.key < $1.key }) {
      names[name] = kept(constant.proto)
    }
    let known = names
    func renamed(_ name: String) -> String {
      known[name] ?? prefix + name.replacing("\0", with: "~")
    }
    for node in graph.nodes { add(node.proto(renamed)) }
    return renamed(graph.outputs[call.index])
  }
}
