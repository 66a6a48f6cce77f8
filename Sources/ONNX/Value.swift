public import Autodiff
import TensorCore

/// Whole numbers or truth values with a shape: what shapes, indices and masks are computed with.
public struct Integers: Sendable, Equatable {
  public let type: ElementType
  public let shape: [Int]
  /// In row-major order; those of `uint64` beyond `Int` are negative.
  public let elements: [Int]

  /// - Precondition: There are as many elements as the shape says.
  public init(_ elements: [Int], shape: [Int], type: ElementType = .int64) {
    require(elements.count == shape.reduce(1, *), "\(elements.count) elements of shape \(shape)")
    (self.type, self.shape, self.elements) = (type, shape, elements)
  }

  /// A list.
  public init(_ elements: [Int]) { self.init(elements, shape: [elements.count]) }

  init(_ truth: [Bool], shape: [Int]) {
    self.init(truth.map { $0 ? 1 : 0 }, shape: shape, type: .bool)
  }

  func map(type: ElementType? = nil, _ body: (Int) throws -> Int) rethrows -> Integers {
    let type = type ?? self.type
    return try Integers(elements.map { type.wrapped(try body($0)) }, shape: shape, type: type)
  }

  var floats: Tensor { Tensor(elements.map { Float($0) }, shape: Shape(shape)) }
}

/// What flows along an edge of a graph.
public enum Value {
  case floats(Variable)
  case integers(Integers)

  public var shape: [Int] {
    switch self {
    case .floats(let variable): variable.shape.extents
    case .integers(let integers): integers.shape
    }
  }

  public var type: ElementType {
    switch self {
    case .floats: .float
    case .integers(let integers): integers.type
    }
  }

  var count: Int { shape.reduce(1, *) }

  /// What its numbers take, were each in memory once.
  var bytes: Int {
    switch self {
    case .floats(let variable): 4 * variable.shape.count
    case .integers(let integers): 8 * integers.elements.count
    }
  }

  /// Whether the number at one place is less than that at another; what is no number is less than nothing.
  var isLess: (Int, Int) -> Bool {
    switch self {
    case .floats(let variable):
      let numbers = variable.value.elements
      return { numbers[$0] < numbers[$1] }
    case .integers(let integers):
      let numbers = integers.elements
      return { numbers[$0] < numbers[$1] }
    }
  }
}

/// A value that a file gives.
enum Constant: Sendable {
  case floats(Parameter)
  case integers(Integers)

  /// As it is: what stands in nodes, and in graphs inside them, is not trained.
  var value: Value {
    switch self {
    case .floats(let parameter): .floats(Variable(parameter.value))
    case .integers(let integers): .integers(integers)
    }
  }

  func value(on tape: Tape) -> Value {
    switch self {
    case .floats(let parameter): .floats(tape(parameter))
    case .integers(let integers): .integers(integers)
    }
  }
}
