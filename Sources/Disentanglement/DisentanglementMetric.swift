/// Why a figure cannot be told, in a sentence that says what to do.
public struct DisentanglementError: Error, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}

/// A measure of disentanglement with its settings, which stand in each of its results.
public protocol DisentanglementMetric: Codable, Sendable {
  associatedtype Result: DisentanglementResult

  /// Measures codes whose factors are known.
  ///
  /// The same settings give the same result, bit for bit, for any number of threads.
  ///
  /// - Throws: `DisentanglementError` where the table has too little for a figure.
  func measure(_ table: LabeledCodes) throws(DisentanglementError) -> Result
}

/// The figures of one metric.
public protocol DisentanglementResult: Codable, Sendable {
  associatedtype Settings: Codable, Sendable

  /// With what it was measured.
  var settings: Settings { get }

  /// The figures by name, the metric's own first.
  var figures: [(name: String, value: Double)] { get }

  /// What a reader of the figures must know of them, in sentences.
  var notes: [String] { get }
}
