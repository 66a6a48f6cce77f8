/// The assignment of rows to columns with the largest sum of scores: for each row its column.
///
/// The Hungarian method by shortest augmenting paths (Jonker & Volgenant 1987,
/// doi 10.1007/BF02278710).
///
/// - Parameters:
///   - scores: Row-major, `count` × `count`.
/// - Complexity: O(`count`³).
func bestAssignment(_ scores: [Double], count n: Int) -> [Int] {
  // Rows and columns count from 1; column 0 stands for "none yet".
  var rowPrice = [Double](repeating: 0, count: n + 1)
  var columnPrice = [Double](repeating: 0, count: n + 1)
  var rowOf = [Int](repeating: 0, count: n + 1)
  for row in 1..<max(1, n + 1) {
    rowOf[0] = row
    var column = 0
    var shortest = [Double](repeating: .infinity, count: n + 1)
    var previous = [Int](repeating: 0, count: n + 1)
    var isDone = [Bool](repeating: false, count: n + 1)
    repeat {
      isDone[column] = true
      let from = rowOf[column]
      var (step, next) = (Double.infinity, 0)
      for j in 1...n where !isDone[j] {
        let reduced = -scores[(from - 1) * n + j - 1] - rowPrice[from] - columnPrice[j]
        if reduced < shortest[j] { (shortest[j], previous[j]) = (reduced, column) }
        if shortest[j] < step { (step, next) = (shortest[j], j) }
      }
      for j in 0...n {
        if isDone[j] {
          rowPrice[rowOf[j]] += step
          columnPrice[j] -= step
        } else {
          shortest[j] -= step
        }
      }
      column = next
    } while rowOf[column] != 0
    while column != 0 {
      rowOf[column] = rowOf[previous[column]]
      column = previous[column]
    }
  }
  var columnOf = [Int](repeating: 0, count: n)
  for column in 1..<max(1, n + 1) { columnOf[rowOf[column] - 1] = column - 1 }
  return columnOf
}
