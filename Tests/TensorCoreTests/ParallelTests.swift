import Synchronization
import TensorCore
import Testing

@Suite struct ParallelTests {
  private struct Failure: Error, Equatable { let index: Int }

  /// Counts up to a number, as a pipeline's inputs.
  private final class Counter: Sendable {
    private let value = Mutex(0)
    let end: Int
    init(to end: Int) { self.end = end }
    func next() -> Int? {
      value.withLock { value in
        guard value < end else { return nil }
        value += 1
        return value - 1
      }
    }
  }

  @Test("A pipeline hands every result over, in order", arguments: [0, 1, 2, 100])
  func order(count: Int) throws {
    let inputs = Counter(to: count)
    var seen: [Int] = []
    try Parallel.pipeline(
      next: inputs.next,
      make: { index in
        // The later ones are ready first.
        (0..<(count - index) * 50).reduce(index) { sum, _ in sum }
      },
      use: { seen.append($0) })
    #expect(seen == Array(0..<count))
  }

  @Test("A pipeline holds no more inputs at a time than its depth") func depth() throws {
    let inputs = Counter(to: 200)
    let begun = Mutex(0)
    let most = Mutex(0)
    var used = 0
    try Parallel.pipeline(
      depth: 3, next: inputs.next,
      make: { _ in
        let now = begun.withLock { count -> Int in
          count += 1
          return count
        }
        most.withLock { $0 = max($0, now) }
      },
      use: {
        used += 1
        begun.withLock { $0 -= 1 }
      })
    #expect(used == 200)
    // One more may begin between a result's being taken and its being counted as used.
    #expect(most.withLock { $0 } <= 4)
  }

  @Test("The first error ends a pipeline, whoever throws it") func errors() {
    #expect(throws: Failure(index: 7)) {
      try Parallel.pipeline(
        next: Counter(to: 50).next,
        make: { index in
          if index >= 7 { throw Failure(index: index) }
          return index
        }, use: { #expect($0 < 7) })
    }
    #expect(throws: Failure(index: 3)) {
      try Parallel.pipeline(
        next: Counter(to: 50).next, make: { $0 },
        use: { if $0 == 3 { throw Failure(index: 3) } })
    }
  }

  @Test("A loop inside a loop does all its work") func nested() {
    let sum = Mutex(0)
    Parallel.forEach(8) { i in Parallel.forEach(8) { j in sum.withLock { $0 += i * j } } }
    #expect(sum.withLock { $0 } == 28 * 28)
  }

  @Test("A profile counts calls and arithmetic, and an inner operation for its outer one")
  func profiler() async {
    // In a process of its own: the operations of other tests would be counted too.
    await #expect(processExitsWith: .success) {
      let a = Tensor.ones([30, 40])
      let operations = Profiler.profile {
        _ = a.matmul(.ones([40, 50]))
        Profiler.count("outer", elements: 7) { _ = a.matmul(.ones([40, 50])) }
      }
      let product = operations.first { $0.name == "matrix product 30×40×50" }
      let outer = operations.first { $0.name == "outer" }
      precondition(product?.calls == 1 && product?.arithmetic == 120_000)
      // The operands, the result, and the ones that the second operand was filled with.
      precondition(outer?.calls == 1 && outer?.arithmetic == 120_000)
      precondition(outer?.bytes == 4 * (7 + 2000 + 1200 + 2000 + 1500))
    }
    #expect(Profiler.measuredPeak() > 1e8)
  }
}
