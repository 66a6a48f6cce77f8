import ArgumentParser
import Datasets
import Foundation
import MessagePassing
import Settings
import Synchronization
import TensorCore
import Training

struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Trains a model from a configuration.",
    discussion: """
      Writes to the output folder: model.safetensors (the best on the validation part), \
      checkpoint.safetensors, configuration.yaml (with every default filled in), \
      metrics.jsonl (one line an epoch), its curves as a picture, curves.svg, and for \
      TensorBoard, events.out.tfevents.… (`tensorboard --logdir runs`). Ctrl-C saves a checkpoint and ends; --resume goes on \
      bit for bit as if never stopped. With training.pieces, equal pieces of a batch, as many processes as divide them \
      train together (mpirun, srun): the model is the one that a single process comes to, bit for bit, and --resume takes any \
      such number.

      EXAMPLES
        canon init photos-by-class --out my.yaml     # a configuration to begin with
        canon train my.yaml
        canon train my.yaml --set training.batch=16 --out runs/small-batches
        canon train configs/rotated-mnist-c64.yaml --out runs/c64-1 --seed 1
        canon train configs/rotated-mnist-c64.yaml --out runs/c64-1 --seed 1 --resume
        canon train configs/rotated-mnist-c8.yaml --profile
        mpirun -n 4 canon train my.yaml --set training.pieces=4
      """)

  @Argument(help: "The run's configuration, a YAML file.")
  var config: String

  @Option(help: "The folder to write to; by default runs/ and the run's name.")
  var out: String?

  @Option(help: "Overrides the configuration's seed.")
  var seed: Int?

  @Option(help: "Overrides the configuration's number of epochs.")
  var epochs: Int?

  @Option(
    name: .customLong("set"),
    help: ArgumentHelp(
      "Overrides any key, as in --set training.batch=16 or --set canonicalizer.group=C4; may be given several times.",
      valueName: "key=value"))
  var changes: [String] = []

  @Flag(help: "Go on from the checkpoint in the output folder.")
  var resume = false

  @Flag(help: "Time 20 steps operation by operation, and write nothing.")
  var profile = false

  @Flag(help: "Print the figures at the end, or the profile, as JSON.")
  var json = false

  @Flag(help: "Measure the best model on the test part at the end.")
  var test = false

  @OptionGroup var common: CommonOptions

  func validate() throws {
    try requireFlag("--seed", seed, atLeast: 0)
    try requireFlag("--epochs", epochs, atLeast: 1)
  }

  func run() throws {
    common.apply()
    guard MPI.isUsed(in: ProcessInfo.processInfo.environment) else { return try run(nil) }
    guard !profile else {
      // Once, of all processes.
      guard Shard(environment: ProcessInfo.processInfo.environment).isFirst else {
        throw ExitCode(64)
      }
      throw ValidationError("--profile times the steps of one process: leave mpirun away.")
    }
    let processes = try MPI()
    do { try run(processes) } catch let error as TrainingError where processes.rank > 0 {
      // What all meet the first one says.
      if !error.isOfAll { note("Error: process \(processes.rank): \(error)") }
      sleep(1)
      throw ExitCode(1)
    } catch let status as ExitCode {
      // At its end, with something to tell.
      processes.finish()
      throw status
    }
    processes.finish()
  }

  /// - Parameter processes: Those that train together, if there are several.
  private func run(_ processes: (any Communicator)?) throws {
    var run = try agreed(among: processes) { try prepared(processes) }
    if profile {
      guard run.trainer.settings.pieces == 1 else {
        throw CommandError(
          "--profile times what one thread after the other begins: give --set training.pieces=1.")
      }
      let profile = try TrainingProfile(run.trainer, steps: 20)
      try emit(json ? profile.jsonLine : profile.text)
      return
    }
    try train(&run, isQuiet: common.quiet || processes.map { $0.rank > 0 } == true)
  }

  private func prepared(_ processes: (any Communicator)?) throws -> TrainingRun {
    guard !Files.isFolder(config) else {
      throw CommandError(
        "\(config) is a folder: `canon init \(config) --out my.yaml` writes a configuration for the images there."
      )
    }
    var settings = try RunConfiguration(
      path: config, catalog: Canon.catalog, changes: changes)
    if seed != nil || epochs != nil {
      if let seed { settings.seed = seed }
      if let epochs { settings.training.epochs = epochs }
      // What the file could not say, flags cannot either.
      settings = try settings.validated()
    }
    if test, (settings.data as? any SplitOptions)?.split.test == 0 {
      throw CommandError(
        "--test: the data, of kind '\(type(of: settings.data).kind)', have no test part to measure on; --set data.test=0.1 cuts one off."
      )
    }
    let folder = out ?? "runs/\(settings.name)"
    if !resume && !profile {
      try refuse("\(folder)/configuration.yaml", overwriting: config)
      for key in ["path", "targets"] {
        guard let data = settings.resolved["data"]?[key]?.text, Files.isFolder(data) else {
          continue
        }
        try refuse("\(folder)/model.safetensors", amongInputs: data)
      }
    }
    // Each piece has a thread of its own.
    let pieces = settings.training.pieces / (processes?.count ?? 1)
    AddressSpace.require(threads: max(pieces, Parallel.threadCount))
    return try TrainingRun(
      settings, folder: folder, resuming: resume, isKept: !profile, among: processes)
  }

  private func train(_ run: inout TrainingRun, isQuiet: Bool) throws {
    let (trainer, folder) = (run.trainer, run.folder)
    if !isQuiet {
      note(
        "\(run.configuration.name): \(trainer.data.trainCount) examples, "
          + "\(trainer.model.trainableCount("backbone.")) parameters in the backbone, "
          + "\(trainer.totalSteps) \(trainer.totalSteps == 1 ? "step" : "steps"), to \(folder)")
    }
    if trainer.isFinished && !isQuiet {
      note("The run in \(folder) has ended already; for a longer one name another --out.")
    } else if let advice = run.advice, !isQuiet {
      note("Note: \(advice)")
    }
    var failures = Failures(("example", "examples", "file"))
    if run.isWriter { failures.report(trainer.data.errors) }
    Interruption.watch()
    var progress = Progress(
      total: trainer.totalSteps, unit: "steps", from: trainer.doneSteps, isQuiet: isQuiet)
    if run.processes != nil { endBySignal(run) }
    let isAlone = run.processes == nil
    let isDone = try run.train(until: { isAlone && Interruption.caught != 0 }) { trainer, line in
      progress.update(trainer.doneSteps, line.map { text($0, of: trainer) } ?? "")
    }
    guard isDone else {
      note("\nStopped at step \(run.trainer.step); add --resume to go on.")
      throw ExitCode(128 + Interruption.caught)
    }
    guard run.isWriter else { return }
    if run.trainer.hasEndedEarly && !isQuiet {
      note(
        "Ended after epoch \(run.trainer.epoch): nothing became better for \(run.configuration.training.patience)."
      )
    }
    let examples =
      test ? try run.configuration.data.test(seed: UInt64(run.configuration.seed)) : nil
    if test && examples == nil {
      note(
        "The data, of kind '\(type(of: run.configuration.data).kind)', have no test part to measure on; 'data.test' cuts one off."
      )
    }
    let figures = try run.finish(test: examples)
    try emit(
      json
        ? figures.jsonLine
        : figureTable(figures.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }))
    try failures.finish()
  }

  /// An epoch, for people.
  private func text(_ line: TrainingRun.Line, of trainer: Trainer) -> String {
    let valid = line.valid.map { quality in
      quality.error.map { ", valid error \(($0 * 100).formatted(2)) %" }
        ?? ", valid loss \(quality.loss.formatted(5))"
    }
    let place =
      trainer.settings.starts > 1
      ? "start \(line.start + 1), epoch \(line.epoch)" : "epoch \(line.epoch)"
    return "\(place), loss \(line.loss.formatted(4))\(valid ?? "")"
  }
}

