import Yams

/// Settings as a tree: what a file says, or what it resolves to.
public indirect enum SettingsValue: Sendable, Equatable, Encodable {
  case integer(Int)
  case number(Float)
  case flag(Bool)
  case text(String)
  case list([SettingsValue])
  /// Keys in the order in which they were read.
  case mapping([Entry])

  /// A key with its value, and what is known of it.
  public struct Entry: Sendable, Equatable {
    public let key: String
    public var value: SettingsValue
    /// The values that it may have, in words; empty for sections.
    public let range: String
    /// What it means, in words.
    public let meaning: String

    public init(_ key: String, _ value: SettingsValue, range: String = "", meaning: String = "") {
      (self.key, self.value, self.range, self.meaning) = (key, value, range, meaning)
    }
  }

  /// The value of a key of a mapping.
  public subscript(key: String) -> SettingsValue? {
    guard case .mapping(let entries) = self else { return nil }
    return entries.first { $0.key == key }?.value
  }

  private struct Name: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  public func encode(to encoder: any Encoder) throws {
    switch self {
    case .integer(let value): try value.encode(to: encoder)
    case .number(let value): try value.encode(to: encoder)
    case .flag(let value): try value.encode(to: encoder)
    case .text(let value): try value.encode(to: encoder)
    case .list(let values): try values.encode(to: encoder)
    case .mapping(let entries):
      var container = encoder.container(keyedBy: Name.self)
      for entry in entries {
        try container.encode(entry.value, forKey: Name(stringValue: entry.key))
      }
    }
  }

  /// The scalar as it is written.
  public var text: String {
    switch self {
    case .integer(let value): "\(value)"
    case .number(let value):
      value == value.rounded() && abs(value) < 1e9 ? "\(Int(value))" : "\(value)"
    case .flag(let value): "\(value)"
    case .text(let value): value
    case .list(let values): "[\(values.map(\.text).joined(separator: ", "))]"
    case .mapping(let entries):
      "{\(entries.map { "\($0.key): \($0.value.text)" }.joined(separator: ", "))}"
    }
  }

  /// Reads a YAML document.
  ///
  /// - Throws: `SettingsError` for a text that is not YAML.
  public init(yaml: String, source: String) throws(SettingsError) {
    let node: Node?
    do { node = try Yams.compose(yaml: yaml, .basic) } catch {
      throw SettingsError(source, line: nil, "not valid YAML")
    }
    self = node.map(SettingsValue.init) ?? .mapping([])
  }

  private init(_ node: Node) {
    if let mapping = node.mapping {
      self = .mapping(mapping.map { Entry($0.key.string ?? "", SettingsValue($0.value)) })
    } else if let sequence = node.sequence {
      self = .list(sequence.map(SettingsValue.init))
    } else if let value = node.wholeNumber {
      self = .integer(value)
    } else if let value = node.float {
      self = .number(Float(value))
    } else if let value = node.bool {
      self = .flag(value)
    } else {
      self = .text(node.string ?? "")
    }
  }

  /// The value with the keys that another one gives in its place; lists, and mappings of another `kind`, are
  /// replaced as a whole.
  public func overridden(by other: SettingsValue) -> SettingsValue {
    guard case .mapping(var entries) = self, case .mapping(let others) = other else { return other }
    if let own = self["kind"], let new = other["kind"], own != new { return other }
    for entry in others {
      if let place = entries.firstIndex(where: { $0.key == entry.key }) {
        entries[place].value = entries[place].value.overridden(by: entry.value)
      } else {
        entries.append(entry)
      }
    }
    return .mapping(entries)
  }

  /// As a YAML document, which `Keys` reads back.
  public var yaml: String { (try? Yams.serialize(node: node)) ?? "" }

  private var node: Node {
    switch self {
    // A text that looks like something else keeps its quotes.
    case .text(let value): Node(value, Tag(.str), value.isPlain ? .plain : .doubleQuoted)
    case .list(let values): Node(values.map(\.node))
    case .mapping(let entries): Node(entries.map { (Node($0.key), $0.value.node) })
    default: Node(text)
    }
  }
}

extension String {
  /// Whether YAML reads it as a text without quotes.
  fileprivate var isPlain: Bool {
    guard let first = unicodeScalars.first, first.properties.isAlphabetic else { return false }
    let words = ["true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan", "inf"]
    return !words.contains(lowercased())
      && unicodeScalars.allSatisfy {
        $0.properties.isAlphabetic || ("0"..."9").contains($0) || "-_./".unicodeScalars.contains($0)
      }
  }
}

extension Node {
  /// A whole number; those in base 60 that YAML 1.1 knows (`1:30`) are none: Yams adds them up, and ends the program where they overflow.
  var wholeNumber: Int? { scalar?.string.contains(":") == true ? nil : int }
}
