import CKernels
import Dispatch
import Glibc
import Synchronization

/// The one way in which this package runs in parallel.
///
/// Work is cut into pieces whose number depends on its size alone, never on the number of threads;
/// pieces write to places of their own, and partial sums are combined in index order. Results are
/// therefore the same bit for bit for every number of threads. OpenBLAS is held to one thread.
public enum Parallel {
  private static let limit = Atomic<Int>(0)

  /// How many threads a loop may use; by default as many as the machine has.
  ///
  /// It changes the time that a computation takes, not its result.
  public static var threadCount: Int {
    get {
      let set = limit.load(ordering: .relaxed)
      return set > 0 ? set : availableThreads
    }
    set { limit.store(max(0, newValue), ordering: .relaxed) }
  }

  /// `CANON_THREADS` stands for what the machine has, where it is set.
  private static let availableThreads =
    unsafe getenv("CANON_THREADS").flatMap { unsafe Int(String(cString: $0)) }.map { max(1, $0) }
    ?? Int(ck_processor_count())

  /// Runs `body` for each index in `0..<count`, on several threads where `count` exceeds 1.
  ///
  /// A loop inside a piece of another runs on the piece's thread alone: one level of parallelism.
  public static func forEach(_ count: Int, _ body: @Sendable (Int) -> Void) {
    let threads = min(threadCount, count)
    guard threads > 1 && ck_is_worker() == 0 else {
      for index in 0..<count { body(index) }
      return
    }
    if ThreadPool.shared.run(count, threads: threads, body) { return }
    let next = Atomic<Int>(0)
    DispatchQueue.concurrentPerform(iterations: threads) { _ in take(next, of: count, body) }
  }

  /// Does pieces on this thread until none is left.
  static func take(_ next: borrowing Atomic<Int>, of count: Int, _ body: @Sendable (Int) -> Void) {
    ck_set_worker(1)
    defer { ck_set_worker(0) }
    while true {
      let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
      guard index < count else { return }
      body(index)
    }
  }

  /// Runs `body` on consecutive ranges that cover `0..<count`, each of `grain` indices or fewer.
  public static func ranges(_ count: Int, grain: Int, _ body: @Sendable (Range<Int>) -> Void) {
    let pieces = (count + grain - 1) / grain
    forEach(pieces) { body($0 * grain..<min(count, ($0 + 1) * grain)) }
  }
}

extension Parallel {
  /// The results of `transform` for each element, in order.
  public static func map<Input: Sendable, Output: Sendable>(
    _ inputs: [Input], _ transform: @Sendable (Input) -> Output
  ) -> [Output] {
    let results = Mutex([Output?](repeating: nil, count: inputs.count))
    forEach(inputs.count) { index in
      let output = transform(inputs[index])
      results.withLock { $0[index] = output }
    }
    return results.withLock { $0.compactMap { $0 } }
  }
}

extension Parallel {
  /// Runs `body` for each index in `0..<count` at the same time, each on a thread of its own: they may wait for one another.
  ///
  /// Where they are as many as threads may be used, loops inside of each run on its thread alone.
  ///
  /// - Parameter other: What is done at the same time, and is not counted: it mostly waits.
  public static func together(
    _ count: Int, beside other: (@Sendable () -> Void)? = nil,
    _ body: @escaping @Sendable (Int) -> Void
  ) {
    let isWhole = count >= threadCount && count > 1
    let run: @Sendable (Int) -> Void = { index in
      let before = ck_is_worker()
      if isWhole { ck_set_worker(1) }
      body(index)
      ck_set_worker(before)
    }
    let group = DispatchGroup()
    let errands = (1..<max(1, count)).map { index in { @Sendable in run(index) } }
    for errand in errands + [other].compactMap({ $0 }) {
      group.enter()
      let entry = unsafe Unmanaged.passRetained(
        Errand {
          errand()
          group.leave()
        })
      var thread = pthread_t()
      let failed = unsafe pthread_create(
        &thread, nil,
        { argument in
          if let argument = unsafe argument {
            unsafe Unmanaged<Errand>.fromOpaque(argument).takeRetainedValue().body()
          }
          return nil
        }, unsafe entry.toOpaque())
      require(failed == 0, "no thread can be started beside \(count)")
      pthread_detach(thread)
    }
    if count > 0 { run(0) }
    group.wait()
  }

  /// What a thread does.
  private final class Errand: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
}
