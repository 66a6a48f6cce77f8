import Foundation
import ONNXFormat
import SwiftProtobuf

// What a model file of canon's carries: all of a network but its large weights, which are among its tensors anyway.
extension Onnx_ModelProto {
  /// - Throws: `ONNXError` where numbers that lie in another file cannot be read.
  mutating func leaveOutWeights(_ tensors: TensorReader) throws {
    for place in graph.initializer.indices where TensorReader.isLarge(graph.initializer[place]) {
      // They are floats among the tensors.
      graph.initializer[place].dataType = Int32(ElementType.float.rawValue)
      graph.initializer[place].doubleData = []
      graph.initializer[place].int32Data = []
      graph.initializer[place].rawData = Data()
      graph.initializer[place].clearRawData()
      graph.initializer[place].floatData = []
      graph.initializer[place].externalData = []
      graph.initializer[place].clearDataLocation()
    }
    try graph.takeIn(tensors)
    for place in functions.indices {
      for node in functions[place].node.indices {
        try functions[place].node[node].takeIn(tensors)
      }
    }
    docString = ""
  }
}

extension Onnx_GraphProto {
  /// Makes nodes `Constant` of some initializers: they are no weights then.
  mutating func keepAsConstants(_ names: Set<String>) {
    let kept = initializer.filter { names.contains($0.name) }
    initializer.removeAll { names.contains($0.name) }
    // Older files name them among the inputs too.
    input.removeAll { names.contains($0.name) }
    node.insert(
      contentsOf: kept.map { tensor in
        var value = Onnx_AttributeProto()
        (value.name, value.type, value.t) = ("value", .tensor, tensor)
        var node = Onnx_NodeProto()
        (node.opType, node.output, node.attribute) = ("Constant", [tensor.name], [value])
        return node
      }, at: 0)
  }

  /// Takes in numbers that lie in other files.
  fileprivate mutating func takeIn(_ tensors: TensorReader) throws {
    for place in initializer.indices { try initializer[place].takeIn(tensors) }
    for place in node.indices { try node[place].takeIn(tensors) }
  }
}

extension Onnx_NodeProto {
  fileprivate mutating func takeIn(_ tensors: TensorReader) throws {
    docString = ""
    for place in attribute.indices {
      if attribute[place].hasT { try attribute[place].t.takeIn(tensors) }
      if attribute[place].hasG { try attribute[place].g.takeIn(tensors) }
    }
  }
}

extension Onnx_TensorProto {
  fileprivate mutating func takeIn(_ tensors: TensorReader) throws {
    guard dataLocation == .external else { return }
    let name = name
    rawData = try tensors.external(self) { ONNXError("Tensor '\(name)': \($0).") }
    externalData = []
    clearDataLocation()
  }
}
