import Autodiff
import TensorCore

extension Operators {
  /// Shapes as numbers, other shapes for the same numbers, and new tensors of a shape.
  static let shapes: [String: Body] = [
    "Shape": { call in
      let shape = try call.value(0).shape
      func bound(_ name: String, _ otherwise: Int) -> Int {
        guard let n = call.int(name) else { return otherwise }
        return min(max(n < 0 ? n + shape.count : n, 0), shape.count)
      }
      let (start, end) = (bound("start", 0), bound("end", shape.count))
      return [.integers(Integers(start < end ? Array(shape[start..<end]) : []))]
    },
    "Size": { [.integers(Integers([try $0.value(0).count], shape: []))] },
    "Reshape": { call in
      let x = try call.value(0)
      guard let wanted = try call.ints("shape", orInput: 1) else { throw call.failure("no shape") }
      let extents = try wanted.enumerated().map { axis, extent in
        guard extent == 0 && call.int("allowzero") != 1 else { return extent }
        try call.require(axis < x.shape.count, "it keeps axis \(axis) of \(x.shape)")
        return x.shape[axis]
      }
      return [try call.reshaped(x, extents)]
    },
    "Flatten": { call in
      let x = try call.value(0)
      let given = call.int("axis") ?? 1
      let axis = given < 0 ? given + x.shape.count : given
      try call.require((0...x.shape.count).contains(axis), "axis \(given) of \(x.shape)")
      return [
        try call.reshaped(x, [x.shape[..<axis].reduce(1, *), x.shape[axis...].reduce(1, *)])
      ]
    },
    "Squeeze": { call in
      let x = try call.value(0)
      let given = try call.ints("axes", orInput: 1)
      let axes =
        try given.map { try call.axes($0, rank: x.shape.count) }
        ?? x.shape.indices.filter { x.shape[$0] == 1 }
      try call.require(axes.allSatisfy { x.shape[$0] == 1 }, "axes \(axes) of \(x.shape) are not 1")
      return [
        try call.reshaped(
          x, x.shape.indices.filter { !axes.contains($0) }.map { x.shape[$0] }, asView: true)
      ]
    },
    "Unsqueeze": { call in
      let x = try call.value(0)
      guard let given = try call.ints("axes", orInput: 1) else { throw call.failure("no axes") }
      let rank = x.shape.count + given.count
      let axes = try call.axes(given, rank: rank)
      var rest = x.shape[...]
      return [
        try call.reshaped(
          x, (0..<rank).map { axes.contains($0) ? 1 : rest.popFirst() ?? 1 }, asView: true)
      ]
    },
    "Expand": { call in
      let x = try call.value(0)
      let shape = try call.broadcast([x.shape, try call.integers(1).elements.map { max(0, $0) }])
      return [call.expanded(x, shape)]
    },
    "Constant": { call in
      for (name, attribute) in call.node.attributes.sorted(by: { $0.key < $1.key }) {
        switch attribute {
        case .constant(let constant): return [constant.value]
        case .float(let number): return [.floats(Variable(Tensor(number)))]
        case .floats(let numbers): return [.floats(Variable(Tensor(numbers)))]
        case .int(let number): return [.integers(Integers([number], shape: []))]
        case .ints(let numbers): return [.integers(Integers(numbers))]
        default: throw call.failure("a constant of '\(name)' is not supported")
        }
      }
      throw call.failure("it has no value")
    },
    "ConstantOfShape": { call in
      let shape = try call.checked(try call.integers(0).elements)
      guard case .constant(let constant)? = call.node.attributes["value"] else {
        return [.floats(Variable(.zeros(Shape(shape))))]
      }
      let value = constant.value
      try call.require(value.count == 1, "its value is not one number")
      return [call.expanded(try call.reshaped(value, []), shape)]
    },
    "Range": { call in
      guard let start = try call.scalar(0), let end = try call.scalar(1),
        let step = try call.scalar(2),
        step != 0
      else { throw call.failure("it takes a start, an end and a step that is not 0") }
      if case .integers(let first) = try call.value(0) {
        let (a, b, s) = (
          first.elements[0], try call.integers(1).elements[0], try call.integers(2).elements[0]
        )
        let (all, overflow) = b.subtractingReportingOverflow(a)
        try call.require(!overflow && (s != -1 || all != .min), "from \(a) to \(b)")
        let count = max(0, all / s + (all % s != 0 && (all > 0) == (s > 0) ? 1 : 0))
        try call.checked([count])
        return [
          .integers(Integers((0..<count).map { a &+ $0 &* s }, shape: [count], type: first.type))
        ]
      }
      let count = max(0, Call.whole(((end - start) / step).rounded(.up)))
      try call.checked([count])
      return [.floats(Variable(Tensor((0..<count).map { Float(start + Double($0) * step) })))]
    },
    "EyeLike": { call in
      let x = try call.value(0)
      try call.require(x.shape.count == 2, "its input is of \(x.shape)")
      let k = call.int("k") ?? 0
      let ones = (0..<x.count).map { $0 % x.shape[1] - $0 / x.shape[1] == k ? 1 : 0 }
      return [
        try call.cast(
          .integers(Integers(ones, shape: x.shape)), to: call.int("dtype") ?? x.type.rawValue)
      ]
    },
  ]
}

extension Call {
  /// The same numbers in another shape, of which one extent may be −1.
  ///
  /// - Parameter asView: Of axes of one index, whatever the batch is: the order in which numbers lie, and with it that of sums,
  ///   must not depend on it.
  func reshaped(_ x: Value, _ extents: [Int], asView: Bool = false) throws -> Value {
    var shape = extents
    if let free = shape.firstIndex(of: -1) {
      let known = try checked(shape.enumerated().filter { $0.offset != free }.map(\.element))
        .reduce(1, *)
      try require(known > 0 && x.count % known == 0, "\(x.shape) cannot become \(extents)")
      shape[free] = x.count / known
    }
    try require(
      try checked(shape).reduce(1, *) == x.count, "\(x.shape) cannot become \(extents)")
    switch x {
    case .floats(let x):
      return .floats(x.shape.extents == shape ? x : x.reshaped(shape, asView: asView))
    case .integers(let x): return .integers(Integers(x.elements, shape: shape, type: x.type))
    }
  }

  /// Numbers repeated to a shape that they fit.
  func expanded(_ x: Value, _ shape: [Int]) -> Value {
    switch x {
    case .floats(let x): .floats(x.repeated(to: shape))
    case .integers(let x):
      .integers(
        Integers(places(of: x.shape, in: shape).map { x.elements[$0] }, shape: shape, type: x.type))
    }
  }
}
