import CKernels

/// Elements handled by one piece of a parallel loop.
private let grain = 1 << 13

extension Tensor {
  private func map(_ op: ck_unary_op) -> Tensor {
    unsafe mapped { unsafe ck_unary(op, $0, $1, $2) }
  }

  /// - Parameter body: Fills a part of the result from the same part of this.
  private func mapped(
    _ body: @Sendable (Int, UnsafePointer<Float>, UnsafeMutablePointer<Float>) -> Void
  ) -> Tensor {
    let source = contiguous
    return Profiler.count("elementwise", arithmetic: shape.count, elements: 2 * shape.count) {
      unsafe Tensor(shape) { target in
        let address = unsafe SendableAddress(target)
        Parallel.ranges(shape.count, grain: grain) { range in
          unsafe source.withElements {
            unsafe body(range.count, $0 + range.lowerBound, address.pointer + range.lowerBound)
          }
        }
      }
    }
  }

  /// Combines two tensors element by element after broadcasting.
  private static func combine(_ op: ck_binary_op, _ a: Tensor, _ b: Tensor) -> Tensor {
    let count = max(a.shape.count, b.shape.count)
    return Profiler.count(
      "elementwise", arithmetic: count, elements: count + a.shape.count + b.shape.count
    ) { combined(op, a, b) }
  }

  private static func combined(_ op: ck_binary_op, _ a: Tensor, _ b: Tensor) -> Tensor {
    if a.shape == b.shape && a.isContiguous && b.isContiguous {
      return unsafe Tensor(a.shape) { target in
        let address = unsafe SendableAddress(target)
        Parallel.ranges(a.shape.count, grain: grain) { range in
          unsafe a.withElements { x in
            unsafe b.withElements { y in
              let start = range.lowerBound
              unsafe ck_binary(
                op, range.count, x + start, 1, y + start, 1, address.pointer + start)
            }
          }
        }
      }
    }
    let shape = a.shape.broadcast(with: b.shape)
    let (x, y) = (a.broadcast(to: shape), b.broadcast(to: shape))
    return unsafe Tensor(shape) { target in
      let address = unsafe SendableAddress(target)
      forEachRun(of: shape, x.strides, y.strides, grain: grain) { run in
        let (xStep, yStep) = (run.aStep, run.bStep)
        for row in 0..<run.rows {
          let a = unsafe x.storage.base + x.offset + run.a + row * run.aRow
          let b = unsafe y.storage.base + y.offset + run.b + row * run.bRow
          let to = unsafe address.pointer + run.start + row * run.count
          if xStep <= 1 && yStep <= 1 {
            unsafe ck_binary(op, run.count, a, xStep, b, yStep, to)
          } else {
            for k in 0..<run.count {
              unsafe ck_binary(op, 1, a + k * xStep, 1, b + k * yStep, 1, to + k)
            }
          }
        }
      }
      withExtendedLifetime((x.storage, y.storage)) {}
    }
  }

  /// The sum, element by element, after broadcasting; likewise the other operators.
  public static func + (a: Tensor, b: Tensor) -> Tensor { combine(CK_ADD, a, b) }
  public static func - (a: Tensor, b: Tensor) -> Tensor { combine(CK_SUBTRACT, a, b) }
  public static func * (a: Tensor, b: Tensor) -> Tensor { combine(CK_MULTIPLY, a, b) }
  public static func / (a: Tensor, b: Tensor) -> Tensor { combine(CK_DIVIDE, a, b) }
  public static func + (a: Tensor, b: Float) -> Tensor { a + Tensor(b) }
  public static func - (a: Tensor, b: Float) -> Tensor { a - Tensor(b) }
  public static func * (a: Tensor, b: Float) -> Tensor { a * Tensor(b) }
  public static func / (a: Tensor, b: Float) -> Tensor { a / Tensor(b) }
  public static prefix func - (a: Tensor) -> Tensor { a.map(CK_NEGATE) }

  /// The larger of two elements at each place, after broadcasting.
  public static func maximum(_ a: Tensor, _ b: Tensor) -> Tensor { combine(CK_MAXIMUM, a, b) }
  /// The smaller of two elements at each place, after broadcasting.
  public static func minimum(_ a: Tensor, _ b: Tensor) -> Tensor { combine(CK_MINIMUM, a, b) }
  /// 1 where this tensor is greater than another, else 0.
  public func isGreater(than other: Tensor) -> Tensor { Tensor.combine(CK_GREATER, self, other) }
  /// 1 where this tensor equals another, else 0.
  public func isEqual(to other: Tensor) -> Tensor { Tensor.combine(CK_EQUAL, self, other) }

