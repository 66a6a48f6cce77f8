import Settings
import Testing

@Suite struct KeysTests {
  @Test("What is read from a text is recorded, and read back from its YAML") func roundTrip() throws
  {
    func read(_ text: String) throws -> SettingsValue {
      var keys = try Keys(text: text, source: "test")
      var (count, rate, name, flag, numbers) = (3, Float(0.1), "a", false, [Float(1)])
      try keys.read("count", &count, in: 0...10, "how many")
      try keys.read("rate", &rate, in: 0...1)
      try keys.read("name", &name)
      try keys.read("flag", &flag)
      try keys.read("numbers", &numbers)
      try keys.section("inner") { (inner) throws(SettingsError) in
        var word = "x"
        try inner.read("kind", &word, among: ["x", "y"])
      }
      try keys.list("steps", count: 1) { (inner, _) throws(SettingsError) in
        var word = "x"
        try inner.read("kind", &word, among: ["x", "y"])
      }
      return try keys.finish()
    }
    let plain = try read("{}")
    #expect(plain["count"] == .integer(3) && plain["inner"]?["kind"] == .text("x"))
    let changed = try read(
      "{count: 5, rate: 0.25, name: 'true', flag: true, numbers: [1, 2.5], inner: y, steps: [y, {kind: x}]}"
    )
    #expect(changed["name"] == .text("true") && changed["inner"]?["kind"] == .text("y"))
    #expect(
      changed["steps"] == .list([.mapping([]), .mapping([])]) || changed.yaml.contains("steps"))
    for value in [plain, changed] { #expect(try read(value.yaml).yaml == value.yaml) }
    // A tenth is written as one.
    #expect(plain.yaml.contains("rate: 0.1\n"))
  }

  static let mistakes: [(String, String)] = [
    ("count: 11", "'count' is '11' but must be a whole number from 0 to 10"),
    ("count: [1]", "'count' is something else"),
    ("count: 0:5", "'count' is '0:5' but must be a whole number"),
    ("count: --9223372036854775808:7203685477855808", "'count' is '--92"),
    ("cuont: 1", "unknown key 'cuont'; did you mean 'count'?"),
    ("rate: .inf", "'rate' is '.inf' but must be a number"),
    ("count: 1\ncount: 2", "duplicated key(s): 'count'"), ("- 1", "a mapping of keys"),
    ("{", "not valid YAML"),
  ]

  @Test("A mistake is a sentence with its line", arguments: mistakes)
  func mistake(text: String, complaint: String) {
    let error = #expect(throws: SettingsError.self) {
      var keys = try Keys(text: text, source: "f.yaml")
      var (count, rate) = (0, Float(0))
      try keys.read("count", &count, in: 0...10)
      try keys.read("rate", &rate, in: 0...1)
      try keys.finish()
    }
    #expect(error?.description.contains(complaint) == true, "\(error?.description ?? "none")")
    #expect(error?.description.hasPrefix("f.yaml") == true)
  }

  @Test("Given keys override others; another kind replaces all") func overriding() throws {
    func value(_ yaml: String) throws -> SettingsValue {
      try SettingsValue(yaml: yaml, source: "t")
    }
    let base = try value("{a: {kind: x, n: 1}, b: [1, 2], c: 3}")
    #expect(
      base.overridden(by: try value("{a: {n: 2}, b: [3]}"))
        == (try value("{a: {kind: x, n: 2}, b: [3], c: 3}")))
    #expect(base.overridden(by: try value("{a: {kind: y}}"))["a"] == (try value("{kind: y}")))
  }
}
