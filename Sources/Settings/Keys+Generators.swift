extension Keys {
  /// Reads generators of affine maps of the plane, six numbers each.
  public mutating func readGenerators(_ numbers: inout [Float]) throws(SettingsError) {
    try read(
      "generators", &numbers,
      "one's own, six numbers each, the rows of (A, t), shifts in halves of the side, y down, in place of the group's; what `canon discover` finds"
    )
    guard numbers.count % 6 == 0, numbers.count <= 6 * 6, numbers.allSatisfy(\.isFinite) else {
      throw failure(
        "'generators' are \(numbers.count) numbers but must be six for each of up to six, all finite"
      )
    }
    for start in stride(from: 0, to: numbers.count, by: 6)
    where numbers[start..<start + 6].allSatisfy({ $0 == 0 }) {
      throw failure("generator \(start / 6 + 1) is 0, which generates nothing")
    }
    guard numbers.allSatisfy({ abs($0) <= 10 }) else {
      throw failure("'generators' has numbers beyond 10: only their direction counts")
    }
    // What is left of each beside those before it.
    var axes: [[Float]] = []
    for start in stride(from: 0, to: numbers.count, by: 6) {
      func length(_ v: [Float]) -> Float { v.reduce(0) { $0 + $1 * $1 }.squareRoot() }
      let whole = Array(numbers[start..<start + 6])
      let rest = axes.reduce(whole) { rest, axis in
        let along = zip(rest, axis).reduce(0) { $0 + $1.0 * $1.1 }
        return zip(rest, axis).map { $0 - along * $1 }
      }
      guard length(whole) > 1e-3, length(rest) > 1e-2 * length(whole) else {
        throw failure("generator \(start / 6 + 1) is a mixture of those before it, or nearly 0")
      }
      axes.append(rest.map { $0 / length(rest) })
    }
  }
}
