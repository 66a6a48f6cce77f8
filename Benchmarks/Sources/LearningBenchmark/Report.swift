import Charts
import Foundation
import TensorCore

/// All that is written of the results.
struct Report {
  let tasks: [Task]
  let curves: [Chart]
  let results: [Result]
  let size: Size
  let minutes: Double
  /// What is to be said of the circumstances; empty as a rule.
  var remark = ""

  /// A task with what was measured on it.
  struct Section {
    let task: Task
    let summaries: [Summary]
    let verdict: Verdict?

    /// The bars of its methods.
    var chart: Chart {
      let isError = summaries.first?.isError ?? true
      let factor = isError ? 100.0 : 1
      return Chart(
        id: task.id, title: task.title, xLabel: isError ? "test error, %" : "mean squared error",
        yLabel: "",
        content: .bars(
          summaries.map { s in
            Chart.Bar(
              name: s.method, color: s.kind.color,
              value: Statistic(s.results.map { $0.figure * factor }))
          }))
    }

    var header: [String] {
      let common = [
        "method", "kind", "test error", "its sampling error", "invariance error", "ECE", "training",
        "inference",
        "parameters",
      ]
      return uprightAccuracy == nil ? common : common + ["of upright accuracy"]
    }

    /// How often the first method, the backbone alone, is right on upright digits, where those were learned.
    private var uprightAccuracy: Double? {
      guard let first = summaries.first, first.results[0].uprightError != nil else { return nil }
      return 1 - first.statistic { $0.uprightError }.mean
    }

    private func sampling(_ summary: Summary) -> String {
      let error = summary.statistic { $0.sampling }
      guard error.count > 0 else { return "–" }
      return summary.isError
        ? String(format: "%.2f %%", error.mean * 100) : String(format: "%.5f", error.mean)
    }

    /// The table's rows, of the texts of its cells; the best mean of all is marked.
    var rows: [(cells: [String], isBest: Bool)] {
      let best = summaries.map(\.figure.mean).min()
      return summaries.map { s in
        let ece = s.statistic { $0.calibration.map { $0 * 100 } }
        let invariance = s.statistic { $0.invariance }.mean
        let parameters = s.results[0].canonicalizerParameters
        let kept = uprightAccuracy.map { String(format: "%.1f %%", (1 - s.figure.mean) / $0 * 100) }
        let cells =
          [
            s.method, s.kind.rawValue, s.text, sampling(s),
            s.isError
              ? String(format: "%.1f %%", invariance * 100) : String(format: "%.1e", invariance),
            ece.count > 0 ? String(format: "%.1f %%", ece.mean) : "–",
            String(format: "%.0f s", s.statistic { $0.trainSeconds }.mean),
            String(format: "%.0f µs", s.statistic { $0.inferenceMicroseconds }.mean),
            "\(parameters) + \(s.results[0].backboneParameters)",
          ] + (kept.map { [$0] } ?? [])
        return (cells, s.figure.mean == best)
      }
    }
  }

  var sections: [Section] {
    tasks.compactMap { task in
      let summaries = Summary.all(of: task, results)
      return summaries.isEmpty
        ? nil : Section(task: task, summaries: summaries, verdict: Verdict(task, summaries))
    }
  }

  var verdicts: [Verdict] { sections.compactMap(\.verdict) }

  // MARK: For machines

  private struct Document: Codable {
    let size: String
    let minutes: Double
    let instructionSet: String
    let verdicts: [Verdict]
    let results: [Result]
  }