  /// The absolute value of each element; likewise the functions below.
  public func absolute() -> Tensor { map(CK_ABS) }
  public func squared() -> Tensor { map(CK_SQUARE) }
  public func squareRoot() -> Tensor { map(CK_SQRT) }
  public func exponential() -> Tensor { map(CK_EXP) }
  public func logarithm() -> Tensor { map(CK_LOG) }
  public func reciprocal() -> Tensor { map(CK_RECIPROCAL) }
  public func sine() -> Tensor { map(CK_SIN) }
  public func cosine() -> Tensor { map(CK_COS) }
  public func hyperbolicTangent() -> Tensor { map(CK_TANH) }
  /// max(*x*, 0).
  public func relu() -> Tensor { map(CK_RELU) }
  /// The gradient of `relu` for the gradient `self` by its result `output`.
  public func reluGradient(output: Tensor) -> Tensor {
    require(shape == output.shape, "gradient \(shape) of an output \(output.shape)")
    let (dy, y) = (contiguous, output.contiguous)
    return Profiler.count("elementwise", arithmetic: shape.count, elements: 3 * shape.count) {
      unsafe Tensor(shape) { target in
        let address = unsafe SendableAddress(target)
        Parallel.ranges(shape.count, grain: grain) { range in
          let start = range.lowerBound
          unsafe dy.withElements { dy in
            unsafe y.withElements {
              unsafe ck_relu_pullback(range.count, $0 + start, dy + start, address.pointer + start)
            }
          }
        }
      }
    }
  }

  /// 1 / (1 + exp(−*x*)).
  public func sigmoid() -> Tensor { map(CK_SIGMOID) }
  /// The error function, within 3 units in the last place.
  public func errorFunction() -> Tensor { map(CK_ERF) }
  /// *x* Φ(*x*), with Φ the normal distribution's (Hendrycks & Gimpel, arXiv 1606.08415).
  public func gelu() -> Tensor { map(CK_GELU) }
  /// *x* / (1 + exp(−*x*)) (Ramachandran, Zoph & Le, arXiv 1710.05941).
  public func swish() -> Tensor { map(CK_SWISH) }
  /// *x* times *x* / 6 + 1/2, clamped to 0 … 1 (Howard et al., arXiv 1905.02244).
  public func hardSwish() -> Tensor { map(CK_HARD_SWISH) }
  /// *x* · `scale` + `shift`, not below `low` and not above `high`; what is no number stays so.
  public func clamped(_ low: Float, _ high: Float, scale: Float = 1, shift: Float = 0) -> Tensor {
    unsafe mapped { unsafe ck_clamp($0, scale, shift, low, high, $1, $2) }
  }
  /// log(1 + exp(*x*)), without overflow.
  public func softplus() -> Tensor { map(CK_SOFTPLUS) }
  /// 1 where *x* > 0, else 0.
  public func step() -> Tensor { map(CK_STEP) }
  /// −1, 0 or 1.
  public func sign() -> Tensor { map(CK_SIGN) }

  /// Adds `scale · other` in place.
  ///
  /// - Precondition: The shapes are equal.
  public mutating func add(_ other: Tensor, scaledBy scale: Float = 1) {
    require(shape == other.shape, "adding \(other.shape) to \(shape)")
    let count = shape.count
    Profiler.count("elementwise", arithmetic: 2 * count, elements: 3 * count) {
      unsafe withMutableElements { y in
        let target = unsafe SendableAddress(y)
        let source = other.contiguous
        Parallel.ranges(count, grain: grain) { range in
          unsafe source.withElements {
            unsafe ck_axpy(
              range.count, scale, $0 + range.lowerBound, target.pointer + range.lowerBound)
          }
        }
      }
    }
  }
}

/// An address that pieces of a parallel loop write to, each at places of its own.
@safe public struct SendableAddress<Element>: @unchecked Sendable {
  public let pointer: UnsafeMutablePointer<Element>
  public init(_ pointer: UnsafeMutablePointer<Element>) { unsafe self.pointer = pointer }

  /// The address of the element `offset` further on.
  static func + (address: SendableAddress, offset: Int) -> SendableAddress {
    unsafe SendableAddress(address.pointer + offset)
  }
}
