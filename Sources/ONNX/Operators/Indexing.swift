import Autodiff
import TensorCore

extension Operators {
  /// Numbers at places that other numbers say.
  static let indexing: [String: Body] = [
    "Gather": { try [$0.gathered()] },
    "GatherElements": { call in
      let (x, at) = (try call.value(0), try call.integers(1))
      return [x.gathered(try call.elementPlaces(x.shape, at), shape: at.shape)]
    },
    "GatherND": { call in
      let (x, at) = (try call.value(0), try call.integers(1))
      let batch = call.int("batch_dims") ?? 0
      let (places, block) = try call.blockPlaces(x.shape, at, batch: batch)
      let rest = x.shape.suffix(x.shape.count - batch - (at.shape.last ?? 0))
      let shape = try call.checked(Array(at.shape.dropLast()) + rest)
      return [x.gathered(places.flatMap { start in (0..<block).map { start + $0 } }, shape: shape)]
    },
    "Scatter": { try [$0.scatteredElements()] },
    "ScatterElements": { try [$0.scatteredElements()] },
    "ScatterND": { call in
      let (x, at) = (try call.value(0), try call.integers(1))
      let (starts, block) = try call.blockPlaces(x.shape, at, batch: 0)
      let updates = try call.value(2)
      try call.require(
        Call.product(starts.count, block) == updates.count,
        "\(updates.shape) for \(starts.count) places of \(block)")
      return [
        try call.scattered(
          x, starts.flatMap { start in (0..<block).map { start + $0 } }, updates)
      ]
    },
    "OneHot": { call in
      guard let depth = try call.scalar(1).map(Call.whole) else { throw call.failure("no depth") }
      let values = try call.value(2)
      try call.require(
        values.count == 2 && depth > 0, "a depth of \(depth), \(values.count) values")
      let indices: [Int] =
        switch try call.value(0) {
        case .integers(let x): x.elements
        case .floats(let x): x.value.elements.map { Call.whole(Double($0)) }
        }
      var shape = try call.value(0).shape
      let axis = try call.axis(call.int("axis") ?? -1, rank: shape.count + 1)
      shape.insert(depth, at: axis)
      try call.checked(shape)
      let inner = shape[(axis + 1)...].reduce(1, *)
      let places = (0..<shape.reduce(1, *)).map { place in
        let (outer, at, rest) = (place / (inner * depth), place / inner % depth, place % inner)
        let index = indices[outer * inner + rest]
        return (index < 0 ? index &+ depth : index) == at ? 1 : 0
      }
      return [values.gathered(places, shape: shape)]
    },
  ]
}

extension Call {
  /// An index of an axis, which may count from the end.
  private func index(_ index: Int, of extent: Int) throws -> Int {
    let found = index < 0 ? index &+ extent : index
    try require((0..<extent).contains(found), "index \(index) of an axis of \(extent)")
    return found
  }

  fileprivate func gathered() throws -> Value {
    let (x, at) = (try value(0), try integers(1))
    let axis = try axis(int("axis") ?? 0, rank: x.shape.count)
    let length = x.shape[axis]
    let indices = try at.elements.map { try index($0, of: length) }
    let shape = try checked(Array(x.shape[..<axis]) + at.shape + Array(x.shape[(axis + 1)...]))
    // Neighbors are a part of what is there.
    if case .floats(let x) = x, let first = indices.first,
      indices.elementsEqual(first..<first + indices.count)
    {
      return .floats(
        x.sliced(first..<first + indices.count, axis: axis).reshaped(shape, asView: true))
    }
    let (outer, inner) = (x.shape[..<axis].reduce(1, *), x.shape[(axis + 1)...].reduce(1, *))
    let rows = (0..<outer).flatMap { n in indices.map { n * length + $0 } }
    switch x {
    case .floats(let x):
      guard inner > 0 else { return .floats(Variable(.zeros(Shape(shape)))) }
      return .floats(x.reshaped([outer * length, inner]).gathered(rows).reshaped(shape))
    case .integers(let x):
      let elements = rows.flatMap { row in x.elements[row * inner..<(row + 1) * inner] }
      return .integers(Integers(elements, shape: shape, type: x.type))
    }
  }

