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
  /// The numbers that were projected onto circles and rotations, in turn; `nil` where none were.
  public let ambient: Variable?

  public init(orbit: Variable, pose: Variable, ambient: Variable? = nil) {
    (self.orbit, self.pose, self.ambient) = (orbit, pose, ambient)
  }

  /// The codes of some of the inputs.
  public func sliced(_ range: Range<Int>) -> ClassPoseCode {
    ClassPoseCode(
      orbit: orbit.sliced(range), pose: pose.sliced(range), ambient: ambient?.sliced(range))
  }
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
  /// The same for the numbers that are projected onto circles and rotations: uniform poses have mean 0 in the ambient space, and an
  /// untrained network begins with all poses alike, from where it takes long to part them.
  public let poseNorm: AmbientNorm?
  /// Which of the numbers that the head takes these are.
  private let closed: [Range<Int>]

  /// - Precondition: `classDimensions` is positive.
  public init(
    _ network: any Layer, group: AmbientGroup, head: PoseHead = .projection,
    classDimensions: Int = 8
  ) {
    require(classDimensions > 0, "a sphere of \(classDimensions) dimensions")
    (self.network, self.group) = (network, group)
    (self.head, self.classDimensions) = (head, classDimensions)
    norm = BatchNorm(classDimensions)
    // The numbers of an algebra are no points of a space that is projected: their scale is an angle.
    let places = group.places.filter { $0.factor != .line && head == .projection }
    closed = places.map { $0.ambient..<$0.ambient + $0.factor.numbers.ambient }
    poseNorm =
      places.isEmpty
      ? nil
      : AmbientNorm(
        places.map {
          $0.factor == .circle
            ? .init(dimension: 2) : .init(vectors: $0.factor.numbers.ambient / 3, dimension: 3)
        })
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    network.parameters + norm.parameters.map { ("orbit.\($0.name)", $0.parameter) }
      + (poseNorm?.parameters ?? []).map { ("pose.\($0.name)", $0.parameter) }
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
    let numbers = output.sliced(classDimensions..<output.shape[1], axis: 1)
    let (all, ambient) = normalized(numbers, on: tape)
    return ClassPoseCode(
      orbit: orbit / length, pose: head(all, in: group), ambient: ambient)
  }

  /// The numbers that the head takes, those of circles and rotations normalized, and these alone.
  private func normalized(
    _ numbers: Variable, on tape: Tape
  ) -> (all: Variable, closed: Variable?) {
    guard let poseNorm else { return (numbers, nil) }
    let all = poseNorm(
      .concatenated(closed.map { numbers.sliced($0, axis: 1) }, axis: 1), on: tape)
    var (parts, next, start): ([Variable], Int, Int) = ([], 0, 0)
    for range in closed {
      if next < range.lowerBound { parts.append(numbers.sliced(next..<range.lowerBound, axis: 1)) }
      parts.append(all.sliced(start..<start + range.count, axis: 1))
      (next, start) = (range.upperBound, start + range.count)
    }
    if next < numbers.shape[1] { parts.append(numbers.sliced(next..<numbers.shape[1], axis: 1)) }
    return (.concatenated(parts, axis: 1), all)
  }

  /// The loss of pairs of codes, of *x* and of *y* = *g*·*x*, `[batch]`:
  /// |*h*(*y*) − *g* *h*(*x*)|² + |*a*(*y*) − *g* *a*(*x*)|² + InfoNCE(*e*(*x*), *e*(*y*)).
  ///
  /// The second term is ours: of the normalized numbers *a* before the projection, on which circles and rotations act by
  /// matrices. A point of a circle or a rotation that is not known must be somewhere, and costs the same wherever it is;
  /// *a* may be small meanwhile, so that learning begins at once. Both terms are 0 for the same encoders.
  ///
  /// Distances are of points of ℝ, of the plane, of matrices (Frobenius). InfoNCE is −log softmax of *e*(*x*)·*e*(*y*′) / τ
  /// at the own partner, among those of the batch.
  ///
  /// `temperature`: τ, 0.8 in the authors' code; the paper gives none.
  /// `isSymmetric`: Half of it the other way, of *e*(*y*) among *e*(*x*′).
  public func loss(
    _ x: ClassPoseCode, _ y: ClassPoseCode, elements: [AmbientGroup.Element],
    temperature: Float = 0.8, isSymmetric: Bool = false
  ) -> Variable {
    var apart = (x.pose.multiplied(by: elements, in: group) - y.pose).squared().sum([1])
    if let a = x.ambient, let b = y.ambient {
      apart = apart + (a.movedByMatrices(of: elements, in: group) - b).squared().sum([1])
    }
    return apart
      + contrast(x.orbit, y.orbit, temperature: temperature, isSymmetric: isSymmetric)
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
