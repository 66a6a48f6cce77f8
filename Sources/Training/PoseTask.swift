import Canonicalization
public import Datasets
import Settings
public import Symmetry
public import TensorCore

/// `task: pose`: nothing but how an input lies, taught by inputs that are upright.
///
/// The canonicalizer's prior is the whole loss, and no backbone is needed. The error is the part of upright inputs whose
/// pose is more than 5° from upright, the loss the mean distance in the group's metric.
public struct PoseTask: Objective {
  public static let kind = "pose"
  public static let summary = "The pose alone, from upright inputs; no backbone."
  public init() {}

  public func backbone(for domain: any Domain) -> String { "none" }
  public func outputShape(for domain: any Domain, classes: Int) -> [Int] { [1] }
  public func quantity(for domain: any Domain, classes: Int) -> any Quantity { Scores() }

  public func targets(
    in examples: Examples, for domain: any Domain, classes: Int
  ) throws(DatasetError) -> Tensor { .zeros([examples.count, 1]) }

  public var presentation: Presentation { .poses }
}

extension Predictor {
  /// How far poses of upright inputs are from upright.
  func poseQuality(on examples: Examples) -> Quality {
    var distances: [Double] = []
    let (group, size) = (claims, 32)
    for start in stride(from: 0, to: examples.count, by: size) {
      let inputs = examples.inputs.sliced(start..<min(examples.count, start + size))
      distances += poses(of: inputs).map { group.distance($0.element, Motion()) }
    }
    let count = Double(max(1, distances.count))
    // Written so that what is no number is wrong.
    let rate = Double(distances.count { !($0 <= 5 * .pi / 180) }) / count
    return Quality(
      error: rate, loss: distances.reduce(0, +) / count,
      errorSampling: (rate * (1 - rate) / count + 0.25 / (count * count)).squareRoot()
        / (1 + 1 / count))
  }
}
