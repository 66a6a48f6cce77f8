import Autodiff
import Foundation
import TensorCore

extension Operators {
  /// What a sequence takes from another (Vaswani 2017), and turns that say places (Su 2021).
  static let attention: [String: Body] = [
    "Attention": { try $0.attention() },
    "RotaryEmbedding": { [.floats(try $0.rotated())] },
  ]
}

extension Call {
  /// `[batch, length, heads · width]` as `[batch, heads, length, width]`.
  private func heads(_ x: Variable, _ count: Int?) throws -> Variable {
    if x.shape.rank == 4 { return x }
    guard let count, count > 0, x.shape.rank == 3, x.shape[2] % count == 0 else {
      throw failure("\(count ?? 0) heads of \(x.shape)")
    }
    return x.reshaped([x.shape[0], x.shape[1], count, x.shape[2] / count]).permuted([0, 2, 1, 3])
  }

  /// softmax(*Q* *Kᵀ* · scale + mask) *V*, with what was there before, in groups of heads.
  fileprivate func attention() throws -> [Value] {
    let isFlat = try float(0).shape.rank == 3
    let (queryHeads, keyHeads) = (int("q_num_heads"), int("kv_num_heads"))
    let q = try heads(float(0), queryHeads)
    var (k, v) = (try heads(float(1), keyHeads), try heads(float(2), keyHeads))
    var before = 0
    if let pastKey = try optionalFloat(4), let pastValue = try optionalFloat(5) {
      for (past, now) in [(pastKey, k), (pastValue, v)] {
        try require(
          past.shape.rank == 4 && past.shape[0] == now.shape[0] && past.shape[1] == now.shape[1]
            && past.shape[3] == now.shape[3], "\(past.shape) before \(now.shape)")
      }
      before = pastKey.shape[2]
      (k, v) = (.concatenated([pastKey, k], axis: 2), .concatenated([pastValue, v], axis: 2))
    }
    try require(
      q.shape[0] == k.shape[0] && k.shape[0] == v.shape[0] && q.shape[3] == k.shape[3]
        && k.shape[2] > 0 && k.shape[2] == v.shape[2] && k.shape[1] == v.shape[1] && k.shape[1] > 0
        && q.shape[1] % k.shape[1] == 0, "\(q.shape), \(k.shape), \(v.shape)")
    let present = [k, v]
    let (batch, length, keys, groups) = (
      q.shape[0], q.shape[2], k.shape[2], q.shape[1] / k.shape[1]
    )
    try checked([batch, q.shape[1], length, keys])
    // Heads that share their keys lie beside each other.
    func repeated(_ x: Variable) -> Variable {
      guard groups > 1 else { return x }
      let s = x.shape.extents
      return x.reshaped([s[0], s[1], 1, s[2], s[3]]).repeated(to: [s[0], s[1], groups, s[2], s[3]])
        .reshaped([s[0], s[1] * groups, s[2], s[3]])
    }
    let scale = number("scale") ?? 1 / Float(max(1, q.shape[3])).squareRoot()
    let plain = try product(q * scale, repeated(k).permuted([0, 1, 3, 2]))
    let cap = number("softcap") ?? 0
    let capped = cap > 0 ? (plain * (1 / cap)).tanh() * cap : plain
    var biased = capped
    if let mask = optional(3) {
      biased = try masked(biased, mask, keys: keys)
    }
    let hidden = try bias(batch: batch, length: length, keys: keys, before: before)
    if let hidden { biased = biased + Variable(hidden) }
    // A row that sees nothing takes nothing.
    let seen = biased.value.maximum(-1, keepingAxes: true).mapped { $0 == -.infinity ? 0 : 1 }
    let isWhole = !seen.elements.contains(0)
    let weights = isWhole ? biased.softmax() : biased.softmaxOfSeen(seen)
    var y = try product(weights, repeated(v))
    if isFlat { y = y.permuted([0, 2, 1, 3]).reshaped([batch, length, y.shape[1] * y.shape[3]]) }
    let stages = [plain, capped, biased, weights]
    let stage = stages[min(max(int("qk_matmul_output_mode") ?? 0, 0), 3)]
    return ([y] + present + [stage]).map { .floats($0) }
  }

  /// With what a mask adds, or hides; where it is too short, the rest is hidden.
  private func masked(_ scores: Variable, _ mask: Value, keys: Int) throws -> Variable {
    var added: Variable
    switch mask {
    case .floats(let x): added = x
    case .integers(let x):
      added = Variable(Tensor(x.elements.map { $0 != 0 ? 0 : -.infinity }, shape: Shape(x.shape)))
    }
    try require(
      added.shape.rank > 0 && added.shape[-1] <= keys, "a mask of \(added.shape) for \(keys) keys")
    if added.shape[-1] < keys && added.shape[-1] != 1 {
      var rest = added.shape.extents.map { _ in 0 }
      rest[rest.count - 1] = keys - added.shape[-1]
      added = added.surrounded(rest.map { _ in 0 }, rest, by: -.infinity)
    }
    try require(
      try broadcast([scores.shape.extents, added.shape.extents]) == scores.shape.extents,
      "a mask of \(added.shape) for scores of \(scores.shape)")
    return scores + added
  }

