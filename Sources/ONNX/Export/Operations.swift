import Autodiff
import TensorCore

extension GraphWriter {
  /// Writes what made a value.
  ///
  /// - Throws: `ONNXError` for what cannot be written.
  mutating func write(_ pair: TracePair) throws(ONNXError) {
    let (value, inputs) = (pair.two, pair.two.inputs)
    guard let operation = value.operation else {
      throw ONNXError(
        "An operation that gives \(value.shape) does not say what it is ('operation' of 'Variable(_:inputs:operation:pullback:)'), so that it cannot be exported."
      )
    }
    switch operation {
    case .same: copy(value, inputs[0])
    case .function(let function): try write(function, value, inputs[0])
    case .add: elementwise("Add", value, inputs)
    case .subtract: elementwise("Sub", value, inputs)
    case .multiply: elementwise("Mul", value, inputs)
    case .divide: elementwise("Div", value, inputs)
    case .isGreater: truth("Greater", value, inputs)
    case .isEqual: truth("Equal", value, inputs)
    case .choose:
      let condition = node("Cast", [plain(inputs[0])], ["to": .int(9)])
      set(value, node("Where", [condition, plain(inputs[1]), plain(inputs[2])]))
    case .arcTangent: set(value, angle(across: plain(inputs[0]), along: plain(inputs[1])))
    case .product: set(value, node("MatMul", [plain(inputs[0]), plain(inputs[1])]))
    case .sum(let axes): sum(value, inputs[0], axes)
    case .maximum(let axis):
      let keeps: Attribute = .int(value.shape.rank == inputs[0].shape.rank ? 1 : 0)
      set(value, reduction("ReduceMax", plain(inputs[0]), [axis], keeps))
    case .logSumExp:
      set(value, reduction("ReduceLogSumExp", plain(inputs[0]), [-1], .int(0)))
    case .firstLargest:
      let place = node("ArgMax", [plain(inputs[0])], ["axis": .int(-1), "keepdims": .int(1)])
      let all = constant(Array(0..<value.shape[-1]))
      set(value, node("Cast", [node("Equal", [all, place])], ["to": .int(1)]))
    case .largest(let count):
      let name = name("topk")
      addTop(plain(inputs[0]), constant([count]), name)
      set(value, name)
    case .reshape: try reshape(pair, inputs[0])
    case .permute(let order): permute(value, inputs[0], order)
    case .slice(let range, let axis): try slice(pair, range, axis)
    case .concatenate(let axis): concatenate(value, inputs, axis)
    case .convolution(let geometry, let isClamped):
      convolution(value, inputs, geometry, isClamped)
    case .maximumPool(let size, let stride):
      let pooled = node(
        "MaxPool", [channelsFirst(inputs[0])],
        ["kernel_shape": .ints([size, size]), "strides": .ints([stride, stride])])
      setChannelsFirst(value, pooled)
    case .warp(let interpolation, let border):
      try warp(value, inputs[0], inputs[1], interpolation, border)
    case .warpByEach(let maps, let interpolation, let border):
      try warp(value, inputs[0], maps, interpolation, border)
    case .own(let operation):
      guard let call = operation as? NetworkCall else {
        throw ONNXError("\(type(of: operation)) is not known, so that it cannot be exported.")
      }
      set(value, try write(call, plain(inputs[0])))
    case .unwritable(let words): throw ONNXError("What cannot be exported: \(words).")
    }
  }

  /// The same value under another variable.
  private mutating func copy(_ value: Variable, _ input: Variable) {
    if isChannelsFirst(input) {
      setChannelsFirst(value, channelsFirst(input))
    } else {
      set(value, plain(input))
    }
  }

