import Charts
import Foundation

/// All results, as a table for people to read and one page to look at.
struct Report {
  let tasks: [Task]
  let results: [Result]
  let isFull: Bool

  static let preface =
    "Every method is trained from each seed on the same drawn data, chosen on the validation part and measured "
    + "once on the test part: mean ± standard deviation over seeds. A hit-rate is how often the code that steps lead to is "
    + "nearest to the code of the picture there, among 32 (one in 32 by chance). Poses are measured after each "
    + "orbit's own translation, in radians or halves of the side. Published figures are of other pictures, sizes "
    + "and networks."

  private func statistic(_ task: Task, _ method: Method, _ figure: String) -> Statistic? {
    let values = results.filter { $0.task == task.id && $0.method == method.name }
      .compactMap { $0.figures[figure] }
    return values.isEmpty ? nil : Statistic(values)
  }

  private func text(_ value: Statistic?) -> String {
    value.map {
      let digits = $0.mean < 0.1 ? 5 : 3
      return String(format: "%.\(digits)f ± %.\(digits)f", $0.mean, $0.deviation)
    } ?? "–"
  }

  private func rows(_ task: Task) -> [[String]] {
    task.methods.map { method in
      let seconds = results.filter { $0.task == task.id && $0.method == method.name }
        .map(\.trainSeconds)
      return [method.name + (method.isBaseline ? " (baseline)" : "")]
        + task.figures.map { figure in
          text(statistic(task, method, figure))
            + (method.published[figure].map { " [paper \($0)]" } ?? "")
        } + [String(format: "%.0f s", Statistic(seconds).mean)]
    }
  }

  /// The first figure; of methods that are tried at several values of a setting as lines over these, and how far models are from
  /// equivariance beside the data.
  private func charts(_ task: Task) -> [Chart] {
    guard let setting = task.methods.first?.setting?.name else {
      return [
        Chart(
          id: task.id, title: "\(task.title): \(task.figures[0])", xLabel: task.figures[0],
          yLabel: "",
          content: .bars(
            task.methods.compactMap { method in
              statistic(task, method, task.figures[0]).map {
                Chart.Bar(name: method.name, color: method.isBaseline ? 0 : 4, value: $0)
              }
            }))
      ]
    }
    var names: [String] = []
    for method in task.methods where !names.contains(method.family) { names.append(method.family) }
    func lines(_ figure: String, _ more: [Chart.Series] = []) -> Chart {
      let series = names.map { name in
        Chart.Series(
          name: name,
          points: task.methods.filter { $0.family == name }.compactMap { method in
            statistic(task, method, figure).flatMap { value in
              method.setting.map { (x: $0.value, mean: value.mean, deviation: value.deviation) }
            }
          })
      }
      return Chart(
        id: "\(task.id)-\(figure.prefix(1))", title: "\(task.title): \(figure)", xLabel: setting,
        yLabel: figure, content: .lines(series + more, isLogarithmic: false))
    }
    let data = Chart.Series(
      name: "data",
      points: task.methods.filter { $0.family == names[0] }.compactMap { method in
        statistic(task, method, "ε of the data").flatMap { value in
          method.setting.map { (x: $0.value, mean: value.mean, deviation: 0) }
        }
      })
    return [lines(task.figures[0])]
      + (task.figures.contains("ε of the model") ? [lines("ε of the model", [data])] : [])
  }

  /// The curves of a task's models, a chart a figure.
  private func looks(_ task: Task) -> [Chart] {
    let all = task.methods.flatMap { method in
      results.filter { $0.task == task.id && $0.method == method.name }.flatMap { $0.curves ?? [] }
    }
    return Chart.looks.compactMap { look in
      let own = all.filter { $0.figure == look.figure }
      guard !own.isEmpty else { return nil }
      return Chart(
        id: "\(task.id)-\(look.figure)", title: look.title, xLabel: look.x, yLabel: look.y,
        content: .lines(
          own.map { curve in
            Chart.Series(
              name: curve.name, points: curve.points.map { (x: $0[0], mean: $0[1], deviation: 0) })
          }, isLogarithmic: false))
    }
  }

  /// How far the first figure of the best method is from the best baseline's, in words: for each value of a setting.
  private func verdict(_ task: Task) -> String? {
    var settings: [Double?] = []
    for method in task.methods where !settings.contains(method.setting?.value) {
      settings.append(method.setting?.value)
    }
    let all = settings.compactMap { value in
      verdict(task, task.methods.filter { $0.setting?.value == value })
    }
    return all.isEmpty ? nil : "\(task.figures[0]): " + all.joined(separator: " ")
  }

  private func verdict(_ task: Task, _ methods: [Method]) -> String? {
    func best(_ isBaseline: Bool) -> (name: String, value: Statistic)? {
      methods.filter { $0.isBaseline == isBaseline }
        .compactMap { method in statistic(task, method, task.figures[0]).map { (method.name, $0) } }
        .min {
          task.isError ? $0.1.mean < $1.1.mean : $0.1.mean > $1.1.mean
        }
    }
    guard let ours = best(false), let other = best(true) else { return nil }
    let gap = ours.value.mean - other.value.mean
    let isWithin = abs(gap) <= max(ours.value.deviation, other.value.deviation)
    let spread = isWithin ? ", within the spread." : "."
    if task.isError {
      return
        "\(ours.name) has \(text(ours.value)), \(other.name) \(String(format: "%.1f", other.value.mean / ours.value.mean)) times as much\(spread)"
    }
    return "\(ours.name) has \(text(ours.value)), \(String(format: "%.2f", abs(gap))) "
      + (gap >= 0 ? "more" : "less") + " than \(other.name)\(spread)"
  }

  var markdown: String {
    let sections = tasks.map { task in
      let header = ["method"] + task.figures + ["training"]
      let lines = [header, header.map { _ in "---" }] + rows(task)
      return "## \(task.title)\n\n\(task.text)\n\n" + (verdict(task).map { $0 + "\n\n" } ?? "")
        + lines.map { "| " + $0.joined(separator: " | ") + " |" }.joined(separator: "\n")
    }
    return "# Latent spaces\n\n\(Report.preface)\n\n" + sections.joined(separator: "\n\n") + "\n"
  }

  var html: String {
    let sections = tasks.map { task in
      let header = (["method"] + task.figures + ["training"])
        .map { "<th>\(escaped($0))</th>" }.joined()
      let body = rows(task).map { row in
        "<tr>" + row.map { "<td>\(escaped($0))</td>" }.joined() + "</tr>"
      }.joined(separator: "\n")
      return """
        <section><h2>\(escaped(task.title))</h2>
        <p>\(escaped(task.text))</p>
        \(verdict(task).map { "<p><strong>Outcome:</strong> \(escaped($0))</p>" } ?? "")
        \((charts(task) + looks(task)).map { "<figure>\($0.svg(.page))</figure>" }.joined(separator: "\n"))
        <div class="wide"><table><thead><tr>\(header)</tr></thead><tbody>\(body)</tbody></table></div>
        </section>
        """
    }
    return htmlPage(
      title: "canon: latent spaces",
      """
      <h1>Latent spaces\(isFull ? ", with the papers' sizes" : "")</h1>
      <p>Class-pose encoders and distributed operators, beside the baselines of their papers.</p>
      <p class="note">\(escaped(Report.preface))</p>
      \(sections.joined(separator: "\n"))
      """)
  }

  func write(to out: String) throws {
    try markdown.write(toFile: "\(out)/latent.md", atomically: true, encoding: .utf8)
    try html.write(toFile: "\(out)/latent.html", atomically: true, encoding: .utf8)
  }
}
