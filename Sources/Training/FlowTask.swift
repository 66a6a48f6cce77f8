import Autodiff
public import Datasets
import Layers
import Settings
public import Symmetry
public import TensorCore

/// `task: flow`: by how much a state changes, all of its numbers.
public struct FlowTask: Objective {
  public static let kind = "flow"
  public static let summary =
    "The next state: by how much places and velocities, or pixels, change."
  public init() {}

  public func backbone(for domain: any Domain) -> String {
    domain.shape.count == 3 ? "unet" : "mlp"
  }

  public func outputShape(for domain: any Domain, classes: Int) -> [Int] { domain.shape }

  /// A change of places is a vector.
  public func quantity(for domain: any Domain, classes: Int) -> any Quantity {
    guard let sets = domain as? SetDomain else { return domain.inputs }
    return Members(
      sets.columns.map { $0 == .point ? .vector : $0 }, dimension: sets.dimension)
  }

  public func targets(
    in examples: Examples, for domain: any Domain, classes: Int
  ) throws(DatasetError) -> Tensor {
    try tensor("change", in: examples, shape: domain.shape)
  }

  public var presentation: Presentation { .numbers("states") }

  /// The next states, from how they change.
  public func written(_ results: Tensor, for inputs: Tensor) -> Tensor { inputs + results }
}

extension Predictor {
  /// The states that follow on some, one step after the other, each from what was told before it.
  ///
  /// - Precondition: The task tells changes of the inputs: `FlowTask`.
  public func rollout(from states: Tensor, steps: Int) -> [Tensor] {
    require(task is FlowTask, "a rollout of the task '\(type(of: task).kind)'")
    var (state, all) = (states, [Tensor]())
    for _ in 0..<steps {
      state = task.written(outputs(for: state), for: state)
      all.append(state)
    }
    return all
  }
}
