import Autodiff
import TensorCore

extension Operators {
  /// Some of the numbers, by what they are.
  static let selections: [String: Body] = [
    "TopK": { try $0.largest() },
    "NonZero": { call in
      let x = try call.value(0)
      let isSet: [Bool] =
        switch x {
        case .floats(let x): x.value.elements.map { $0 != 0 }
        case .integers(let x): x.elements.map { $0 != 0 }
        }
      let places = isSet.indices.filter { isSet[$0] }
      let steps = x.shape.rowMajorSteps
      let indices = zip(x.shape, steps).flatMap { extent, step in places.map { $0 / step % extent }
      }
      return [.integers(Integers(indices, shape: [x.shape.count, places.count]))]
    },
    "Compress": { call in
      let (x, isKept) = (try call.value(0), try call.integers(1).elements)
      guard let given = call.int("axis") else {
        let places = (0..<min(x.count, isKept.count)).filter { isKept[$0] != 0 }
        return [x.gathered(places, shape: [places.count])]
      }
      let axis = try call.axis(given, rank: x.shape.count)
      let kept = (0..<min(x.shape[axis], isKept.count)).filter { isKept[$0] != 0 }
      var shape = x.shape
      shape[axis] = kept.count
      let steps = x.shape.rowMajorSteps
      let tables = x.shape.indices.map { other -> (Int) -> Int? in
        let step = steps[other]
        return other == axis ? { kept[$0] * step } : { $0 * step }
      }
      return [x.gathered(tablePlaces(shape, tables), shape: shape)]
    },
    "Unique": { try $0.unique() },
    "NonMaxSuppression": { try [$0.suppressed()] },
  ]
}

extension Call {
  /// The largest or smallest along an axis, and where they were.
  fileprivate func largest() throws -> [Value] {
    let x = try value(0)
    guard let k = try ints("k", orInput: 1)?.first else { throw failure("it says not how many") }
    let axis = try axis(int("axis") ?? -1, rank: x.shape.count)
    let length = x.shape[axis]
    try require((0...length).contains(k), "\(k) of \(length) numbers")
    let isLargest = int("largest") != 0
    let isLess = x.isLess
    let isNaN: (Int) -> Bool
    if case .floats(let x) = x {
      let numbers = x.value.elements
      isNaN = { numbers[$0].isNaN }
    } else {
      isNaN = { _ in false }
    }
    let steps = x.shape.rowMajorSteps
    var shape = x.shape
    shape[axis] = 1
    let found = places(shape, steps: steps).map { start in
      let sorted = (0..<length).sorted {
        let (a, b) = (start + $0 * steps[axis], start + $1 * steps[axis])
        // What is no number comes last; of equal ones the first.
        if isNaN(a) || isNaN(b) { return isNaN(a) == isNaN(b) ? $0 < $1 : isNaN(b) }
        if isLess(a, b) { return !isLargest }
        return isLess(b, a) ? isLargest : $0 < $1
      }
      return Array(sorted.prefix(k))
    }
    shape[axis] = k
    let inner = steps[axis]
    let indices = (0..<shape.reduce(1, *)).map { place in
      found[place / (inner * max(1, k)) * inner + place % inner][place / inner % max(1, k)]
    }
    let own = shape.indices.map { $0 == axis ? 0 : steps[$0] }
    let sources = zip(places(shape, steps: own), indices).map { $0 + $1 * inner }
    return [
      x.gathered(sources, shape: shape), .integers(Integers(indices, shape: shape)),
    ]
  }

