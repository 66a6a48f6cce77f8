public import Datasets
import Foundation
public import MessagePassing
import Settings
import TensorCore

/// A training run in a folder: what `canon train` does, for one's own programs and benchmarks too.
///
///     var run = try TrainingRun(RunConfiguration(path: "my.yaml"), folder: "runs/my")
///     try run.train()
///     print(run.finish())
///
/// The folder holds model.safetensors (the best on the validation part), checkpoint.safetensors,
/// configuration.yaml (with every default filled in), metrics.jsonl (a line an epoch), its curves as a picture (curves.svg), and the
/// same for TensorBoard (events.out.tfevents.…).
public struct TrainingRun {
  /// What the run follows from: on resuming what it began with.
  public let configuration: RunConfiguration
  public let folder: String
  public private(set) var trainer: Trainer
  private var lines: [String] = []
  private var curves: TrainingCurves
  /// The folder is written by this run alone.
  private var lock: FolderLock?
  /// The processes that do its steps together; the first one writes.
  public let processes: (any Communicator)?
  /// The state before the present step, where several processes train: they may be ended in the middle of one.
  public let rescue: Rescue
  /// Whether this process writes, of several the first.
  public var isWriter: Bool { (processes?.rank ?? 0) == 0 }

  /// A line of metrics.jsonl.
  public struct Line: Codable, Sendable {
    public var start, epoch, step: Int
    public var loss: Double
    /// Missing where it was not time to validate.
    public var valid: Quality?
  }

  private var checkpoint: String { "\(folder)/checkpoint.safetensors" }

  /// Begins a run, or goes on with the one in the folder.
  ///
  /// A run goes on with the configuration that it began with: defaults that have changed since do not matter,
  /// and keys that are given must say the same.
  ///
  /// - Parameters:
  ///   - isKept: Whether anything is written to the folder.
  ///   - processes: Those that do its steps together, all with the same arguments: the model is the same, bit for bit, as that of one
  ///     process, and the first one writes.
  /// - Throws: What stands against it, in a sentence; nothing is written then.
  public init(
    _ configuration: RunConfiguration, folder: String, resuming: Bool = false, isKept: Bool = true,
    among processes: (any Communicator)? = nil
  ) throws {
    let isKept = isKept && (processes?.rank ?? 0) == 0
    let path = "\(folder)/checkpoint.safetensors"
    (self.folder, self.processes, rescue) = (folder, processes, Rescue(path))
    guard resuming else {
      if isKept { try TrainingRun.refuseOther(folder) }
      let data = try configuration.loadData()
      self.configuration = configuration.resolved(for: data.trainCount)
      trainer = try Trainer(self.configuration, data: data, among: processes)
      curves = TrainingCurves(folder: folder, lines: [])
      if isKept { try prepare() }
      return
    }
    guard FileManager.default.fileExists(atPath: path) else {
      throw TrainingError("\(folder) holds no checkpoint to go on from; leave --resume away.")
    }
    if isKept { lock = try TrainingRun.hold(folder) }
    let file = try upgraded(try Safetensors(path: path), path: path)
    var begun = try RunConfiguration(
      text: file.metadata["configuration"] ?? "", source: path, catalog: configuration.catalog)
    begun.model.structure = try file.structure(path)
    var wanted = configuration
    if wanted.training.batch == 0 { wanted.training.batch = begun.training.batch }
    if wanted.training.epochs == 0 { wanted.training.epochs = begun.training.epochs }
    // Runs of earlier formats have another rule, which nobody had to name.
    if let before = begun.data as? any SplitOptions, before.split.rule == .shuffled,
      var now = wanted.data as? any SplitOptions
    {
      now.split.rule = .shuffled
      wanted.data = now
    }
    let (old, new) = (begun.yaml.split(separator: "\n"), wanted.yaml.split(separator: "\n"))
    guard old == new else {
      let place = zip(old, new).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? 0
      func line(_ lines: [Substring]) -> String {
        lines.indices.contains(place)
          ? lines[place].trimmingCharacters(in: .whitespaces) : "nothing"
      }
      throw TrainingError(
        "\(path) belongs to a run with another configuration: '\(line(old))' there, '\(line(new))' here; "
          + "go on with that one, which is \(folder)/configuration.yaml, or name another --out.")
    }
    self.configuration = begun
    trainer = try Trainer(begun, data: try begun.loadData(), among: processes)
    var present = file
    present.metadata["configuration"] = begun.yaml
    try trainer.resume(from: present, path: path)
    lines = TrainingRun.keptLines(folder, trainer.doneSteps / trainer.stepsPerEpoch)
    curves = TrainingCurves(
      folder: folder,
      lines: lines.compactMap { try? JSONDecoder().decode(Line.self, from: Data($0.utf8)) })
    if isKept { try prepare() }
  }

