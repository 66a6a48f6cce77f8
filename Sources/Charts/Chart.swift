import Foundation

/// A plot as SVG, in the colors of a page or of paper.
public struct Chart {
  /// Points of one method, from left to right.
  public struct Series {
    public let name: String
    public let points: [(x: Double, mean: Double, deviation: Double)]

    public init(name: String, points: [(x: Double, mean: Double, deviation: Double)]) {
      (self.name, self.points) = (name, points)
    }
  }

  /// A bar of a method.
  public struct Bar {
    public let name: String
    /// Which of the seven colors it has.
    public let color: Int
    public let value: Statistic

    public init(name: String, color: Int, value: Statistic) {
      (self.name, self.color, self.value) = (name, color, value)
    }
  }

  public enum Content {
    /// A bar a method, with its standard deviation.
    case bars([Bar])
    case lines([Series], isLogarithmic: Bool)
    /// How many lie between each edge and the next.
    case histogram(edges: [Double], counts: [Int])
  }

  public let id, title, xLabel, yLabel: String
  public let content: Content

  public init(id: String, title: String, xLabel: String, yLabel: String, content: Content) {
    (self.id, self.title, self.xLabel, self.yLabel) = (id, title, xLabel, yLabel)
    self.content = content
  }

  /// Where colors come from: the page's style, which follows its reader's light or dark, or fixed ones.
  public enum Theme {
    case page, paper

    func color(_ name: String) -> String {
      if self == .page { return "var(--\(name))" }
      return Theme.light[name] ?? "#000000"
    }

    /// Colors on paper, and on a page that is read by day.
    private static let light = [
      "text": "#1c1e21", "faint": "#d4d7db", "ground": "#ffffff", "soft": "#f4f5f7",
      "c0": "#8a8f98",
      "c1": "#b9770e", "c2": "#c0392b", "c3": "#7d5ba6", "c4": "#1f6fb2", "c5": "#1e8449",
      "c6": "#0e7c86",
    ]
    private static let dark = [
      "text": "#e4e6ea", "faint": "#3b4048", "ground": "#16181c", "soft": "#20242a",
      "c0": "#8f959f",
      "c1": "#e0a030", "c2": "#e86a5c", "c3": "#b494dd", "c4": "#5aaae8", "c5": "#52b97c",
      "c6": "#4fc3cf",
    ]

    /// The colors by name, for the page's style.
    public static var style: String {
      func root(_ colors: [String: String]) -> String {
        ":root { " + colors.sorted { $0.key < $1.key }.map { "--\($0): \($1); " }.joined() + "}"
      }
      return """
        :root { color-scheme: light dark; }
        \(root(light))
        @media screen and (prefers-color-scheme: dark) { \(root(dark)) }
        """
    }
  }

  public func svg(_ theme: Theme) -> String {
    switch content {
    case .bars(let bars): barsSVG(bars, theme)
    case .lines(let series, let isLogarithmic): linesSVG(series, isLogarithmic, theme)
    case .histogram(let edges, let counts): histogramSVG(edges, counts, theme)
    }
  }

  private var height: Int {
    switch content {
    case .bars(let bars):
      98 + 26 * bars.count { $0.value.mean.isFinite && $0.value.deviation.isFinite }
    case .lines: 385
    case .histogram: 305
    }
  }

  /// Several charts, one below the other, as one picture.
  public static func column(_ charts: [Chart], _ theme: Theme) -> String {
    var (body, top) = ("", 0)
    for chart in charts {
      body +=
        "<svg y=\"\(top)\" width=\"780\" height=\"\(chart.height)\"" + chart.svg(theme).dropFirst(4)
      top += chart.height
    }
    return "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 780 \(top)\">\(body)</svg>"
  }

  private func frame(_ theme: Theme, _ body: String) -> String {
    let ground =
      theme == .paper
      ? "<rect width=\"100%\" height=\"100%\" fill=\"\(theme.color("ground"))\"/>" : ""
    return """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 780 \(height)" role="img" \
      aria-label="\(escaped(title))" font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="13" \
      fill="\(theme.color("text"))">\(ground)<text x="12" y="22" font-size="15" font-weight="bold">\
      \(escaped(title))</text>\(body)</svg>
      """
  }

  // MARK: Bars

