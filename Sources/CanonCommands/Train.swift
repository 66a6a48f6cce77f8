import ArgumentParser
import Foundation
import Layers
import Synchronization
import TensorCore
import Training

struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Trains a model from a configuration.",
    discussion: """
      Writes to the output folder: model.safetensors (the best on the validation part),
      checkpoint.safetensors, configuration.yaml (with every default filled in) and
      metrics.jsonl (one line an epoch). Ctrl-C saves a checkpoint and ends; --resume goes on
      bit for bit as if never stopped.

      EXAMPLES
        canon train configs/rotated-mnist-c8.yaml
        canon train configs/rotated-mnist-c64.yaml --out runs/c64-1 --seed 1
        canon train configs/rotated-mnist-c64.yaml --out runs/c64-1 --seed 1 --resume
        canon train configs/rotated-mnist-c8.yaml --profile
      """)

  @Argument(help: "The run's configuration, a YAML file.")
  var config: String

  @Option(help: "The folder to write to; by default runs/ and the run's name.")
  var out: String?

  @Option(help: "Overrides the configuration's seed.")
  var seed: Int?

  @Option(help: "Overrides the configuration's number of epochs.")
  var epochs: Int?

  @Flag(help: "Go on from the checkpoint in the output folder.")
  var resume = false

  @Flag(help: "Time 20 steps operation by operation, and write nothing.")
  var profile = false

  @Flag(help: "Print the profile as JSON.")
  var json = false

  @Flag(help: "Measure the best model on the test part at the end.")
  var test = false

  @OptionGroup var common: CommonOptions

  /// A line of metrics.jsonl.
  private struct Line: Codable {
    var start: Int
    var epoch: Int
    var step: Int
    var loss: Double
    /// Missing where it was not time to validate.
    var valid: Quality?
  }

  func validate() throws {
    try requireFlag("--seed", seed, atLeast: 0)
    try requireFlag("--epochs", epochs, atLeast: 1)
  }

  func run() throws {
    common.apply()
    var settings = try RunConfiguration(path: config)
    if let seed { settings.seed = seed }
    if let epochs { settings.training.epochs = epochs }
    if settings.data.kind.dimension == nil {
      try run(ImageModel.self, settings)
    } else {
      try run(PointModel.self, settings)
    }
  }

  private func run<Model: TrainableModel>(_: Model.Type, _ settings: RunConfiguration) throws {
    let folder = out ?? "runs/\(settings.name)"
    let checkpoint = "\(folder)/checkpoint.safetensors"
    if !profile && !resume && FileManager.default.fileExists(atPath: checkpoint) {
      throw CommandError(
        "\(folder) holds a run already; add --resume to go on with it, or name another --out.")
    }
    let data = try TrainingData(settings)
    let model = Model(settings, classNames: data.classNames)
    try model.loadBackbone()
    var trainer = Trainer(model, data: data)
    if profile {
      let profile = try TrainingProfile(&trainer, steps: 20)
      print(json ? profile.jsonLine : profile.text)
      return
    }
    // Last, so that nothing is left of a run that cannot begin.
    try prepareFolder(folder)
    if resume { try trainer.resume(from: Safetensors(path: checkpoint), path: checkpoint) }
    try writeText(settings.yaml, to: "\(folder)/configuration.yaml")
    if !common.quiet {
      note(
        "\(settings.name): \(trainer.data.train.count) examples, "
          + "\(trainer.model.backbone.trainableCount) parameters in the backbone, "
          + "\(trainer.totalSteps) steps, to \(folder)")
    }
    catchInterrupt()
    var lines =
      resume ? try keptLines(folder, epochs: trainer.doneSteps / trainer.stepsPerEpoch) : []
    var progress = Progress(
      total: trainer.totalSteps, unit: "steps", from: trainer.doneSteps, isQuiet: common.quiet)
    while !trainer.isFinished && !interrupted.load(ordering: .relaxed) {
      do { try trainer.advance() } catch {
        try trainer.checkpointIfFinite(to: checkpoint)
        throw error
      }
      guard trainer.isAtEpochEnd else {
        progress.update(trainer.doneSteps)
        continue
      }
      let (start, epoch, step) = (trainer.start, trainer.epoch, trainer.step)
      let quality = trainer.isValidationDue ? trainer.validate() : nil
      let loss = trainer.epochLoss / Double(trainer.stepsPerEpoch)
      lines.append(
        Line(start: start, epoch: epoch, step: step, loss: loss, valid: quality).jsonLine)
      try writeText(lines.joined(separator: "\n") + "\n", to: "\(folder)/metrics.jsonl")
      try trainer.checkpoint.write(to: checkpoint)
      let valid = quality.map { quality in
        quality.error.map { ", valid error \(($0 * 100).formatted(2)) %" }
          ?? ", valid loss \(quality.loss.formatted(5))"
      }
      let place =
        settings.training.starts > 1 ? "start \(start + 1), epoch \(epoch)" : "epoch \(epoch)"
      progress.update(trainer.doneSteps, "\(place), loss \(loss.formatted(4))\(valid ?? "")")
    }
    if interrupted.load(ordering: .relaxed) {
      try trainer.checkpoint.write(to: checkpoint)
      note("\nStopped at step \(trainer.step); add --resume to go on.")
      return
    }
    try finish(trainer, folder)
  }

  private func finish<Model>(_ trainer: Trainer<Model>, _ folder: String) throws {
    var figures: [String: Double] = [:]
    if let best = trainer.best {
      figures["valid loss"] = best.loss
      figures["valid error"] = best.error
    }
    try trainer.restoreBest()
    if test, let examples = try TrainingData.test(trainer.model.configuration) {
      let quality = trainer.model.quality(on: examples)
      figures["test loss"] = quality.loss
      figures["test error"] = quality.error
      figures["test calibration error"] = quality.calibrationError
    }
    try trainer.bestModel(figures: figures).write(to: "\(folder)/model.safetensors")
    print(figures.jsonLine)
  }

  /// The lines of a run's metrics up to where its checkpoint stands.
  private func keptLines(_ folder: String, epochs: Int) throws -> [String] {
    let text = (try? String(contentsOfFile: "\(folder)/metrics.jsonl", encoding: .utf8)) ?? ""
    return Array(text.split(separator: "\n").map(String.init).prefix(epochs))
  }
}

extension Trainer {
  /// Saves the state before a step that failed.
  fileprivate func checkpointIfFinite(to path: String) throws {
    let file = checkpoint
    guard file.tensors.values.allSatisfy({ $0.elements.allSatisfy(\.isFinite) }) else { return }
    try file.write(to: path)
  }
}

/// Set when Ctrl-C is pressed; a second press ends the program at once.
private let interrupted = Atomic<Bool>(false)

private func catchInterrupt() {
  // A parent with several threads may have left the signal blocked.
  var signals = sigset_t()
  unsafe sigemptyset(&signals)
  unsafe sigaddset(&signals, SIGINT)
  unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil)
  signal(SIGINT) { _ in
    signal(SIGINT, SIG_DFL)
    interrupted.store(true, ordering: .relaxed)
  }
}
