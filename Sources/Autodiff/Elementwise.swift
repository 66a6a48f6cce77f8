import TensorCore

// Each function states its derivative beside it; results broadcast as those of `Tensor` do.
extension Variable {
  private static func broadcasting(
    _ value: Tensor, _ a: Variable, _ b: Variable, _ operation: Operation,
    _ pullback: @escaping (Tensor) -> (() -> Tensor, () -> Tensor)
  ) -> Variable {
    Variable(value, inputs: [a, b], operation: operation) {
      [sa = a.shape, sb = b.shape, na = a.requiresGradient, nb = b.requiresGradient] dy in
      let (da, db) = pullback(dy)
      return [na ? da().summed(to: sa) : nil, nb ? db().summed(to: sb) : nil]
    }
  }

  /// d(*a* + *b*) = d*a* + d*b*.
  public static func + (a: Variable, b: Variable) -> Variable {
    broadcasting(a.value + b.value, a, b, .add) { dy in ({ dy }, { dy }) }
  }

  /// d(*a* − *b*) = d*a* − d*b*.
  public static func - (a: Variable, b: Variable) -> Variable {
    broadcasting(a.value - b.value, a, b, .subtract) { dy in ({ dy }, { -dy }) }
  }

  /// d(*a* *b*) = *b* d*a* + *a* d*b*.
  public static func * (a: Variable, b: Variable) -> Variable {
    broadcasting(a.value * b.value, a, b, .multiply) { [a = a.value, b = b.value] dy in
      ({ dy * b }, { dy * a })
    }
  }

  /// d(*a* / *b*) = d*a* / *b* − *a* d*b* / *b*².
  public static func / (a: Variable, b: Variable) -> Variable {
    let y = a.value / b.value
    return broadcasting(y, a, b, .divide) { [b = b.value] dy in ({ dy / b }, { -(dy * y / b) }) }
  }

  public static func + (a: Variable, b: Float) -> Variable { a + Variable(Tensor(b)) }
  public static func - (a: Variable, b: Float) -> Variable { a - Variable(Tensor(b)) }
  public static func * (a: Variable, b: Float) -> Variable { a * Variable(Tensor(b)) }
  public static prefix func - (a: Variable) -> Variable { a * -1 }

  /// A function of one argument with its derivative, from the argument and the result.
  private func map(
    _ y: Tensor, _ function: Operation.Function,
    _ derivative: @escaping (_ x: Tensor, _ y: Tensor) -> Tensor
  ) -> Variable {
    Variable(y, inputs: [self], operation: .function(function)) { [x = value] dy in
      [dy * derivative(x, y)]
    }
  }

  /// max(*x*, 0); the derivative at 0 is 0.
  public func relu() -> Variable {
    let y = value.relu()
    return Variable(y, inputs: [self], operation: .function(.relu)) { dy in
      [dy.reluGradient(output: y)]
    }
  }

  /// *x* where positive, `slope` · *x* elsewhere.
  public func leakyRelu(slope: Float = 0.01) -> Variable {
    map(Tensor.maximum(value, value * slope), .leakyRelu(slope: slope)) { x, _ in
      x.step() * (1 - slope) + slope
    }
  }

  /// 1 / (1 + exp(−*x*)); derivative *y* (1 − *y*).
  public func sigmoid() -> Variable { map(value.sigmoid(), .sigmoid) { _, y in y - y * y } }

  /// The hyperbolic tangent; derivative 1 − *y*².
  public func tanh() -> Variable {
    map(value.hyperbolicTangent(), .tanh) { _, y in Tensor(1) - y * y }
  }

  /// *x* · sigmoid(*x*), "swish"; derivative *s* + *y* (1 − *s*).
  public func silu() -> Variable {
    map(value * value.sigmoid(), .silu) { x, y in
      let s = x.sigmoid()
      return s + y * (Tensor(1) - s)
    }
  }

  /// The sine, of radians; derivative cos *x*.
  public func sine() -> Variable { map(value.sine(), .sine) { x, _ in x.cosine() } }

  /// The cosine, of radians; derivative −sin *x*.
  public func cosine() -> Variable { map(value.cosine(), .cosine) { x, _ in -x.sine() } }

  /// eˣ; its own derivative.
  public func exp() -> Variable { map(value.exponential(), .exponential) { _, y in y } }

  /// The natural logarithm; derivative 1 / *x*.
  public func log() -> Variable { map(value.logarithm(), .logarithm) { x, _ in x.reciprocal() } }

  /// *x*²; derivative 2 *x*.
  public func squared() -> Variable { map(value.squared(), .square) { x, _ in x * 2 } }

  /// √*x*; derivative 1 / (2 *y*).
  public func squareRoot() -> Variable {
    map(value.squareRoot(), .squareRoot) { _, y in (y * 2).reciprocal() }
  }

  /// log(1 + eˣ); derivative sigmoid(*x*).
  public func softplus() -> Variable { map(value.softplus(), .softplus) { x, _ in x.sigmoid() } }
}
