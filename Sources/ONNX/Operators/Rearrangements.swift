import Autodiff
import TensorCore

extension Operators {
  /// The same numbers elsewhere.
  static let rearrangements: [String: Body] = [
    "Transpose": { call in
      let x = try call.value(0)
      let order = try call.axes(
        call.ints("perm") ?? x.shape.indices.reversed(), rank: x.shape.count)
      try call.require(order.count == x.shape.count, "axes \(order) of \(x.shape)")
      return [x.permuted(order)]
    },
    "Concat": { call in
      let parts = try call.inputs.indices.map { try call.value($0) }
      return [try call.concatenated(parts, axis: call.int("axis") ?? 1)]
    },
    "Split": { try $0.split() },
    "Slice": { try [$0.sliced()] },
    "Tile": { call in
      let (x, repeats) = (try call.value(0), try call.integers(1).elements)
      try call.require(repeats.count == x.shape.count, "\(repeats) repeats of \(x.shape)")
      let shape = try call.checked(zip(x.shape, repeats).map(Call.product))
      let steps = x.shape.rowMajorSteps
      return [
        x.gathered(
          tablePlaces(shape, zip(x.shape, steps).map { extent, step in { $0 % extent * step } }),
          shape: shape)
      ]
    },
    "Pad": { try [$0.padded()] },
    "DepthToSpace": { call in
      let x = try call.value(0)
      let b = call.int("blocksize") ?? 0
      try call.require(
        x.shape.count == 4 && 1...1 << 16 ~= b && x.shape[1] % (b * b) == 0,
        "\(x.shape) by blocks of \(b)")
      let (n, c, h, w) = (x.shape[0], x.shape[1] / (b * b), x.shape[2], x.shape[3])
      let isColumnFirst = call.string("mode") == "CRD"
      let parts = try call.reshaped(x, isColumnFirst ? [n, c, b, b, h, w] : [n, b, b, c, h, w])
      return [
        try call.reshaped(
          parts.permuted(isColumnFirst ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2]),
          [n, c, h * b, w * b])
      ]
    },
    "SpaceToDepth": { call in
      let x = try call.value(0)
      let b = call.int("blocksize") ?? 0
      try call.require(
        x.shape.count == 4 && 1...1 << 16 ~= b && x.shape[2] % b == 0 && x.shape[3] % b == 0,
        "\(x.shape) by blocks of \(b)")
      let (n, c, h, w) = (x.shape[0], x.shape[1], x.shape[2] / b, x.shape[3] / b)
      let parts = try call.reshaped(x, [n, c, h, b, w, b])
      let order = call.string("mode") == "CRD" ? [0, 1, 3, 5, 2, 4] : [0, 3, 5, 1, 2, 4]
      return [try call.reshaped(parts.permuted(order), [n, c * b * b, h, w])]
    },
    "Trilu": { call in
      let x = try call.value(0)
      try call.require(x.shape.count >= 2, "its input is of \(x.shape)")
      let (isUpper, k) = (call.int("upper") != 0, Call.whole(try call.scalar(1) ?? 0))
      let (rows, columns) = (x.shape[x.shape.count - 2], x.shape[x.shape.count - 1])
      let kept = (0..<x.count).map { place in
        let off = place % columns - place / columns % max(1, rows)
        return (isUpper ? off >= k : off <= k) ? place : -1
      }
      return [x.gathered(kept, shape: x.shape)]
    },
    "ReverseSequence": { call in
      let (x, lengths) = (try call.value(0), try call.integers(1).elements)
      let rank = x.shape.count
      let batch = try call.axis(call.int("batch_axis") ?? 1, rank: rank)
      let time = try call.axis(call.int("time_axis") ?? 0, rank: rank)
      try call.require(
        lengths.count == x.shape[batch] && lengths.allSatisfy { 0...x.shape[time] ~= $0 },
        "lengths \(lengths) for \(x.shape)")
      let steps = x.shape.rowMajorSteps
      let places = (0..<x.count).map { place in
        let (n, t) = (place / steps[batch] % x.shape[batch], place / steps[time] % x.shape[time])
        return t < lengths[n] ? place + (lengths[n] - 1 - 2 * t) * steps[time] : place
      }
      return [x.gathered(places, shape: x.shape)]
    },
    "CenterCropPad": { call in
      let (x, wanted) = (try call.value(0), try call.integers(1).elements)
      let axes = try call.axes(call.ints("axes") ?? Array(x.shape.indices), rank: x.shape.count)
      try call.require(wanted.count == axes.count, "\(wanted) for axes \(axes)")
      var shape = x.shape
      for (axis, extent) in zip(axes, wanted) { shape[axis] = extent }
      try call.checked(shape)
      let steps = x.shape.rowMajorSteps
      let tables = x.shape.indices.map { axis -> (Int) -> Int? in
        let (own, new, step) = (x.shape[axis], shape[axis], steps[axis])
        // What is over at the end is one more than at the beginning.
        let shift = new <= own ? (own - new) / 2 : -((new - own) / 2)
        return { (0..<own).contains($0 + shift) ? ($0 + shift) * step : nil }
      }
      return [x.gathered(tablePlaces(shape, tables), shape: shape)]
    },
  ]
}

