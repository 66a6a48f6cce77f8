/// What can go wrong with settings, in a sentence that says what to do.
public struct SettingsError: Error, CustomStringConvertible, Equatable {
  public let description: String

  /// - Parameters:
  ///   - source: The file that the settings came from.
  ///   - line: The line of it, where one is to blame.
  ///   - message: A sentence without a full stop.
  public init(_ source: String, line: Int?, _ message: String) {
    let end = message.hasSuffix("?") ? "" : "."
    description = "\(source)\(line.map { ", line \($0)" } ?? ""): \(message)\(end)"
  }
}

/// A question that offers the nearest valid word, or nothing where all are far.
func hint(_ word: String, _ candidates: [String]) -> String {
  guard let best = nearest(word, in: candidates) else { return "" }
  return "; did you mean '\(best)'?"
}

/// The candidate with the smallest edit distance (Levenshtein) to a word, unless all are far.
public func nearest(_ word: String, in candidates: [String]) -> String? {
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
