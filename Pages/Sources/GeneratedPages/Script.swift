import CDrawing
import Canon
import Foundation

/// A script, its words and the fonts that they are set in.
struct Script: Sendable {
  let name: String
  /// Font families of Debian's packages, of which training pages are set.
  let trainFonts: [String]
  /// Others, of which test pages are.
  let testFonts: [String]
  let words: Words

  /// - Throws: A sentence where a font or a dictionary is missing.
  static func all() throws -> [Script] {
    try [
      Script(
        name: "latin",
        trainFonts: [
          "DejaVu Sans", "DejaVu Serif", "Liberation Sans", "Liberation Serif", "Liberation Mono",
          "FreeSerif", "FreeSans", "Gentium", "Linux Libertine O", "Linux Biolinum O", "Lato",
          "Courier Prime", "Open Sans", "Carlito", "Caladea", "Junicode Two Beta", "Nimbus Roman",
          "P052",
          "C059", "URW Bookman", "URW Gothic",
        ],
        testFonts: [
          "Noto Sans", "Noto Serif", "Roboto", "Roboto Slab", "CMU Serif", "CMU Sans Serif",
          "Old Standard TT", "Cantarell", "Charis SIL",
        ],
        words: .dictionaries(["en_US", "de_DE", "fr", "fr_FR", "es_ES", "pl_PL", "tr_TR"])),
      Script(
        name: "cyrillic",
        trainFonts: [
          "DejaVu Sans", "DejaVu Serif", "Liberation Sans", "Liberation Serif", "FreeSerif",
          "FreeSans", "PT Sans", "PT Serif", "Linux Libertine O", "Open Sans",
        ], testFonts: ["Noto Sans", "Noto Serif", "Roboto", "CMU Serif", "Old Standard TT"],
        words: .dictionaries(["ru_RU", "uk_UA", "bg_BG"])),
      Script(
        name: "greek",
        trainFonts: [
          "DejaVu Sans", "DejaVu Serif", "Liberation Sans", "Liberation Serif", "FreeSerif",
          "FreeSans", "GFS Didot", "GFS Artemisia", "Linux Libertine O", "Open Sans",
        ], testFonts: ["Noto Sans", "Noto Serif", "Roboto", "CMU Serif", "GFS Neohellenic"],
        words: .dictionaries(["el_GR"])),
      Script(
        name: "arabic",
        trainFonts: [
          "Amiri", "Scheherazade", "DejaVu Sans", "FreeSerif", "KacstBook", "KacstNaskh",
          "KacstQurn", "Thabit",
        ],
        testFonts: ["Noto Naskh Arabic", "Noto Sans Arabic", "Harmattan", "Lateef"],
        words: .dictionaries(["ar"])),
      Script(
        name: "hebrew",
        trainFonts: [
          "David CLM", "Frank Ruehl CLM", "Nachlieli CLM", "Miriam CLM", "DejaVu Sans",
          "FreeSans", "FreeSerif",
        ], testFonts: ["Noto Sans Hebrew", "Noto Serif Hebrew", "Ezra SIL", "Simple CLM"],
        words: .dictionaries(["he_IL", "he"])),
      Script(
        name: "han",
        trainFonts: [
          "WenQuanYi Zen Hei", "AR PL UMing CN", "AR PL KaitiM GB", "IPAGothic", "IPAMincho",
          "TakaoPGothic",
        ],
        testFonts: [
          "Noto Sans CJK JP", "Noto Serif CJK JP", "VL PGothic", "WenQuanYi Micro Hei",
        ],
        words: try .characters()),
    ].map { try $0.checked() }
  }

  func fonts(isTest: Bool) -> [String] { isTest ? testFonts : trainFonts }

  private func checked() throws -> Script {
    func there(_ families: [String]) -> [String] {
      families.filter { cdrawing_has_family($0) != 0 }
    }
    let missing = (trainFonts + testFonts).filter { !there([$0]).contains($0) }
    if !missing.isEmpty {
      FileHandle.standardError.write(
        Data("Note: fonts for \(name) are missing: \(missing.joined(separator: ", "))\n".utf8))
    }
    let found = Script(
      name: name, trainFonts: there(trainFonts), testFonts: there(testFonts), words: words)
    guard !found.trainFonts.isEmpty, !found.testFonts.isEmpty, !words.isEmpty else {
      throw Missing(
        description: "No fonts, or no words, for \(name): `make page-packages` installs them.")
    }
    return found
  }
}

struct Missing: Error, CustomStringConvertible { let description: String }

/// What sentences are made of.
enum Words: Sendable {
  /// Words, with spaces between.
  case spaced([String])
  /// Characters without spaces, of which some kinds are more common.
  case unspaced(common: [String], others: [String], stops: [[String]])

