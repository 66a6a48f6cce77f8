import Synchronization
import Yams

/// Reads the keys of one YAML mapping, each with its type and range, and refuses those left over.
///
/// What was read is what the settings resolve to, and what there is to say about them: `resolved`.
/// Read from nothing, options list their keys with defaults, ranges and meanings.
public struct Keys {
  /// The file that the mapping stands in.
  public let source: String
  private let node: Node.Mapping
  private let line: Int?
  private var entries: [SettingsValue.Entry] = []

  /// Reads a text whose top level is a mapping.
  ///
  /// `changes`: Values in place of some of it, like `training.batch=16` or `canonicalizer.0.group=C4`.
  public init(text: String, source: String, changes: [String] = []) throws(SettingsError) {
    var node: Node?
    // Each key says of what type its value is: that Yams guesses it, by regular expressions, costs two milliseconds.
    do { node = try Yams.compose(yaml: text, .basic) } catch {
      throw SettingsError(
        source, line: nil, "not valid YAML: \(error)".replacing("\n", with: " "))
    }
    for change in changes { node = try Keys.changed(node, change) }
    guard let mapping = node?.mapping else {
      throw SettingsError(source, line: node?.mark?.line, "a mapping of keys to values is expected")
    }
    self.init(source, mapping, node?.mark?.line)
  }

  /// The keys of nothing: all that are read keep their values.
  ///
  /// `lists`: Whether keys are to be listed, those too that others switch on.
  public init(lists: Bool = false) {
    self.init("the settings", Node.Mapping([], .unresolved), nil)
    self.lists = lists
  }

  /// Whether all keys are wanted, those too that are read only where others say so.
  public private(set) var lists = false

  /// A document with one value in place of what stood there.
  private static func changed(_ node: Node?, _ change: String) throws(SettingsError) -> Node {
    let parts = change.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    let path = parts[0].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2, !path.contains("") else {
      throw SettingsError(
        "--set \(change)", line: nil, "a key and a value are expected, like training.batch=16")
    }
    guard var value = try? Yams.compose(yaml: String(parts[1]), .basic) else {
      throw SettingsError("--set \(change)", line: nil, "the value is not valid YAML")
    }
    // It stands on no line of the file.
    if case .scalar(let scalar) = value {
      value = .scalar(.init(scalar.string, scalar.tag, scalar.style))
    }
    func replaced(_ node: Node?, _ path: ArraySlice<String>) throws(SettingsError) -> Node {
      guard let key = path.first else { return value }
      if var list = node?.sequence {
        guard let place = Int(key), list.indices.contains(place) else {
          throw SettingsError(
            "--set \(change)", line: nil,
            "'\(key)' is no place in a list of \(list.count), counted from 0")
        }
        list[place] = try replaced(list[place], path.dropFirst())
        return .sequence(list)
      }
      // A word alone stands for its kind.
      var pairs = node?.mapping.map { $0.map { ($0.key, $0.value) } } ?? []
      if let node, node.mapping == nil, node.string?.isEmpty == false {
        pairs = [(Node("kind", .unresolved), node)]
      }
      let place = pairs.firstIndex { $0.0.string == key }
      let new = try replaced(place.map { pairs[$0].1 }, path.dropFirst())
      if let place { pairs[place].1 = new } else { pairs.append((Node(key, .unresolved), new)) }
      return .mapping(Node.Mapping(pairs, .unresolved, .any, node?.mark))
    }
    return try replaced(node, path[...])
  }

  private init(_ source: String, _ node: Node.Mapping, _ line: Int?) {
    self.source = source
    self.node = node
    self.line = line
  }

  private func find(_ key: String) -> Node? { node.first { $0.key.string == key }?.value }

  /// What the mapping resolves to so far.
  public var resolved: SettingsValue { .mapping(entries) }

  private mutating func record(
    _ key: String, _ value: SettingsValue, _ range: String, _ meaning: String
  ) {
    entries.append(.init(key, value, range: range, meaning: meaning))
  }

  /// Reads a whole number.
  public mutating func read(
    _ key: String, _ value: inout Int, in range: ClosedRange<Int>, _ meaning: String = ""
  ) throws(SettingsError) {
    let words = "a whole number from \(range.lowerBound) to \(range.upperBound)"
    if let node = find(key) {
      guard let found = node.wholeNumber, range.contains(found) else {
        throw wrong(key, node, words)
      }
      value = found
    }
    record(key, .integer(value), words, meaning)
  }

  /// Reads a number; one that is not finite is refused.
  public mutating func read(
    _ key: String, _ value: inout Float, in range: ClosedRange<Float>, _ meaning: String = ""
  ) throws(SettingsError) {
    let words =
      "a number from \(SettingsValue.number(range.lowerBound).text) to "
      + SettingsValue.number(range.upperBound).text
    if let node = find(key) {
      guard let found = node.float.map({ Float($0) }), range.contains(found) else {
        throw wrong(key, node, words)
      }
      value = found
    }
    record(key, .number(value), words, meaning)
  }

  /// Reads true or false.
  public mutating func read(
    _ key: String, _ value: inout Bool, _ meaning: String = ""
  ) throws(SettingsError) {
    if let node = find(key) {
      guard let found = node.bool else { throw wrong(key, node, "true or false") }
      value = found
    }
    record(key, .flag(value), "true or false", meaning)
  }

  /// Reads a text.
  public mutating func read(
    _ key: String, _ value: inout String, _ meaning: String = ""
  ) throws(SettingsError) {
    if let node = find(key) {
      guard let found = node.string else { throw wrong(key, node, "a text") }
      value = found
    }
    record(key, .text(value), "a text", meaning)
  }

