import CKernels
import Synchronization

/// Where time goes: the operations of the tensor core, counted and timed while a profile is taken.
///
///     let operations = Profiler.profile { step() }
///
/// An operation that runs inside another, or on a worker thread, adds its arithmetic and its bytes
/// to the outer one, so that seconds add up to the time spent in operations. It is meant for a
/// program that computes one thing at a time.
public enum Profiler {
  /// The calls of one operation.
  public struct Operation: Sendable {
    /// What it does, and to what.
    public let name: String
    public fileprivate(set) var calls = 0
    public fileprivate(set) var seconds = 0.0
    /// Floating-point operations, by the definition of the function: an algorithm that needs fewer
    /// has a higher rate than the machine.
    public fileprivate(set) var arithmetic = 0.0
    /// Bytes of the operands and the result, each counted once.
    public fileprivate(set) var bytes = 0.0
  }

  private struct State {
    var operations: [String: Operation] = [:]
    var isInside = false
    /// Of the operations inside the open one.
    var arithmetic = 0.0
    var bytes = 0.0
  }
  @TaskLocal private static var part: String?
  /// The part of a model that operations are of, while a profile is taken: see `labeled`.
  public static var label: String? { isOn.load(ordering: .relaxed) ? part : nil }
  private static let isOn = Atomic<Bool>(false)
  private static let state = Mutex(State())

  /// The operations that `body` runs, the longest first.
  ///
  /// - Precondition: No other profile is being taken.
  public static func profile(_ body: () throws -> Void) rethrows -> [Operation] {
    let wasOn = isOn.exchange(true, ordering: .relaxed)
    require(!wasOn, "a profile is being taken already")
    state.withLock { $0 = State() }
    defer { isOn.store(false, ordering: .relaxed) }
    try body()
    return state.withLock { state in
      state.operations.values.sorted { ($0.seconds, $1.name) > ($1.seconds, $0.name) }
    }
  }

  /// The floating-point operations per second of all threads on this instruction set, measured by
  /// multiply-adds alone: the roof that an operation's rate is compared with.
  ///
  /// - Complexity: Takes about a fifth of a second.
  public static func measuredPeak() -> Double {
    let (threads, repeats) = (Parallel.threadCount, 2_000_000)
    let work = Double(threads * repeats * 12 * Int(ck_width()) * 2)
    // Many short runs: threads that were asleep may share a core at first.
    return (0..<40).map { _ in
      let start = ContinuousClock.now
      Parallel.forEach(threads) { _ in
        var result: Float = 0
        unsafe ck_multiply_adds(repeats, &result)
      }
      return work / (ContinuousClock.now - start).inSeconds
    }.reduce(0, max)
  }

  /// Runs a part of a model, whose operations, and those of its gradients, are counted under a name: `group convolution: copy`.
  public static func labeled<Result>(
    _ name: @autoclosure () -> String, _ body: () throws -> Result
  ) rethrows -> Result {
    guard isOn.load(ordering: .relaxed) else { return try body() }
    return try $part.withValue(name(), operation: body)
  }

  /// Runs an operation, and counts it if a profile is being taken.
  public static func count<Result>(
    _ name: @autoclosure () -> String, arithmetic: @autoclosure () -> Int = 0,
    elements: @autoclosure () -> Int, _ body: () throws -> Result
  ) rethrows -> Result {
    guard isOn.load(ordering: .relaxed) else { return try body() }
    let (arithmetic, bytes) = (Double(arithmetic()), Double(elements() * 4))
    let isInner = state.withLock { state in
      if state.isInside {
        state.arithmetic += arithmetic
        state.bytes += bytes
        return true
      }
      (state.isInside, state.arithmetic, state.bytes) = (true, arithmetic, bytes)
      return false
    }
    if isInner { return try body() }
    let start = ContinuousClock.now
    defer {
      let time = ContinuousClock.now - start
      let name = (label.map { $0 + ": " } ?? "") + name()
      state.withLock { state in
        state.isInside = false
        var operation = state.operations[name] ?? Operation(name: name)
        operation.calls += 1
        operation.seconds += time.inSeconds
        operation.arithmetic += state.arithmetic
        operation.bytes += state.bytes
        state.operations[name] = operation
      }
    }
    return try body()
  }
}

extension Duration {
  /// The duration as a number of seconds.
  public var inSeconds: Double {
    Double(components.seconds) + Double(components.attoseconds) * 1e-18
  }
}
