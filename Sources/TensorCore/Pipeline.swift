import CKernels
import Dispatch
import Synchronization

extension Parallel {
  /// Works on inputs as they come, several at once, and hands the results over in order.
  ///
  /// Each input is worked on by one thread from end to end, so that reading one overlaps with
  /// computing on another; loops within `make` stay on that thread. At most `depth` inputs are
  /// under way or wait to be used: memory is bounded by it, however many inputs there are.
  ///
  /// - Parameters:
  ///   - depth: By default twice the number of threads.
  ///   - next: Gives the next input, or `nil` after the last; it is never called twice at once.
  ///   - make: The work.
  ///   - use: Called on this thread with each result, in the order of the inputs.
  /// - Throws: The first error of `make` or `use`; what is under way is finished, nothing else begun.
  public static func pipeline<Input: Sendable, Output: Sendable>(
    depth: Int? = nil, next: @escaping @Sendable () -> Input?,
    make: @escaping @Sendable (Input) throws -> Output, use: (Output) throws -> Void
  ) throws {
    guard threadCount > 1 else {
      while let input = next() { try use(try make(input)) }
      return
    }
    let state = Mutex(PipelineState<Output>())
    // Counted up from zero: a semaphore may not end below the value that it began with.
    let (room, made) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    for _ in 0..<(depth ?? 2 * threadCount) { room.signal() }
    let workers = DispatchGroup()
    let shared = PipelineLine(state: state, room: room, made: made)
    for _ in 0..<threadCount {
      DispatchQueue.global().async(group: workers) { shared.work(next, make) }
    }
    defer {
      shared.end()
      workers.wait()
    }
    while let result = shared.take() {
      try use(try result.get())
      room.signal()
    }
  }
}

private struct PipelineState<Output: Sendable>: Sendable {
  var begun = 0
  var used = 0
  var isEnded = false
  var ready: [Int: Result<Output, any Error>] = [:]
}

/// What the threads of a pipeline share.
private final class PipelineLine<Output: Sendable>: Sendable {
  private let state: Mutex<PipelineState<Output>>
  private let room, made: DispatchSemaphore

  init(
    state: consuming Mutex<PipelineState<Output>>, room: DispatchSemaphore, made: DispatchSemaphore
  ) {
    self.state = state
    self.room = room
    self.made = made
  }

  /// Works on inputs until there are no more.
  func work<Input>(_ next: () -> Input?, _ make: (Input) throws -> Output) {
    ck_set_worker(1)
    defer { ck_set_worker(0) }
    while true {
      room.wait()
      let taken = state.withLock { state -> (Int, Input)? in
        guard !state.isEnded, let input = next() else {
          state.isEnded = true
          return nil
        }
        state.begun += 1
        return (state.begun - 1, input)
      }
      guard let (index, input) = taken else {
        room.signal()  // for the other workers
        made.signal()
        return
      }
      let result = Result { try make(input) }
      state.withLock { $0.ready[index] = result }
      made.signal()
    }
  }

  /// The next result in order, or `nil` after the last.
  func take() -> Result<Output, any Error>? {
    while true {
      let (result, isLast) = state.withLock { state -> (Result<Output, any Error>?, Bool) in
        if let result = state.ready.removeValue(forKey: state.used) {
          state.used += 1
          return (result, false)
        }
        return (nil, state.isEnded && state.used == state.begun)
      }
      if let result { return result }
      if isLast { return nil }
      made.wait()
    }
  }

  /// Lets no further input begin.
  func end() {
    state.withLock { $0.isEnded = true }
    room.signal()
  }
}