  /// The folder, held by this run alone.
  private static func hold(_ folder: String) throws(TrainingError) -> FolderLock {
    guard let lock = FolderLock(folder) else {
      throw TrainingError("\(folder) is being written by another run; name another --out.")
    }
    return lock
  }

  /// Refuses a folder with a run, or with a model that a run has left or begins with.
  private static func refuseOther(_ folder: String) throws(TrainingError) {
    if FileManager.default.fileExists(atPath: "\(folder)/checkpoint.safetensors") {
      throw TrainingError(
        "\(folder) holds a run already; add --resume to go on with it, or name another --out.")
    }
    if FileManager.default.fileExists(atPath: "\(folder)/model.safetensors") {
      throw TrainingError("\(folder) holds a model already; name another --out.")
    }
  }

  private mutating func prepare() throws {
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    } catch {
      throw TrainingError("\(folder) cannot be made a folder; check the path and its permission.")
    }
    if lock == nil {
      lock = try TrainingRun.hold(folder)
      // Another run may have begun while the data were read.
      try TrainingRun.refuseOther(folder)
    }
    Files.removePartials(in: folder)
    try TrainingRun.write(configuration.yaml, to: "\(folder)/configuration.yaml")
  }

  /// Writes a text as a whole.
  static func write(_ text: String, to path: String) throws(TrainingError) {
    try Files.replace(path, by: Array(text.utf8)) { _ in TrainingError.unwritable(path) }
  }

  /// The lines of a run's metrics up to where its checkpoint stands.
  private static func keptLines(_ folder: String, _ epochs: Int) -> [String] {
    let text = (try? String(contentsOfFile: "\(folder)/metrics.jsonl", encoding: .utf8)) ?? ""
    return Array(text.split(separator: "\n").map(String.init).prefix(epochs))
  }

  /// What should be said before so few steps: which key makes more of them; `nil` where there are enough.
  public var advice: String? {
    guard trainer.totalSteps < 200 else { return nil }
    let (count, batch) = (trainer.data.trainCount, configuration.training.batch)
    let smaller = max(4, min(batch, count / 8))
    return "Only \(trainer.totalSteps) steps: little is learned by so few. "
      + (batch > smaller
        ? "Set 'training.batch' to \(smaller) or so, or leave it and 'training.epochs' away."
        : "Raise 'training.epochs', or leave it away.")
  }

  /// Trains to the end, or until it is asked to stop, keeping a checkpoint after every epoch.
  ///
  /// - Parameters:
  ///   - shouldStop: Asked after each step; of several processes all must be told alike.
  ///   - report: Called after each step, with the line of an epoch that has just ended.
  /// - Returns: Whether the run is at its end.
  /// - Throws: `TrainingError` where numbers are none any more, after saving the last good state; `WeightsError`
  ///   where a checkpoint cannot be written.
  @discardableResult
  public mutating func train(
    until shouldStop: () -> Bool = { false },
    report: (_ trainer: Trainer, _ line: Line?) -> Void = { _, _ in }
  ) throws -> Bool {
    try requireSameState()
    defer { rescue.keep(nil) }
    while !trainer.isFinished {
      if shouldStop() {
        if isWriter { try trainer.checkpoint.write(to: checkpoint) }
        lock = nil
        return false
      }
      if isWriter && processes != nil { rescue.keep(trainer.checkpoint) }
      do { try trainer.advance() } catch {
        let file = trainer.checkpoint
        if isWriter, file.tensors.values.allSatisfy({ $0.isFinite }) {
          try file.write(to: checkpoint)
        }
        throw error
      }
      guard trainer.isAtEpochEnd else {
        report(trainer, nil)
        continue
      }
      let (start, epoch, step) = (trainer.start, trainer.epoch, trainer.step)
      let quality = trainer.isValidationDue ? try trainer.validate() : nil
      guard isWriter else { continue }
      let line = Line(
        start: start, epoch: epoch, step: step,
        loss: trainer.epochLoss / Double(trainer.stepsPerEpoch), valid: quality)
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      lines.append(String(decoding: try encoder.encode(line), as: UTF8.self))
      try TrainingRun.write(lines.joined(separator: "\n") + "\n", to: "\(folder)/metrics.jsonl")
      try curves.append(line, step: trainer.doneSteps)
      try trainer.checkpoint.write(to: checkpoint)
      report(trainer, line)
    }
    return true
  }

  /// - Throws: `TrainingError` where processes do not begin with the same.
  private func requireSameState() throws(TrainingError) {
    guard let processes else { return }
    func print(_ tensors: [String: Tensor], _ texts: [String: String] = [:]) -> String {
      var print = Fingerprint()
      for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
        print.add(name.utf8)
        print.add(bytes(of: tensor.elements))
      }
      for (name, text) in texts.sorted(by: { $0.key < $1.key }) { print.add((name + text).utf8) }
      return print.text
    }
    let file = trainer.checkpoint
    func texts(_ keys: String...) -> [String: String] {
      file.metadata.filter { keys.contains($0.key) }
    }
    // Inputs and labels are in the data's fingerprint.
    let fields = [trainer.data.train, trainer.data.valid].map { examples in
      print(examples.tensors.filter { $0.key != "inputs" }, texts("data"))
    }
    let parts = [
      ("configuration", print([:], texts("configuration"))), ("data", fields.joined()),
      (
        "checkpoint or version",
        print(file.tensors, file.metadata.filter { !["configuration", "data"].contains($0.key) })
      ),
      (
        "instruction set",
        print([:], ["": TensorCoreStatistics.instructionSet])
      ),
    ]
    let all = processes.gather(Array(parts.map(\.1).joined(separator: " ").utf8))
    guard let other = all.firstIndex(where: { $0 != all[0] }) else { return }
    let words = [all[0], all[other]].map {
      String(decoding: $0, as: UTF8.self).split(separator: " ")
    }
    // Of another version there may be other parts.
    var differing = parts.indices.filter {
      words[0].count != words[1].count || words[0][$0] != words[1][$0]
    }
    .map { parts[$0].0 }
    // What follows from another configuration is no news.
    if differing.contains("configuration") { differing.removeAll { $0.hasPrefix("checkpoint") } }
    throw TrainingError(
      "process \(other) of \(processes.count) has another \(differing.joined(separator: " and another ")) than process 0; give all the same"
        + (differing.contains("instruction set") ? " (CANON_CPU=avx2 sets it)." : "."),
      isOfAll: true)
  }

  /// Writes the best model, and gives its figures; none on processes beside the first.
  ///
  /// - Parameter test: Examples that nothing was selected on, to measure it once.
  /// - Throws: `WeightsError` where the model cannot be written, `DatasetError` for a test part of another kind.
  public mutating func finish(test: Examples? = nil) throws -> [String: Double] {
    var figures: [String: Double] = [:]
    guard isWriter else { return figures }
    if let best = trainer.best {
      figures["valid loss"] = best.loss
      figures["valid error"] = best.error
    }
    try trainer.restoreBest()
    if let test {
      let test = try trainer.model.prepared(test)
      if let model = trainer.model as? any MeasuredModel {
        for (name, value) in try model.figures(on: test) { figures["test \(name)"] = value }
      }
      let quality = trainer.model.quality(on: test)
      figures["test examples"] = Double(test.count)
      figures["test error sampling"] = quality.errorSampling
      figures["test loss sampling"] = quality.lossSampling
      figures["test loss"] = quality.loss
      figures["test error"] = quality.error
      figures["test calibration error"] = quality.calibrationError
    }
    try curves.draw()
    try trainer.bestModel(figures: figures).write(to: "\(folder)/model.safetensors")
    lock = nil
    return figures
  }
}
