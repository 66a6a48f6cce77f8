import Autodiff
import TensorCore

extension Operators {
  /// Graphs inside nodes.
  static let controlFlow: [String: Body] = [
    "If": { call in
      guard let condition = try call.integers(0).elements.first else {
        throw call.failure("no condition")
      }
      let graph = try call.inner(condition != 0 ? "then_branch" : "else_branch")
      return try graph.run([], on: call.tape, in: call.scope)
    },
    "Loop": { try $0.loop() },
  ]
}

extension Call {
  /// A graph again and again: what it carries on, and what it gives each time, put together.
  fileprivate func loop() throws -> [Value] {
    let body = try inner("body")
    let most = try list(0)?.first ?? .max
    var goesOn = try list(1)?.first.map { $0 != 0 } ?? true
    var carried = try (2..<max(2, inputs.count)).map { try value($0) }
    let count = carried.count
    try require(
      body.inputs.count == count + 2 && body.outputs.count >= count + 1,
      "its graph takes \(body.inputs.count) values and gives \(body.outputs.count)")
    var given = [[Value]](repeating: [], count: body.outputs.count - count - 1)
    var n = 0
    let held = scope.held
    defer { scope.held = held }
    while goesOn && n < most {
      try require(n < 1_000_000, "it goes on more than a million times")
      let step = Value.integers(Integers([n], shape: []))
      let flag = Value.integers(Integers([goesOn], shape: []))
      let results = try body.run([step, flag] + carried, on: tape, in: scope)
      guard case .integers(let next) = results[0], let first = next.elements.first else {
        throw failure("its condition is no truth value")
      }
      goesOn = first != 0
      carried = Array(results[1..<count + 1])
      for (i, value) in results[(count + 1)...].enumerated() {
        try scope.hold(value, for: node)
        given[i].append(value)
      }
      n += 1
    }
    return try carried + given.map(stacked)
  }

  /// Values of one shape along a new first axis.
  private func stacked(_ values: [Value]) throws -> Value {
    guard let first = values.first else {
      throw failure("it is never carried out, so that an output has no shape")
    }
    try require(
      values.allSatisfy { $0.shape == first.shape && $0.type == first.type },
      "its results change their shape")
    let shape = try checked([values.count] + first.shape)
    switch first {
    case .floats:
      let parts = values.compactMap { value in
        if case .floats(let x) = value { x.reshaped([1] + x.shape.extents) } else { nil }
      }
      return .floats(.concatenated(parts))
    case .integers:
      let elements = values.flatMap { value in
        if case .integers(let x) = value { x.elements } else { [Int]() }
      }
      return .integers(Integers(elements, shape: shape, type: first.type))
    }
  }
}