  /// Reads one of some words.
  public mutating func read(
    _ key: String, _ value: inout String, among words: [String], _ meaning: String = ""
  ) throws(SettingsError) {
    let list = "one of \(words.joined(separator: ", "))"
    if let node = find(key) {
      guard let found = node.string, words.contains(found) else {
        throw wrong(key, node, list + hint(node.string ?? "", words))
      }
      value = found
    }
    record(key, .text(value), list, meaning)
  }

  /// Reads one of the cases of an enumeration.
  public mutating func read<Choice: RawRepresentable & CaseIterable>(
    _ key: String, _ value: inout Choice, _ meaning: String = ""
  ) throws(SettingsError) where Choice.RawValue == String {
    var word = value.rawValue
    try read(key, &word, among: Choice.allCases.map(\.rawValue), meaning)
    value = Choice(rawValue: word) ?? value
  }

  /// Reads a list of numbers; a number alone is a list of one.
  public mutating func read(
    _ key: String, _ value: inout [Float], _ meaning: String = ""
  ) throws(SettingsError) {
    if let node = find(key) {
      let nodes = node.sequence.map(Array.init) ?? [node]
      let found = nodes.compactMap { $0.float.map { Float($0) } }
      guard found.count == nodes.count, found.allSatisfy(\.isFinite) else {
        throw wrong(key, node, "a list of numbers")
      }
      value = found
    }
    record(key, .list(value.map { .number($0) }), "a list of numbers", meaning)
  }

  /// Opens a nested mapping, empty where the key is missing; a word alone stands for its `kind`.
  ///
  /// What is read from it is `close`d into this one.
  public func open(_ key: String) throws(SettingsError) -> Keys { try nested(key, find(key)) }

  /// Refuses keys of a nested mapping that nothing has asked for, and keeps what it resolves to.
  public mutating func close(_ key: String, _ section: Keys) throws(SettingsError) {
    record(key, try section.finish(), "", "")
  }

  /// Reads a nested mapping.
  public mutating func section(
    _ key: String, _ body: (inout Keys) throws(SettingsError) -> Void
  ) throws(SettingsError) {
    var inner = try open(key)
    try body(&inner)
    try close(key, inner)
  }

  /// Reads a list of mappings; a mapping or a word alone is a list of one.
  ///
  /// `count`: How many there are where the key is missing.
  /// `body`: Called with each, and its place.
  /// - Returns: How many there are.
  @discardableResult
  public mutating func list(
    _ key: String, count: Int, _ body: (inout Keys, Int) throws(SettingsError) -> Void
  ) throws(SettingsError) -> Int {
    let found = find(key)
    let nodes: [Node?] =
      found.map { node in node.sequence.map { $0.map(Optional.some) } ?? [node] }
      ?? [Node?](repeating: nil, count: count)
    var values: [SettingsValue] = []
    for (place, node) in nodes.enumerated() {
      var inner = try nested(key, node)
      try body(&inner, place)
      values.append(try inner.finish())
    }
    record(key, .list(values), "", "")
    return nodes.count
  }

  private func nested(_ key: String, _ node: Node?) throws(SettingsError) -> Keys {
    guard let node else { return Keys(source, Node.Mapping([], .unresolved), line) }
    if node.mapping == nil, case .scalar(let scalar) = node, !scalar.string.isEmpty {
      return Keys(
        source, Node.Mapping([(.scalar(.init("kind", .unresolved, .any, node.mark)), node)]),
        node.mark?.line)
    }
    guard let mapping = node.mapping else {
      throw SettingsError(source, line: node.mark?.line, "'\(key)' must be a mapping of keys")
    }
    return Keys(source, mapping, node.mark?.line)
  }

  private func wrong(_ key: String, _ node: Node, _ expected: String) -> SettingsError {
    let found = node.string.map { "'\($0)'" } ?? "something else"
    return SettingsError(
      source, line: node.mark?.line, "'\(key)' is \(found) but must be \(expected)")
  }

  /// Complains about a value, or a combination of values.
  public func failure(_ message: String) -> SettingsError {
    SettingsError(source, line: line, message)
  }

  private static let limit = Atomic<Int>(1 << 28)

  /// How many weights a layer may have.
  public static var weightLimit: Int {
    get { limit.load(ordering: .relaxed) }
    set { limit.store(newValue, ordering: .relaxed) }
  }

  /// Refuses a layer of more weights than memory should be asked for: a foreign file may say anything.
  public func refuse(weights: Int...) throws(SettingsError) {
    var product = 1
    for factor in weights {
      let (next, overflow) = product.multipliedReportingOverflow(by: factor)
      product = overflow ? Int.max : next
    }
    if product > Keys.weightLimit {
      throw failure("a layer would have \(product) weights; reduce sizes or channels")
    }
  }

  /// Refuses keys that nothing has asked for.
  @discardableResult
  public func finish() throws(SettingsError) -> SettingsValue {
    let known = entries.map(\.key)
    for (key, _) in node where !known.contains(key.string ?? "") {
      let name = key.string ?? "?"
      throw SettingsError(
        source, line: key.mark?.line, "unknown key '\(name)'\(hint(name, known))")
    }
    return resolved
  }
}

extension Tag {
  /// Of what has no type but what it is read as; Yams' own way to find one compiles a regular expression for each.
  fileprivate static var unresolved: Tag { Tag(.implicit, .basic) }
}