  private func barsSVG(_ bars: [Bar], _ theme: Theme) -> String {
    let (left, right, top, row) = (210.0, 690.0, 44.0, 26.0)
    let bars = bars.filter { $0.value.mean.isFinite && $0.value.deviation.isFinite }
    let largest = bars.map { $0.value.mean + $0.value.deviation }.max() ?? 1
    let ticks = niceTicks(0, largest)
    let scale = { (v: Double) in left + (right - left) * v / max(ticks.last ?? 1, largest) }
    let bottom = top + row * Double(bars.count)
    var body = grid(ticks, theme) {
      "x1=\"\(scale($0).short)\" x2=\"\(scale($0).short)\" y1=\"\(top)\" y2=\"\(bottom.short)\""
    }
    for tick in ticks {
      body += text(tick.label, scale(tick), bottom + 18, "middle")
    }
    for (i, bar) in bars.enumerated() {
      let y = top + row * Double(i)
      let (from, to) = (bar.value.mean - bar.value.deviation, bar.value.mean + bar.value.deviation)
      body += text(bar.name, left - 8, y + 18, "end")
      body +=
        "<rect x=\"\(left)\" y=\"\((y + 4).short)\" width=\"\((scale(bar.value.mean) - left).short)\" height=\"\((row - 8).short)\" fill=\"\(theme.color("c\(bar.color % 7)"))\"/>"
      body +=
        "<path d=\"M\(scale(max(0, from)).short) \((y + row / 2).short)H\(scale(to).short)\" stroke=\"\(theme.color("text"))\" stroke-width=\"2\"/>"
      body += text(bar.value.mean.label3, scale(to) + 8, y + 18, "start")
    }
    body += text(xLabel, (left + right) / 2, bottom + 40, "middle")
    return frame(theme, body)
  }

  // MARK: Lines

  private func linesSVG(_ series: [Series], _ isLogarithmic: Bool, _ theme: Theme) -> String {
    let (left, right, top, bottom) = (70.0, 560.0, 48.0, 330.0)
    // What is no number has no place.
    let series = series.map { one in
      Series(
        name: one.name,
        points: one.points.filter { $0.x.isFinite && $0.mean.isFinite && $0.deviation.isFinite })
    }
    let all = series.flatMap(\.points)
    let xs = Array(Set(all.map(\.x))).sorted()
    let place = { (x: Double) in isLogarithmic ? log2(x) : x }
    let (first, last) = (place(xs.first ?? 0), place(xs.last ?? 1))
    let x = { (v: Double) in left + (right - left) * (place(v) - first) / max(last - first, 1e-9) }
    let ticks = niceTicks(
      min(0, all.map { $0.mean - $0.deviation }.min() ?? 0),
      all.map { $0.mean + $0.deviation }.max() ?? 1)
    let (low, high) = (min(0, ticks.first ?? 0), max(ticks.last ?? 1, 1e-12))
    let y = { (v: Double) in bottom - (bottom - top) * (v - low) / (high - low) }
    var body = grid(ticks, theme) {
      "x1=\"\(left)\" x2=\"\(right)\" y1=\"\(y($0).short)\" y2=\"\(y($0).short)\""
    }
    for tick in ticks { body += text(tick.label, left - 8, y(tick) + 4, "end") }
    let shown =
      xs.count > 8
      ? niceTicks(xs[0], xs[xs.count - 1]).filter { $0 >= xs[0] && $0 <= xs[xs.count - 1] } : xs
    for tick in shown { body += text(tick.label, x(tick), bottom + 18, "middle") }
    for (i, one) in series.enumerated() {
      let color = theme.color("c\(i % 7)")
      let dash = ["", "6 3", "2 3", "9 3 2 3"][i % 4]
      let path = one.points.enumerated().map { k, p in
        "\(k == 0 ? "M" : "L")\(x(p.x).short) \(y(p.mean).short)"
      }.joined()
      body +=
        "<path d=\"\(path)\" fill=\"none\" stroke=\"\(color)\" stroke-width=\"2.5\" stroke-dasharray=\"\(dash)\"/>"
      for p in one.points where p.deviation > 0 {
        body +=
          "<path d=\"M\(x(p.x).short) \(y(max(low, p.mean - p.deviation)).short)V\(y(p.mean + p.deviation).short)\" stroke=\"\(color)\" stroke-width=\"1.5\"/>"
      }
      if one.points.count < 10 {
        for p in one.points {
          body +=
            "<circle cx=\"\(x(p.x).short)\" cy=\"\(y(p.mean).short)\" r=\"3.5\" fill=\"\(color)\"/>"
        }
      }
      let line = top + 10 + 22 * Double(i)
      body +=
        "<path d=\"M\(right + 20) \(line.short)h26\" stroke=\"\(color)\" stroke-width=\"2.5\" stroke-dasharray=\"\(dash)\"/>"
      body += text(one.name, right + 54, line + 4, "start")
    }
    body += text(xLabel, (left + right) / 2, bottom + 42, "middle")
    body +=
      "<text transform=\"translate(18 \(((top + bottom) / 2).short)) rotate(-90)\" text-anchor=\"middle\">\(escaped(yLabel))</text>"
    return frame(theme, body)
  }

