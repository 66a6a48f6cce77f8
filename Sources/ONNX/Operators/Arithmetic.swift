import Autodiff
import Glibc
import TensorCore

extension Operators {
  /// Functions of two numbers, and of several.
  static let arithmetic: [String: Body] = [
    "Add": { try [$0.combined($0.value(0), $0.value(1), { $0 + $1 }, &+)] },
    "Sub": { try [$0.combined($0.value(0), $0.value(1), { $0 - $1 }, &-)] },
    "Mul": { try [$0.combined($0.value(0), $0.value(1), { $0 * $1 }, &*)] },
    "Div": { call in
      try [
        call.combined(call.value(0), call.value(1), { $0 / $1 }) { a, b in
          guard b != 0 else { throw call.failure("a whole number is divided by 0") }
          return a.dividedReportingOverflow(by: b).partialValue
        }
      ]
    },
    "Pow": { try [$0.power()] },
    "Mod": { try [$0.remainder()] },
    "Max": { call in
      try [
        call.folded(
          { a, b in
            a.choosing(.maximum(a.value, b.value), b)
          }, { max($0, $1) })
      ]
    },
    "Min": { call in
      try [
        call.folded(
          { a, b in
            a.choosing(.minimum(a.value, b.value), b)
          }, { min($0, $1) })
      ]
    },
    "Sum": { try [$0.folded({ $0 + $1 }, &+)] },
    "Mean": { call in
      guard case .floats(let sum) = try call.folded({ $0 + $1 }, &+) else {
        throw call.failure("means of whole numbers are not supported")
      }
      return [.floats(sum * (1 / Float(call.inputs.count)))]
    },
    "BitwiseAnd": { try [$0.combined($0.integers(0), $0.integers(1), &)] },
    "BitwiseOr": { try [$0.combined($0.integers(0), $0.integers(1), |)] },
    "BitwiseXor": { try [$0.combined($0.integers(0), $0.integers(1), ^)] },
    "BitShift": { call in
      let isLeft = call.string("direction") == "LEFT"
      return try [
        // By a negative number as by more than there are bits.
        call.combined(call.integers(0), call.integers(1)) { number, given in
          let bits = given < 0 ? Int.max : given
          return isLeft ? number << bits : number >> bits
        }
      ]
    },
    "CumSum": { try $0.cumulated(from: 0, { $0 + $1 }, &+) },
    "CumProd": { try $0.cumulated(from: 1, { $0 * $1 }, &*) },
  ]
}

extension Call {
  /// A function of two values of one type.
  func combined(
    _ a: Value, _ b: Value, _ floats: (Variable, Variable) -> Variable,
    _ integers: (Int, Int) throws -> Int
  ) throws -> Value {
    switch (a, try aligned(b, to: a)) {
    case (.floats(let a), .floats(let b)): return .floats(try paired(a, b, floats))
    case (.integers(let a), .integers(let b)): return try combined(a, b, integers)
    default: throw failure("its inputs are of \(a.type) and \(b.type)")
    }
  }

  /// Before opset 7 a node says from which axis on its second input is repeated.
  private func aligned(_ b: Value, to a: Value) throws -> Value {
    guard node.opset < 7, let given = int("axis") else { return b }
    let rest = a.shape.count - (try axis(given, rank: a.shape.count)) - b.shape.count
    return rest > 0 ? try reshaped(b, b.shape + [Int](repeating: 1, count: rest)) : b
  }

  /// A function of two whole numbers at each place.
  func combined(
    _ a: Integers, _ b: Integers, type: ElementType? = nil, _ body: (Int, Int) throws -> Int
  ) throws -> Value {
    let shape = try broadcast([a.shape, b.shape])
    let type = type ?? a.type
    let (left, right) = (places(of: a.shape, in: shape), places(of: b.shape, in: shape))
    return .integers(
      Integers(
        try zip(left, right).map { type.wrapped(try body(a.elements[$0], b.elements[$1])) },
        shape: shape, type: type))
  }

  /// A function of all inputs, two at a time.
  fileprivate func folded(
    _ floats: (Variable, Variable) -> Variable, _ integers: (Int, Int) throws -> Int
  ) throws -> Value {
    try (1..<max(1, inputs.count)).reduce(try value(0)) {
      try combined($0, try value($1), floats, integers)
    }
  }

  fileprivate func power() throws -> Value {
    let base = try value(0)
    let exponent = try aligned(value(1), to: base)
    switch (base, exponent) {
    case (.floats(let x), .floats(let y)):
      return .floats(try paired(x, y) { $0.power($1) })
    case (.floats(let x), .integers(let y)):
      return .floats(try paired(x, Variable(y.floats)) { $0.power($1) })
    case (.integers(let x), .integers(let y)):
      return try combined(x, y) { Self.whole(pow(Double($0), Double($1))) }
    case (.integers(let x), .floats(let y)):
      let shape = try broadcast([x.shape, y.shape.extents])
      let numbers = y.value.elements
      return .integers(
        Integers(
          zip(places(of: x.shape, in: shape), places(of: y.shape.extents, in: shape)).map {
            x.type.wrapped(Self.whole(pow(Double(x.elements[$0]), Double(numbers[$1]))))
          }, shape: shape, type: x.type))
    }
  }

