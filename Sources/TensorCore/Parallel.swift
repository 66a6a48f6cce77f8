import CKernels
import Dispatch
import Glibc
import Synchronization

/// The one way in which this package runs in parallel.
///
/// Work is cut into pieces whose number depends on its size alone, never on the number of threads;
/// pieces write to places of their own, and partial sums are combined in index order. Results are
/// therefore the same bit for bit for every number of threads. OpenBLAS is held to one thread, from the beginning of the program
/// on.
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
    let pieces = Pieces()
    DispatchQueue.concurrentPerform(iterations: threads) { index in
      take(pieces, of: count, fromEnd: index > 0, body)
    }
  }

  /// Which pieces of a loop are taken.
  ///
  /// One thread takes them from the beginning, the others from the end. The next loop's pieces mostly read what those of the same
  /// index have made, which then lies in the thread's own cache.
  struct Pieces: ~Copyable {
    private let taken = Atomic<Int>(0)
    private let front = Atomic<Int>(0)
    private let back = Atomic<Int>(0)

    func reset() {
      taken.store(0, ordering: .relaxed)
      front.store(0, ordering: .relaxed)
      back.store(0, ordering: .relaxed)
    }

    /// The index of one more piece of `count`; `nil` where none is left.
    func next(of count: Int, fromEnd: Bool) -> Int? {
      guard taken.wrappingAdd(1, ordering: .relaxed).oldValue < count else { return nil }
      return fromEnd
        ? count - back.wrappingAdd(1, ordering: .relaxed).newValue
        : front.wrappingAdd(1, ordering: .relaxed).oldValue
    }
  }

  /// Does pieces on this thread until none is left.
  static func take(
    _ pieces: borrowing Pieces, of count: Int, fromEnd: Bool, _ body: @Sendable (Int) -> Void
  ) {
    ck_set_worker(1)
    defer { ck_set_worker(0) }
    while let index = pieces.next(of: count, fromEnd: fromEnd) { body(index) }
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