  // MARK: Histograms

  private func histogramSVG(_ edges: [Double], _ counts: [Int], _ theme: Theme) -> String {
    let (left, right, top, bottom) = (70.0, 750.0, 48.0, 250.0)
    let (low, high) = (edges.first ?? 0, edges.last ?? 1)
    let x = { (v: Double) in left + (right - left) * (v - low) / max(high - low, 1e-12) }
    let ticks = niceTicks(0, Double(max(1, counts.max() ?? 1)))
    let y = { (v: Double) in bottom - (bottom - top) * v / (ticks.last ?? 1) }
    var body = grid(ticks, theme) {
      "x1=\"\(left)\" x2=\"\(right)\" y1=\"\(y($0).short)\" y2=\"\(y($0).short)\""
    }
    for tick in ticks { body += text(tick.label, left - 8, y(tick) + 4, "end") }
    for tick in niceTicks(low, high) where tick >= low && tick <= high {
      body += text(tick.label, x(tick), bottom + 18, "middle")
    }
    for (n, count) in counts.enumerated() where n + 1 < edges.count && count > 0 {
      let (from, to) = (x(edges[n]), x(edges[n + 1]))
      let height = bottom - y(Double(count))
      body +=
        "<rect x=\"\((from + 0.5).short)\" y=\"\((bottom - height).short)\" width=\"\(max(1, to - from - 1).short)\" height=\"\(height.short)\" fill=\"\(theme.color("c4"))\"><title>\(edges[n].label)…\(edges[n + 1].label): \(count)</title></rect>"
    }
    body += text(xLabel, (left + right) / 2, bottom + 42, "middle")
    body +=
      "<text transform=\"translate(18 \(((top + bottom) / 2).short)) rotate(-90)\" text-anchor=\"middle\">\(escaped(yLabel))</text>"
    return frame(theme, body)
  }

  private func grid(_ ticks: [Double], _ theme: Theme, _ ends: (Double) -> String) -> String {
    ticks.map { "<line \(ends($0)) stroke=\"\(theme.color("faint"))\"/>" }.joined()
  }

  private func text(_ string: String, _ x: Double, _ y: Double, _ anchor: String) -> String {
    "<text x=\"\(x.short)\" y=\"\(y.short)\" text-anchor=\"\(anchor)\">\(escaped(string))</text>"
  }
}

/// Round numbers from at most `low` to at least `high`.
public func niceTicks(_ low: Double, _ high: Double) -> [Double] {
  guard low.isFinite, high.isFinite, (high - low).isFinite else { return [0, 1] }
  let span = max(high - low, 1e-12)
  let rough = pow(10, (log10(span / 5)).rounded(.down))
  let step = [1, 2, 2.5, 5, 10].map { $0 * rough }.first { span / $0 <= 6 } ?? rough * 10
  let from = (low / step).rounded(.down)
  return (0...Int((high / step).rounded(.up) - from)).map { (from + Double($0)) * step }
}

extension Double {
  /// With one decimal, for coordinates.
  fileprivate var short: String { String(format: "%.1f", self) }
  /// As short as it is exact, for ticks.
  fileprivate var label: String { String(format: "%g", (self * 1e9).rounded() / 1e9) }
  /// With three digits.
  public var label3: String { String(format: "%.3g", self) }
}

/// A text as HTML and SVG want it.
public func escaped(_ text: String) -> String {
  text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
    .replacingOccurrences(of: ">", with: "&gt;").replacingOccurrences(of: "\"", with: "&quot;")
}
