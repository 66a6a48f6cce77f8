extension Keys {
  /// Reads generators of affine maps of the plane, six numbers each.
  public mutating func readGenerators(_ numbers: inout [Float]) throws(SettingsError) {
    try read(
      "generators", &numbers,
      "one's own, six numbers each, the rows of (A, t), in place of the group's")
    guard numbers.count % 6 == 0, numbers.count <= 6 * 6, numbers.allSatisfy(\.isFinite) else {
      throw failure(
        "'generators' are \(numbers.count) numbers but must be six for each of up to six, all finite"
      )
    }
    for start in stride(from: 0, to: numbers.count, by: 6)
    where numbers[start..<start + 6].allSatisfy({ $0 == 0 }) {
      throw failure("generator \(start / 6 + 1) is 0, which generates nothing")
    }
  }
}
