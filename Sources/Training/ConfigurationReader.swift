import Yams

/// What can go wrong with a run configuration, in a sentence that says what to do.
public struct ConfigurationError: Error, CustomStringConvertible {
  public let description: String

  init(_ source: String, _ line: Int?, _ message: String) {
    description = "\(source)\(line.map { ", line \($0)" } ?? ""): \(message)."
  }
}

/// Reads the keys of one YAML mapping, each with its type and range, and refuses those left over.
struct ConfigurationReader {
  let source: String
  private let node: Node.Mapping
  private let line: Int?
  private var known: Set<String> = []

  /// Reads a text whose top level is a mapping.
  init(text: String, source: String) throws(ConfigurationError) {
    let node: Node?
    do { node = try Yams.compose(yaml: text) } catch {
      throw ConfigurationError(source, nil, "not valid YAML: \(error)".replacing("\n", with: " "))
    }
    guard let mapping = node?.mapping else {
      throw ConfigurationError(source, node?.mark?.line, "a mapping of keys to values is expected")
    }
    self.init(source, mapping, node?.mark?.line)
  }

  private init(_ source: String, _ node: Node.Mapping, _ line: Int?) {
    self.source = source
    self.node = node
    self.line = line
  }

  private mutating func find(_ key: String) -> Node? {
    known.insert(key)
    return node.first { $0.key.string == key }?.value
  }

  /// A nested mapping; an empty one where the key is missing.
  mutating func section(_ key: String) throws(ConfigurationError) -> ConfigurationReader {
    guard let value = find(key) else { return ConfigurationReader(source, Node.Mapping([]), line) }
    guard let mapping = value.mapping else {
      throw ConfigurationError(source, value.mark?.line, "'\(key)' must be a mapping of keys")
    }
    return ConfigurationReader(source, mapping, value.mark?.line)
  }

  mutating func integer(
    _ key: String, default fallback: Int, in range: ClosedRange<Int>
  ) throws(ConfigurationError) -> Int {
    guard let node = find(key) else { return fallback }
    guard let value = node.int, range.contains(value) else {
      throw wrong(
        key, node, "a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  mutating func number(
    _ key: String, default fallback: Float, in range: ClosedRange<Float>
  ) throws(ConfigurationError) -> Float {
    guard let node = find(key) else { return fallback }
    guard let value = node.float.map({ Float($0) }), range.contains(value) else {
      throw wrong(key, node, "a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  mutating func flag(_ key: String, default fallback: Bool) throws(ConfigurationError) -> Bool {
    guard let node = find(key) else { return fallback }
    guard let value = node.bool else { throw wrong(key, node, "true or false") }
    return value
  }

  mutating func text(_ key: String, default fallback: String) throws(ConfigurationError) -> String {
    guard let node = find(key) else { return fallback }
    guard let value = node.string else { throw wrong(key, node, "a text") }
    return value
  }

  mutating func choice<Choice: RawRepresentable & CaseIterable>(
    _ key: String, default fallback: Choice
  ) throws(ConfigurationError) -> Choice where Choice.RawValue == String {
    guard let node = find(key) else { return fallback }
    guard let value = Choice(rawValue: node.string ?? "") else {
      let names = Choice.allCases.map(\.rawValue)
      throw wrong(
        key, node, "one of \(names.joined(separator: ", "))\(hint(node.string ?? "", names))")
    }
    return value
  }

  private func wrong(_ key: String, _ node: Node, _ expected: String) -> ConfigurationError {
    let found = node.string.map { "'\($0)'" } ?? "something else"
    return ConfigurationError(
      source, node.mark?.line, "'\(key)' is \(found) but must be \(expected)")
  }

  /// Complains about a combination of values.
  func failure(_ message: String) -> ConfigurationError {
    ConfigurationError(source, line, message)
  }

  /// Refuses keys that nothing has asked for.
  func finish() throws(ConfigurationError) {
    for (key, _) in node where !known.contains(key.string ?? "") {
      let name = key.string ?? "?"
      throw ConfigurationError(
        source, key.mark?.line, "unknown key '\(name)'\(hint(name, Array(known)))")
    }
  }
}

/// A question that offers the nearest valid word, or nothing where all are far.
private func hint(_ word: String, _ candidates: [String]) -> String {
  guard let best = nearest(word, in: candidates) else { return "" }
  return "; did you mean '\(best)'?"
}

/// The candidate with the smallest edit distance (Levenshtein) to a word, unless all are far.
func nearest(_ word: String, in candidates: [String]) -> String? {
  func distance(_ a: [Character], _ b: [Character]) -> Int {
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
      var corner = row[0]
      row[0] = i + 1
      for (j, y) in b.enumerated() {
        let substitution = corner + (x == y ? 0 : 1)
        corner = row[j + 1]
        row[j + 1] = min(substitution, row[j] + 1, row[j + 1] + 1)
      }
    }
    return row[b.count]
  }
  let ranked = candidates.sorted().map { ($0, distance(Array(word), Array($0))) }
  guard let best = ranked.min(by: { $0.1 < $1.1 }), best.1 <= max(2, word.count / 2) else {
    return nil
  }
  return best.0
}
