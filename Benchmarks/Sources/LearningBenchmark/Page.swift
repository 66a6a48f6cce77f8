import Charts
import Foundation

/// The report as one HTML file that needs nothing else.
struct Page {
  let report: Report
  let sheets: [(title: String, path: String)]

  var html: String {
    htmlPage(
      title: "canon: learned against heuristic canonicalization",
      """
      <h1>Learned against heuristic canonicalization</h1>
      <p>\(escaped(report.summary))</p>
      \(outcomes)
      <p class="note">\(escaped(report.preface))</p>
      \(Page.glossary)
      \(report.sections.map(section).joined(separator: "\n"))
      <section><h2>Curves</h2>
      \(report.curves.map { "<figure>\($0.svg(.page))</figure>" }.joined(separator: "\n"))
      </section>
      <section><h2>Canonical forms</h2>
      \(sheets.map(sheet).joined(separator: "\n"))
      </section>
      """)
  }

  private var outcomes: String {
    let rows = report.verdicts.map { v in
      let mark = [Verdict.Outcome.learned: "learned", .heuristic: "heuristic"][v.outcome] ?? "–"
      return "<tr><td>\(escaped(v.task))</td><td class=\"\(v.outcome.rawValue)\">\(mark)</td>"
        + "<td>\(escaped(v.learned))</td><td class=\"number\">\(figure(v.learnedFigure, v))</td>"
        + "<td>\(escaped(v.heuristic))</td><td class=\"number\">\(figure(v.heuristicFigure, v))</td></tr>"
    }
    return
      "<div class=\"wide\"><table><thead><tr><th>task</th><th>ahead</th><th>best learned</th><th></th>"
      + "<th>best heuristic</th><th></th></tr></thead><tbody>\(rows.joined(separator: "\n"))</tbody></table></div>"
  }

  private func figure(_ value: Statistic, _ verdict: Verdict) -> String {
    let isError =
      report.sections.first { $0.task.title == verdict.task }?.summaries.first?.isError ?? true
    return isError
      ? String(format: "%.2f ± %.2f %%", value.mean * 100, value.deviation * 100)
      : String(format: "%.5f ± %.5f", value.mean, value.deviation)
  }

  private func section(_ section: Report.Section) -> String {
    let header = section.header.enumerated().map { i, name in
      "<th\(i > 1 ? " class=\"number\"" : "")>\(name)</th>"
    }.joined()
    let rows = section.rows.map { row in
      let cells = row.cells.enumerated().map { i, cell in
        "<td\(i > 1 ? " class=\"number\"" : "")>\(escaped(cell))</td>"
      }.joined()
      return "<tr\(row.isBest ? " class=\"best\"" : "")>\(cells)</tr>"
    }
    let verdict =
      section.verdict.map { "<p><strong>Outcome:</strong> \(escaped($0.text)).</p>" } ?? ""
    return """
      <section><h2>\(escaped(section.task.title))</h2>
      <p>\(escaped(section.task.text))</p>
      \(verdict)
      <figure>\(section.chart.svg(.page))</figure>
      <div class="wide"><table><thead><tr>\(header)</tr></thead>
      <tbody>\(rows.joined(separator: "\n"))</tbody></table></div>
      </section>
      """
  }

  private func sheet(_ sheet: (title: String, path: String)) -> String {
    let data = (try? Data(contentsOf: URL(fileURLWithPath: sheet.path))) ?? Data()
    return
      "<figure><figcaption>\(escaped(sheet.title))</figcaption><img alt=\"\(escaped(sheet.title))\" "
      + "src=\"data:image/png;base64,\(data.base64EncodedString())\"></figure>"
  }

  /// The words of the tables, for those who do not build such things.
  private static let glossary: String = {
    let words = [
      ("none", "the network alone."),
      (
        "learned, heuristic",
        "the pose is found by a network, or by a rule without training; a marked row has the smallest error."
      ),
      ("frame", "outputs are averaged over several poses; “top 8”: over the eight best."),
      ("template", "one learned picture, compared with the input in every pose."),
      ("orbit", "any network, asked for every pose of the input."),
      ("frozen", "what is not trained."),
      ("steerable", "a network whose features turn with the image, by any angle."),
      ("adaptive", "each class is scored in the pose that suits it best."),
      ("hilbert", "points are put in the order of a curve that fills the plane."),
      (
        "PCA",
        "the direction in which an image or a set spreads most; “+ sign”: towards its longer tail."
      ),
      (
        "ECE", "the expected calibration error: how far confidence is from being right, on average."
      ),
    ]
    return "<details><summary>Words</summary><dl>"
      + words.map { "<dt>\(escaped($0.0))</dt><dd>\(escaped($0.1))</dd>" }.joined()
      + "</dl></details>"
  }()
}
