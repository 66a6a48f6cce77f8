public import Images
import Settings
import TensorCore

/// How examples without parts of their own are cut into some.
public struct Split: Sendable, Equatable {
  public enum Rule: String, Sendable, CaseIterable {
    /// Each class in proportion.
    case stratified
    /// Whatever comes.
    case shuffled
  }
  /// The fractions for validation, and for the test part.
  public var valid: Float = 0.1
  public var test: Float = 0
  public var rule = Rule.stratified

  public init() {}

  mutating func read(_ keys: inout Keys) throws(SettingsError) {
    try keys.read("valid", &valid, in: 0.01...0.9, "the fraction held out for validation")
    try keys.read(
      "test", &test, in: 0...0.9, "the fraction that nothing is selected on, 0 for none")
    try keys.read("split", &rule, "whether each class is cut in proportion")
    if valid + test > 0.95 { throw keys.failure("'valid' and 'test' leave nothing to learn from") }
  }

  /// Where each part's examples lie, in an order that follows from the seed.
  func places(
    _ count: Int, labels: [Int], seed: UInt64
  ) -> (train: [Int], valid: [Int], test: [Int]) {
    var random = RandomStream(seed: seed, name: "split")
    let order = Array(0..<count).shuffled(using: &random)
    // Each class spread evenly over the row that is cut: the first tenth holds a tenth of each.
    var row = order
    if rule == .stratified && !labels.isEmpty {
      let sizes = Dictionary(labels.map { ($0, 1) }, uniquingKeysWith: +)
      var ranks: [Int: Int] = [:]
      var keys = [Double](repeating: 0, count: count)
      for place in order {
        let label = labels[place]
        keys[place] = (Double(ranks[label, default: 0]) + 0.5) / Double(sizes[label] ?? 1)
        ranks[label, default: 0] += 1
      }
      row = order.enumerated().sorted {
        (keys[$0.element], $0.offset) < (keys[$1.element], $1.offset)
      }.map(\.element)
    }
    let held = min(max(1, Int(Float(count) * valid)), count)
    let last = test > 0 ? min(held + max(1, Int(Float(count) * test)), count) : held
    let (validation, testing) = (Set(row[..<held]), Set(row[held..<last]))
    return (
      order.filter { !validation.contains($0) && !testing.contains($0) },
      order.filter(validation.contains), order.filter(testing.contains)
    )
  }
}

/// The settings of data that are one heap, cut by a split.
public protocol SplitOptions: DatasetOptions {
  var split: Split { get set }

  /// Reads all examples, and says which could not be.
  ///
  /// - Throws: `DatasetError` or an error of a file.
  func heap() throws -> Heap
}

/// All examples of some data, before they are cut into parts.
public struct Heap: Sendable {
  public var examples: Examples
  public var classNames: [String]
  /// Why others could not be read.
  public var errors: [ImageError]

  public init(_ examples: Examples, classNames: [String] = [], errors: [ImageError] = []) {
    (self.examples, self.classNames, self.errors) = (examples, classNames, errors)
  }
}

extension SplitOptions {
  /// All parts at once, read once; the test part is `nil` where none is cut off.
  public func parts(seed: UInt64) throws -> (learning: Dataset, test: Examples?) {
    let heap = try heap()
    let all = heap.examples
    let places = split.places(all.count, labels: all.labels, seed: seed)
    let learning = Dataset(
      train: all.gathered(places.train), valid: all.gathered(places.valid),
      classNames: heap.classNames, errors: heap.errors)
    guard split.test > 0 else { return (learning, nil) }
    return (learning, split.test >= 1 ? all : all.gathered(places.test))
  }

  public func load(seed: UInt64) throws -> Dataset { try parts(seed: seed).learning }

  public func test(seed: UInt64) throws -> Examples? {
    split.test > 0 ? try parts(seed: seed).test : nil
  }
}
