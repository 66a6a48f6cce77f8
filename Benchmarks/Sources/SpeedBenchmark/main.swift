// Times a training step and inference of the model that the peer is timed with: a C_n canonicalizer
// (5×5 lifting, two 1×1 group convolutions of 16 channels) before the small CNN; batch 128 of 28×28
// digits. Prints a table, or lines of JSON with --json. usage: SpeedBenchmark MNIST-FOLDER [--json]
import Foundation
import TensorCore
import Training

let arguments = CommandLine.arguments
guard arguments.count >= 2 else {
  print("usage: SpeedBenchmark MNIST-FOLDER [--json]")
  exit(64)
}
let isJSON = arguments.contains("--json")

struct Figure: Codable {
  var name: String
  var median, fastest, slowest: Double
  var runs: Int
}

/// The median time of at least 20 runs, in milliseconds, after three to warm up.
func measure(_ name: String, runs: Int = 30, _ body: () -> Void) -> Figure {
  let clock = ContinuousClock()
  var times: [Double] = []
  for run in 0..<runs + 3 {
    let time = clock.measure(body)
    if run >= 3 {
      times.append(Double(time.components.attoseconds) * 1e-15 + Double(time.components.seconds) * 1e3)
    }
  }
  times.sort()
  return Figure(
    name: name, median: times[times.count / 2], fastest: times[0],
    slowest: times[times.count - 1], runs: runs)
}

var figures: [Figure] = []
for order in [4, 8] {
  let settings = try RunConfiguration(
    text: """
      data: {kind: rotated-mnist, path: \(arguments[1]), limit: 128}
      canonicalizer:
        {kind: learned, group: C\(order), kernel: 5, layers: 3, channels: 16, batchNorm: false,
         gradient: straight-through, prior: 1}
      backbone: {kind: small-cnn}
      training: {epochs: 1000, batch: 128}
      """, source: "benchmark")
  var trainer = Trainer(settings, data: try TrainingData(settings))
  let batch = trainer.data.train.inputs
  figures.append(measure("C\(order) training step, 128") { _ = try? trainer.advance() })
  let blocks = TensorCoreStatistics.freshBlocks
  for _ in 0..<5 { _ = try trainer.advance() }
  let fresh = TensorCoreStatistics.freshBlocks - blocks
  if fresh > 0 && !isJSON { print("C\(order): \(fresh) fresh memory blocks in five steps") }
  figures.append(measure("C\(order) inference, 128") { _ = trainer.model.predict(batch) })
  let one = batch.sliced(0..<1)
  figures.append(measure("C\(order) inference, 1", runs: 100) { _ = trainer.model.predict(one) })
}

if isJSON {
  let encoder = JSONEncoder()
  encoder.outputFormatting = .sortedKeys
  for figure in figures { print(String(decoding: try encoder.encode(figure), as: UTF8.self)) }
} else {
  print("CPU path \(TensorCoreStatistics.instructionSet), \(Parallel.threadCount) threads")
  for f in figures {
    print(
      f.name.padding(toLength: 24, withPad: " ", startingAt: 0)
        + String(format: "%8.2f ms  (%.2f … %.2f, %d runs)", f.median, f.fastest, f.slowest, f.runs))
  }
}
