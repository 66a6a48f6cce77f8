/// The features of rows, each cut into bins of about as many rows: what trees look for splits between.
///
/// A feature of at most `bins` different numbers has one bin for each, and its trees are those of exact splits.
struct BinnedFeatures: Sendable {
  /// By feature, the bin of each row.
  let places: [[UInt16]]
  /// By feature and bin, the least and the largest number in it.
  let ranges: [[ClosedRange<Double>]]

  init(_ columns: [[Double]], bins: Int) {
    var (places, ranges) = ([[UInt16]](), [[ClosedRange<Double>]]())
    for column in columns {
      let order = column.indices.sorted { column[$0] < column[$1] }
      let isExact = Set(column).count <= bins
      var own = [UInt16](repeating: 0, count: column.count)
      var cuts: [ClosedRange<Double>] = []
      for (n, row) in order.enumerated() {
        let value = column[row]
        // Equal numbers stay together.
        let isNew =
          cuts.last.map { last in
            value > last.upperBound && (isExact || n * bins >= cuts.count * column.count)
          } ?? true
        if isNew {
          cuts.append(value...value)
        } else {
          cuts[cuts.count - 1] = cuts[cuts.count - 1].lowerBound...value
        }
        own[row] = UInt16(cuts.count - 1)
      }
      places.append(own)
      ranges.append(cuts)
    }
    (self.places, self.ranges) = (places, ranges)
  }

  /// Sums and counts of some rows' targets in the bins of all features.
  func histogram(_ rows: ArraySlice<Int>, _ targets: [Double]) -> [[SIMD2<Double>]] {
    let own = rows.map { SIMD2(targets[$0], 1) }
    return places.indices.map { feature in
      var sums = [SIMD2<Double>](repeating: .zero, count: ranges[feature].count)
      let places = places[feature]
      for (row, target) in zip(rows, own) { sums[Int(places[row])] += target }
      return sums
    }
  }
}
