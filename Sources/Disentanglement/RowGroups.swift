import TensorCore

/// The rows of a table by their values of some factors: what "with these factors fixed" draws from.
///
/// A batch is a row drawn evenly among all that have a partner, and then rows of its group, with replacement. A group of a
/// single row is no batch, for nothing varies in it: its row is left out, and `count` says how many are left.
struct RowGroups: Sendable {
  private let rows: [Int]
  /// The first place, in `rows`, of the group of each place, and the place behind its last.
  private let bounds: [Range<Int>]

  /// How many rows have a partner.
  var count: Int { rows.count }

  /// How many rows the smallest group has.
  var smallest: Int { bounds.map(\.count).min() ?? 0 }

  /// - Throws: `DisentanglementError` where no two rows have the same values of these factors.
  init(_ factors: Factors, fixing fixed: [Int]) throws(DisentanglementError) {
    var groups = [Int](repeating: 0, count: factors.count)
    for factor in fixed {
      // Numbered anew factor by factor: the numbers of all combinations may not fit.
      var numbers: [Int: Int] = [:]
      for row in groups.indices {
        let key = groups[row] * factors.valueCounts[factor] + factors.columns[factor][row]
        groups[row] = numbers[key] ?? numbers.count
        if numbers[key] == nil { numbers[key] = groups[row] }
      }
    }
    var members = [[Int]](repeating: [], count: (groups.max() ?? -1) + 1)
    for (row, group) in groups.enumerated() { members[group].append(row) }
    let usable = members.filter { $0.count >= 2 }
    guard !usable.isEmpty else {
      let names = fixed.map { factors.names[$0] }.joined(separator: ", ")
      throw DisentanglementError(
        "No two rows have the same \(names): with that fixed nothing varies. Give more rows, or fewer bins."
      )
    }
    rows = usable.flatMap { $0 }
    var start = 0
    bounds = usable.flatMap { group in
      defer { start += group.count }
      return [Range<Int>](repeating: start..<start + group.count, count: group.count)
    }
  }

  /// Two rows of one group, drawn independently of each other.
  func pair(using random: inout RandomStream) -> (Int, Int) {
    let place = Int.random(in: 0..<rows.count, using: &random)
    return (rows[place], rows[Int.random(in: bounds[place], using: &random)])
  }

  /// Rows of one group, drawn with replacement.
  func batch(_ count: Int, using random: inout RandomStream) -> [Int] {
    let group = bounds[Int.random(in: 0..<rows.count, using: &random)]
    return (0..<count).map { _ in rows[Int.random(in: group, using: &random)] }
  }

  /// The variances of a batch's codes over those of all rows, in some dimensions.
  func relativeVariances(
    _ codes: Codes, _ dimensions: [Int], batch count: Int, using random: inout RandomStream
  ) -> [Double] {
    let batch = batch(count, using: &random)
    return dimensions.map { dimension in
      variance(of: batch.map { codes.values[$0 * codes.dimensions + dimension] })
        / codes.variances[dimension]
    }
  }
}

/// The dimensions that vary least, by their relative variances; among equal ones some are drawn.
///
/// Variances within about a millionth are equal: of codes that turn two factors into each other they are the same up to
/// rounding, and were the first of equal ones taken, or rounding the judge, such codes would vote as one.
func leastVaried(_ count: Int, of variances: [Double], using random: inout RandomStream) -> [Int] {
  let rounded = variances.map { ($0 * 1e6).rounded() }
  let order = variances.indices.shuffled(using: &random).enumerated().sorted {
    (rounded[$0.element], $0.offset) < (rounded[$1.element], $1.offset)
  }
  return order.prefix(count).map(\.element)
}
