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
    /// In 10⁹ floating-point operations per second, by the function's definition.
    var gigaflops: Double
    /// Of what the machine's multiply-adds reach; above 1 where an algorithm needs fewer of them.
    var shareOfPeak: Double
    /// Operands and results, in 10⁹ bytes per second.
    var gigabytes: Double
  }

  var instructionSet = TensorCoreStatistics.instructionSet
  var threads = Parallel.threadCount
  var peakGigaflops: Double
  var millisecondsPerStep: Double
  /// Memory blocks taken from the system, per step: none once the steps are steady.
  var allocationsPerStep: Double
  var operations: [Operation]

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
    peakGigaflops = peak / 1e9
    millisecondsPerStep = seconds / Double(steps) * 1e3
    operations = found.map { operation in
      let rate = operation.arithmetic / operation.seconds
      return Operation(
        name: operation.name, calls: Double(operation.calls) / Double(steps),
        milliseconds: operation.seconds / Double(steps) * 1e3, share: operation.seconds / seconds,
        gigaflops: rate / 1e9, shareOfPeak: rate / peak,
        gigabytes: operation.bytes / operation.seconds / 1e9)
    }
  }

  /// For people.
  var text: String {
    let rows = operations.map { o in
      [
        o.name, o.calls.formatted(o.calls.rounded() == o.calls ? 0 : 1),
        o.milliseconds.formatted(3), (100 * o.share).formatted(1) + " %",
        o.gigaflops.formatted(0), (100 * o.shareOfPeak).formatted(0) + " %",
        o.gigabytes.formatted(1),
      ]
    }
    let rest = millisecondsPerStep - operations.map(\.milliseconds).reduce(0, +)
    let last = [
      "everything else", "", rest.formatted(3),
      (100 * rest / millisecondsPerStep).formatted(1) + " %", "", "", "",
    ]
    return table(
      ["operation", "calls", "ms", "share", "GFLOP/s", "of peak", "GB/s"], rows + [last])
      + "\n\na step: \(millisecondsPerStep.formatted(2)) ms, \(allocationsPerStep.formatted(1)) allocations; "
      + "\(threads) threads, \(instructionSet), peak \(peakGigaflops.formatted(0)) GFLOP/s"
  }
}