/// Whether `mpirun` has announced the end: it wakes what it is about to end, by SIGCONT, a second before SIGTERM, and leaves no time
/// after that.
private let isAnnounced = Atomic<Bool>(false)

/// Ends one of several processes as soon as a signal asks for it, the first one with a checkpoint of the last whole step: by whom
/// `mpirun` was stopped, or where another process is gone.
private func endBySignal(_ run: TrainingRun) {
  let (rescue, isWriter) = (run.rescue, run.isWriter)
  Foundation.signal(SIGCONT) { _ in isAnnounced.store(true, ordering: .relaxed) }
  Thread.detachNewThread {
    var isWritten = false
    while true {
      let isEnd = Interruption.caught != 0
      if isWriter, isAnnounced.exchange(false, ordering: .relaxed) || isEnd && !isWritten {
        isWritten = rescue.write()
        if isWritten { note("\nA checkpoint is written, to be gone on from with --resume.") }
      }
      // Other threads compute on: nothing is taken down under them.
      if isEnd { _exit(128 + Interruption.caught) }
      usleep(10_000)
    }
  }
}

/// What all processes prepare; where one of them cannot, the first one says so, and all end.
private func agreed<Value>(
  among processes: (any Communicator)?, _ body: () throws -> Value
) throws -> Value {
  guard let processes else { return try body() }
  let result = Result { try body() }
  var text = ""
  if case .failure(let error) = result { text = "\(error)" }
  let size = 2048
  let bytes = Array(text.utf8.prefix(size))
  let all = processes.gather(bytes + Array(repeating: 0, count: size - bytes.count))
  let texts = all.map { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  guard let failed = texts.firstIndex(where: { !$0.isEmpty }) else { return try result.get() }
  if processes.rank == 0 {
    let isOfAll = texts.allSatisfy { $0 == texts[0] }
    note("Error: " + (isOfAll || failed == 0 ? "" : "process \(failed): ") + texts[failed])
  }
  throw ExitCode(1)
}