  /// The places of numbers, of which the index along one axis is given for each.
  fileprivate func elementPlaces(_ shape: [Int], _ at: Integers) throws -> [Int] {
    let axis = try axis(int("axis") ?? 0, rank: shape.count)
    try require(
      at.shape.count == shape.count
        && shape.indices.allSatisfy { $0 == axis || at.shape[$0] <= shape[$0] },
      "indices of \(at.shape) for \(shape)")
    let steps = shape.rowMajorSteps
    let own = shape.indices.map { $0 == axis ? 0 : steps[$0] }
    return try zip(places(at.shape, steps: own), at.elements).map {
      $0 + (try index($1, of: shape[axis])) * steps[axis]
    }
  }

  /// Where the blocks begin whose first indices are given along the last axis, and how large they are.
  fileprivate func blockPlaces(
    _ shape: [Int], _ at: Integers, batch: Int
  ) throws -> (starts: [Int], block: Int) {
    guard let width = at.shape.last, (0..<at.shape.count).contains(batch), width > 0,
      batch + width <= shape.count, at.shape.prefix(batch).elementsEqual(shape.prefix(batch))
    else { throw failure("indices of \(at.shape) for \(shape)") }
    let steps = shape.rowMajorSteps
    let count = at.elements.count / width
    let perBatch = max(1, count / max(1, shape.prefix(batch).reduce(1, *)))
    let batchSize = shape.dropFirst(batch).reduce(1, *)
    let starts = try (0..<count).map { n in
      try (0..<width).reduce(n / perBatch * batchSize) {
        $0 + (try index(at.elements[n * width + $1], of: shape[batch + $1])) * steps[batch + $1]
      }
    }
    return (starts, shape.dropFirst(batch + width).reduce(1, *))
  }

  fileprivate func scatteredElements() throws -> Value {
    let (x, at) = (try value(0), try integers(1))
    return try scattered(x, try elementPlaces(x.shape, at), value(2))
  }

  /// Numbers with others at some places.
  fileprivate func scattered(_ x: Value, _ places: [Int], _ updates: Value) throws -> Value {
    try require(updates.count == places.count, "\(updates.shape) for \(places.count) places")
    let reduction = string("reduction") ?? "none"
    switch (x, updates) {
    case (.integers(let x), .integers(let y)):
      var elements = x.elements
      for (place, new) in zip(places, y.elements) {
        elements[place] =
          switch reduction {
          case "add": x.type.wrapped(elements[place] &+ new)
          case "mul": x.type.wrapped(elements[place] &* new)
          case "max": max(elements[place], new)
          case "min": min(elements[place], new)
          default: new
          }
      }
      return .integers(Integers(elements, shape: x.shape, type: x.type))
    case (.floats(let x), .floats(let y)):
      var elements = x.value.elements
      for (place, new) in zip(places, y.value.elements) {
        elements[place] =
          switch reduction {
          case "add": elements[place] + new
          case "mul": elements[place] * new
          case "max": max(elements[place], new)
          case "min": min(elements[place], new)
          default: new
          }
      }
      let result = Tensor(elements, shape: x.shape)
      // Of a maximum, a minimum and a product nothing flows back.
      guard ["none", "add"].contains(reduction) else { return .floats(Variable(result)) }
      return .floats(
        Variable(result, inputs: [x, y]) { [updated = y.shape] dy in
          var rest = dy.elements
          if reduction == "none" { for place in places { rest[place] = 0 } }
          let all = dy.elements
          return [
            Tensor(rest, shape: dy.shape), Tensor(places.map { all[$0] }, shape: updated),
          ]
        })
    default: throw failure("its inputs are of \(x.type) and \(updates.type)")
    }
  }
}
