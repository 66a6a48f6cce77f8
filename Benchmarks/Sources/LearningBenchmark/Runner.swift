import Datasets
import Foundation
import Synchronization
import TensorCore
import Training

/// Data that all methods and seeds of a task share.
private struct Shared: Sendable {
  let training: Dataset
  let test: Examples
  /// Upright digits of the test part, where training ones are upright and the test's are not.
  let upright: Examples?
}

/// A method of a task, from one seed.
private struct Job: Sendable {
  let task: Task
  let method: Method
  let seed: Int

  var key: String { "\(task.id)/\(method.name)/\(seed)" }
}

/// Does all that is not done yet, two models at a time, each on a core of its own.
final class Runner: Sendable {
  private let out: String
  private let size: Size
  private let results = Mutex<[Result]>([])
  private let failure = Mutex<String?>(nil)
  private let progress: Mutex<(done: Int, total: Int, began: Date, secondsBefore: Double)>

  init(out: String, size: Size) {
    (self.out, self.size) = (out, size)
    progress = Mutex((0, 0, Date(), 0))
  }

  private var path: String { "\(out)/results.jsonl" }

  /// Holds how many seconds all took so far: a run that was stopped counts with the one that goes on.
  private var secondsPath: String { "\(out)/seconds" }

  /// How long all took, in this run and in those that it went on from.
  var seconds: Double {
    progress.withLock {
      $0.secondsBefore + ($0.total > 0 ? Date().timeIntervalSince($0.began) : 0)
    }
  }

  /// Runs the tasks for some seeds.
  ///
  /// Results of an earlier run in the same folder are used again where their configurations are the same.
  func run(_ tasks: [Task], seeds: Int) throws -> [Result] {
    try FileManager.default.createDirectory(
      atPath: "\(out)/models", withIntermediateDirectories: true)
    let lines = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    let kept = lines.split(separator: "\n").compactMap {
      try? JSONDecoder().decode(Result.self, from: Data($0.utf8))
    }
    let jobs = tasks.flatMap { task in
      (0..<seeds).flatMap { seed in task.methods.map { Job(task: task, method: $0, seed: seed) } }
    }
    let configurations = Dictionary(
      jobs.map { ($0.key, yaml($0)) }, uniquingKeysWith: { first, _ in first })
    // Results of other tasks stay in the file.
    let usable = kept.filter { (configurations[$0.key] ?? $0.configuration) == $0.configuration }
    results.withLock { $0 = usable }
    let done = Set(usable.map(\.key))
    let open = jobs.filter { !done.contains($0.key) }
    let written = (try? String(contentsOfFile: secondsPath, encoding: .utf8)).flatMap(Double.init)
    progress.withLock { $0 = (0, open.count, Date(), done.isEmpty ? 0 : written ?? 0) }
    for task in tasks where open.contains(where: { $0.task.id == task.id }) {
      let shared = try shared(task)
      let own = open.filter { $0.task.id == task.id }
      // Methods that begin with the model of another one come after it.
      for isLate in [false, true] {
        let part = own.filter { $0.method.isFromScratch != isLate }
        Parallel.forEach(part.count) { self.run(part[$0], shared) }
        if let failure = failure.withLock({ $0 }) { throw BenchmarkError(description: failure) }
      }
    }
    return results.withLock { $0.filter { configurations[$0.key] != nil } }
  }

  private func modelPath(_ task: Task, _ method: String, _ seed: Int) -> String {
    savedModel("\(out)/models", task.id, method, seed)
  }

  private func yaml(_ job: Job) -> String {
    job.task.yaml(
      job.method, seed: job.seed,
      backboneFrom: job.method.backboneFrom.map { modelPath(job.task, $0, job.seed) })
  }

  private func shared(_ task: Task) throws -> Shared {
    let configuration = try RunConfiguration(
      text: task.yaml(task.methods[0], seed: 0), source: task.id)
    var training = try configuration.loadData()
    let (validCount, testCount) = size == .full ? (Int.max, Int.max) : (1000, 4000)
    let isForecast = type(of: configuration.data).kind == ParticlesOptions.kind
    if !isForecast { training.valid = training.valid.prefix(validCount) }
    let own = try configuration.data.test(seed: 0)?.prefix(testCount)
    var (test, upright) = (own, nil as Examples?)
    if let other = task.testData {
      upright = own
      let moved = try RunConfiguration(
        text: "data: {kind: \(other), path: '\(task.configuration["data"]?["path"]?.text ?? "")'}",
        source: task.id)
      test = try moved.data.test(seed: 0)?.prefix(testCount)
    }
    guard let test else { throw BenchmarkError(description: "\(task.id) has no test part") }
    return Shared(training: training, test: test, upright: upright)
  }

