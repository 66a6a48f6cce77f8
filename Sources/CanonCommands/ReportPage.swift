import Charts
import Foundation
import Images
import Symmetry
import TensorCore
import Training

/// The page of `canon report`.
struct ReportPage {
  private let figures: ReportFigures
  private let areImages: Bool

  init(_ figures: ReportFigures, of areImages: Bool) {
    (self.figures, self.areImages) = (figures, areImages)
  }

  private var tellsClasses: Bool { figures.quality.error != nil && !figures.classNames.isEmpty }

  var html: String {
    get throws {
      let parts: [String] = [
        heading, table, confusion, reliability, byAngle, poses, try cards(), invariance,
      ]
      return htmlPage(
        title: "canon report: \(figures.model)",
        parts.filter { !$0.isEmpty }.joined(separator: "\n"))
    }
  }

  private var heading: String {
    let facts = figures.summary.map {
      "<dt>\(escaped($0.name))</dt><dd>\(escaped($0.value))</dd>"
    }.joined()
    return """
      <h1>\(escaped(figures.model.visible))</h1>
      <p>\(figures.examples.count) examples of <b>\(escaped(figures.data.visible))</b>.</p>
      <dl>\(facts)</dl>
      """
  }

  private func percent(_ value: Double) -> String { "\((100 * value).formatted(2)) %" }

  private var table: String {
    let quality = figures.quality
    let examples = figures.examples
    let acted = figures.least.map { least in examples.count { $0.margin >= least } }
    func row(_ name: String, _ value: String?, _ meaning: String) -> String {
      value.map {
        "<tr><td>\(name)</td><td class=\"number\">\($0)</td><td>\(meaning)</td></tr>"
      } ?? ""
    }
    let sampling = quality.errorSampling.map { " ± \(percent($0))" } ?? ""
    return """
      <h2>Figures</h2><div class="wide"><table><thead><tr><th>figure</th><th class="number">value</th><th></th></tr></thead><tbody>
      \(row("error", quality.error.map { percent($0) + sampling }, "examples whose class is wrong, ± what chance leaves open with so many examples"))
      \(row("acted on", acted.map { "\($0) of \(examples.count)" }, "a margin of \((figures.least ?? 0).formatted(2)) or more; the others are left as they are"))
      \(row("moved", figures.isOfPoses ? "\(examples.count { $0.isMoved && $0.margin >= figures.least ?? -.infinity })" : nil, "of these those that do not come in canonical pose"))
      \(row("loss", figures.isOfPoses ? nil : quality.loss.formatted(4), tellsClasses ? "cross entropy of the true class" : "mean squared error"))
      \(row("calibration error", quality.calibrationError.map(percent), "how far probabilities are from how often they are right (ECE, 15 bins)"))
      \(row("ties", "\(figures.examples.count { $0.ties > 0 })", "inputs of which several poses are as good"))
      </tbody></table></div>
      """
  }

  /// Which classes are taken for which: as a table where it can be read, else the most frequent mistakes.
  private var confusion: String {
    guard tellsClasses else { return "" }
    let (counts, names) = (figures.confusion, figures.classNames)
    var mistakes: [(count: Int, text: String)] = []
    for (label, row) in counts.enumerated() {
      for (told, count) in row.enumerated() where told != label && count > 0 {
        mistakes.append(
          (
            count,
            "<tr><td>\(escaped(names[label].visible))</td><td>\(escaped(names[told].visible))</td><td class=\"number\">\(count)</td></tr>"
          ))
      }
    }
    let list = mistakes.sorted { $0.count > $1.count }.prefix(12).map(\.text).joined()
    let most =
      list.isEmpty
      ? "<p>Nothing was taken for something else.</p>"
      : "<div class=\"wide\"><table><thead><tr><th>is</th><th>was taken for</th><th class=\"number\">times</th></tr></thead><tbody>\(list)</tbody></table></div>"
    guard names.count <= 24 else { return "<h2>Mistakes</h2>\(most)" }
    let head = names.map { "<th>\(escaped($0.visible))</th>" }.joined()
    let body = counts.enumerated().map { label, row in
      let total = max(1, row.reduce(0, +))
      let cells = row.enumerated().map { told, count in
        let share = 100 * Double(count) / Double(total)
        let color = told == label ? "c5" : "c2"
        // A few mistakes are to be seen too.
        let strength = count == 0 ? 0 : min(85, (told == label ? 0 : 12) + share * 0.8)
        return
          "<td style=\"background: color-mix(in srgb, var(--\(color)) \(Int(strength))%, transparent)\">\(count == 0 ? "" : "\(count)")</td>"
      }.joined()
      return "<tr><th>\(escaped(names[label].visible))</th>\(cells)</tr>"
    }.joined()
    return """
      <h2>Which class is taken for which</h2>
      <p class="note">A row is a class, a column what it was taken for.</p>
      <div class="wide"><table class="matrix"><thead><tr><th></th>\(head)</tr></thead><tbody>\(body)</tbody></table></div>
      <h2>Mistakes</h2>\(most)
      """
  }

