import Autodiff
import Glibc
import TensorCore

extension Operators {
  private static func map(_ body: @escaping @Sendable (Call, Variable) throws -> Variable) -> Body {
    { [.floats(try body($0, try $0.float(0)))] }
  }

  private static func smooth(_ body: @escaping @Sendable (Variable) -> Variable) -> Body {
    map { _, x in x.inMemoryOrder(body) }
  }

  /// What networks bend lines with: of one number each.
  static let activations: [String: Body] = [
    "Relu": { call in
      guard case .integers(let x) = try call.value(0) else {
        return [.floats(try call.float(0).inMemoryOrder { $0.relu() })]
      }
      return [.integers(x.map { max(0, $0) })]
    },
    "Sigmoid": smooth { $0.sigmoid() },
    "Tanh": smooth { $0.tanh() },
    "Softplus": smooth { $0.softplus() },
    "LeakyRelu": map { call, x in
      let slope = call.number("alpha") ?? 0.01
      // Infinity times nothing is no number.
      guard slope < 0 || slope > 0 else {
        return x.mapped({ $0 < 0 ? slope * $0 : $0 }, derivative: { $0 < 0 ? slope : 1 })
      }
      return x.computed(
        { slope <= 1 ? .maximum($0, $0 * slope) : .minimum($0, $0 * slope) },
        derivative: { $0 < 0 ? slope : 1 })
    },
    "PRelu": { call in
      var slope = try call.float(1)
      let x = try call.float(0)
      // Before opset 7 of a channel.
      if call.node.opset < 7, slope.shape.rank == 1, slope.shape.count > 1, x.shape.rank > 2 {
        slope = slope.reshaped([slope.shape.count] + [Int](repeating: 1, count: x.shape.rank - 2))
      }
      return [
        .floats(
          try call.paired(x, slope) { x, slope in x.bent(by: slope) })
      ]
    },
    "Elu": map { call, x in
      let a = call.number("alpha") ?? 1
      return x.mapped({ $0 < 0 ? a * expm1f($0) : $0 }, derivative: { $0 < 0 ? a * expf($0) : 1 })
    },
    "Selu": map { call, x in
      let (a, scale) = (
        call.number("alpha") ?? 1.673_263_2, call.number("gamma") ?? 1.050_701
      )
      return x.mapped(
        { scale * ($0 < 0 ? a * expm1f($0) : $0) },
        derivative: { scale * ($0 < 0 ? a * expf($0) : 1) })
    },
    "Celu": map { call, x in
      let a = call.number("alpha") ?? 1
      return x.mapped(
        { $0 < 0 ? a * expm1f($0 / a) : $0 }, derivative: { $0 < 0 ? expf($0 / a) : 1 })
    },
    "Softsign": map { _, x in
      x.mapped({ $0 / (1 + abs($0)) }, derivative: { 1 / ((1 + abs($0)) * (1 + abs($0))) })
    },
    "HardSigmoid": map { call, x in
      let (a, b) = (call.number("alpha") ?? 0.2, call.number("beta") ?? 0.5)
      return x.computed(
        { $0.clamped(0, 1, scale: a, shift: b) },
        derivative: { a * $0 + b > 0 && a * $0 + b < 1 ? a : 0 })
    },
    "HardSwish": map { _, x in
      x.computed(
        { $0.hardSwish() },
        derivative: { $0 <= -3 ? 0 : $0 >= 3 ? 1 : $0 / 3 + 0.5 })
    },
    "Gelu": map { call, x in
      call.string("approximate") == "tanh" ? x.approximateGelu() : x.gelu()
    },
    "Mish": map { _, x in
      x.mapped(
        { $0 * tanhf(softplus($0)) },
        derivative: {
          let t = tanhf(softplus($0))
          return t + $0 * (1 - t * t) / (1 + expf(-$0))
        })
    },
    "Swish": map { call, x in
      let a = call.number("alpha") ?? 1
      return x.computed(
        { a == 1 ? $0.swish() : $0 * ($0 * a).sigmoid() },
        derivative: {
          let s = 1 / (1 + expf(-a * $0))
          return s + a * $0 * s * (1 - s)
        })
    },
    "ThresholdedRelu": map { call, x in
      let a = call.number("alpha") ?? 1
      return x.mapped({ $0 > a ? $0 : 0 }, derivative: { $0 > a ? 1 : 0 })
    },
    "Shrink": { call in
      let (bias, edge) = (call.number("bias") ?? 0, call.number("lambd") ?? 0.5)
      func shrunk(_ x: Float) -> Float { x < -edge ? x + bias : x > edge ? x - bias : 0 }
      if case .integers(let x) = try call.value(0) {
        return [.integers(x.map { Call.whole(Double(shrunk(Float($0)))) })]
      }
      return [
        .floats(try call.float(0).mapped(shrunk, derivative: { abs($0) > edge ? 1 : 0 }))
      ]
    },
    "Clip": { try $0.clipped() },
    // In inference, which is what a file is for, it does nothing.
    "Dropout": { call in
      let x = try call.value(0)
      try call.require(try call.list(2)?.first != 1, "training is not supported")
      return [
        x, .integers(Integers([Int](repeating: 1, count: x.count), shape: x.shape, type: .bool)),
      ]
    },
  ]
}

private func softplus(_ x: Float) -> Float { max(x, 0) + log1pf(expf(-abs(x))) }

extension Variable {
  /// *x* where it is positive, `slope` · *x* elsewhere.
  fileprivate func bent(by slope: Variable) -> Variable {
    let y = Tensor.zipped(value, slope.value) { $0 < 0 ? $0 * $1 : $0 }
    return Variable(y, inputs: [self, slope]) { [x = value, s = slope.value] dy in
      let byInput = dy * Tensor.zipped(x, s) { $0 < 0 ? $1 : 1 }
      let bySlope = dy * Tensor.zipped(x, s) { x, _ in x < 0 ? x : 0 }
      return [byInput.summed(to: x.shape), bySlope.summed(to: s.shape)]
    }
  }

  /// *x* Φ(*x*), with Φ the normal distribution's (Hendrycks & Gimpel, arXiv 1606.08415).
  func gelu() -> Variable {
    computed(
      { $0.gelu() },
      derivative: {
        0.5 * (1 + erff($0 * 0.707_106_78)) + $0 * 0.398_942_28 * expf(-0.5 * $0 * $0)
      })
  }

  fileprivate func approximateGelu() -> Variable {
    let (a, b): (Float, Float) = (0.797_884_56, 0.044_715)
    return mapped(
      { 0.5 * $0 * (1 + tanhf(a * ($0 + b * $0 * $0 * $0))) },
      derivative: {
        let t = tanhf(a * ($0 + b * $0 * $0 * $0))
        return 0.5 * (1 + t) + 0.5 * $0 * (1 - t * t) * a * (1 + 3 * b * $0 * $0)
      })
  }
}

extension Call {
  fileprivate func clipped() throws -> [Value] {
    if case .integers(let x) = try value(0) {
      let (low, high) = (try list(1)?.first ?? .min, try list(2)?.first ?? .max)
      return [.integers(x.map { min(max($0, low), high) })]
    }
    let low = try optionalFloat(1)?.value.elements.first ?? number("min") ?? -.infinity
    let high = try optionalFloat(2)?.value.elements.first ?? number("max") ?? .infinity
    return [
      .floats(
        try float(0).computed(
          { $0.clamped(min(low, high), high) },
          derivative: { $0 >= low && $0 <= high ? 1 : 0 }))
    ]
  }
}
