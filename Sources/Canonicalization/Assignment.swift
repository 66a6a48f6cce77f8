/// The assignment of rows to columns with the largest sum of scores: for each row its column.
///
/// The Hungarian method by shortest augmenting paths, after each column has been offered to the row that
/// scores it highest (Jonker & Volgenant 1987, doi 10.1007/BF02278710).
///
/// - Parameters:
///   - scores: Row-major, `count` × `count`. Where one is not a number, the result is some assignment.
/// - Complexity: O(`count`³).
func bestAssignment(_ scores: [Double], count n: Int) -> [Int] {
  // What a column costs: no row gains by leaving its own, price − score, for one that is cheaper to it.
  var price = [Double](repeating: -.infinity, count: n)
  var bestRow = [Int](repeating: 0, count: n)
  for row in 0..<n {
    for column in 0..<n where scores[row * n + column] > price[column] {
      (price[column], bestRow[column]) = (scores[row * n + column], row)
    }
  }
  var (rowOf, columnOf) = ([Int?](repeating: nil, count: n), [Int](repeating: -1, count: n))
  for column in 0..<n where columnOf[bestRow[column]] < 0 {
    (rowOf[column], columnOf[bestRow[column]]) = (bestRow[column], column)
  }
  var distance = [Double](repeating: 0, count: n)
  var previous = [Int](repeating: 0, count: n)
  // The columns; behind the first `openCount` those whose distance is settled.
  var columns = Array(0..<n)
  for start in 0..<n where columnOf[start] < 0 {
    for column in 0..<n { (distance[column], previous[column]) = (.infinity, start) }
    // Dijkstra's search, over alternating paths, for the nearest column that no row has.
    var (row, reached, shift, openCount) = (start, 0.0, 0.0, n)
    var end: Int
    while true {
      var (least, at) = (Double.infinity, 0)
      for k in 0..<openCount {
        let column = columns[k]
        let length = price[column] - scores[row * n + column] + shift
        if length < distance[column] { (distance[column], previous[column]) = (length, row) }
        if distance[column] < least { (least, at) = (distance[column], k) }
      }
      (reached, end) = (least, columns[at])
      openCount -= 1
      columns.swapAt(at, openCount)
      guard let next = rowOf[end] else { break }
      row = next
      shift = reached - (price[end] - scores[row * n + end])
    }
    for column in columns[openCount...] { price[column] += reached - distance[column] }
    // Every row of the path takes the column after it.
    repeat {
      row = previous[end]
      rowOf[end] = row
      swap(&end, &columnOf[row])
    } while row != start
  }
  return columnOf
}