  /// A number without its fraction; the nearest that there is for those that are too large or none.
  static func whole(_ number: Double) -> Int {
    if number.isNaN { return 0 }
    return number >= 0x1p63 ? .max : number <= -0x1p63 ? .min : Int(number)
  }

  fileprivate func remainder() throws -> Value {
    let isOfDivision = int("fmod") == 1
    return try combined(
      value(0), value(1),
      { a, b in
        // As C's fmod, with the sign of the dividend; else with that of the divisor.
        a.choosing(
          Tensor.zipped(a.value, b.value) { x, y in
            let rest = fmodf(x, y)
            return isOfDivision || rest == 0 || (rest < 0) == (y < 0) ? rest : rest + y
          }, b)
      },
      { a, b in
        guard b != 0 else { throw failure("a whole number is divided by 0") }
        let rest = a.remainderReportingOverflow(dividingBy: b).partialValue
        return isOfDivision || rest == 0 || (rest < 0) == (b < 0) ? rest : rest + b
      })
  }

  /// Running sums or products along an axis.
  fileprivate func cumulated(
    from start: Int, _ floats: (Variable, Variable) -> Variable, _ integers: (Int, Int) -> Int
  ) throws -> [Value] {
    let x = try value(0)
    let axis = try axis(Self.whole(scalar(1) ?? 0), rank: x.shape.count)
    let (isExclusive, isReverse) = (int("exclusive") == 1, int("reverse") == 1)
    let length = x.shape[axis]
    guard length > 0 else { return [x] }
    let order = isReverse ? Array((0..<length).reversed()) : Array(0..<length)
    switch x {
    case .floats(let x):
      var running = Variable(
        Tensor(repeating: Float(start), shape: x.shape.replacing(axis, with: 1)))
      var parts = [Variable](repeating: running, count: length)
      for n in order {
        if isExclusive { parts[n] = running }
        running = floats(running, x.sliced(n..<n + 1, axis: axis))
        if !isExclusive { parts[n] = running }
      }
      return [.floats(.concatenated(parts, axis: axis))]
    case .integers(let x):
      var elements = x.elements
      let step = x.shape[(axis + 1)...].reduce(1, *)
      for outer in 0..<x.shape[..<axis].reduce(1, *) {
        for inner in 0..<step {
          var running = start
          for n in order {
            let place = (outer * length + n) * step + inner
            let next = x.type.wrapped(integers(running, x.elements[place]))
            elements[place] = isExclusive ? running : next
            running = next
          }
        }
      }
      return [.integers(Integers(elements, shape: x.shape, type: x.type))]
    }
  }
}

extension Variable {
  /// *x* to the power *y*; the derivatives are *y* *xʸ⁻¹* and *xʸ* log *x*.
  fileprivate func power(_ exponent: Variable) -> Variable {
    if exponent.shape.count == 1 && !exponent.requiresGradient {
      switch exponent.value.scalar {
      case 2: return squared().ofRank(exponent.shape.rank)
      case 0.5: return squareRoot().ofRank(exponent.shape.rank)
      default: break
      }
    }
    let result = Tensor.zipped(value, exponent.value) { powf($0, $1) }
    return Variable(result, inputs: [self, exponent]) {
      [x = value, y = exponent.value, nx = requiresGradient, ny = exponent.requiresGradient] dy in
      let byBase = nx ? dy * Tensor.zipped(x, y) { $1 == 0 ? 0 : $1 * powf($0, $1 - 1) } : nil
      let byExponent =
        ny ? dy * Tensor.zipped(x, y) { $0 > 0 ? powf($0, $1) * logf($0) : 0 } : nil
      return [byBase?.summed(to: x.shape), byExponent?.summed(to: y.shape)]
    }
  }

  /// One of two numbers at each place, to which the gradient goes; of equal ones the first, for all else nothing.
  fileprivate func choosing(_ result: Tensor, _ other: Variable) -> Variable {
    Variable(result, inputs: [self, other]) { [a = value, b = other.value] dy in
      let first = result.isEqual(to: a)
      let second = result.isEqual(to: b) * (Tensor(1) - first)
      return [(dy * first).summed(to: a.shape), (dy * second).summed(to: b.shape)]
    }
  }
}

extension Tensor {
  /// A function of two numbers at each place, after both are repeated to one shape.
  static func zipped(_ a: Tensor, _ b: Tensor, _ body: (Float, Float) -> Float) -> Tensor {
    let shape = a.shape.broadcast(with: b.shape)
    return Tensor(
      zip(a.broadcast(to: shape).elements, b.broadcast(to: shape).elements).map(body), shape: shape)
  }
}
