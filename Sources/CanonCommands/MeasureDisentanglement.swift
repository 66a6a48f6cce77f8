import ArgumentParser
import Disentanglement
import TensorCore

struct MeasureDisentanglement: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "disentanglement",
    abstract: "Measures how far each dimension of codes stands for one factor.",
    discussion: """
      CODES is a .safetensors file with the tensors codes [count, dimensions] and factors [count, factors], or a CSV file \
      with a header: the columns that --factors names are factors, in numbers or in words, and the others are codes, but for one named file. \
      Codes of any encoder will do; give posterior means, not samples. Every different number of a factor is a value; \
      --bins cuts continuous ones into pieces of equal width.

      Metrics: z-diff (of β-VAE), factor-vae, mig, dci, sap, and m-fvm with each number of factors fixed from 2 to one less \
      than there are, beside its null: what random votes among the active dimensions would give. Settings are \
      printed with the figures. A metric that the table is too small for is said in a sentence, and the exit status is 2.

      EXAMPLES
        canon disentanglement codes.safetensors
        canon disentanglement codes.csv --factors shape,scale,x,y --json
        canon disentanglement codes.csv --factors angle --bins 10 --metrics mig,sap
      """)

  @Argument(help: "A .safetensors file, or a CSV file with a header.")
  var codes: String

  @Option(help: "The factors, by name; needed for a CSV file.")
  var factors: String?

  @Option(help: "The columns of a CSV file that are codes; by default all that are no factors.")
  var dimensions: String?

  @Option(help: "Which metrics: \(Metric.allCases.map(\.rawValue).joined(separator: ", ")).")
  var metrics: String?

  @Option(help: "How many factors m-fvm fixes, as in 2,3.")
  var fixed: String?

  @Option(help: "Cut a factor of more values into so many bins of equal width.")
  var bins: Int?

  @Option(help: "Where random draws begin.")
  var seed: UInt64 = 0

  @Flag(help: "Print one object of JSON, with all figures and settings, instead of a table.")
  var json = false

  @OptionGroup var common: CommonOptions

  private enum Metric: String, CaseIterable {
    case zDifference = "z-diff"
    case factorVAE = "factor-vae"
    case mig, dci, sap
    case multiFactor = "m-fvm"
  }

  /// What one metric says.
  private struct Told {
    let figures: [(name: String, value: Double)]
    let notes: [String]
    let settings: String
    let result: Encoded
  }

  /// Any result as it encodes itself.
  private struct Encoded: Encodable {
    let value: any Encodable
    func encode(to encoder: any Encoder) throws { try value.encode(to: encoder) }
  }

  /// All of it, for programs.
  private struct Summary: Encodable {
    struct Factor: Encodable {
      let name: String
      let values: Int
    }
    let codes: String
    let rows: Int
    let dimensions: [String]
    let factors: [Factor]
    let metrics: [String: Encoded]
    /// Why others cannot be told.
    let untold: [String: String]
  }

  func validate() throws {
    try requireFlag("--bins", bins, atLeast: 2)
    for (flag, words) in [
      ("--metrics", try metrics.map { _ in try chosen().map(\.rawValue) }),
      ("--fixed", try counts().map { $0.map(String.init) }),
    ] {
      if let words, words.isEmpty || Set(words).count < words.count {
        throw ValidationError("\(flag) takes one or more, different ones, with commas between.")
      }
    }
    for (flag, text) in [("--factors", factors), ("--dimensions", dimensions)] {
      if let names = text.map(list), names.isEmpty || Set(names).count < names.count {
        throw ValidationError("\(flag) takes different names with commas between, as in a,b.")
      }
    }
    if let factors, let dimensions,
      let both = list(factors).first(where: list(dimensions).contains)
    {
      throw ValidationError("'\(both)' is a factor, and cannot be a dimension of the codes too.")
    }
  }

  private func list(_ text: String) -> [String] {
    text.split(separator: ",").map { word in
      String(word.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }.filter { !$0.isEmpty }
  }

  private func chosen() throws -> [Metric] {
    try metrics.map { text in
      try list(text).map { word in
        guard let metric = Metric(rawValue: word) else {
          let all = Metric.allCases.map(\.rawValue).joined(separator: ", ")
          throw ValidationError("--metrics takes some of \(all), not '\(word)'.")
        }
        return metric
      }
    } ?? Metric.allCases
  }

  private func counts() throws -> [Int]? {
    try fixed.map { text in
      try list(text).map { word in
        guard let count = Int(word), count >= 1 else {
          throw ValidationError(
            "--fixed takes whole numbers from 1 with commas between, not '\(word)'.")
        }
        return count
      }
    }
  }

  func run() throws {
    common.apply()
    let table = try CodeTable(
      path: codes, factors: factors.map(list), dimensions: dimensions.map(list)
    ).labeled(bins: bins)
    var (told, untold): ([(name: String, Told)], [(name: String, String)]) = ([], [])
    for (name, metric) in try settings(of: table) {
      do { told.append((name, try measure(metric, table))) } catch {
        untold.append((name, "\(error)"))
      }
    }
    if json {
      try emit(
        Summary(
          codes: codes, rows: table.count, dimensions: table.codes.names,
          factors: zip(table.factors.names, table.factors.valueCounts).map(Summary.Factor.init),
          metrics: Dictionary(told.map { ($0.name, $0.1.result) }) { $1 },
          untold: Dictionary(untold) { $1 }
        ).jsonLine)
    } else if !told.isEmpty {
      try emit(
        "\(table.count) rows; codes \(table.codes.names.joined(separator: ", ")); factors "
          + zip(table.factors.names, table.factors.valueCounts)
          .map { "\($0) (\($1) values)" }.joined(separator: ", ") + "\n")
      try emit(figureTable(told.flatMap(\.1.figures)))
      try emit("\nsettings")
      try told.forEach { try emit("\($0.name) \($0.1.settings)") }
    }
    if !common.quiet, !told.isEmpty, !table.codes.variances.contains(where: { $0 > 0.05 * 0.05 }) {
      note(
        "Note: no dimension varies by more than 0.05: metrics that do not see how much codes vary may tell of their noise."
      )
    }
    if !common.quiet { told.flatMap(\.1.notes).forEach { note("Note: \($0)") } }
    for (name, sentence) in untold { note("Error: \(name): \(sentence)") }
    if !untold.isEmpty { throw ExitCode(told.isEmpty ? 1 : 2) }
  }

  /// The metrics that are asked for, by name.
  private func settings(
    of table: LabeledCodes
  ) throws -> [(name: String, any DisentanglementMetric)] {
    let factors = table.factors.names.count
    return try chosen().flatMap { metric -> [(String, any DisentanglementMetric)] in
      switch metric {
      case .zDifference:
        var settings = BetaVAEMetric()
        settings.seed = seed
        return [(metric.rawValue, settings)]
      case .factorVAE:
        var settings = FactorVAEMetric()
        settings.seed = seed
        return [(metric.rawValue, settings)]
      case .mig: return [(metric.rawValue, MutualInformationGap())]
      case .dci:
        var settings = DCI()
        settings.seed = seed
        return [(metric.rawValue, settings)]
      case .sap:
        var settings = SAP()
        settings.seed = seed
        return [(metric.rawValue, settings)]
      case .multiFactor:
        return try (counts() ?? Array(min(2, max(1, factors - 1))...max(1, factors - 1))).map {
          var settings = MultiFactorVAEMetric(fixed: $0)
          settings.seed = seed
          return ("\(metric.rawValue)\($0)", settings)
        }
      }
    }
  }

  private func measure(
    _ metric: some DisentanglementMetric, _ table: LabeledCodes
  ) throws(DisentanglementError) -> Told {
    let result = try metric.measure(table)
    return Told(
      figures: result.figures, notes: result.notes, settings: result.settings.jsonLine,
      result: Encoded(value: result))
  }
}
