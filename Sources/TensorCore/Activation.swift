import CKernels

/// A function of each number, which a convolution applies to its result while that is in the cache.
public enum Activation: Sendable, Hashable {
  /// max(*x*, 0).
  case relu
  /// 1 / (1 + exp(−*x*)).
  case sigmoid
  /// *x* times its sigmoid: see `Tensor.swish`.
  case swish
  /// See `Tensor.hardSwish`.
  case hardSwish
  /// See `Tensor.gelu`.
  case gelu
  /// *x* · `scale` + `shift`, not below `low` and not above `high`: see `Tensor.clamped`.
  case clamped(Float, Float, scale: Float = 1, shift: Float = 0)

  /// The function of each number of a tensor.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    switch self {
    case .relu: x.relu()
    case .sigmoid: x.sigmoid()
    case .swish: x.swish()
    case .hardSwish: x.hardSwish()
    case .gelu: x.gelu()
    case .clamped(let low, let high, let scale, let shift):
      x.clamped(low, high, scale: scale, shift: shift)
    }
  }

  /// What applies it to some numbers in place, where the convolution itself does not.
  var inPlace: InPlace? {
    func unary(_ op: ck_unary_op) -> InPlace {
      { unsafe ck_unary(op, $0, $1.pointer, $1.pointer) }
    }
    return switch self {
    case .relu: nil
    case .sigmoid: unary(CK_SIGMOID)
    case .swish: unary(CK_SWISH)
    case .hardSwish: unary(CK_HARD_SWISH)
    case .gelu: unary(CK_GELU)
    case .clamped(let low, let high, let scale, let shift):
      { unsafe ck_clamp($0, scale, shift, low, high, $1.pointer, $1.pointer) }
    }
  }

  typealias InPlace = @Sendable (_ count: Int, SendableAddress<Float>) -> Void
}
