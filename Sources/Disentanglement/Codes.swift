public import TensorCore

/// What an encoder says of some inputs: a row of numbers each.
///
/// Give posterior means, not samples: a sampled code has the noise of its posterior in every
/// figure.
public struct Codes: Sendable {
  /// How many rows there are.
  public let count: Int
  /// What each dimension is called, by default z0, z1, ….
  public let names: [String]
  /// All numbers, row by row.
  let values: [Double]
  /// The variance of each dimension over all rows, by `count` − 1.
  public let variances: [Double]

  /// How many numbers a row has.
  public var dimensions: Int { names.count }

  /// Codes from rows of equal length.
  ///
  /// - Throws: `DisentanglementError` for fewer than two rows, rows of unlike length, and numbers
  ///   that are not finite or above 1e30, with the row.
  public init(_ rows: [[Double]], names: [String]? = nil) throws(DisentanglementError) {
    let width = rows.first?.count ?? 0
    if let other = rows.firstIndex(where: { $0.count != width }) {
      throw DisentanglementError(
        "Row \(other + 1) of the codes has \(rows[other].count) numbers, the first \(width); give all rows the same."
      )
    }
    try self.init(values: rows.flatMap { $0 }, count: rows.count, width: width, names: names)
  }

  /// Codes from a tensor of shape `[count, dimensions]`.
  ///
  /// - Throws: `DisentanglementError` for another shape, and as for rows.
  public init(_ tensor: Tensor, names: [String]? = nil) throws(DisentanglementError) {
    guard tensor.shape.rank == 2 else {
      throw DisentanglementError("Codes have the shape [count, dimensions], not \(tensor.shape).")
    }
    try self.init(
      values: tensor.elements.map(Double.init), count: tensor.shape[0], width: tensor.shape[1],
      names: names)
  }

  private init(
    values: [Double], count: Int, width: Int, names: [String]?
  ) throws(DisentanglementError) {
    guard count >= 2, width >= 1 else {
      throw DisentanglementError(
        "There are \(count) rows of \(width) numbers; codes are two rows and one number at least.")
    }
    let names = names ?? (0..<width).map { "z\($0)" }
    guard names.count == width else {
      throw DisentanglementError("There are \(names.count) names of \(width) dimensions.")
    }
    // Products of several larger ones leave the range of a Double.
    if let place = values.firstIndex(where: { !($0.magnitude <= 1e30) }) {
      throw DisentanglementError(
        "\(names[place % width]) is \(values[place]) in row \(place / width + 1); leave such rows out, or see why the encoder gives them."
      )
    }
    (self.count, self.names, self.values) = (count, names, values)
    variances = (0..<width).map { dimension in
      let column = Codes.column(dimension, of: values, width: width)
      return variance(of: column)
    }
  }

  /// The numbers of one dimension, by row.
  func column(_ dimension: Int) -> [Double] {
    Codes.column(dimension, of: values, width: dimensions)
  }

  private static func column(_ dimension: Int, of values: [Double], width: Int) -> [Double] {
    stride(from: dimension, to: values.count, by: width).map { values[$0] }
  }

  /// The dimensions whose standard deviation is at least a threshold.
  ///
  /// - Throws: `DisentanglementError` where there is none: the codes have collapsed.
  func active(from threshold: Double) throws(DisentanglementError) -> [Int] {
    let active = variances.indices.filter { variances[$0].squareRoot() >= threshold }
    guard !active.isEmpty else {
      let largest = (variances.max() ?? 0).squareRoot()
      throw DisentanglementError(
        "All \(dimensions) dimensions have collapsed: their largest standard deviation, \(largest), is below \(threshold); there is nothing to measure."
      )
    }
    return active
  }
}

/// The variance of some numbers, by their count − 1; exactly 0 where they are all the same.
func variance(of numbers: some Collection<Double>) -> Double {
  guard let first = numbers.first, numbers.count > 1 else { return 0 }
  let count = Double(numbers.count)
  // From the first one: the mean of equal numbers need not be that number.
  let mean = numbers.reduce(0) { $0 + ($1 - first) } / count
  return numbers.reduce(0) { sum, x in
    let difference = x - first - mean
    return sum + difference * difference
  } / (count - 1)
}
