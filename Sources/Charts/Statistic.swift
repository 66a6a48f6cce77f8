/// A mean with the standard deviation over seeds.
public struct Statistic: Codable, Sendable {
  public let mean, deviation: Double
  public let count: Int

  public init(_ values: [Double]) {
    count = values.count
    let mean = values.reduce(0, +) / Double(max(1, values.count))
    self.mean = mean
    let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    deviation = values.count > 1 ? (squares / Double(values.count - 1)).squareRoot() : 0
  }

  public var range: ClosedRange<Double> { mean - deviation...mean + deviation }
}
