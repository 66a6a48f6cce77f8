import Foundation
import MessagePassing
import TensorCore

/// The sum of the gradients of all pieces of a batch, in the order of the pieces, while they are still being computed.
///
/// Parameters are taken together in buckets. Where there are other processes, a bucket is exchanged as soon as all pieces of this one
/// have it, beside the computation of those before it: each process sums a slice of it, and hands the sum to all (a reduce-scatter
/// and an all-gather, as in Thakur, Rabenseifner & Gropp 2005, but with sums whose order does not depend on the number of processes).
final class GradientSum: @unchecked Sendable {
  private let pieces: BatchPieces
  private let shapes: [Shape]
  /// The parameters of each bucket: the last ones first, whose gradients are known first.
  private let buckets: [[Int]]
  private let bucket: [Int]
  private let condition = NSCondition()
  private var parts: [[Tensor?]]
  /// How many gradients each bucket waits for.
  private var missing: [Int]
  private var sums: [Tensor?]

  /// How many numbers a bucket has at least: 1 MiB.
  private static let bucketSize = 1 << 18

  /// - Parameter shapes: Those of the parameters.
  init(_ pieces: BatchPieces, _ shapes: [Shape]) {
    (self.pieces, self.shapes) = (pieces, shapes)
    var (buckets, size): ([[Int]], Int) = ([[]], 0)
    for n in shapes.indices.reversed() {
      if size >= GradientSum.bucketSize {
        buckets.append([])
        size = 0
      }
      buckets[buckets.count - 1].append(n)
      size += shapes[n].count
    }
    self.buckets = buckets
    var places = [Int](repeating: 0, count: shapes.count)
    for (n, members) in buckets.enumerated() { for member in members { places[member] = n } }
    bucket = places
    parts = Array(repeating: Array(repeating: nil, count: pieces.own.count), count: shapes.count)
    missing = buckets.map { $0.count * pieces.own.count }
    sums = Array(repeating: nil, count: shapes.count)
  }

  /// Takes the gradient of a piece by one parameter, `nil` where the loss does not depend on it.
  ///
  /// `piece`: Which of those of this process.
  func add(_ gradient: Tensor?, by parameter: Int, of piece: Int) {
    condition.lock()
    parts[parameter][piece] = gradient
    missing[bucket[parameter]] -= 1
    if missing[bucket[parameter]] == 0 { condition.broadcast() }
    condition.unlock()
  }

  /// Sums bucket by bucket, each when it is complete; one thread's work, beside the pieces.
  func run() {
    for (n, members) in buckets.enumerated() {
      condition.lock()
      while missing[n] > 0 { condition.wait() }
      let known = members.map { parts[$0] }
      condition.unlock()
      let shapes = members.map { self.shapes[$0] }
      let some =
        pieces.processes.map { exchanged(known, shapes, with: $0) } ?? summed(known, shapes)
      for (member, sum) in zip(members, some) { sums[member] = sum }
    }
  }

  /// The gradients of the mean of the pieces' losses, once `run` has returned.
  var means: [Tensor?] {
    sums.map { sum in sum.map { $0 * (1 / Float(pieces.count)) } }
  }

  private func summed(_ members: [[Tensor?]], _ shapes: [Shape]) -> [Tensor?] {
    Parallel.map(Array(members.indices)) { n -> Tensor? in
      let parts = members[n]
      // What no piece has a gradient of has none, and no decay either.
      guard parts.contains(where: { $0 != nil }) else { return nil }
      let known = parts.map { $0 ?? .zeros(shapes[n]) }
      return known.dropFirst().reduce(into: known[0]) { $0.add($1) }
    }
  }

  private func exchanged(
    _ members: [[Tensor?]], _ shapes: [Shape], with processes: any Communicator
  ) -> [Tensor?] {
    let count = shapes.reduce(0) { $0 + $1.count }
    func slice(_ rank: Int) -> Range<Int> {
      rank * count / processes.count..<(rank + 1) * count / processes.count
    }
    let own = (0..<pieces.own.count).map { piece in
      zip(members, shapes).flatMap { parts, shape in
        parts[piece]?.elements ?? [Float](repeating: 0, count: shape.count)
      }
    }
    // Of each piece here, the slice that another process sums.
    let blocks = (0..<processes.count).map { rank in
      bytes(of: own.flatMap { $0[slice(rank)] })
    }
    let mine = slice(processes.rank).count
    let received = processes.exchange(
      blocks, sizes: blocks.map { _ in 4 * mine * own.count }, isBackground: true)
    let slices = received.flatMap { part -> [Tensor] in
      let numbers: [Float] = values(of: part)
      return own.indices.map { Tensor(Array(numbers[$0 * mine..<($0 + 1) * mine])) }
    }
    let sum = slices.dropFirst().reduce(into: slices[0]) { $0.add($1) }
    let whole = processes.exchange(
      Array(repeating: bytes(of: sum.elements), count: processes.count),
      sizes: (0..<processes.count).map { 4 * slice($0).count }, isBackground: true)
    let numbers: [Float] = values(of: whole.flatMap { $0 })
    let known = processes.gather(
      members.map { parts in parts.contains { $0 != nil } ? 1 : 0 }, isBackground: true)
    var start = 0
    return shapes.enumerated().map { n, shape in
      defer { start += shape.count }
      guard known.contains(where: { $0[n] == 1 }) else { return nil }
      return Tensor(Array(numbers[start..<start + shape.count]), shape: shape)
    }
  }
}
