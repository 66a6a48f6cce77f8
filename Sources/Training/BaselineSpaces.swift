public import Autodiff
import Canonicalization
public import Layers
public import Symmetry
import TensorCore

/// A space of plain vectors on which a network learns to act, from codes and the element's numbers: the baseline of
/// the class-pose paper ("MDPH", arXiv 2207.03116).
///
/// The loss is |*φ*(*y*) − *T*(*g*, *φ*(*x*))|², and the hinge max(0, 1 − |*z* − *z*′|) over pairs of a batch, that keeps codes
/// apart. Nothing makes *T* an action: steps after one another drift.
public struct LearnedActionSpace: LatentSpace {
  public let group: AmbientGroup
  /// Ends in the numbers of a code.
  public let network: any Layer
  /// From a code and an element's numbers to a code.
  public let transition: any Layer

  public init(_ network: any Layer, transition: any Layer, group: AmbientGroup) {
    (self.network, self.transition, self.group) = (network, transition, group)
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    network.parameters + transition.parameters.map { ("transition.\($0.name)", $0.parameter) }
  }

  public func codes(of inputs: Variable, on tape: Tape) -> Variable { network(inputs, on: tape) }

  public func moved(
    _ codes: Variable, by elements: [AmbientGroup.Element], on tape: Tape
  ) -> Variable {
    let numbers = Tensor(
      elements.flatMap { $0.numbers.map { Float($0) } },
      shape: [elements.count, group.elementCount])
    return transition(.concatenated([codes, Variable(numbers)], axis: 1), on: tape)
  }

  public func loss(
    _ x: Variable, _ y: Variable, elements: [AmbientGroup.Element], on tape: Tape
  ) -> Variable {
    let reached = (moved(x, by: elements, on: tape) - y).squared().sum([1])
    return reached + hinge(x)
  }
}

/// A space of a plane or of space itself, on which turns act as matrices: the linear baseline of the class-pose paper,
/// for SO(2) and SO(3).
///
/// The loss is |*φ*(*y*) − *g* *φ*(*x*)|² and the same hinge. It is an action, but no free one: a point of ℝ³ stays where
/// it is under the turns about it, so that a pose is lost; orbits are told apart by their distance from the origin.
public struct LinearActionSpace: LatentSpace {
  public let group: AmbientGroup
  /// Ends in 2 numbers for each circle and 3 for each rotation of space.
  public let network: any Layer

  /// - Precondition: The group is of circles and rotations.
  public init(_ network: any Layer, group: AmbientGroup) {
    require(LinearActionSpace.width(group) != nil, "matrices of \(group.name)")
    (self.network, self.group) = (network, group)
  }

  /// How many numbers a code has; `nil` for a group with a line, which acts by no turn.
  public static func width(_ group: AmbientGroup) -> Int? {
    group.factors.contains(.line)
      ? nil : group.factors.reduce(0) { $0 + ($1 == .circle ? 2 : 3) }
  }

  public var parameters: [(name: String, parameter: Parameter)] { network.parameters }

  public func codes(of inputs: Variable, on tape: Tape) -> Variable { network(inputs, on: tape) }

  public func moved(
    _ codes: Variable, by elements: [AmbientGroup.Element], on tape: Tape
  ) -> Variable {
    codes.movedByMatrices(of: elements, in: group, vectors: 1)
  }

  public func loss(
    _ x: Variable, _ y: Variable, elements: [AmbientGroup.Element], on tape: Tape
  ) -> Variable {
    (moved(x, by: elements, on: tape) - y).squared().sum([1]) + hinge(x)
  }
}

/// The mean of max(0, 1 − |*z* − *z*′|) over the other codes of a batch, `[batch]`.
private func hinge(_ codes: Variable) -> Variable {
  let (count, width) = (codes.shape[0], codes.shape[1])
  let differences = codes.reshaped([count, 1, width]) - codes.reshaped([1, count, width])
  let distances = (differences.squared().sum([2]) + 1e-12).squareRoot()
  let own = (0..<count * count).map { $0 % (count + 1) == 0 ? Float(0) : 1 }
  let near = (-(distances - 1)).relu() * Variable(Tensor(own, shape: [count, count]))
  return near.sum([1]) * (1 / Float(max(1, count - 1)))
}
