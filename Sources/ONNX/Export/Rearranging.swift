import Autodiff
import ONNXFormat
import TensorCore

extension GraphWriter {
  /// A shape in which the batch is free.
  mutating func reshape(_ pair: TracePair, _ input: Variable) throws(ONNXError) {
    let extents = try pair.extents()
    let free = extents.indices.filter { if case .batches = extents[$0] { true } else { false } }
    let isKept = free.first == 0 && extents.first == .batches(1) && input.shape[0] == 2
    guard free.count - (isKept ? 1 : 0) <= 1 else {
      throw ONNXError("A shape \(pair.two.shape) has the batch in several places.")
    }
    let target = extents.enumerated().map { place, extent in
      guard case .fixed(let count) = extent else { return isKept && place == 0 ? 0 : -1 }
      return count
    }
    set(pair.two, node("Reshape", [plain(input), constant(target)]))
  }

  /// To channels first and back is no work: that is how images lie between convolutions.
  mutating func permute(_ value: Variable, _ input: Variable, _ order: [Int]) {
    switch order {
    case [0, 2, 3, 1]: setChannelsFirst(value, plain(input))
    case [0, 3, 1, 2]: set(value, channelsFirst(input))
    default: set(value, node("Transpose", [plain(input)], ["perm": .ints(order)]))
    }
  }

  mutating func slice(_ pair: TracePair, _ range: Range<Int>, _ axis: Int) throws(ONNXError) {
    let input = pair.two.inputs[0]
    if range == 0..<input.shape[axis] {
      set(pair.two, plain(input))
      return
    }
    guard input.shape[axis] == pair.three.inputs[0].shape[axis] else {
      throw ONNXError("A part of the batch is taken, which cannot be exported.")
    }
    let isFirst = isChannelsFirst(input)
    let bounds = [[range.lowerBound], [range.upperBound], [isFirst ? [0, 2, 3, 1][axis] : axis]]
    let names = bounds.map { constant($0) }
    let result = node("Slice", [isFirst ? channelsFirst(input) : plain(input)] + names)
    if isFirst { setChannelsFirst(pair.two, result) } else { set(pair.two, result) }
  }

  mutating func concatenate(_ value: Variable, _ inputs: [Variable], _ axis: Int) {
    let isFirst =
      value.shape.rank == 4 && inputs.allSatisfy { $0.isTraced && isChannelsFirst($0) }
    let names = inputs.map { isFirst ? channelsFirst($0) : plain($0) }
    let result = node("Concat", names, ["axis": .int(isFirst ? [0, 2, 3, 1][axis] : axis)])
    if isFirst { setChannelsFirst(value, result) } else { set(value, result) }
  }

  /// The largest numbers along the last axis, and where they are, which nobody asks for.
  mutating func addTop(_ input: String, _ count: String, _ result: String) {
    var proto = Onnx_NodeProto()
    (proto.opType, proto.name) = ("TopK", result)
    (proto.input, proto.output) = ([input, count], [result, name("places")])
    add(proto)
  }
}
