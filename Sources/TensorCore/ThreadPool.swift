import CKernels
import Dispatch
import Glibc
import Synchronization

/// Threads that wait for the next parallel loop without sleeping, for a little while.
///
/// Networks of small operations run a hundred loops of tens of microseconds each: as long as it takes to wake a thread. One
/// loop at a time runs here; what is asked for meanwhile, by other threads, is for Dispatch to run.
@safe final class ThreadPool: @unchecked Sendable {
  static let shared = ThreadPool()

  /// How often a thread looks for work before it sleeps: about 50 µs.
  private static let patience = 2000

  private final class Worker: Sendable {
    let index: Int
    let isAsleep = Atomic<Bool>(false)
    /// The system's number of its thread, once it runs.
    let thread = Atomic<Int32>(0)
    let bell = DispatchSemaphore(value: 0)
    init(_ index: Int) { self.index = index }
  }

  /// Whether a loop runs; who sets it owns all that is not atomic.
  private let isTaken = Atomic<Bool>(false)
  private var workers: [Worker] = []
  private var body: (@Sendable (Int) -> Void)?
  private var count = 0
  private var threads = 0
  /// The number of the loop that may be joined, or 0.
  private let open = Atomic<Int>(0)
  private var loops = 0
  /// How many workers look at the loop.
  private let inside = Atomic<Int>(0)
  private let pieces = Parallel.Pieces()

  /// Runs `body` for each index in `0..<count` on some threads, this one among them.
  ///
  /// - Returns: Whether it did: not while another loop runs.
  func run(_ count: Int, threads: Int, _ body: @Sendable (Int) -> Void) -> Bool {
    guard !isTaken.exchange(true, ordering: .acquiring) else { return false }
    defer { isTaken.store(false, ordering: .releasing) }
    withoutActuallyEscaping(body) { body in
      (self.body, self.count, self.threads) = (body, count, threads)
      pieces.reset()
      loops += 1
      while workers.count < threads - 1 { start() }
      open.store(loops, ordering: .sequentiallyConsistent)
      for worker in workers.prefix(threads - 1)
      where worker.isAsleep.exchange(false, ordering: .sequentiallyConsistent) {
        ck_keep_off_this_cpu(worker.thread.load(ordering: .relaxed))
        worker.bell.signal()
      }
      Parallel.take(pieces, of: count, fromEnd: false, body)
      // Who has not come in by now stays outside: there is nothing left to do.
      open.store(0, ordering: .sequentiallyConsistent)
      var waited = 0
      while inside.load(ordering: .sequentiallyConsistent) > 0 {
        waited += 1
        if waited < Self.patience { ck_pause() } else { sched_yield() }
      }
      self.body = nil
    }
    return true
  }

  private func start() {
    let worker = Worker(workers.count)
    workers.append(worker)
    let entry = unsafe Unmanaged.passRetained(Entry(pool: self, worker: worker))
    var thread = pthread_t()
    let failed = unsafe pthread_create(
      &thread, nil,
      { argument in
        guard let argument = unsafe argument else { return nil }
        let entry = unsafe Unmanaged<Entry>.fromOpaque(argument).takeRetainedValue()
        entry.pool.wait(entry.worker)
      }, unsafe entry.toOpaque())
    // Without it the others do its work.
    if failed == 0 { pthread_detach(thread) } else { unsafe entry.release() }
  }

  private final class Entry: Sendable {
    let pool: ThreadPool
    let worker: Worker
    init(pool: ThreadPool, worker: Worker) { (self.pool, self.worker) = (pool, worker) }
  }

  /// A worker's life.
  private func wait(_ worker: Worker) -> Never {
    worker.thread.store(ck_thread(), ordering: .relaxed)
    var (last, looked) = (0, 0)
    while true {
      let current = open.load(ordering: .sequentiallyConsistent)
      if current != 0 && current != last {
        (last, looked) = (current, 0)
        join(current, worker)
        continue
      }
      looked += 1
      guard looked > Self.patience else {
        ck_pause()
        continue
      }
      looked = 0
      worker.isAsleep.store(true, ordering: .sequentiallyConsistent)
      let now = open.load(ordering: .sequentiallyConsistent)
      // Work came between the two; or somebody has rung already.
      if now != 0 && now != last, worker.isAsleep.exchange(false, ordering: .sequentiallyConsistent)
      {
        continue
      }
      worker.bell.wait()
      // It is on its way: where it runs from now on is the system's matter.
      ck_return_to_all_cpus()
    }
  }

  private func join(_ loop: Int, _ worker: Worker) {
    inside.wrappingAdd(1, ordering: .sequentiallyConsistent)
    takePart(loop, worker)
    inside.wrappingSubtract(1, ordering: .sequentiallyConsistent)
  }

  /// A function of its own, so that nothing of the loop is held when it returns.
  @inline(never)
  private func takePart(_ loop: Int, _ worker: Worker) {
    guard open.load(ordering: .sequentiallyConsistent) == loop, worker.index < threads - 1,
      let body
    else { return }
    Parallel.take(pieces, of: count, fromEnd: true, body)
  }
}
