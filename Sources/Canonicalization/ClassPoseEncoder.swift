public import Autodiff
public import Layers
public import Symmetry
import TensorCore

/// What a class-pose encoder makes of a batch.
public struct ClassPoseCode {
  /// Which orbit each input lies on, points of a sphere: `[batch, classDimensions]`.
  public let orbit: Variable
  /// Where on it, points of the group: `[batch, elementCount]`.
  public let pose: Variable

  public init(orbit: Variable, pose: Variable) { (self.orbit, self.pose) = (orbit, pose) }
}

/// An encoder into sphere × group: the class of an input's orbit, and its pose on it, learned from relative poses
/// alone (Marchetti, Tegnér, Varava & Kragic, AISTATS 2023, arXiv 2207.03116).
///
/// The group acts on codes by multiplication of the pose from the left, *g*·(*e*, *h*) = (*e*, *g* *h*). An encoder that
/// keeps to that, and tells orbits apart, loses nothing: its codes are the inputs. Its frame on each orbit is as it
/// happens to be: the pose of an orbit may be any one multiplied from the right.
public struct ClassPoseEncoder: Sendable {
  /// Ends in `classDimensions` numbers, and after them those that the head takes.
  public let network: any Layer
  public let group: AmbientGroup
  public let head: PoseHead
  public let classDimensions: Int
  /// Spreads the numbers of orbits over the sphere: an untrained network gives nearly the same for all inputs, and the
  /// contrast of equal codes has no gradient.
  public let norm: BatchNorm

  /// - Precondition: `classDimensions` is positive.
  public init(
    _ network: any Layer, group: AmbientGroup, head: PoseHead = .projection,
    classDimensions: Int = 8
  ) {
    require(classDimensions > 0, "a sphere of \(classDimensions) dimensions")
    (self.network, self.group) = (network, group)
    (self.head, self.classDimensions) = (head, classDimensions)
    norm = BatchNorm(classDimensions)
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    network.parameters + norm.parameters.map { ("orbit.\($0.name)", $0.parameter) }
  }

  /// How many numbers a network for it ends in.
  public static func outputCount(
    _ group: AmbientGroup, head: PoseHead, classDimensions: Int
  ) -> Int { classDimensions + head.inputCount(group) }

  /// The codes of inputs.
  public func callAsFunction(_ input: Variable, on tape: Tape) -> ClassPoseCode {
    let output = network(input, on: tape)
    let orbit = norm(output.sliced(0..<classDimensions, axis: 1), on: tape)
    let length = (orbit.squared().sum([1], keepingAxes: true) + 1e-20).squareRoot()
    return ClassPoseCode(
      orbit: orbit / length,
      pose: head(output.sliced(classDimensions..<output.shape[1], axis: 1), in: group))
  }

  /// The loss of pairs of codes, of *x* and of *y* = *g*·*x*, `[batch]`:
  /// |*h*(*y*) − *g* *h*(*x*)|² + InfoNCE(*e*(*x*), *e*(*y*)).
  ///
  /// Distances are of points of ℝ, of the plane, of matrices (Frobenius). InfoNCE is −log softmax of *e*(*x*)·*e*(*y*′) / τ
  /// at the own partner, among those of the batch.
  ///
  /// `temperature`: τ, 0.8 in the authors' code; the paper gives none.
  /// `contrast`: How much InfoNCE counts; 1 in the paper.
  /// `isSymmetric`: Half of it the other way, of *e*(*y*) among *e*(*x*′).
  public func loss(
    _ x: ClassPoseCode, _ y: ClassPoseCode, elements: [AmbientGroup.Element],
    temperature: Float = 0.8, contrast: Float = 1, isSymmetric: Bool = false
  ) -> Variable {
    let moved = x.pose.multiplied(by: elements, in: group)
    let apart = (moved - y.pose).squared().sum([1])
    guard contrast > 0 else { return apart }
    return apart
      + Canonicalization.contrast(
        x.orbit, y.orbit, temperature: temperature, isSymmetric: isSymmetric) * contrast
  }
}

/// InfoNCE of matching rows, `[batch]` (van den Oord, Li & Vinyals 2018, arXiv 1807.03748).
func contrast(
  _ a: Variable, _ b: Variable, temperature: Float, isSymmetric: Bool
) -> Variable {
  let similarities = a.matmul(b.permuted([1, 0])) * (1 / temperature)
  let own = Array(0..<a.shape[0])
  let forward = -similarities.logSoftmax().picked(own)
  guard isSymmetric else { return forward }
  return (forward - similarities.permuted([1, 0]).logSoftmax().picked(own)) * 0.5
}
