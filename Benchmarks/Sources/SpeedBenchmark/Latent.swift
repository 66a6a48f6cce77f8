import Datasets
import Settings
import TensorCore
import Training

/// Training steps of the models that learn from pairs, beside the same networks in PyTorch: random pictures and elements.
func latentRows(runs: Int, peer: Peer?) throws -> [Row] {
  let models = [
    (
      "class-pose, 32 pairs of 32 × 32, SO(2)", "class-pose",
      """
      data: {kind: scenes, scene: glyphs, count: 64, size: 32}
      model: {kind: class-pose}
      training: {epochs: 100000, batch: 32}
      """
    ),
    (
      "shift operator, 32 pairs of 28 × 28, 800 numbers", "operators",
      """
      data: {kind: polygons, shapes: 4}
      model: {kind: operators, action: shift, dimension: 800}
      training: {epochs: 100000, batch: 32, optimizer: adam}
      """
    ),
    (
      "latent canonicalizer, 128 pairs of 28 × 28, 200 numbers", "transport", ""
    ),
    (
      "variational autoencoder, 64 pictures of 64 × 64, 10 numbers", "variational",
      variational("")
    ),
    (
      "the same with a codebook of 10 × 10 elements (CFASL)", "cfasl",
      variational(", symmetry: codebook")
    ),
    ("Lie-algebra convolution, 32 digits of 28 × 28, 6 nodes", "algebra", ""),
    (
      "relaxed model, 32 states of a body, 2 × 64 units", "relaxed",
      """
      data: {kind: dynamics, count: 32}
      model: relaxed
      canonicalizer: directions
      backbone: {kind: mlp, width: 64}
      training: {epochs: 100000, batch: 32, rate: 0.005, weightDecay: 0}
      """
    ),
  ]
  return try models.map { name, command, yaml in
    var trainer =
      command == "transport"
      ? try transportTrainer()
      : command == "algebra"
        ? try algebraTrainer()
        : try trainer(yaml, kept: command == "variational" || command == "cfasl" ? 64 : 0)
    return try compare(
      "training step, \(name)", runs: 3 * runs, bar: 1.5, peer: peer,
      ["\(command) 0", "\(command) 1"]
    ) { try trainer.advance() }
  }
}

private func variational(_ more: String) -> String {
  """
  data: {kind: dsprites, count: 64}
  model: {kind: variational\(more)}
  training: {epochs: 100000, batch: 64, optimizer: adam}
  """
}

/// - Parameter kept: So many streamed examples are drawn once, so that no picture is in the time that is taken.
private func trainer(_ yaml: String, kept: Int) throws -> Trainer {
  let settings = try RunConfiguration(text: yaml, source: "benchmark")
  let data = try settings.loadData()
  guard kept > 0, let stream = data.stream else { return try Trainer(settings, data: data) }
  return try Trainer(
    settings,
    data: Dataset(
      train: stream(Array(0..<kept), epoch: 0), valid: data.valid, classNames: data.classNames))
}

/// A Lie-algebra convolution of random pictures.
private func algebraTrainer() throws -> Trainer {
  let settings = try RunConfiguration(
    text: """
      data: {kind: tensors, path: none}
      input: {size: 28}
      task: classify
      canonicalizer: identity
      backbone: {kind: algebra-cnn, width: 16, nodes: 6, correction: false, window: [3.1416]}
      training: {epochs: 100000, batch: 32}
      """, source: "benchmark")
  var random = RandomStream(seed: 0, name: "benchmark")
  let examples = Examples(
    inputs: .uniform([32, 28, 28, 1], using: &random), labels: (0..<32).map { $0 % 10 })
  return try Trainer(
    settings,
    data: Dataset(train: examples, valid: examples, classNames: (0..<10).map { "\($0)" }))
}

/// A latent canonicalizer of random pictures that are kept, so that no digit is turned in the time that is taken.
private func transportTrainer() throws -> Trainer {
  let settings = try RunConfiguration(
    text: """
      data: {kind: tensors, path: none}
      input: {size: 28}
      model: {kind: transport, references: 128}
      training: {epochs: 100000, batch: 128, optimizer: adam}
      """, source: "benchmark")
  var random = RandomStream(seed: 0, name: "benchmark")
  func pictures() -> Tensor { .uniform([128, 28, 28, 1], using: &random) }
  let steps = Tensor((0..<128).map { Float($0 % 3) }, shape: [128, 1])
  let examples = Examples(
    inputs: pictures(), labels: (0..<128).map { $0 % 10 },
    ["partner": pictures(), "pose": steps, "partnerPose": steps])
  return try Trainer(
    settings,
    data: Dataset(train: examples, valid: examples, classNames: (0..<10).map { "\($0)" }))
}
