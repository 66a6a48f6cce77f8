import TensorCore

/// What is true of some inputs: a row of discrete values each.
public struct Factors: Sendable {
  /// How many rows there are.
  public let count: Int
  /// What each factor is called, by default factor1, factor2, ….
  public let names: [String]
  /// How many values each factor takes.
  public let valueCounts: [Int]
  /// Of each factor the values by row, numbered from 0 in their order.
  let columns: [[Int]]

  /// Factors from rows of whole numbers, of shape `[count, factors]`.
  ///
  /// Each different number is a value; its size does not matter.
  ///
  /// - Throws: `DisentanglementError` for rows of unlike length and a factor of one value only.
  public init(_ rows: [[Int]], names: [String]? = nil) throws(DisentanglementError) {
    try self.init(of: rows, names: names) { $0 }
  }

  /// Factors from rows of any numbers, of shape `[count, factors]`.
  ///
  /// A factor of at most `bins` different numbers keeps them as its values. One of more is cut into
  /// `bins` pieces of equal width between its least and its largest number, as the histograms of the
  /// mutual information gap are; a piece that nothing falls into is no value.
  ///
  /// - Throws: `DisentanglementError` as for whole numbers, and for numbers that are not finite.
  public init(
    binning rows: [[Double]], bins: Int, names: [String]? = nil
  ) throws(DisentanglementError) {
    guard bins >= 2 else {
      throw DisentanglementError("\(bins) bins tell nothing apart; give two or more.")
    }
    for (n, row) in rows.enumerated() {
      if let place = row.firstIndex(where: { !($0.magnitude <= 1e30) }) {
        throw DisentanglementError(
          "Factor \(place + 1) is \(row[place]) in row \(n + 1); leave such rows out.")
      }
    }
    try self.init(of: rows, names: names) { column in
      Set(column).count <= bins ? column : Histogram(column, bins: bins).places.map(Double.init)
    }
  }

  private init<Number: Hashable & Comparable>(
    of rows: [[Number]], names: [String]?, _ discrete: ([Number]) -> [Number]
  ) throws(DisentanglementError) {
    let width = rows.first?.count ?? 0
    if let other = rows.firstIndex(where: { $0.count != width }) {
      throw DisentanglementError(
        "Row \(other + 1) of the factors has \(rows[other].count) values, the first \(width); give all rows the same."
      )
    }
    let names = names ?? (0..<width).map { "factor\($0 + 1)" }
    guard names.count == width, width > 0 else {
      throw DisentanglementError("There are \(names.count) names of \(width) factors.")
    }
    (count, self.names) = (rows.count, names)
    columns = (0..<width).map { factor in
      let column = discrete(rows.map { $0[factor] })
      let numbers = Dictionary(
        uniqueKeysWithValues: Set(column).sorted().enumerated().map { ($1, $0) })
      return column.map { numbers[$0] ?? 0 }
    }
    valueCounts = columns.map { ($0.max() ?? -1) + 1 }
    if let constant = valueCounts.firstIndex(where: { $0 < 2 }) {
      throw DisentanglementError(
        "The factor \(names[constant]) has one value only: nothing can depend on it; leave it out.")
    }
  }
}

/// Numbers counted in pieces of equal width.
///
/// Piece *b* holds min + *b* · *w* ≤ *x* < min + (*b* + 1) · *w*, with *w* = (max − min) / `bins`, and the last
/// one the maximum too: `numpy.digitize(x, numpy.histogram(x, bins)[1][:-1])`.
struct Histogram {
  /// The piece of each number, from 0.
  let places: [Int]

  init(_ numbers: [Double], bins: Int) {
    let (least, largest) = (numbers.min() ?? 0, numbers.max() ?? 0)
    let width = (largest - least) / Double(bins)
    guard width > 0 else {
      places = numbers.map { _ in 0 }
      return
    }
    // The edge itself decides: a quotient may round to the other side of it.
    func edge(_ bin: Int) -> Double { Double(bin) * width + least }
    places = numbers.map { number in
      var bin = min(bins - 1, Int((number - least) / width))
      while bin > 0 && number < edge(bin) { bin -= 1 }
      while bin < bins - 1 && number >= edge(bin + 1) { bin += 1 }
      return bin
    }
  }
}
