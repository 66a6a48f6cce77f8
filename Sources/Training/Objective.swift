public import Autodiff
public import Datasets
import Layers
public import Settings
public import Symmetry
public import TensorCore

/// What is to be predicted: a task, `task` in YAML.
///
/// It says what a backbone puts out, how that moves with the input, what is lost by it, and how good it is.
/// A task of one's own is one conformer, added to the catalog.
public protocol Objective: Options {
  /// The backbone that serves it, where none is named.
  func backbone(for domain: any Domain) -> String

  /// Reads its keys, for inputs of a domain.
  mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError)

  /// The shape of one output; a count of classes that is not known yet is 0.
  func outputShape(for domain: any Domain, classes: Int) -> [Int]

  /// How outputs, and targets, move.
  func quantity(for domain: any Domain, classes: Int) -> any Quantity

  /// The targets among what the examples hold, `[count] + outputShape`.
  ///
  /// - Throws: `DatasetError` where the data have nothing of the kind.
  func targets(
    in examples: Examples, for domain: any Domain, classes: Int
  ) throws(DatasetError) -> Tensor

  /// The loss of each member, `[batch]`, of raw outputs of the backbone against targets.
  func losses(of output: Variable, _ targets: Variable) -> Variable

  /// What raw outputs say: probabilities of logits, say.
  func result(of output: Variable) -> Variable

  /// Adds results and their targets to what is measured.
  func measure(_ results: Tensor, _ targets: Tensor, into meter: inout QualityMeter)

  /// How results are shown.
  var presentation: Presentation { get }

  /// What is written of results, for their inputs.
  func written(_ results: Tensor, for inputs: Tensor) -> Tensor
}

/// How the results of a task are shown.
public enum Presentation: Sendable, Equatable {
  /// The best class and its probability; results begin with the probabilities.
  case classes
  /// Images.
  case images
  /// A tensor of a name.
  case numbers(String)
  /// Nothing but poses.
  case poses

  /// Whether results are printed, rather than written to a file.
  public var isPrinted: Bool { self == .classes || self == .poses }
}

extension Objective {
  public mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {}

  public func backbone(for domain: any Domain) -> String {
    let output = outputShape(for: domain, classes: 0)
    if domain is SetDomain { return output.count > 1 ? "particles" : "pointnet" }
    return output.count == 3 ? "unet" : "paper-cnn"
  }

  public func result(of output: Variable) -> Variable { output }

  /// What a backbone's outputs say.
  public func result(of output: Tensor) -> Tensor { result(of: Variable(output)).value }

  public func measure(_ results: Tensor, _ targets: Tensor, into meter: inout QualityMeter) {
    meter.add(outputs: results, targets: targets)
  }

  public func losses(of output: Variable, _ targets: Variable) -> Variable {
    Loss.meanSquaredError.perMember(output, targets)
  }

  public func written(_ results: Tensor, for inputs: Tensor) -> Tensor { results }

  /// A tensor that the task needs.
  ///
  /// - Throws: `DatasetError` where the data have none of the name, or of another shape.
  public func tensor(
    _ name: String, in examples: Examples, shape: [Int]? = nil
  ) throws(DatasetError) -> Tensor {
    guard let tensor = examples[name] else {
      let names =
        examples.tensors.keys.filter { $0 != "inputs" }.sorted()
        + (examples.labels.isEmpty ? [] : ["classes"])
      let held = names.isEmpty ? "nothing" : names.joined(separator: ", ")
      throw .lacking("the task '\(Self.kind)' needs '\(name)'; the data have \(held)")
    }
    guard shape == nil || Array(tensor.shape.extents.dropFirst()) == shape else {
      throw .lacking(
        "'\(name)' has shape \(tensor.shape), and the task takes [count] + \(shape ?? [])")
    }
    return tensor
  }
}
