public import Autodiff
import TensorCore

/// A network of an ONNX file, carried out here: a backbone like any other.
///
///     let model = try ONNXModel(path: "resnet18.onnx")
///     let scores = try model.run([.floats(Variable(images))])   // [batch, 3, 224, 224], as the file has it
///
/// Its weights are parameters under their names in the file. In training, gradients flow to them and to its inputs;
/// batch normalization keeps the statistics of the file, and dropout does nothing.
public struct ONNXModel: Sendable {
  public let path: String
  /// What it takes and gives, in the file's order.
  public let inputs, outputs: [Port]
  /// The version of the operators.
  public let opset: Int
  public let metadata: [String: String]
  let graph: Graph

  /// Reads a file; of opsets 6 to 28.
  ///
  /// - Throws: `ONNXError` for a file that is damaged, or holds what is not supported, by node.
  public init(path: String) throws(ONNXError) {
    do {
      let found = try ModelReader.read(path)
      self.path = path
      (graph, inputs, outputs) = (found.graph, found.inputs, found.outputs)
      (opset, metadata) = (found.opset, found.metadata)
    } catch let error as ONNXError { throw error } catch { throw ONNXError("\(path): \(error)") }
  }

  /// The outputs for some inputs.
  ///
  /// - Parameter tape: A pass that learns, or by default one that only predicts.
  /// - Throws: `ONNXError` where inputs are not as many, or not of the types and sizes that it takes.
  public func run(_ given: [Value], on tape: Tape = .inference()) throws(ONNXError) -> [Value] {
    guard given.count == inputs.count else {
      throw ONNXError("\(path) takes \(inputs.count) inputs, not \(given.count).")
    }
    for (value, port) in zip(given, inputs) {
      let fits = port.shape.map { shape in
        shape.count == value.shape.count
          && zip(shape, value.shape).allSatisfy { $0 == nil || $0 == $1 }
      }
      guard value.type == port.type, fits != false else {
        throw ONNXError(
          "\(path): '\(port.name)' takes \(port.text), not \(value.type) \(value.shape).")
      }
    }
    do { return try graph.run(given, on: tape) } catch let error as ONNXError {
      throw ONNXError("\(path): \(error.description)")
    } catch { throw ONNXError("\(path): \(error)") }
  }

  /// The weights, by their names in the file.
  public var parameters: [(name: String, parameter: Parameter)] {
    graph.constants.compactMap { name, constant in
      if case .floats(let parameter) = constant { (name, parameter) } else { nil }
    }.sorted { $0.name < $1.name }
  }
}

extension Port {
  /// Type and extents, as a sentence needs them: `float [·, 3, 224, 224]`.
  public var text: String {
    let extents = shape.map {
      "[" + $0.map { $0.map { "\($0)" } ?? "·" }.joined(separator: ", ") + "]"
    }
    return "\(type) \(extents ?? "of any shape")"
  }
}
