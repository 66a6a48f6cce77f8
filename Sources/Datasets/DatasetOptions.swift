public import Settings
public import Symmetry

/// The settings of a data set: its keys in YAML, and the examples that they lead to.
///
/// A data set of one's own is one conformer, added to the catalog.
public protocol DatasetOptions: Options {
  /// What its inputs are.
  var domain: any Domain { get }

  /// The task that it is for, where none is named.
  var task: String { get }

  /// The groups, by name, that its examples are drawn in all poses of: what augmentation moves them by, and
  /// models that claim nothing are measured under. `S` stands for the orders of a set's members.
  var symmetries: [String] { get }

  /// Reads its keys in the section `data`, and those of the section `input`, what a model sees.
  mutating func read(_ keys: inout Keys, input: inout Keys) throws(SettingsError)

  /// Reads the parts that a run learns from.
  ///
  /// - Throws: `DatasetError` or an error of a file.
  func load(seed: UInt64) throws -> Dataset

  /// The examples that nothing is selected on; `nil` where there are none.
  ///
  /// - Throws: `DatasetError` or an error of a file.
  func test(seed: UInt64) throws -> Examples?

  /// The same data at another place; `nil` where what is there is something else.
  func located(at path: String) -> (any DatasetOptions)?

  /// The same data in their upright poses; `nil` where there are none.
  var upright: (any DatasetOptions)? { get }

  /// What the columns of the examples' `factors` are called; empty where there are none.
  var factorNames: [String] { get }
}

extension DatasetOptions {
  public var symmetries: [String] { [] }
  public var upright: (any DatasetOptions)? { nil }
  public var factorNames: [String] { [] }
  public func test(seed: UInt64) throws -> Examples? { nil }
  public func located(at path: String) -> (any DatasetOptions)? { nil }
}

extension Keys {
  /// Reads what a model of images sees, in the section `input`.
  public mutating func read(_ images: inout ImageDomain) throws(SettingsError) {
    try read("size", &images.size, in: 4...1024, "side of the square image, in pixels")
    try read("channels", &images.channels, in: 1...3, "1 gray, 3 color")
    if images.channels == 2 { throw failure("'channels' must be 1 or 3") }
    try read("border", &images.border, "what lies outside an image")
  }
}
