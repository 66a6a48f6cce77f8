import Canonicalization
import Datasets
import Symmetry
import TensorCore
import Training

/// A value of a row, for people and for programs.
enum Cell: Encodable {
  case text(String)
  case count(Int)
  case flag(Bool)
  /// With so many decimals in CSV; all of them where it is `nil`.
  case number(Double, Int?)

  func encode(to encoder: any Encoder) throws {
    switch self {
    case .text(let value): try value.encode(to: encoder)
    case .count(let value): try value.encode(to: encoder)
    case .flag(let value): try value.encode(to: encoder)
    case .number(let value, _): try value.encode(to: encoder)
    }
  }

  var csv: String {
    switch self {
    case .text(let value):
      value.utf8.contains { [0x2C, 0x22, 0x0A, 0x0D].contains($0) }
        ? "\"" + value.unicodeScalars.map { $0 == "\"" ? "\"\"" : String($0) }.joined() + "\""
        : value
    case .count(let value): "\(value)"
    case .flag(let value): "\(value)"
    case .number(let value, let decimals): decimals.map { value.formatted($0) } ?? "\(value)"
    }
  }
}

/// What is said of one input: columns with names in JSON, in CSV, and how they look in a table, if they do.
struct Row {
  typealias Column = (key: String, title: String, cell: Cell, shown: (title: String, text: String)?)
  let columns: [Column]

  /// - Parameters:
  ///   - name: Of the input.
  ///   - output: The task's result of it.
  ///   - least: Below which margin a pose is unsure, where the model was calibrated.
  init(
    _ name: String, _ pose: Pose<Motion>, output: Tensor?, of model: any Predictor,
    _ domain: any ReadableDomain, least: Double? = nil
  ) {
    var columns: [Column] = [
      (domain.noun.name, domain.noun.name, .text(name), (domain.noun.name, name))
    ]
    if let output, model.task.presentation == .classes {
      let count = model.classNames.count
      let scores = Array(output.elements.prefix(count))
      let best = scores.indices.reduce(0) { scores[$1] > scores[$0] ? $1 : $0 }
      let probability = Double(scores[best])
      // What is no number is no class.
      let word = probability.isFinite ? model.classNames[best] : ""
      columns.append(("class", "class", .text(word), ("class", word)))
      columns.append(
        (
          "probability", "probability", .number(probability, 4),
          ("probability", probability.isFinite ? (probability * 100).formatted(1) + " %" : "none")
        ))
      let rest = output.elements.dropFirst(count).map { Double($0) }
      if rest.count == 4 {
        for (key, value) in zip(["left", "top", "right", "bottom"], rest) {
          columns.append((key, key, .number(value, 2), (key, value.formatted(1))))
        }
      }
    }
    if model.domain is ImageDomain {
      let g = pose.element.planarIsometry
      let degrees = g.angle * 180 / .pi
      columns.append(
        (
          "degrees", "degrees", .number(degrees, 2),
          ("pose", degrees.formatted(1) + "°" + (g.isReflected ? " m" : ""))
        ))
      columns.append(("isReflected", "reflected", .flag(g.isReflected), nil))
    }
    columns.append(
      (
        "margin", "margin", .number(Double(pose.margin), nil),
        ("margin", Double(pose.margin).formatted(4))
      ))
    if let least {
      let isUnsure = !pose.isSure(least)
      columns.append(
        ("isUnsure", "unsure", .flag(isUnsure), ("unsure", isUnsure ? "unsure" : "")))
    }
    let ties = pose.ties.count
    columns.append(("ties", "ties", .count(ties), ("ties", ties == 0 ? "" : "\(ties)")))
    self.columns = columns
  }

  var json: [String: Cell] { Dictionary(columns.map { ($0.key, $0.cell) }) { $1 } }
  var csv: String { columns.map(\.cell.csv).joined(separator: ",") }
  var shown: [String] { columns.compactMap { $0.shown?.text } }
}
