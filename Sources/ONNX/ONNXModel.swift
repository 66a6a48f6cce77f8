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
  /// The file without its large weights, which `parameters` are: what a model file carries of it.
  public let structure: [UInt8]
  private(set) var graph: Graph
  /// The same, made ready for prediction.
  private(set) var folded: Graph
  private var foldings = ShapeFolding()

  /// Reads a file; of opsets 6 to 28.
  ///
  /// - Throws: `ONNXError` for a file that is damaged, or holds what is not supported, by node.
  public init(path: String) throws(ONNXError) {
    try self.init(path) { try ModelReader.read(path) }
  }

  /// A network whose large weights are zeros still, as a model file carries it.
  ///
  /// - Parameter path: Where it came from, for errors.
  /// - Throws: `ONNXError`, as for a file.
  public init(structure: [UInt8], path: String) throws(ONNXError) {
    try self.init(path) { try ModelReader.read(structure: structure) }
  }

  private init(_ path: String, _ read: () throws -> ModelReader.Result) throws(ONNXError) {
    self.path = path
    do {
      let found = try read()
      (graph, folded) = (found.graph, found.graph.folded())
      (inputs, outputs) = (found.inputs, found.outputs)
      (opset, metadata, structure) = (found.opset, found.metadata, found.structure)
    } catch let error as ONNXError {
      throw ONNXError("\(path): \(error.description)")
    } catch { throw ONNXError("\(path): \(error)") }
  }

  /// How many nodes there are of each operator, those inside others not counted.
  public var operators: [String: Int] {
    graph.nodes.reduce(into: [:]) { $0[$1.operation, default: 0] += 1 }
  }

  /// Whether an output is what an operation, `Softmax` over the last axis or `Sigmoid`, gives.
  public func ends(at index: Int, in operation: String) -> Bool {
    graph.withScores(at: index, before: operation).outputs != graph.outputs
  }

  /// The same with scores in place of probabilities where it ends in a softmax over the last axis, or in a sigmoid.
  func withScores(at index: Int, before operation: String) -> ONNXModel {
    var copy = self
    copy.graph = graph.withScores(at: index, before: operation)
    (copy.folded, copy.foldings) = (copy.graph.folded(), ShapeFolding())
    return copy
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
    let learns =
      tape.isTraining
      || given.contains { value in
        if case .floats(let variable) = value { variable.requiresGradient } else { false }
      }
    do {
      return try learns ? graph.run(given, on: tape) : predicted(given, on: tape)
    } catch let error as ONNXError {
      throw ONNXError("\(path): \(error.description)")
    } catch { throw ONNXError("\(path): \(error)") }
  }

  /// The outputs, without what was computed before for inputs of these shapes.
  private func predicted(_ given: [Value], on tape: Tape) throws -> [Value] {
    let shapes = given.map(\.shape)
    if let graph = foldings.graph(shapes) { return try graph.run(given, on: tape) }
    var record = ShapeRecord(folded)
    let results = try folded.run(given, on: tape) { n, operands, results in
      record.take(folded.nodes[n], at: n, operands, results)
    }
    foldings.keep(record.folded(folded) ?? folded, for: shapes)
    return results
  }

  /// The weights, by their names in the file.
  public var parameters: [(name: String, parameter: Parameter)] {
    graph.constants.compactMap { name, constant in
      if case .floats(let parameter) = constant { (name, parameter) } else { nil }
    }.sorted { $0.name < $1.name }
  }

  /// How many numbers its weights are.
  public var parameterCount: Int { parameters.map(\.parameter.value.shape.count).reduce(0, +) }
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
