import Autodiff
import TensorCore

extension Operators {
  /// Other types for the same numbers.
  static let casts: [String: Body] = [
    "Cast": { [try $0.cast($0.value(0), to: $0.int("to") ?? 0)] },
    "CastLike": { [try $0.cast($0.value(0), to: $0.value(1).type.rawValue)] },
  ]
}

extension Call {
  /// Numbers as those of another type, which is given by its number in the format; fractions are cut off.
  func cast(_ x: Value, to number: Int) throws -> Value {
    guard let type = ElementType(format: number) else {
      throw failure("elements of \(ElementType.name(of: number)) are not supported")
    }
    switch (x, type) {
    case (.floats, .float): return x
    case (.floats(let x), .bool):
      return .integers(Integers(x.value.elements.map { $0 != 0 }, shape: x.shape.extents))
    case (.floats(let x), _):
      let numbers = x.value.elements.map { type.wrapped(Self.whole(Double($0))) }
      return .integers(Integers(numbers, shape: x.shape.extents, type: type))
    case (.integers(let x), .float): return .floats(Variable(x.floats))
    case (.integers(let x), _): return .integers(x.map(type: type) { $0 })
    }
  }
}
