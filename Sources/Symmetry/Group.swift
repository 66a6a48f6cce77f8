public import TensorCore

/// A group.
///
/// **Laws**, checked by the tests for every conformer: composition is associative; `identity`
/// composes to nothing; an element composes with its `inverse` to the identity.
public protocol Group: Sendable {
  /// The values that name elements.
  associatedtype Element: Hashable & Sendable

  /// The neutral element.
  var identity: Element { get }

  /// The product *g* *h*: first *h* acts, then *g*.
  func compose(_ g: Element, _ h: Element) -> Element

  /// The element that undoes *g*.
  func inverse(_ g: Element) -> Element

  /// How far apart two elements are: a metric that composition from the left leaves alone.
  func distance(_ g: Element, _ h: Element) -> Double

  /// Draws an element from the uniform (Haar) distribution.
  func sample(using random: inout RandomStream) -> Element
}

/// A group whose elements can be listed.
public protocol FiniteGroup: Group {
  /// How many elements there are.
  var order: Int { get }

  /// All elements, the identity first.
  var elements: [Element] { get }

  /// The place of an element in `elements`.
  func index(of g: Element) -> Int
}

extension FiniteGroup {
  public func sample(using random: inout RandomStream) -> Element {
    elements[Int.random(in: 0..<order, using: &random)]
  }
}

/// A connected group of motions with a tangent space at the identity.
public protocol LieGroup: Group {
  /// The dimension of the tangent space.
  var dimension: Int { get }

  /// The element reached by following a tangent vector for unit time.
  func exp(_ tangent: [Double]) -> Element

  /// The shortest tangent vector that `exp` takes to *g*.
  func log(_ g: Element) -> [Double]

  /// The part of the algebra that stands for the group where a bounded one is wanted and none is named: half around
  /// where it goes around, and 1 elsewhere if nothing else is said.
  var window: AlgebraWindow { get }
}

extension LieGroup {
  public var window: AlgebraWindow {
    AlgebraWindow([Double](repeating: 1, count: dimension))
  }
}

/// How a group acts on a space of tensors.
///
/// **Laws.** The identity changes nothing, and (*g* *h*)·*x* = *g*·(*h*·*x*): bit for bit where the
/// action only moves numbers, within the interpolation error where it makes new ones.
public protocol Action<Group>: Sendable {
  associatedtype Group: Symmetry.Group

  /// Which group acts.
  var group: Group { get }

  /// Acts on each member of a batch (the first axis) with an element of its own.
  ///
  /// - Precondition: There is one element per member.
  func act(_ elements: [Group.Element], on batch: Tensor) -> Tensor

  /// Acts with several elements on each member: the results for the first one, then those for the second one, and so on.
  ///
  /// An action that can share work between elements on one member says how.
  /// - Precondition: There is one list of elements per member.
  func act(onEach elements: [[Group.Element]], of batch: Tensor) -> Tensor
}

extension Action {
  public func act(onEach elements: [[Group.Element]], of batch: Tensor) -> Tensor {
    let rows = elements.enumerated().flatMap { n, all in all.map { _ in n } }
    return act(elements.flatMap { $0 }, on: batch.gathered(rows))
  }
}

/// The action that changes nothing: on class scores, which do not depend on the pose.
public struct Trivial<Group: Symmetry.Group>: Action {
  public let group: Group
  public init(_ group: Group) { self.group = group }
  public func act(_ elements: [Group.Element], on batch: Tensor) -> Tensor { batch }
}