  private func figure(_ chart: Chart, _ caption: String) -> String {
    "<figure><figcaption class=\"note\">\(caption)</figcaption>\(chart.svg(.page))</figure>"
  }

  private var reliability: String {
    let bins = figures.reliability
    guard tellsClasses, !bins.isEmpty else { return "" }
    let own = Chart.Series(
      name: "measured",
      points: bins.map { bin in
        let spread = (bin.right * (1 - bin.right) / Double(bin.count)).squareRoot()
        return (bin.probability, bin.right, spread)
      })
    let ideal = Chart.Series(name: "as promised", points: [(0, 0, 0), (1, 1, 0)])
    return "<h2>Can probabilities be believed?</h2>"
      + figure(
        Chart(
          id: "reliability", title: "How often a class is right",
          xLabel: "probability that it was told with",
          yLabel: "part that is right", content: .lines([own, ideal], isLogarithmic: false)),
        "Above the line the model is better than it says, below it worse. A point stands for the examples of a tenth of the range, where there are five at least; bars are one standard error."
      )
  }

  private var byAngle: String {
    guard !figures.byAngle.isEmpty else { return "" }
    let name = figures.isOfPoses ? "pose off" : tellsClasses ? "error" : "loss"
    return "<h2>By the angle at which images come</h2>"
      + figure(
        Chart(
          id: "angles", title: "\(name) of turned images", xLabel: "degrees",
          yLabel: figures.isOfPoses ? "degrees, on average" : name,
          content: .lines(
            [.init(name: name, points: figures.byAngle.map { ($0.degrees, $0.value, 0) })],
            isLogarithmic: false)),
        "Of \(figures.turnedCount) examples, turned further. A model that is equivariant has a level line"
          + (figures.isOfPoses
            ? " at 0; one that is made for some angles alone is off at the others."
            : ", up to what interpolation does.")
      )
  }

  private var poses: String {
    var parts: [String] = []
    let count = max(1, figures.examples.count)
    if areImages {
      let edges = stride(from: -180.0, through: 180, by: 15).map { $0 }
      parts.append(
        figure(
          Chart(
            id: "poses", title: "Poses that were found", xLabel: "degrees, counterclockwise",
            yLabel: "examples", content: histogram(figures.examples.map(\.degrees), edges)),
          "How far each image was turned against its canonical form."))
    }
    let margins = figures.examples.map(\.margin).filter(\.isFinite).sorted()
    if let first = margins.first, let last = margins.last, last > first {
      // Without the few largest, which would leave all others in one bar.
      let top = margins[min(margins.count - 1, Int(0.98 * Double(margins.count)))]
      let high = top > first ? top : last
      let edges = (0...30).map { first + (high - first) * Double($0) / 30 }
      parts.append(
        figure(
          Chart(
            id: "margins", title: "Margins", xLabel: "margin", yLabel: "examples",
            content: histogram(margins.map { min($0, high) }, edges)),
          "How far the pose found is ahead of the next, in the canonicalizer's own units; near 0 it could be another one. "
            + "The largest fiftieth is in the last bar."
            + (margins.count < count
              ? " \(count - margins.count) examples have a margin without end, or none." : "")
        ))
    }
    return parts.isEmpty ? "" : "<h2>Poses and margins</h2>" + parts.joined()
  }