  /// Different numbers, or slices along an axis: sorted, or in the order of their first occurrence.
  fileprivate func unique() throws -> [Value] {
    let x = try value(0)
    let given = int("axis")
    let axis = try given.map { try self.axis($0, rank: x.shape.count) }
    let (count, size) = (
      axis.map { x.shape[$0] } ?? x.count, axis.map { x.count / max(1, x.shape[$0]) } ?? 1
    )
    let step = axis.map { x.shape.rowMajorSteps[$0] } ?? 1
    func place(_ n: Int, _ i: Int) -> Int {
      axis == nil ? n : i / step * step * count + n * step + i % step
    }
    /// The first of each kind, and which kind each is of.
    func kinds<Number: Comparable & Hashable>(_ numbers: [Number]) -> (found: [Int], inverse: [Int])
    {
      let keys = (0..<count).map { n in (0..<size).map { numbers[place(n, $0)] } }
      var seen: Set<[Number]> = []
      var found = (0..<count).filter { seen.insert(keys[$0]).inserted }
      if int("sorted") != 0 { found.sort { keys[$0].lexicographicallyPrecedes(keys[$1]) } }
      let ranks = Dictionary(
        found.enumerated().map { (keys[$1], $0) }, uniquingKeysWith: { first, _ in first })
      return (found, keys.map { ranks[$0] ?? 0 })
    }
    let (found, inverse): ([Int], [Int])
    switch x {
    case .floats(let x): (found, inverse) = kinds(x.value.elements)
    case .integers(let x): (found, inverse) = kinds(x.elements)
    }
    var counts = [Int](repeating: 0, count: found.count)
    for n in inverse { counts[n] += 1 }
    var shape = axis == nil ? [found.count] : x.shape
    if let axis { shape[axis] = found.count }
    let inner = step
    let sources = (0..<shape.reduce(1, *)).map { at in
      axis == nil
        ? found[at]
        : place(
          found[at / inner % max(1, found.count)],
          at / (inner * max(1, found.count)) * inner + at % inner)
    }
    return [x.gathered(sources, shape: shape)]
      + [found, inverse, counts].map { .integers(Integers($0)) }
  }

  /// The boxes of each class that no better one overlaps, `[selected, 3]`: batch, class, box.
  fileprivate func suppressed() throws -> Value {
    let (boxes, scores) = (try float(0).value, try float(1).value)
    let (b, s) = (boxes.shape.extents, scores.shape.extents)
    try require(
      b.count == 3 && s.count == 3 && b[2] == 4 && b[0] == s[0] && b[1] == s[2],
      "boxes of \(b), scores of \(s)")
    let most = Self.whole(try scalar(2) ?? 0)
    let (overlap, least) = (Float(try scalar(3) ?? 0), try scalar(4).map { Float($0) })
    let isCentered = int("center_point_box") == 1
    let (corners, all) = (boxes.elements, scores.elements)
    func box(_ place: Int) -> (x: (Float, Float), y: (Float, Float)) {
      let c = corners[place * 4..<place * 4 + 4].map { $0 }
      if isCentered {
        return ((c[0] - c[2] / 2, c[0] + c[2] / 2), (c[1] - c[3] / 2, c[1] + c[3] / 2))
      }
      return ((min(c[1], c[3]), max(c[1], c[3])), (min(c[0], c[2]), max(c[0], c[2])))
    }
    func common(_ a: (Float, Float), _ b: (Float, Float)) -> Float {
      max(0, min(a.1, b.1) - max(a.0, b.0))
    }
    func area(_ a: (x: (Float, Float), y: (Float, Float))) -> Float {
      (a.x.1 - a.x.0) * (a.y.1 - a.y.0)
    }
    var found: [Int] = []
    for n in 0..<b[0] {
      for kind in 0..<s[1] {
        let own = (n * s[1] + kind) * s[2]
        let floor = least ?? -.infinity
        let eligible = (0..<s[2]).filter { least == nil || all[own + $0] > floor }
        let candidates = eligible.sorted { a, b in
          all[own + a] != all[own + b] ? all[own + a] > all[own + b] : a < b
        }
        var kept: [Int] = []
        for candidate in candidates where kept.count < most {
          let a = box(n * b[1] + candidate)
          let isFree = kept.allSatisfy {
            let other = box(n * b[1] + $0)
            let both = common(a.x, other.x) * common(a.y, other.y)
            return !(both > overlap * (area(a) + area(other) - both))
          }
          if isFree { kept.append(candidate) }
        }
        for one in kept { found += [n, kind, one] }
      }
    }
    return .integers(Integers(found, shape: [found.count / 3, 3]))
  }
}
