import ArgumentParser
import Canonicalization
import Datasets
import Layers
import Settings
import Symmetry
import TensorCore
import Training

struct Components: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "components",
    abstract: "Lists what a configuration can name, or the keys of one component.",
    discussion: """
      EXAMPLES
        canon components
        canon components learned
        canon components data
        canon components backbone algebra-cnn
        canon components folder --json
      """)

  @Argument(
    help:
      "The kind of a component, as in YAML, after model, task, data, canonicalizer or backbone, or without; or one of these alone."
  )
  var words: [String] = []

  /// What is asked for.
  private var kind: String? { words.last }

  @Flag(help: "Print JSON, a line each, instead of a table.")
  var json = false

  @OptionGroup var common: CommonOptions

  private struct Line: Codable { var role, kind, summary: String }
  private struct Key: Codable {
    var role, kind, key, `default`, range, meaning: String

    init(_ role: String, _ kind: String, _ entry: SettingsValue.Entry) {
      (self.role, self.kind, key, self.default) = (role, kind, entry.key, entry.value.text)
      (range, meaning) = (entry.range, entry.meaning)
    }

    var text: String {
      "  " + "\(key): \(self.default)".padded(to: 32) + "\(meaning) (\(range))"
    }
  }

  func validate() throws {
    guard words.count <= 2 else {
      throw ValidationError("Name one component, as in `canon components backbone mlp`.")
    }
  }

  func run() throws {
    common.apply()
    if kind == "training", case .mapping(let entries) = TrainingOptions.keys {
      let keys = entries.map { Key("training", "training", $0) }
      return try emit(
        json ? jsonLines(keys).joined(separator: "\n") : keys.map(\.text).joined(separator: "\n"))
    }
    let all = Canon.catalog.all.flatMap { role, types in types.map { (role, $0) } }
    guard let kind else {
      let lines = all.map { Line(role: $0.0, kind: $0.1.kind, summary: $0.1.summary) }
      if json { return try emit(jsonLines(lines).joined(separator: "\n")) }
      return try emit(
        lines.map { "\($0.role) \($0.kind)".padded(to: 34) + $0.summary }.joined(separator: "\n"))
    }
    let ofRole = all.filter { $0.0 == kind }
    if !ofRole.isEmpty {
      let lines = ofRole.map { Line(role: $0.0, kind: $0.1.kind, summary: $0.1.summary) }
      return try emit(
        json
          ? jsonLines(lines).joined(separator: "\n")
          : lines.map { $0.kind.padded(to: 28) + $0.summary }.joined(separator: "\n"))
    }
    let found = all.filter { $0.1.kind == kind && (words.count < 2 || $0.0 == words[0]) }
    guard !found.isEmpty else {
      let words = all.map { $0.1.kind }
      let question = nearest(kind, in: words).map { "; did you mean '\($0)'?" } ?? "."
      throw ValidationError(
        "There is no component '\(kind)'\(question) `canon components` lists all.")
    }
    for (role, type) in found {
      let keys = entries(of: type).map { Key(role, kind, $0) }
      if json {
        try emit(jsonLines(keys).joined(separator: "\n"))
      } else {
        try emit("\(role) \(kind): \(type.summary)")
        if !keys.isEmpty { try emit(keys.map(\.text).joined(separator: "\n")) }
      }
    }
  }

  /// The keys of a component with their defaults: for images, or for sets where it is for those.
  private func entries(of type: any Options.Type) -> [SettingsValue.Entry] {
    let domains: [any Domain] = [
      ImageDomain(), SetDomain(members: 100, dimension: 3),
      SetDomain(members: 5, dimension: 3, columns: [.point, .vector, .scalars(1)]),
    ]
    for domain in domains {
      var (keys, input) = (Keys(lists: true), Keys(lists: true))
      do {
        switch type.init() {
        case let options as any CanonicalizerOptions:
          var step = CanonicalizedOptions.StepOptions(options)
          try step.read(&keys, for: domain)
        case let options as any BackboneOptions:
          try read(options, &keys, domain)
          var start = CanonicalizedOptions.Start()
          try start.read(&keys)
        case var options as any Objective: try options.read(&keys, for: domain)
        case var options as any DatasetOptions:
          try options.read(&keys, input: &input)
          var limit = 0
          try RunConfiguration.readLimit(&limit, &keys)
        case var options as any ModelOptions:
          var top = Keys()
          try options.read(&keys, top: &top, data: DrawnOptions(), catalog: Canon.catalog)
        default: break
        }
      } catch { continue }
      if case .mapping(let own) = keys.resolved, case .mapping(let more) = input.resolved {
        return own
          + more.map { .init("input.\($0.key)", $0.value, range: $0.range, meaning: $0.meaning) }
      }
    }
    return []
  }

  /// Reads the keys of a backbone, for the first output that it can give: scores, images, or places of members.
  private func read(
    _ options: any BackboneOptions, _ keys: inout Keys, _ domain: any Domain
  ) throws(SettingsError) {
    var options = options
    for output in [[0], domain.shape, [domain.shape[0], 3]] {
      var own = Keys(lists: true)
      do { try options.read(&own, for: domain, output: output) } catch { continue }
      return try options.read(&keys, for: domain, output: output)
    }
    throw keys.failure("not for \(domain.text)")
  }
}

extension String {
  /// The text with spaces up to a width.
  fileprivate func padded(to width: Int) -> String {
    self + String(repeating: " ", count: max(1, width - count))
  }
}
