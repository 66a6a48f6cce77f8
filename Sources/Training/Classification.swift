public import Autodiff
public import Datasets
import Layers
public import Settings
public import Symmetry
public import TensorCore

/// `task: classify`: the class, which no motion changes.
public struct ClassificationTask: Objective {
  public static let kind = "classify"
  public static let summary = "The class."
  public var labelSmoothing: Float = 0
  public init() {}

  public mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {
    try keys.read("labelSmoothing", &labelSmoothing, in: 0...0.9, "moves targets towards uniform")
  }

  public func outputShape(for domain: any Domain, classes: Int) -> [Int] { [classes] }
  public func quantity(for domain: any Domain, classes: Int) -> any Quantity { Scores() }

  public func targets(
    in examples: Examples, for domain: any Domain, classes: Int
  ) throws(DatasetError) -> Tensor {
    try classTargets(in: examples, classes: classes)
  }

  public func losses(of output: Variable, _ targets: Variable) -> Variable {
    Loss.crossEntropy(labelSmoothing: labelSmoothing).perMember(output, targets)
  }

  public func result(of output: Variable) -> Variable { output.softmax() }

  public func measure(_ results: Tensor, _ targets: Tensor, into meter: inout QualityMeter) {
    meter.add(probabilities: results, labels: targets.largestColumn())
  }

  public var presentation: Presentation { .classes }
}

extension Objective {
  /// One-hot rows of the examples' classes.
  ///
  /// - Throws: `DatasetError` where the data have no classes, or others than the model.
  public func classTargets(in examples: Examples, classes: Int) throws(DatasetError) -> Tensor {
    guard !examples.labels.isEmpty else {
      throw .lacking("the task '\(Self.kind)' needs classes, and the data have none")
    }
    guard let largest = examples.labels.max(), largest < classes else {
      throw .lacking("a label is \(examples.labels.max() ?? 0), but there are \(classes) classes")
    }
    return .oneHot(examples.labels, classes: classes)
  }
}