  private func run(_ job: Job, _ shared: Shared) {
    if failure.withLock({ $0 != nil }) { return }
    do {
      let text = yaml(job)
      let configuration = try RunConfiguration(
        text: text, source: "\(job.task.id), \(job.method.name)")
      let result = try result(job, configuration, text, shared)
      try keep(result)
    } catch {
      failure.withLock { $0 = "\(job.task.id), \(job.method.name), seed \(job.seed): \(error)" }
    }
  }

  private func result(
    _ job: Job, _ configuration: RunConfiguration, _ text: String, _ shared: Shared
  ) throws -> Result {
    let began = Date()
    let model: any Predictor
    let path = modelPath(job.task, job.method.name, job.seed)
    if let other = job.method.from {
      var file = try Safetensors(path: modelPath(job.task, other, job.seed))
      file.metadata["configuration"] = configuration.yaml
      try file.write(to: path)
      model = try loadModel(path)
    } else {
      var trainer = try Trainer(configuration, data: shared.training)
      while !trainer.isFinished {
        try trainer.advance()
        if trainer.isValidationDue { try trainer.validate() }
      }
      try trainer.restoreBest()
      try trainer.bestModel().write(to: path)
      guard let trained = trainer.model as? any Predictor else {
        throw BenchmarkError(description: "\(job.key) does not predict")
      }
      model = trained
    }
    let trainSeconds = Date().timeIntervalSince(began)
    let valid = model.quality(on: try model.prepared(shared.training.valid))
    let test = try model.prepared(shared.test)
    let start = Date()
    let quality = model.quality(on: test)
    let seconds = Date().timeIntervalSince(start)
    let few = shared.test.selecting(0..<min(500, shared.test.count))
    let fewUpright = shared.upright.map { $0.selecting(0..<min(500, $0.count)) }
    return Result(
      task: job.task.id, method: job.method.name, kind: job.method.kind, seed: job.seed,
      configuration: text, error: quality.error, loss: quality.loss,
      valid: valid.error ?? valid.loss,
      calibration: quality.calibrationError,
      invariance: model.invarianceError(on: few.inputs, configuration),
      trainSeconds: trainSeconds,
      inferenceMicroseconds: seconds / Double(shared.test.count) * 1e6,
      canonicalizerParameters: model.trainableCount() - model.trainableCount("backbone."),
      backboneParameters: model.trainableCount("backbone."),
      uprightError: try shared.upright.flatMap { model.quality(on: try model.prepared($0)).error },
      byAngle: fewUpright.map { model.errors(onUpright: $0) },
      sampling: quality.errorSampling ?? quality.lossSampling)
  }

  /// Keeps a result, on the disk too: what is done is not lost when the benchmark is stopped.
  private func keep(_ result: Result) throws {
    let all = results.withLock {
      $0.append(result)
      return $0
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let lines = try all.map {
      String(decoding: try encoder.encode($0), as: UTF8.self) + "\n"
    }
    try lines.joined().write(toFile: path, atomically: true, encoding: .utf8)
    try "\(seconds)".write(toFile: secondsPath, atomically: true, encoding: .utf8)
    let (done, total, left) = progress.withLock {
      $0.done += 1
      let elapsed = Date().timeIntervalSince($0.began)
      return ($0.done, $0.total, elapsed / Double($0.done) * Double($0.total - $0.done))
    }
    let figure =
      result.error.map { String(format: "%.2f %%", $0 * 100) }
      ?? String(format: "%.5f", result.loss)
    let time = String(format: "%d:%02d", Int(left) / 60, Int(left) % 60)
    FileHandle.standardError.write(
      Data(
        "\(done)/\(total), \(time) left: \(result.task), \(result.method), seed \(result.seed): \(figure), \(String(format: "%.0f", result.trainSeconds)) s\n"
          .utf8))
  }
}

struct BenchmarkError: Error, CustomStringConvertible { let description: String }
