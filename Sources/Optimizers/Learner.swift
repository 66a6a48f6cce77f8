public import Autodiff
public import TensorCore

/// Parameters, and the state of the optimizer that changes them.
///
///     var learner = Learner(network.parameters.map(\.parameter), rule: AdamW())
///     for step in 0..<steps {
///       let tape = Tape.training(random: RandomStream(seed: 0, name: "step/\(step)"))
///       let loss = myLoss(network(Variable(inputs), on: tape))
///       learner.step(down: loss, on: tape, rate: 1e-3)
///     }
public struct Learner: Sendable {
  public let parameters: [Parameter]
  public let rule: any Optimizer
  /// The largest norm of the gradient, 0 for any.
  public let clip: Float
  /// The optimizer's state of each parameter: kept with checkpoints, and set to go on from one.
  public var states: [[Tensor]]
  /// How many steps are done.
  public var step = 0

  public init(_ parameters: [Parameter], rule: any Optimizer, clip: Float = 0) {
    self.parameters = parameters
    self.rule = rule
    self.clip = clip
    states = parameters.map { parameter in
      parameter.isTrainable
        ? (0..<rule.stateCount).map { _ in .zeros(parameter.value.shape) } : []
    }
  }

  /// Changes the parameters that a loss was computed from so that it becomes smaller.
  ///
  /// - Precondition: The loss is a scalar, computed on `tape`.
  public mutating func step(down loss: Variable, on tape: Tape, rate: Float) {
    let (gradients, leaves) = (Gradients(of: loss), leaves(on: tape))
    step(by: leaves.map { $0.flatMap { gradients[$0] } }, rate: rate)
  }

  /// What the parameters became on a tape, `nil` for those that were not read.
  public func leaves(on tape: Tape) -> [Variable?] {
    let leaves = parameters.map { tape.leaf(of: $0) }
    require(
      leaves.count { $0 != nil } >= tape.leafCount,
      "the loss was computed from \(tape.leafCount) parameters, of which only "
        + "\(leaves.count { $0 != nil }) are among those to learn: a layer does not list all of its parameters"
    )
    return leaves
  }

  /// Changes the parameters by gradients that are known, one for each, or `nil`.
  public mutating func step(by gradients: [Tensor?], rate: Float) {
    require(gradients.count == parameters.count, "\(gradients.count) gradients")
    var found = gradients
    if clip > 0 { _ = Optimizers.clip(&found, toNorm: clip) }
    step += 1
    for (index, parameter) in parameters.enumerated() {
      guard let gradient = found[index] else { continue }
      parameter.update { value in
        rule.update(
          &value, gradient: gradient, state: &states[index], rate: rate, step: step,
          decays: gradient.shape.rank > 1)
      }
    }
  }
}
