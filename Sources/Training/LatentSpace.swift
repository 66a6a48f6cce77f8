public import Autodiff
public import Canonicalization
public import Layers
public import Symmetry
public import TensorCore

/// How inputs become codes, and how a group moves codes as it moves the inputs.
public protocol LatentSpace: Sendable {
  /// What acts.
  var group: AmbientGroup { get }
  /// What codes are read off.
  var network: any Layer { get }

  var parameters: [(name: String, parameter: Parameter)] { get }

  /// Codes `[batch, numbers]` of inputs.
  func codes(of inputs: Variable, on tape: Tape) -> Variable

  /// Codes as elements move them.
  func moved(_ codes: Variable, by elements: [AmbientGroup.Element], on tape: Tape) -> Variable

  /// The loss of pairs of codes, of *x* and of *y* = *g*·*x*, `[batch]`.
  func loss(
    _ x: Variable, _ y: Variable, elements: [AmbientGroup.Element], on tape: Tape
  ) -> Variable

  /// The codes of the inputs of pairs, all *x* before all *y*, and the loss of each pair.
  func pairLoss(
    of both: Variable, elements: [AmbientGroup.Element], on tape: Tape
  ) -> (codes: Variable, loss: Variable)

  /// Codes whose squared distances are what the loss takes for distances of codes, by which hits are counted.
  func measured(_ codes: Tensor) -> Tensor

  /// The part of codes that tells orbits apart; `nil` where the space has none.
  func orbits(_ codes: Tensor) -> Tensor?

  /// The poses in codes; empty where the space has none.
  func poses(_ codes: Tensor) -> [AmbientGroup.Element]
}

extension LatentSpace {
  public func pairLoss(
    of both: Variable, elements: [AmbientGroup.Element], on tape: Tape
  ) -> (codes: Variable, loss: Variable) {
    let (codes, count) = (codes(of: both, on: tape), elements.count)
    return (
      codes,
      loss(
        codes.sliced(0..<count), codes.sliced(count..<2 * count), elements: elements, on: tape)
    )
  }

  public func measured(_ codes: Tensor) -> Tensor { codes }
  public func orbits(_ codes: Tensor) -> Tensor? { nil }
  public func poses(_ codes: Tensor) -> [AmbientGroup.Element] { [] }
}

/// Sphere × group, on which the group multiplies; see `ClassPoseEncoder`.
public struct ClassPoseSpace: LatentSpace {
  public let encoder: ClassPoseEncoder
  public let temperature: Float
  public let isSymmetric: Bool

  public init(_ encoder: ClassPoseEncoder, temperature: Float = 0.8, isSymmetric: Bool = false) {
    (self.encoder, self.temperature, self.isSymmetric) = (encoder, temperature, isSymmetric)
  }

  public var group: AmbientGroup { encoder.group }
  public var network: any Layer { encoder.network }
  public var parameters: [(name: String, parameter: Parameter)] { encoder.parameters }

  public func codes(of inputs: Variable, on tape: Tape) -> Variable {
    let code = encoder(inputs, on: tape)
    return .concatenated([code.orbit, code.pose], axis: 1)
  }

  private func code(_ codes: Variable) -> ClassPoseCode {
    let classes = encoder.classDimensions
    return ClassPoseCode(
      orbit: codes.sliced(0..<classes, axis: 1),
      pose: codes.sliced(classes..<codes.shape[1], axis: 1))
  }

  public func moved(
    _ codes: Variable, by elements: [AmbientGroup.Element], on tape: Tape
  ) -> Variable {
    let code = code(codes)
    return .concatenated([code.orbit, code.pose.multiplied(by: elements, in: group)], axis: 1)
  }

  public func loss(
    _ x: Variable, _ y: Variable, elements: [AmbientGroup.Element], on tape: Tape
  ) -> Variable {
    encoder.loss(
      code(x), code(y), elements: elements, temperature: temperature, isSymmetric: isSymmetric)
  }

  public func pairLoss(
    of both: Variable, elements: [AmbientGroup.Element], on tape: Tape
  ) -> (codes: Variable, loss: Variable) {
    let (code, count) = (encoder(both, on: tape), elements.count)
    return (
      .concatenated([code.orbit, code.pose], axis: 1),
      encoder.loss(
        code.sliced(0..<count), code.sliced(count..<2 * count), elements: elements,
        temperature: temperature, isSymmetric: isSymmetric)
    )
  }

  /// Orbits are as far apart as −*e*·*e*′ says (arXiv 2207.03116, equation 5), which is |*e* − *e*′|² / 2 but for a constant.
  public func measured(_ codes: Tensor) -> Tensor {
    let classes = encoder.classDimensions
    return .concatenated(
      [
        codes.sliced(0..<classes, axis: 1) * Float(0.5).squareRoot(),
        codes.sliced(classes..<codes.shape[1], axis: 1),
      ], axis: 1)
  }

  public func orbits(_ codes: Tensor) -> Tensor? {
    codes.sliced(0..<encoder.classDimensions, axis: 1)
  }

  public func poses(_ codes: Tensor) -> [AmbientGroup.Element] {
    let (numbers, width) = (codes.elements.map { Double($0) }, codes.shape[1])
    return (0..<codes.shape[0]).map {
      .init(Array(numbers[$0 * width + encoder.classDimensions..<($0 + 1) * width]))
    }
  }
}
