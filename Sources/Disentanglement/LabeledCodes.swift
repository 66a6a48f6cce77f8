import TensorCore

/// Codes of inputs whose factors are known: what every metric measures.
///
///     let table = try LabeledCodes(Codes(means), Factors(labels, names: ["shape", "scale"]))
///     print(try MutualInformationGap().measure(table).score)
public struct LabeledCodes: Sendable {
  public let codes: Codes
  public let factors: Factors

  /// Pairs rows of codes with rows of factors.
  ///
  /// - Throws: `DisentanglementError` for unlike counts, and codes that are the same in all rows.
  public init(_ codes: Codes, _ factors: Factors) throws(DisentanglementError) {
    guard codes.count == factors.count else {
      throw DisentanglementError(
        "There are \(codes.count) rows of codes and \(factors.count) of factors; give one for each."
      )
    }
    _ = try codes.active(from: .leastNonzeroMagnitude)
    (self.codes, self.factors) = (codes, factors)
  }

  /// How many rows there are.
  public var count: Int { codes.count }

  /// Requires three rows for each value of a factor: a figure of fewer says how they were drawn.
  func requireRows(for metric: String) throws(DisentanglementError) {
    for (name, values) in zip(factors.names, factors.valueCounts) where count < 3 * values {
      throw DisentanglementError(
        "\(metric) needs three rows for each value of a factor: \(3 * values) for the \(values) values of \(name), where there are \(count). Give more rows, or put the values of a continuous factor into fewer bins."
      )
    }
  }

  /// Requires several dimensions, which a metric compares.
  func requireDimensions(for metric: String) throws(DisentanglementError) {
    guard codes.dimensions >= 2 else {
      throw DisentanglementError("\(metric) compares dimensions, and the codes have one only.")
    }
  }

  /// Requires several factors, which a metric tells apart.
  func requireFactors(for metric: String) throws(DisentanglementError) {
    guard factors.names.count >= 2 else {
      throw DisentanglementError(
        "\(metric) tells factors apart, and there is \(factors.names[0]) only: it would be 1 of any codes."
      )
    }
  }

  /// Rows to learn from and rows to test on, drawn without regard to their values.
  ///
  /// - Throws: `DisentanglementError` where a factor has a single value among those to learn from.
  func split(
    testShare: Double, seed: UInt64
  ) throws(DisentanglementError) -> (train: [Int], test: [Int]) {
    guard testShare > 0, testShare < 1 else {
      throw DisentanglementError("The share of test rows is above 0 and below 1, not \(testShare).")
    }
    var random = RandomStream(seed: seed, name: "disentanglement/split")
    let order = (0..<count).shuffled(using: &random)
    let tests = min(count - 1, max(1, Int((Double(count) * testShare).rounded())))
    let (train, test) = (order.dropFirst(tests).sorted(), order.prefix(tests).sorted())
    for (factor, name) in factors.names.enumerated()
    where Set(train.map { factors.columns[factor][$0] }).count < 2 {
      throw DisentanglementError(
        "Of \(train.count) rows to learn from all have the same \(name); give more rows of its other values."
      )
    }
    return (train, test)
  }
}
