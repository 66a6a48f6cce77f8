public import Datasets
import Foundation
public import Settings
import Symmetry
import TensorCore

/// Everything that a training run depends on: read from YAML, written back resolved, and kept with
/// the weights, so that a model file says how it came about.
public struct RunConfiguration: Sendable {
  public var name = "model"
  public var seed = 0
  public var data: any DatasetOptions = RotatedMNISTOptions()
  /// How many training examples are used, 0 for all.
  public var limit = 0
  public var model: any ModelOptions = CanonicalizedOptions()
  public var training = TrainingOptions()
  /// What it can name.
  public let catalog: Catalog

  public init(catalog: Catalog = .standard) { self.catalog = catalog }

  /// Reads a file.
  ///
  /// `changes`: Values in place of some of it, like `training.batch=16`.
  /// - Throws: `SettingsError`, naming the line and, for an unknown key, the nearest valid one.
  public init(
    path: String, catalog: Catalog = .standard, changes: [String] = []
  ) throws(SettingsError) {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw SettingsError(path, line: nil, "the file cannot be read; check the path")
    }
    try self.init(text: text, source: path, catalog: catalog, changes: changes)
  }

  /// Reads a text.
  public init(
    text: String, source: String, catalog: Catalog = .standard, changes: [String] = []
  ) throws(SettingsError) {
    self.catalog = catalog
    var keys = try Keys(text: text, source: source, changes: changes)
    try read(&keys)
    try keys.finish()
  }

  private mutating func read(_ keys: inout Keys) throws(SettingsError) {
    try keys.read("name", &name, "what the run is called")
    // It is that of a folder.
    if name.isEmpty || name.hasPrefix(".") || name.utf8.contains(where: { $0 == 0x2F || $0 < 0x20 })
    {
      throw keys.failure("'name' is '\(name)' but must be a word that a folder can be called")
    }
    // Further starts take seeds of their own, in the bits above.
    try keys.read("seed", &seed, in: 0...Int(UInt32.max), "what all random numbers follow from")

    var section = try keys.open("data")
    var input = try keys.open("input")
    let kind = try section.options(
      among: catalog.datasets, kind: { $0.kind }, default: type(of: data).kind)
    if kind != type(of: data) { data = kind.init() }
    try data.read(&section, input: &input)
    try RunConfiguration.readLimit(&limit, &section)
    try keys.close("data", section)
    try keys.close("input", input)

    section = try keys.open("model")
    let family = try section.options(
      among: catalog.models, kind: { $0.kind }, default: type(of: model).kind)
    if family != type(of: model) { model = family.init() }
    try model.read(&section, top: &keys, data: data, catalog: catalog)
    try keys.close("model", section)

    section = try keys.open("training")
    try training.read(&section, for: data)
    try model.check(training, section)
    for name in training.augment ? training.groups(for: data) : []
    where data.domain.group(named: name) == nil {
      throw section.failure("'augmentBy' has '\(name)', which is no group of \(data.domain.text)")
    }
    if training.augment && training.groups(for: data).isEmpty {
      throw section.failure("'augment' needs groups in 'augmentBy': the data name none")
    }
    if (training.augment || training.tilt > 0) && !family.canAugment {
      throw section.failure("models of kind '\(family.kind)' are not augmented")
    }
    try keys.close("training", section)
  }

  /// Reads the key of all data sets.
  public static func readLimit(_ limit: inout Int, _ keys: inout Keys) throws(SettingsError) {
    try keys.read("limit", &limit, in: 0...100_000_000, "use so many training examples only")
  }

  /// The configuration with every value given; of one that was changed so that it cannot be, what is valid of it.
  public var resolved: SettingsValue {
    var (copy, keys) = (self, Keys())
    try? copy.read(&keys)
    return keys.resolved
  }

  /// Checks values that a program has changed as those of a file are checked.
  ///
  /// - Throws: `SettingsError`.
  public func validated() throws(SettingsError) -> RunConfiguration {
    var (copy, keys) = (self, Keys())
    try copy.read(&keys)
    return copy
  }

  /// The configuration as YAML with every value given, which `init(text:source:)` reads back.
  public var yaml: String { resolved.yaml }

  /// Makes the model with random weights, and loads what parts of it begin with.
  ///
  /// - Parameters:
  ///   - classNames: The classes of the data.
  ///   - start: Which of the run's random starts it is for.
  /// - Throws: `SettingsError`, or `WeightsError` for a file that parts begin with.
  public func makeModel(classNames: [String], start: Int = 0) throws -> any TrainableModel {
    let made = try emptyModel(classNames: classNames, start: start)
    try model.load(into: made)
    return made
  }

  /// Makes the model with random weights alone.
  func emptyModel(classNames: [String], start: Int = 0) throws(SettingsError) -> any TrainableModel
  {
    try model.make(
      ModelBuild(
        domain: data.domain, classNames: classNames, seed: UInt64(seed) &+ UInt64(start) << 32,
        augmentation: training.augment ? training.groups(for: data) : [],
        tilt: Double(training.tilt) * .pi / 180))
  }

  /// Reads the data that the run learns from.
  ///
  /// - Throws: `DatasetError`, or an error of a file.
  public func loadData() throws -> Dataset {
    limited(try data.load(seed: UInt64(seed)))
  }

  /// Data of the run with as many training examples as it uses.
  public func limited(_ data: Dataset) -> Dataset {
    var data = data
    if limit > 0 { data = data.limited(to: limit) }
    return data
  }

  /// The same with every number that follows from how many examples there are to train on.
  public func resolved(for examples: Int) -> RunConfiguration {
    var copy = self
    copy.training = training.resolved(for: examples)
    return copy
  }
}