  /// A function of each number, in whichever order the numbers lie.
  private mutating func write(
    _ function: Operation.Function, _ value: Variable, _ input: Variable
  ) throws(ONNXError) {
    let alongLast = [.softmax, .logSoftmax].contains(function)
    let isFirst = isChannelsFirst(input) && !alongLast
    let x = isFirst ? channelsFirst(input) : plain(input)
    let last: [String: Attribute] = ["axis": .int(-1)]
    let result =
      switch function {
      case .relu: node("Relu", [x])
      case .sigmoid: node("Sigmoid", [x])
      case .tanh: node("Tanh", [x])
      case .silu: node("Mul", [x, node("Sigmoid", [x])])
      case .sine: node("Sin", [x])
      case .cosine: node("Cos", [x])
      case .exponential: node("Exp", [x])
      case .logarithm: node("Log", [x])
      case .square: node("Mul", [x, x])
      case .squareRoot: node("Sqrt", [x])
      case .softplus: node("Softplus", [x])
      case .roundDown: node("Floor", [x])
      case .leakyRelu(let slope): node("LeakyRelu", [x], ["alpha": .float(slope)])
      case .softmax: node("Softmax", [x], last)
      case .logSoftmax: node("LogSoftmax", [x], last)
      }
    if isFirst { setChannelsFirst(value, result) } else { set(value, result) }
  }

  /// An operation of two values, with channels first where all are there so, and constants can be.
  private mutating func elementwise(_ operation: String, _ value: Variable, _ inputs: [Variable]) {
    let canBe = inputs.allSatisfy { input in
      input.isTraced ? isChannelsFirst(input) : input.shape.rank <= 4
    }
    guard canBe, value.shape.rank == 4 else {
      set(value, node(operation, [plain(inputs[0]), plain(inputs[1])]))
      return
    }
    let names = inputs.map { input -> String in
      guard !input.isTraced, input.shape.rank > 0 else {
        return input.isTraced ? channelsFirst(input) : plain(input)
      }
      let full = [Int](repeating: 1, count: 4 - input.shape.rank) + input.shape.extents
      return constant(input.value.reshaped(full).permuted([0, 3, 1, 2]))
    }
    setChannelsFirst(value, node(operation, names))
  }

  private mutating func truth(_ operation: String, _ value: Variable, _ inputs: [Variable]) {
    let names = [plain(inputs[0]), plain(inputs[1])]
    set(value, node("Cast", [node(operation, names)], ["to": .int(1)]))
  }

  /// The angle by the quotient's, and the quadrant.
  private mutating func angle(across y: String, along x: String) -> String {
    func number(_ value: Float) -> String { constant(Tensor(value)) }
    let zero = number(0)
    let isUpright = node("Equal", [x, zero])
    let quotient = node("Div", [y, node("Where", [isUpright, number(1), x])])
    let half = node("Where", [node("Less", [y, zero]), number(-.pi), number(.pi)])
    let isBehind = node("Less", [x, zero])
    let around = node("Add", [node("Atan", [quotient]), node("Where", [isBehind, half, zero])])
    let upright = node("Mul", [node("Sign", [y]), number(.pi / 2)])
    return node("Where", [isUpright, upright, around])
  }

  /// A reduction whose axes are a setting before opset 18, and an input from it on.
  private mutating func reduction(
    _ operation: String, _ input: String, _ axes: [Int], _ keeps: Attribute
  ) -> String {
    opset < 18
      ? node(operation, [input], ["axes": .ints(axes), "keepdims": keeps])
      : node(operation, [input, constant(axes)], ["keepdims": keeps])
  }

  private mutating func sum(_ value: Variable, _ input: Variable, _ axes: [Int]) {
    let keeps = value.shape.rank == input.shape.rank
    let attributes: [String: Attribute] = ["keepdims": .int(keeps ? 1 : 0)]
    // Without channels what is left is in one order, and channels alone too.
    let canBe = keeps || axes.contains(3) || Set(axes).isSuperset(of: [1, 2])
    guard isChannelsFirst(input), canBe else {
      set(value, node("ReduceSum", [plain(input), constant(axes)], attributes))
      return
    }
    let moved = axes.map { [0, 2, 3, 1][$0] }
    let result = node("ReduceSum", [channelsFirst(input), constant(moved)], attributes)
    if keeps { setChannelsFirst(value, result) } else { set(value, result) }
  }
}