/// The places of a result's numbers, from where each axis says; −1 where one says nowhere.
func tablePlaces(_ shape: [Int], _ tables: [(Int) -> Int?]) -> [Int] {
  if shape.contains(0) { return [] }
  var places = [0]
  for (extent, table) in zip(shape, tables) {
    let own = (0..<extent).map(table)
    places = places.flatMap { place in
      own.map { own in place < 0 ? -1 : own.map { place + $0 } ?? -1 }
    }
  }
  return places
}

extension Value {
  /// The axes in another order.
  func permuted(_ order: [Int]) -> Value {
    switch self {
    case .floats(let x): return .floats(x.permuted(order))
    case .integers(let x):
      let (shape, steps) = (order.map { x.shape[$0] }, x.shape.rowMajorSteps)
      return .integers(
        Integers(
          places(shape, steps: order.map { steps[$0] }).map { x.elements[$0] }, shape: shape,
          type: x.type))
    }
  }

  /// The numbers at some places, in row-major order; where a place is −1, `filler`, or 0.
  func gathered(_ places: [Int], shape: [Int], filler: Value? = nil) -> Value {
    switch self {
    case .floats(let x):
      let flat = x.reshaped([x.shape.count, 1])
      guard places.contains(-1) else { return .floats(flat.gathered(places).reshaped(shape)) }
      var other = Variable(Tensor.zeros([1, 1]))
      if case .floats(let value)? = filler { other = value.reshaped([1, 1]) }
      let all = Variable.concatenated([flat, other])
      return .floats(
        all.gathered(places.map { $0 < 0 ? x.shape.count : $0 }).reshaped(shape))
    case .integers(let x):
      var other = 0
      if case .integers(let value)? = filler { other = value.elements.first ?? 0 }
      return .integers(
        Integers(places.map { $0 < 0 ? other : x.elements[$0] }, shape: shape, type: x.type))
    }
  }
}

extension Call {
  /// Values joined along an axis.
  func concatenated(_ parts: [Value], axis: Int) throws -> Value {
    guard let first = parts.first else { throw failure("it has no inputs") }
    let axis = try self.axis(axis, rank: first.shape.count)
    for part in parts {
      try require(
        part.type == first.type && part.shape.count == first.shape.count
          && part.shape.indices.allSatisfy { $0 == axis || part.shape[$0] == first.shape[$0] },
        "\(part.shape) beside \(first.shape) along axis \(axis)")
    }
    var shape = first.shape
    shape[axis] = parts.map { $0.shape[axis] }.reduce(0, +)
    try checked(shape)
    if case .floats(let x) = first {
      // In the order in which they lie in memory.
      let order = x.value.memoryOrder
      let variables = parts.compactMap { part in
        if case .floats(let x) = part { x.permuted(order) } else { nil }
      }
      let at = order.firstIndex(of: axis) ?? axis
      return .floats(Variable.concatenated(variables, axis: at).permuted(order.inversePermutation))
    }
    var elements: [Int] = []
    let outer = shape[..<axis].reduce(1, *)
    for n in 0..<outer {
      for case .integers(let part) in parts {
        let size = part.elements.count / max(1, outer)
        elements += part.elements[n * size..<(n + 1) * size]
      }
    }
    return .integers(Integers(elements, shape: shape, type: first.type))
  }

  fileprivate func split() throws -> [Value] {
    let x = try value(0)
    let axis = try axis(int("axis") ?? 0, rank: x.shape.count)
    let count = int("num_outputs") ?? node.outputs.count
    try require(1...1 << 16 ~= count, "\(count) parts")
    let even = (x.shape[axis] + count - 1) / count
    let sizes =
      try ints("split", orInput: 1)
      ?? (0..<count).map { max(0, min(even, x.shape[axis] - $0 * even)) }
    try require(
      sizes.count <= 1 << 16 && sizes.allSatisfy { 0...x.shape[axis] ~= $0 }
        && sizes.reduce(0, +) == x.shape[axis],
      "parts of \(sizes) along axis \(axis) of \(x.shape)")
    var start = 0
    return try sizes.map { size in
      defer { start += size }
      return try slice(x, axis: axis, from: start, to: start + size, step: 1)
    }
  }

