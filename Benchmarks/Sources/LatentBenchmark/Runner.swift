import Foundation
import Synchronization
import TensorCore
import Training

/// What was measured of one model: a method, trained from one seed.
struct Result: Codable, Sendable {
  var task, method: String
  var seed: Int
  /// The whole configuration: a result is used again only where it is the same.
  var configuration: String
  /// What the model says of itself on the test part.
  var figures: [String: Double]
  /// Seconds of one core, another one at work beside it.
  var trainSeconds: Double
  var parameters: Int
  /// Of the first seed, what is looked at.
  var curves: [Curve]?

  var key: String { "\(task)/\(method)/\(seed)" }
}

/// Trains all that is not done yet, two models at a time.
final class Runner: Sendable {
  private let path: String
  private let state = Mutex<(results: [Result], done: Int, failure: String?)>(([], 0, nil))

  init(out: String) throws {
    try FileManager.default.createDirectory(atPath: out, withIntermediateDirectories: true)
    path = "\(out)/results.jsonl"
  }

  func run(_ tasks: [Task], seeds: Int) throws -> [Result] {
    let lines = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    let kept = lines.split(separator: "\n").compactMap {
      try? JSONDecoder().decode(Result.self, from: Data($0.utf8))
    }
    let jobs = tasks.flatMap { task in
      (0..<seeds).flatMap { seed in
        task.methods.map { (task: task, method: $0, yaml: task.yaml($0, seed: seed), seed: seed) }
      }
    }
    let wanted = Dictionary(
      jobs.map { ("\($0.task.id)/\($0.method.name)/\($0.seed)", $0.yaml) }
    ) { $1 }
    let usable = kept.filter { (wanted[$0.key] ?? $0.configuration) == $0.configuration }
    state.withLock { $0.results = usable }
    let done = Set(usable.map(\.key))
    let open = jobs.filter { !done.contains("\($0.task.id)/\($0.method.name)/\($0.seed)") }
    let began = Date()
    Parallel.forEach(open.count) { index in
      let job = open[index]
      guard state.withLock({ $0.failure == nil }) else { return }
      do {
        let result = try Runner.result(job.task, job.method, job.yaml, job.seed)
        try keep(result, of: open.count, since: began)
      } catch {
        state.withLock {
          $0.failure = "\(job.task.id), \(job.method.name), seed \(job.seed): \(error)"
        }
      }
    }
    if let failure = state.withLock({ $0.failure }) { throw BenchmarkError(description: failure) }
    return state.withLock { $0.results.filter { wanted[$0.key] != nil } }
  }

  private static func result(
    _ task: Task, _ method: Method, _ yaml: String, _ seed: Int
  ) throws -> Result {
    let configuration = try RunConfiguration(text: yaml, source: "\(task.id), \(method.name)")
    let began = Date()
    var trainer = try Trainer(configuration, data: try configuration.loadData())
    while !trainer.isFinished {
      try trainer.advance()
      if trainer.isValidationDue { try trainer.validate() }
    }
    try trainer.restoreBest()
    let seconds = Date().timeIntervalSince(began)
    let (model, data) = (trainer.model, configuration.data)
    guard let test = try data.test(seed: UInt64(seed)) else {
      throw BenchmarkError(description: "its data have no test part")
    }
    let examples = try model.prepared(test)
    var (figures, drawn): ([(name: String, value: Double)], [Curve]?) = ([], nil)
    if let model = model as? any MeasuredModel {
      figures = try model.figures(on: examples) + traced(model, data, seed: seed)
      drawn = seed == 0 ? try curves(model, data, name: method.name) : nil
    } else if let model = model as? any Predictor {
      figures = try PredictorFigures(
        model: model, data: data, examples: examples, wanted: task.figures
      ).measured()
    } else {
      throw BenchmarkError(description: "nothing is measured of it")
    }
    return Result(
      task: task.id, method: method.name, seed: seed, configuration: yaml,
      figures: Dictionary(figures.map { ($0.name, $0.value) }) { $1 }, trainSeconds: seconds,
      parameters: model.trainableCount(),
      curves: drawn)
  }

  /// Keeps a result, on the disk too.
  private func keep(_ result: Result, of total: Int, since began: Date) throws {
    let (all, done) = state.withLock { state in
      state.results.append(result)
      state.done += 1
      return (state.results, state.done)
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let lines = try all.map { String(decoding: try encoder.encode($0), as: UTF8.self) + "\n" }
    try lines.joined().write(toFile: path, atomically: true, encoding: .utf8)
    let left = Date().timeIntervalSince(began) / Double(done) * Double(total - done)
    FileHandle.standardError.write(
      Data(
        "\(done)/\(total), \(Int(left) / 60):\(String(format: "%02d", Int(left) % 60)) left: \(result.task), \(result.method), seed \(result.seed), \(Int(result.trainSeconds)) s\n"
          .utf8))
  }
}
