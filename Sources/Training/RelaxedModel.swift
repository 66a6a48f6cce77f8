public import Autodiff
public import Canonicalization
public import Datasets
public import Layers
public import Symmetry
public import TensorCore

/// A canonicalized model, which is strictly equivariant, with a residual that is not: φ(*x*) + *r*(*x*).
///
/// Data that are only nearly symmetric are given as much freedom as they need. The residual costs its mean square, by a
/// weight, so that it stays small where nothing asks for it; and with a budget *b* it is scaled by
/// 1/√(1 + |*r*|²/*b*²), so that it is never longer than *b*.
///
/// **Law.** Where outputs move by isometries the equivariance error of raw outputs is at most 2 *b*, for every input and element, if
/// the canonicalized model is exact.
///
/// The two are added in the pose of the form, before what makes results of raw outputs, such as the softmax. After McNeela 2023 and
/// residual pathway priors (Finzi, Benton, Wilson 2021, arXiv 2112.01388); the form here is our own.
public struct RelaxedModel: Predictor {
  public let base: CanonicalizedModel
  /// From inputs as they are to as many numbers as an output has.
  public let residual: any Layer
  /// By which the residual is multiplied; training begins near the strict model.
  public let scale: Parameter
  /// The largest length of the residual; `nil` for any.
  public let budget: Float?
  /// The weight of its mean square in the loss.
  public let penalty: Float

  public init(
    _ base: CanonicalizedModel, residual: any Layer, budget: Float? = nil, penalty: Float = 0.01
  ) {
    (self.base, self.residual, self.budget, self.penalty) = (base, residual, budget, penalty)
    scale = Parameter(Tensor(0.1))
  }

  public var domain: any Domain { base.domain }
  public var task: any Objective { base.task }
  public var classNames: [String] { base.classNames }
  /// None: how far it is from equivariance is measured, and not claimed.
  public var claims: MotionGroup { MotionGroup([]) }
  public var isExact: Bool { false }
  public var hasOnePose: Bool { base.hasOnePose }

  public var parameters: [(name: String, parameter: Parameter)] {
    base.parameters + residual.parameters.map { ("residual.\($0.name)", $0.parameter) }
      + [("residual.scale", scale)]
  }

  public var structure: [UInt8]? { base.structure }

  /// The residual of inputs, no longer than the budget.
  public func correction(_ inputs: Variable, on tape: Tape) -> Variable {
    let shape = [inputs.shape[0]] + base.outputShape
    let raw = residual(inputs, on: tape) * tape(scale)
    guard let budget else { return raw.reshaped(shape) }
    let rows = raw.reshaped([shape[0], -1])
    let squares = rows.squared().sum([1], keepingAxes: true) * (1 / (budget * budget)) + 1
    return (rows / squares.squareRoot()).reshaped(shape)
  }

  public func loss(_ examples: Examples, on tape: Tape) -> Variable {
    let examples = base.augmented(examples, on: tape)
    let inputs = Variable(examples.inputs)
    let correction = correction(inputs, on: tape)
    return base.loss(examples, adding: correction, on: tape)
      + correction.squared().mean() * penalty
  }

  public func poses(of batch: Tensor) -> [Pose<Motion>] { base.poses(of: batch) }

  public func predict(_ batch: Tensor) -> Prediction {
    base.predict(batch) { part in correction(Variable(part), on: .inference()).value }
  }

  public var summary: [(name: String, value: String)] {
    base.summary + [
      ("residual parameters", "\(trainableCount("residual."))"),
      ("budget", budget.map { "\($0)" } ?? "none"),
    ]
  }
}