  /// A range along one axis, of which `end` is no part.
  func slice(_ x: Value, axis: Int, from start: Int, to end: Int, step: Int) throws -> Value {
    if case .floats(let x) = x, step == 1 {
      return .floats(x.sliced(start..<max(start, end), axis: axis))
    }
    // Not of neighboring numbers: apart they would be read one by one.
    if case .floats(let x) = x, step > 0, !x.requiresGradient, x.value.memoryOrder.last != axis {
      return .floats(Variable(x.value.sliced(start..<max(start, end), axis: axis, by: step)))
    }
    let all = Array(stride(from: start, to: end, by: step))
    var shape = x.shape
    shape[axis] = all.count
    let steps = x.shape.rowMajorSteps
    let tables = x.shape.indices.map { other -> (Int) -> Int? in
      let step = steps[other]
      return other == axis ? { all[$0] * step } : { $0 * step }
    }
    return x.gathered(tablePlaces(shape, tables), shape: shape)
  }

  fileprivate func sliced() throws -> Value {
    var x = try value(0)
    guard let starts = try ints("starts", orInput: 1), let ends = try ints("ends", orInput: 2),
      starts.count == ends.count
    else { throw failure("it says not where slices begin and end") }
    let given = try ints("axes", orInput: 3) ?? Array(starts.indices)
    let found = try axes(given, rank: x.shape.count)
    let steps = try list(4) ?? [Int](repeating: 1, count: starts.count)
    try require(
      found.count == starts.count && steps.count == starts.count, "lists of unlike length")
    for (n, axis) in found.enumerated() {
      let (length, step) = (x.shape[axis], steps[n])
      try require(step != 0 && step != .min, "a step of \(step)")
      func bound(_ value: Int, _ range: ClosedRange<Int>) -> Int {
        min(max(value < 0 ? value &+ length : value, range.lowerBound), range.upperBound)
      }
      let range = step > 0 ? 0...length : -1...max(-1, length - 1)
      let start = bound(starts[n], step > 0 ? 0...length : 0...max(0, length - 1))
      // Before the first, going down.
      let end = step < 0 && ends[n] < -length ? -1 : bound(ends[n], range)
      if length == 0 { continue }
      x = try slice(x, axis: axis, from: start, to: end, step: step)
    }
    return x
  }

  fileprivate func padded() throws -> Value {
    let x = try value(0)
    guard let given = try ints("pads", orInput: 1) else { throw failure("it says no padding") }
    let axes = try list(3).map { try self.axes($0, rank: x.shape.count) } ?? Array(x.shape.indices)
    try require(
      given.count == 2 * axes.count && given.allSatisfy { -1 << 40...1 << 40 ~= $0 },
      "\(given) for \(axes.count) axes")
    var (before, after) = (x.shape.map { _ in 0 }, x.shape.map { _ in 0 })
    for (n, axis) in axes.enumerated() {
      (before[axis], after[axis]) = (given[n], given[n + axes.count])
    }
    let shape = try checked(x.shape.indices.map { x.shape[$0] &+ before[$0] &+ after[$0] })
    let filler = optional(2) ?? number("value").map { .floats(Variable(Tensor($0))) }
    try require(filler.map { $0.count == 1 } ?? true, "its filler is not one number")
    let mode = string("mode") ?? "constant"
    if mode == "constant", case .floats(let x) = x, (before + after).allSatisfy({ $0 >= 0 }) {
      var number = Variable(Tensor(0))
      if case .floats(let value)? = filler { number = value }
      return .floats(x.surrounded(before, after, by: number.value.elements[0]))
    }
    let steps = x.shape.rowMajorSteps
    let tables = try x.shape.indices.map { axis -> (Int) -> Int? in
      let (n, step, shift) = (x.shape[axis], steps[axis], before[axis])
      try require(n > 0 || mode == "constant", "an empty axis has nothing to repeat")
      switch mode {
      case "constant": return { (0..<n).contains($0 - shift) ? ($0 - shift) * step : nil }
      case "edge": return { min(max($0 - shift, 0), n - 1) * step }
      case "wrap": return { (($0 - shift) % n + n) % n * step }
      case "reflect":
        return {
          let period = max(1, 2 * n - 2)
          let place = (($0 - shift) % period + period) % period
          return min(place, period - place, n - 1) * step
        }
      default: throw failure("mode '\(mode)' is not supported")
      }
    }
    return x.gathered(tablePlaces(shape, tables), shape: shape, filler: filler)
  }
}

extension Variable {
  /// With a number around it.
  func surrounded(_ before: [Int], _ after: [Int], by number: Float) -> Variable {
    guard (before + after).contains(where: { $0 != 0 }) else { return self }
    let order = value.memoryOrder
    let x = permuted(order)
    let (first, last) = (order.map { before[$0] }, order.map { after[$0] })
    let extents = x.shape.extents
    var result = Tensor(
      repeating: number, shape: Shape(extents.indices.map { extents[$0] + first[$0] + last[$0] }))
    result.assign(x.value, at: first)
    return Variable(result, inputs: [x]) { dy in
      [extents.indices.reduce(dy) { $0.sliced(first[$1]..<first[$1] + extents[$1], axis: $1) }]
    }.permuted(order.inversePermutation)
  }
}
