import ArgumentParser
import Foundation

/// Latent spaces with the group in them, beside their baselines.
struct LatentBenchmark: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Class-pose encoders and distributed operators: tables, and one page to read.",
    discussion: """
      Writes results.jsonl as it goes (a run that was stopped goes on from there), latent.md and latent.html.

      EXAMPLES
        make bench-latent
        LatentBenchmark --only glyphs --seeds 1 --out my-results
      """)

  @Option(help: "The folder to write to.")
  var out = "Benchmarks/Results/latent"

  @Option(help: "From how many seeds each method is trained.")
  var seeds = 3

  @Flag(help: "The papers' sizes: hours.")
  var full = false

  @Option(help: "These tasks only, by their names.")
  var only: [String] = []

  @Option(help: "The folder of tasks.")
  var configs = "configs/bench-latent"

  func run() throws {
    let all = try Task.all(in: configs, isFull: full)
    if let unknown = only.first(where: { name in !all.contains { $0.id == name } }) {
      throw ValidationError(
        "No task is called '\(unknown)'; there are \(all.map(\.id).joined(separator: ", ")).")
    }
    guard seeds > 0 else { throw ValidationError("--seeds must be at least 1.") }
    let tasks = all.filter { only.isEmpty || only.contains($0.id) }
    let results = try Runner(out: out).run(tasks, seeds: seeds)
    let report = Report(tasks: tasks, results: results, isFull: full)
    try report.write(to: out)
    print(report.markdown)
  }
}

LatentBenchmark.main()
