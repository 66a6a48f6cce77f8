import ArgumentParser
import Foundation
import TensorCore

/// Compares learned with heuristic canonicalization on seven kinds of tasks.
struct LearningBenchmark: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Learned against heuristic canonicalization: tables, pictures, and one page to read.",
    discussion: """
      Every method is trained from each seed on the same training part, chosen on the same validation part and
      measured once on the same test part. Writes results.jsonl as it goes (a run that was stopped goes on from
      there), learning.json, learning.csv, learning.md, plots as PNG, and learning.html.

      EXAMPLES
        make bench
        make bench-full
        LearningBenchmark Benchmarks/Data --only particles --only bodies --out my-results
        LearningBenchmark Benchmarks/Data --only rotated-cnn --method PCA --seeds 1 --out my-results
      """)

  @Argument(help: "The folder of MNIST's IDX files.")
  var data: String

  @Option(help: "The folder to write to.")
  var out = "Benchmarks/Results/learning"

  @Option(help: "From how many seeds each method is trained.")
  var seeds = 3

  @Flag(help: "The paper's sizes: hours instead of half an hour.")
  var full = false

  @Option(help: "These tasks only, by their names; --list prints them.")
  var only: [String] = []

  @Option(name: .customLong("method"), help: "These methods only, by their names.")
  var methods: [String] = []

  @Option(help: "The folder of tasks and methods.")
  var configs = "configs/bench"

  @Option(help: "What the page says of the circumstances, such as a machine that was busy.")
  var remark = ""

  @Flag(help: "Print the names of tasks and methods, and end.")
  var list = false

  func run() throws {
    let size: Size = full ? .full : .quick
    let every = try Task.all(in: configs, size, digits: data)
    let all = every.map { $0.keeping(methods) }.filter { !$0.methods.isEmpty }
    if let unknown = methods.first(where: { name in
      !every.contains { $0.methods.contains { $0.name == name } }
    }) {
      throw ValidationError("No method is called '\(unknown)'; --list prints their names.")
    }
    if list {
      for task in all {
        print(task.id)
        for method in task.methods { print("  \(method.name)") }
      }
      return
    }
    if let unknown = only.first(where: { name in !all.contains { $0.id == name } }) {
      throw ValidationError("No task is called '\(unknown)'; --list prints their names.")
    }
    guard seeds > 0 else { throw ValidationError("--seeds must be at least 1.") }
    let tasks = all.filter { only.isEmpty || only.contains($0.id) }
    // Curves belong to the whole.
    let isWhole = only.isEmpty && methods.isEmpty
    let curves = isWhole ? try Task.all(in: configs + "/curves", size, digits: data) : []
    let runner = Runner(out: out, size: size)
    let results = try runner.run(tasks + curves, seeds: seeds)
    let models = "\(out)/models"
    let report = Report(
      tasks: tasks,
      curves: try Curves.charts(tasks + curves, results, models: models, digits: data),
      results: results, size: size, minutes: runner.seconds / 60, remark: remark)
    try report.write(to: out, sheets: try Curves.sheets(tasks, models: models, to: out))
    for section in report.sections {
      print("\n\(section.task.title)")
      print(section.rows.map { "  " + $0.cells.joined(separator: "  ") }.joined(separator: "\n"))
      if let verdict = section.verdict { print("  → \(verdict.text).") }
    }
    print("\n\(report.summary)")
    print("The page to read: \(out)/learning.html")
  }
}

LearningBenchmark.main()
