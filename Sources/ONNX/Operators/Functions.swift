import Autodiff
import Glibc
import TensorCore

extension Operators {
  private static func smooth(_ body: @escaping @Sendable (Variable) -> Variable) -> Body {
    { [.floats(try $0.float(0).inMemoryOrder(body))] }
  }

  private static func map(
    _ function: @escaping @Sendable (Float) -> Float,
    _ derivative: @escaping @Sendable (Float) -> Float
  ) -> Body {
    { [.floats(try $0.float(0).mapped(function, derivative: derivative))] }
  }

  /// The same with a function of its own for whole numbers.
  private static func map(
    _ function: @escaping @Sendable (Float) -> Float,
    _ derivative: @escaping @Sendable (Float) -> Float,
    whole: @escaping @Sendable (Int) -> Int
  ) -> Body {
    { call in
      if case .integers(let x) = try call.value(0) { return [.integers(x.map(whole))] }
      return [.floats(try call.float(0).mapped(function, derivative: derivative))]
    }
  }

  /// Functions of mathematics, of one number each.
  static let functions: [String: Body] = [
    "Identity": { [try $0.value(0)] },
    "Abs": map({ abs($0) }, { $0 > 0 ? 1 : $0 < 0 ? -1 : 0 }, whole: { $0 < 0 ? 0 &- $0 : $0 }),
    "Neg": map({ -$0 }, { _ in -1 }, whole: { 0 &- $0 }),
    "Sign": map(
      { $0 > 0 ? 1 : $0 < 0 ? -1 : $0 }, { _ in 0 }, whole: { $0.signum() }),
    "Floor": map({ floorf($0) }, { _ in 0 }),
    "Ceil": map({ ceilf($0) }, { _ in 0 }),
    "Round": map({ $0.rounded(.toNearestOrEven) }, { _ in 0 }),
    "Reciprocal": map({ 1 / $0 }, { -1 / ($0 * $0) }),
    "Sqrt": smooth { $0.squareRoot() },
    "Exp": smooth { $0.exp() },
    "Log": smooth { $0.log() },
    "Sin": smooth { $0.sine() },
    "Cos": smooth { $0.cosine() },
    "Tan": map({ tanf($0) }, { 1 + tanf($0) * tanf($0) }),
    "Asin": map({ asinf($0) }, { 1 / (1 - $0 * $0).squareRoot() }),
    "Acos": map({ acosf($0) }, { -1 / (1 - $0 * $0).squareRoot() }),
    "Atan": map({ atanf($0) }, { 1 / (1 + $0 * $0) }),
    "Sinh": map({ sinhf($0) }, { coshf($0) }),
    "Cosh": map({ coshf($0) }, { sinhf($0) }),
    "Asinh": map({ asinhf($0) }, { 1 / (1 + $0 * $0).squareRoot() }),
    "Acosh": map({ acoshf($0) }, { 1 / ($0 * $0 - 1).squareRoot() }),
    "Atanh": map({ atanhf($0) }, { 1 / (1 - $0 * $0) }),
    "Erf": { call in
      [
        .floats(
          try call.float(0).computed(
            { $0.errorFunction() }, derivative: { 1.128_379_2 * expf(-$0 * $0) }))
      ]
    },
    "BitwiseNot": { [.integers(try $0.integers(0).map { ~$0 })] },
  ]
}
