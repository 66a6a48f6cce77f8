import Foundation
import Settings
import Training

struct BenchmarkError: Error, CustomStringConvertible { let description: String }

/// One way to a model: what it says of the configuration, and what its authors report.
struct Method: Sendable {
  let name: String
  /// Whether it is what others are compared with.
  let isBaseline: Bool
  /// As it is printed in the paper, by the figure.
  let published: [String: String]
  let configuration: SettingsValue

  /// The value of what is varied, of a method called like "relaxed, breaking 0.1".
  var setting: (name: String, value: Double)? {
    let parts = name.split(separator: ",")
    guard parts.count == 2 else { return nil }
    let words = parts[1].split(separator: " ")
    guard words.count == 2, let value = Double(words[1]) else { return nil }
    return (String(words[0]), value)
  }

  /// Its name without that.
  var family: String { setting == nil ? name : String(name.prefix { $0 != "," }) }
}

/// Data, and the methods that are compared on them: a file of `configs/bench-latent`.
struct Task: Sendable {
  let id, title, text: String
  /// The figures that are shown, by their names; the first is drawn.
  let figures: [String]
  /// Whether less is better.
  let isError: Bool
  let methods: [Method]
  private let configuration: SettingsValue

  /// The configuration of a method.
  func yaml(_ method: Method, seed: Int) -> String {
    SettingsValue.mapping([.init("name", .text(id)), .init("seed", .integer(seed))])
      .overridden(by: configuration.overridden(by: method.configuration)).yaml
  }

  /// The tasks of a folder, by their names.
  ///
  /// - Parameter isFull: Whether they have the papers' sizes.
  static func all(in folder: String, isFull: Bool) throws -> [Task] {
    let files = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
      .filter { $0.hasSuffix(".yaml") }.sorted()
    guard !files.isEmpty else {
      throw BenchmarkError(description: "\(folder) holds no tasks; run from the project's folder")
    }
    return try files.map { try Task("\(folder)/\($0)", id: String($0.dropLast(5)), isFull) }
  }

  private init(_ path: String, id: String, _ isFull: Bool) throws {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw BenchmarkError(description: "\(path) cannot be read")
    }
    let all = try SettingsValue(yaml: text, source: path)
    guard case .list(let entries)? = all["methods"], case .list(let figures)? = all["figures"],
      let title = all["title"]?.text
    else {
      throw BenchmarkError(description: "\(path) needs 'title', 'figures' and 'methods'")
    }
    (self.id, self.title, self.text) = (id, title, all["text"]?.text ?? "")
    self.figures = figures.map(\.text)
    isError = figures.first.map { $0.text.contains("error") } ?? false
    var shared = all["configuration"] ?? .mapping([])
    if let own = all[isFull ? "full" : "quick"] { shared = shared.overridden(by: own) }
    configuration = shared
    methods = try entries.map { entry in
      guard case .mapping(let keys) = entry, let name = entry["name"]?.text else {
        throw BenchmarkError(description: "\(path): a method needs a 'name'")
      }
      var published: [String: String] = [:]
      if case .mapping(let own)? = entry["published"] {
        for item in own { published[item.key] = item.value.text }
      }
      let own = SettingsValue.mapping(
        keys.filter { !["name", "baseline", "published", "quick", "full"].contains($0.key) })
      let sized = entry[isFull ? "full" : "quick"]
      return Method(
        name: name, isBaseline: entry["baseline"]?.text == "true", published: published,
        configuration: sized.map(own.overridden) ?? own)
    }
  }
}