  private func histogram(_ values: [Double], _ edges: [Double]) -> Chart.Content {
    var counts = [Int](repeating: 0, count: edges.count - 1)
    let (low, high) = (edges[0], edges[edges.count - 1])
    for value in values where value >= low && value <= high {
      let place: Double = (value - low) / (high - low) * Double(counts.count)
      counts[min(counts.count - 1, Int(place))] += 1
    }
    return .histogram(edges: edges, counts: counts)
  }

  private func cards() throws -> String {
    func list(_ title: String, _ note: String, _ cards: [ReportFigures.Card]) throws -> String {
      guard !cards.isEmpty else { return "" }
      return try "<h2>\(title)</h2><p class=\"note\">\(note)</p><div class=\"cards\">"
        + cards.map(card).joined() + "</div>"
    }
    let worst =
      figures.isOfPoses
      ? (
        "Moved with the smallest margins",
        "The likeliest mistakes among those that are acted on: as they came, and in canonical form."
      ) : ("The worst", "Those of the largest loss: as they came, and in canonical form.")
    return try list(worst.0, worst.1, figures.worst)
      + list(
        "The least sure", "Those of the smallest margins: as they came, and in canonical form.",
        figures.unsure)
  }

  private func card(_ card: ReportFigures.Card) throws -> String {
    let one = card.example
    func name(_ place: Int) -> String {
      figures.classNames.indices.contains(place)
        ? escaped(figures.classNames[place].visible) : "no class"
    }
    var lines = [escaped(one.name.visible)]
    if tellsClasses {
      lines.append(
        one.told == one.label
          ? "<b>\(name(one.label))</b>, \(percent(one.probability))"
          : "<b>\(name(one.label))</b>, taken for <b>\(name(one.told))</b>, \(percent(one.probability))"
      )
    } else if !figures.isOfPoses {
      lines.append("loss \(one.loss.formatted(5))")
    }
    lines.append(
      (areImages ? "\(one.degrees.formatted(1))°, " : "") + "margin \(one.margin.formatted(3))"
        + (one.ties > 0 ? ", \(one.ties) ties" : ""))
    return try """
    <div class="card"><div><img alt="input" src="\(card.input.dataAddress)"><img alt="canonical form" src="\(card.form.dataAddress)"></div>
    \(lines.joined(separator: "<br>"))</div>
    """
  }

  private var invariance: String {
    guard !figures.deviations.isEmpty else { return "" }
    let rows = figures.deviations.map { row in
      "<tr><td>\(escaped(row.element.text))</td>"
        + ([row.pose, row.form] + (figures.isOfPoses ? [] : [row.output])).flatMap {
          [$0.maximum, $0.mean]
        }.map { "<td class=\"number\">\($0 == 0 ? "0" : $0.label3)</td>" }.joined() + "</tr>"
    }.joined()
    let quantities = ["pose", "form"] + (figures.isOfPoses ? [] : ["output"])
    let head = quantities.map {
      "<th class=\"number\">\($0), largest</th><th class=\"number\">mean</th>"
    }.joined()
    return """
      <h2>How far from equivariance</h2>
      <p class="note">Of \(figures.movedCount) examples, moved by elements of the group that the model claims, or, where it claims none, of the one that its data are drawn in all poses of: poses against moved poses (in the group's metric, radians for turns), \(figures.isOfPoses ? "forms" : "forms and outputs") against those of the example. 0 is exact.</p>
      <div class="wide"><table><thead><tr><th>element</th>\(head)</tr></thead><tbody>\(rows)</tbody></table></div>
      """
  }
}

extension Image {
  /// The image as an address that a page can hold: PNG, at most 256 pixels wide.
  fileprivate var dataAddress: String {
    get throws {
      let path = NSTemporaryDirectory() + "/" + Files.partialName("report") + ".png"
      defer { try? FileManager.default.removeItem(atPath: path) }
      var small = self
      if max(width, height) > 256 {
        let kept = channels >= 3 ? 3 : 1
        small = Image(modelInput(size: 256, channels: kept)[0])
      }
      try small.write(to: path)
      guard let bytes = Files.bytes(of: path) else {
        throw ImageError.unwritable(path: path, reason: "it is gone")
      }
      return "data:image/png;base64," + Data(bytes).base64EncodedString()
    }
  }
}