  func json() throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(
      Document(
        size: size.rawValue, minutes: minutes,
        instructionSet: TensorCoreStatistics.instructionSet, verdicts: verdicts, results: results))
  }

  var csv: String {
    let header =
      "task,method,kind,seed,error,loss,valid,calibration,invariance,train_seconds,"
      + "inference_microseconds,upright_error,sampling_error,canonicalizer_parameters,backbone_parameters\n"
    let lines = results.map { r -> String in
      let numbers: [Double?] = [
        r.error, r.loss, r.valid, r.calibration, r.invariance, r.trainSeconds,
        r.inferenceMicroseconds, r.uprightError, r.sampling,
      ]
      let cells = numbers.map { $0.map { "\($0)" } ?? "" }
      return
        ([r.task, "\"\(r.method)\"", r.kind.rawValue, "\(r.seed)"] + cells
        + ["\(r.canonicalizerParameters)", "\(r.backboneParameters)"]).joined(separator: ",")
    }
    return header + lines.joined(separator: "\n") + "\n"
  }

  // MARK: For people

  var markdown: String {
    let parts = sections.map { section -> String in
      let table =
        "| \(section.header.joined(separator: " | ")) |\n"
        + "|\(section.header.map { _ in "---" }.joined(separator: "|"))|\n"
        + section.rows.map { row in
          let cells = row.isBest ? row.cells.map { "**\($0)**" } : row.cells
          return "| \(cells.joined(separator: " | ")) |\n"
        }.joined()
      let verdict = section.verdict.map { "\nOutcome: \($0.text).\n" } ?? ""
      return "## \(section.task.title)\n\n\(section.task.text)\n\n\(table)\(verdict)"
    }
    return "# Learned against heuristic canonicalization\n\n\(preface)\n\n\(summary)\n\n"
      + parts.joined(separator: "\n")
  }

  /// How to read the figures.
  var preface: String {
    let seeds = Set(results.map(\.seed)).count
    return
      "Mean ± standard deviation over \(seeds) seeds (\(size.rawValue) size); models, and the best method of a "
      + "kind, are chosen on the validation part only, and measured once on the test part. The sampling error, which all methods "
      + "of a task share, is what its test part leaves open by having only so many examples. Times are of one core, another at work beside it. Parameters "
      + "are those that are trained, before and in the backbone. The invariance error is the fraction of "
      + "predictions that change when the input is moved, or the root mean square of how far the output of a "
      + "moved input is from the moved output." + (remark.isEmpty ? "" : " \(remark)")
  }

  /// How often which was ahead.
  var summary: String {
    func count(_ outcome: Verdict.Outcome) -> Int { verdicts.count { $0.outcome == outcome } }
    return
      "Of \(verdicts.count) tasks the best learned canonicalizer is ahead of the best heuristic on "
      + "\(count(.learned)), the heuristic on \(count(.heuristic)), and on \(count(.undecided)) their means ± "
      + "standard deviations overlap."
  }

  /// Writes everything to a folder; plots as PNG where `rsvg-convert` is there.
  func write(to folder: String, sheets: [(title: String, path: String)]) throws {
    func save(_ text: String, _ name: String) throws {
      try text.write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
    }
    try json().write(to: URL(fileURLWithPath: "\(folder)/learning.json"))
    try save(csv, "learning.csv")
    try save(markdown, "learning.md")
    try save(Page(report: self, sheets: sheets).html, "learning.html")
    for chart in sections.map(\.chart) + curves {
      try save(chart.svg(.paper), "\(chart.id).svg")
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
      process.arguments = [
        "rsvg-convert", "--zoom", "2", "\(folder)/\(chart.id).svg", "-o",
        "\(folder)/\(chart.id).png",
      ]
      try process.run()
      process.waitUntilExit()
      guard process.terminationStatus == 0 else {
        throw BenchmarkError(
          description: "rsvg-convert (package librsvg2-bin) is missing: plots stay SVG.")
      }
      try FileManager.default.removeItem(atPath: "\(folder)/\(chart.id).svg")
    }
  }
}

extension Summary {
  /// The figure with its spread.
  var text: String {
    let f = figure
    return isError
      ? String(format: "%.2f ± %.2f %%", f.mean * 100, f.deviation * 100)
      : String(format: "%.5f ± %.5f", f.mean, f.deviation)
  }
}