  var isEmpty: Bool {
    switch self {
    case .spaced(let words): words.isEmpty
    case .unspaced(_, let others, _): others.isEmpty
    }
  }

  /// The words of hunspell's dictionaries.
  static func dictionaries(_ names: [String]) -> Words {
    var all: [String] = []
    for name in names {
      let path = "/usr/share/hunspell/\(name)"
      guard let words = FileManager.default.contents(atPath: path + ".dic"),
        let rules = FileManager.default.contents(atPath: path + ".aff")
      else { continue }
      let head = String(decoding: rules.prefix(4096), as: UTF8.self)
      let encoding =
        head.split(whereSeparator: \.isNewline).first { $0.hasPrefix("SET ") }
        .map { String($0.dropFirst(4)).trimmingCharacters(in: .whitespaces) } ?? "UTF-8"
      let lines = words.split(separator: 0x0A).dropFirst()
      // As many of each language: names and rare forms among them.
      let step = max(1, lines.count / 16_000)
      for line in stride(from: 0, to: lines.count, by: step).map({ lines[lines.startIndex + $0] }) {
        let bytes = line.prefix { $0 != UInt8(ascii: "/") && $0 != 0x09 && $0 != 0x0D }
        let word = converted([UInt8](bytes), from: encoding)
        if (2...14).contains(word.count) && word.allSatisfy(\.isLetter) { all.append(word) }
      }
    }
    return .spaced(all)
  }

  /// Kana and kanji of JIS X 0208, hanzi of GB 2312, in their order of frequency classes (level 1).
  static func characters() throws -> Words {
    func rows(_ range: ClosedRange<UInt8>, _ encoding: String) -> [String] {
      range.flatMap { row in
        (0xA1...0xFE).map { converted([row, UInt8($0)], from: encoding) }
      }.filter { $0.count == 1 && $0 != "\u{FFFD}" }
    }
    return .unspaced(
      common: rows(0xA4...0xA4, "EUC-JP").filter { $0 >= "ぁ" && $0 <= "ん" },
      others: rows(0xB0...0xCE, "EUC-JP"),
      stops: [["、", "。"], ["，", "。"]])
  }

  private static func converted(_ bytes: [UInt8], from encoding: String) -> String {
    if encoding.uppercased().hasPrefix("UTF") { return String(decoding: bytes, as: UTF8.self) }
    let converter = iconv_open("UTF-8", encoding)
    guard converter != iconv_t(bitPattern: -1) else { return "" }
    defer { iconv_close(converter) }
    var input = bytes.map { CChar(bitPattern: $0) }
    var output = [CChar](repeating: 0, count: bytes.count * 4 + 16)
    var (left, room) = (input.count, output.count)
    let written = input.withUnsafeMutableBufferPointer { input in
      output.withUnsafeMutableBufferPointer { output -> Int in
        var (from, to) = (input.baseAddress, output.baseAddress)
        // What cannot be converted is skipped, a byte at a time.
        while left > 0, iconv(converter, &from, &left, &to, &room) == -1, left > 0, room > 4 {
          from = from.map { $0 + 1 }
          left -= 1
        }
        return output.count - room
      }
    }
    return String(decoding: output[..<written].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

extension Words {
  /// Some words in a row, as a title has them.
  func phrase(_ count: Int, _ random: inout RandomStream) -> String {
    switch self {
    case .spaced(let words):
      let text = (0..<count).map { _ in words[Int.random(in: 0..<words.count, using: &random)] }
        .joined(separator: " ")
      return text.prefix(1).uppercased() + text.dropFirst()
    case .unspaced(let common, let others, _):
      return (0..<2 * count).map { _ in
        let list = random.uniform() < 0.35 ? common : others
        return list[Int.random(in: 0..<list.count, using: &random)]
      }.joined()
    }
  }

  /// Sentences of so many words altogether.
  func sentences(_ count: Int, _ random: inout RandomStream) -> String {
    var (text, left) = ("", count)
    // Of Chinese text no kana.
    var words = self
    var stops = [",", "."]
    if case .unspaced(_, let others, let kinds) = self {
      let isChinese = random.uniform() < 0.5
      if isChinese { words = .unspaced(common: others, others: others, stops: kinds) }
      stops = kinds[isChinese ? 1 : 0]
    }
    let gap = stops[1] == "." ? " " : ""
    while left > 0 {
      let length = Int.random(in: 5...16, using: &random)
      let comma = Int.random(in: 2...length, using: &random)
      text += words.phrase(comma, &random)
      if comma < length {
        let rest = words.phrase(length - comma, &random)
        text += stops[0] + gap + rest.prefix(1).lowercased() + rest.dropFirst()
      }
      text += stops[1] + gap
      left -= length
    }
    return text
  }
}