  /// What order, a window and lengths hide: 0 or −∞, `[batch or 1, 1, length, keys]`.
  private func bias(batch: Int, length: Int, keys: Int, before: Int) throws -> Tensor? {
    let lengths = try list(6)
    let isCausal = int("is_causal") == 1
    let (left, right) = (int("left_window_size") ?? -1, int("right_window_size") ?? -1)
    guard lengths != nil || isCausal || left >= 0 || right >= 0 else { return nil }
    try require(
      lengths.map { $0.count == batch && $0.allSatisfy { 0...keys ~= $0 } } ?? true,
      "lengths of \(lengths ?? []) for a batch of \(batch)")
    let count = lengths == nil ? 1 : batch
    try checked([count, length, keys])
    var numbers = [Float](repeating: 0, count: count * length * keys)
    for n in 0..<count {
      let offset = lengths.map { $0[n] - length } ?? before
      for i in 0..<length {
        for j in 0..<keys {
          let ahead = j - i - offset
          let isHidden =
            isCausal && ahead > 0 || left >= 0 && -ahead > left || right >= 0 && ahead > right
            || lengths.map { j >= $0[n] } ?? false
          if isHidden { numbers[(n * length + i) * keys + j] = -.infinity }
        }
      }
    }
    return Tensor(numbers, shape: [count, 1, length, keys])
  }

  /// Pairs of numbers turned by angles that grow with their place.
  fileprivate func rotated() throws -> Variable {
    let given = try float(0)
    let count = int("num_heads").flatMap { $0 > 0 ? $0 : nil }
    let x = try heads(given, count)
    let width = int("rotary_embedding_dim").flatMap { $0 > 0 ? $0 : nil } ?? x.shape[3]
    try require(width % 2 == 0 && width <= x.shape[3], "turns of \(width) of \(x.shape[3]) numbers")
    let (batch, length) = (x.shape[0], x.shape[2])
    /// Of each place, `[batch or 1, 1, length, width / 2]`.
    func table(_ index: Int) throws -> Variable {
      let all = try float(index)
      if let places = optional(3) {
        guard case .integers(let at) = places, at.elements.count == batch * length,
          all.shape.rank == 2,
          at.elements.allSatisfy({ 0..<all.shape[0] ~= $0 })
        else { throw failure("places of \(places.shape) in a table of \(all.shape)") }
        try require(all.shape[1] == width / 2, "a table of \(all.shape) for turns of \(width)")
        return all.gathered(at.elements).reshaped([batch, 1, length, width / 2])
      }
      try require(all.shape.count == batch * length * width / 2, "a table of \(all.shape)")
      return all.reshaped([batch, 1, length, width / 2])
    }
    let (cosine, sine) = (try table(1), try table(2))
    let turned = x.sliced(0..<width, axis: 3)
    let isInterleaved = int("interleaved") == 1
    let half = width / 2
    let pairs =
      isInterleaved
      ? turned.reshaped([batch, x.shape[1], length, half, 2])
      : turned.reshaped([batch, x.shape[1], length, 2, half]).permuted([0, 1, 2, 4, 3])
    let shape = [batch, x.shape[1], length, half]
    let a = pairs.sliced(0..<1, axis: 4).reshaped(shape)
    let b = pairs.sliced(1..<2, axis: 4).reshaped(shape)
    let parts = [a * cosine - b * sine, a * sine + b * cosine].map { $0.reshaped(shape + [1]) }
    let joined = Variable.concatenated(parts, axis: 4)
    let back = isInterleaved ? joined : joined.permuted([0, 1, 2, 4, 3])
    var y = back.reshaped([batch, x.shape[1], length, width])
    if width < x.shape[3] {
      y = .concatenated([y, x.sliced(width..<x.shape[3], axis: 3)], axis: 3)
    }
    return given.shape.rank == 3 ? y.permuted([0, 2, 1, 3]).reshaped(given.shape.extents) : y
  }
}

extension Variable {
  /// The softmax over the last axis of the rows that see something; zeros in the others.
  fileprivate func softmaxOfSeen(_ seen: Tensor) -> Variable {
    let finite = Variable(value.mapped { $0 == -.infinity ? 0 : 1 })
    // Infinite numbers have no place in sums: what is hidden is taken away after.
    let top = value.maximum(-1, keepingAxes: true).mapped { $0.isFinite ? $0 : 0 }
    let shown = Variable(value.mapped { $0 == -.infinity ? 0 : $0 })
    let moved = Variable(shown.value, inputs: [self]) { dy in [dy * finite.value] }
    let powers = (moved - Variable(top)).exp() * finite
    return powers / (powers.sum([-1], keepingAxes: true) + Variable(Tensor(1) - seen))
  }
}
