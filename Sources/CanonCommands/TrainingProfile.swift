import TensorCore
import Training

/// Where the time of a training step goes, operation by operation.
struct TrainingProfile: Codable {
  struct Operation: Codable {
    var name: String
    /// Per step.
    var calls: Double
    var milliseconds: Double
    /// Of the step's time.
    var share: Double
    /// In 10⁹ floating-point operations, by the function's definition.
    var gigaflopsPerSecond: Double
    /// Of what the machine's multiply-adds reach; above 1 where an algorithm needs fewer of them.
    var shareOfPeak: Double
    /// Operands and results, in 10⁹ bytes per second.
    var gigabytesPerSecond: Double
  }

  var instructionSet = TensorCoreStatistics.instructionSet
  var threads = Parallel.threadCount
  var peakGigaflopsPerSecond: Double
  var millisecondsPerStep: Double
  /// Memory blocks taken from the system, per step: none once the steps are steady.
  var allocationsPerStep: Double
  var operations: [Operation]

  /// Of the step's time what is in no operation: the data, the optimizer's and the language's own work, waiting.
  var otherMilliseconds: Double
  /// The parts of the model whose operations are counted under a name, as `group convolution: copy`, with all of each.
  var parts: [Part]

  struct Part: Codable {
    var name: String
    var milliseconds: Double
  }

  /// Does some steps, after five to warm up.
  ///
  /// - Throws: `TrainingError`.
  init(_ trainer: Trainer, steps: Int) throws {
    var trainer = trainer
    for _ in 0..<5 { try trainer.advance() }
    let blocks = TensorCoreStatistics.freshBlocks
    let start = ContinuousClock.now
    let found = try Profiler.profile { for _ in 0..<steps { try trainer.advance() } }
    let seconds = (ContinuousClock.now - start).inSeconds
    allocationsPerStep = Double(TensorCoreStatistics.freshBlocks - blocks) / Double(steps)
    let peak = Profiler.measuredPeak()
    peakGigaflopsPerSecond = peak / 1e9
    millisecondsPerStep = seconds / Double(steps) * 1e3
    operations = found.map { operation in
      let rate = operation.arithmetic / operation.seconds
      return Operation(
        name: operation.name, calls: Double(operation.calls) / Double(steps),
        milliseconds: operation.seconds / Double(steps) * 1e3, share: operation.seconds / seconds,
        gigaflopsPerSecond: rate / 1e9, shareOfPeak: rate / peak,
        gigabytesPerSecond: operation.bytes / operation.seconds / 1e9)
    }
    otherMilliseconds = millisecondsPerStep - operations.map(\.milliseconds).reduce(0, +)
    let times = operations.compactMap { operation in
      operation.name.firstRange(of: ": ").map {
        (String(operation.name[..<$0.lowerBound]), operation.milliseconds)
      }
    }
    parts = Dictionary(times, uniquingKeysWith: +).map {
      Part(name: $0.key, milliseconds: $0.value)
    }
    .sorted { ($0.milliseconds, $1.name) > ($1.milliseconds, $0.name) }
  }

  /// For people.
  var text: String {
    let rows = operations.map { o in
      [
        o.name, o.calls.formatted(o.calls.rounded() == o.calls ? 0 : 1),
        o.milliseconds.formatted(3), (100 * o.share).formatted(1) + " %",
        o.gigaflopsPerSecond.formatted(0), (100 * o.shareOfPeak).formatted(0) + " %",
        o.gigabytesPerSecond.formatted(1),
      ]
    }
    func row(_ name: String, _ milliseconds: Double) -> [String] {
      let share = (100 * milliseconds / millisecondsPerStep).formatted(1) + " %"
      return [name, "", milliseconds.formatted(3), share, "", "", ""]
    }
    return table(
      ["operation", "calls", "ms", "share", "GFLOP/s", "of peak", "GB/s"],
      rows + [row("in no operation", otherMilliseconds)]
        + parts.map { row("all of \($0.name)", $0.milliseconds) })
      + "\n\na step: \(millisecondsPerStep.formatted(2)) ms, \(allocationsPerStep.formatted(1)) allocations; "
      + "\(threads) threads, \(instructionSet), peak \(peakGigaflopsPerSecond.formatted(0)) GFLOP/s"
      + "\ncalls and ms are those of a step, averaged; GFLOP/s count the arithmetic of the operation's definition, which may be above the"
      + "\npeak where an algorithm needs less; GB/s count operands and results, each once, which may be above the memory's rate in caches."
  }
}
