import Datasets
import Foundation
import TensorCore
import Training

/// The model that the peer is timed with: a Cₙ canonicalizer of a 5×5 lifting and two 1×1 group
/// convolutions of 16 channels, a straight-through choice, and the small CNN; random images and labels.
func benchmarkTrainer(order: Int, size: Int = 28, batch: Int = 128) throws -> Trainer {
  let settings = try RunConfiguration(
    text: """
      data: {kind: folder}
      input: {size: \(size)}
      canonicalizer:
        {kind: learned, group: C\(order), kernel: 5, layers: 3, channels: 16, batchNorm: false,
         gradient: straight-through, prior: 1}
      backbone: {kind: small-cnn}
      training: {epochs: 100000, batch: \(batch)}
      """, source: "benchmark")
  var random = RandomStream(seed: 0, name: "benchmark")
  let labels = (0..<batch).map { $0 % 10 }
  let examples = Examples(
    inputs: .uniform([batch, size, size, 1], using: &random), labels: labels)
  return try Trainer(
    settings,
    data: Dataset(train: examples, valid: examples, classNames: (0..<10).map { "\($0)" }))
}

/// A training step and inference, C4 and C8.
func modelRows(runs: Int, peer: Peer?) throws -> [Row] {
  var rows: [Row] = []
  for (order, bars) in [(4, [3, 3.5, 10]), (8, [5, 7, 10])] {
    var trainer = try benchmarkTrainer(order: order)
    let (g, batch) = ("C\(order)", trainer.data.train.inputs)
    var row = try compare(
      "training step, 128, \(g)", runs: runs, bar: bars[0], peer: peer,
      ["step \(g) 0", "step \(g) 1"]
    ) { try trainer.advance() }
    let blocks = TensorCoreStatistics.freshBlocks
    for _ in 0..<5 { try trainer.advance() }
    row.note += "; \(TensorCoreStatistics.freshBlocks - blocks) allocations in 5 steps"
    rows.append(row)
    for (count, bar) in [(128, bars[1]), (1, bars[2])] {
      let images = batch.sliced(0..<count)
      rows.append(
        compare(
          "inference, \(count), \(g)", runs: count == 1 ? 5 * runs : runs, bar: bar, peer: peer,
          ["predict \(g) \(count) 0", "predict \(g) \(count) 1"]
        ) { _ = trainer.predict(images) })
    }
  }
  return rows
}

extension Trainer {
  /// What the model says of some inputs.
  func predict(_ inputs: Tensor) -> Tensor? { (model as? any Predictor)?.predict(inputs).output }
}
