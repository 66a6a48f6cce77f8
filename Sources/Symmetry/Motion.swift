import Glibc
public import TensorCore

/// How one member of a batch is moved, whatever the group: what quantities of every kind move by.
///
/// Models are made of canonicalizers of several groups; each element is read as a motion, and motions
/// compose. An isometry of images is kept as such, so that quarter turns stay exact.
public struct Motion: Hashable, Sendable {
  /// A rotation or reflection of the plane about the center of an image, where it is no more than that.
  public var isometry: PlanarIsometry?
  /// An affine map of space; of images, lengths in halves of the smaller side.
  public var map: AffineMap?
  /// Whether `map` is an isometry, whose transpose is its inverse.
  public var isOrthogonal: Bool
  /// The members of a set in another order.
  public var permutation: Permutation?
  /// Elements of groups that are none of these, in the order in which they act.
  public var others: [OtherElement]

  /// Creates a motion; of nothing it is the identity.
  public init(
    isometry: PlanarIsometry? = nil, map: AffineMap? = nil, isOrthogonal: Bool = false,
    permutation: Permutation? = nil, others: [OtherElement] = []
  ) {
    (self.isometry, self.map, self.isOrthogonal) = (isometry, map, isOrthogonal)
    (self.permutation, self.others) = (permutation, others)
  }

  /// The whole geometry as an affine map of the plane.
  public var planarMap: AffineMap {
    map ?? AffineMap(matrix: (isometry ?? PlanarIsometry()).matrix)
  }

  /// The rotation, and reflection; of an affine map of the plane its nearest rotation.
  public var planarIsometry: PlanarIsometry {
    if let isometry { return isometry }
    guard let map, map.dimension == 2 else { return PlanarIsometry() }
    guard map.determinant < 0 else { return PlanarIsometry(residual: map.nearestAngle) }
    let flip = PlanarIsometry(isReflected: true)
    let turn = map.after(AffineMap(matrix: flip.matrix)).nearestAngle
    return PlanarIsometry(residual: turn, isReflected: true)
  }

  /// By how much it turns, from 0 to π, whatever else it does; infinite where it reflects.
  public var turn: Double {
    guard let map, map.dimension != 2 else {
      let g = planarIsometry
      return g.isReflected ? .infinity : abs(g.angle.remainder(dividingBy: 2 * .pi))
    }
    guard map.dimension == 3 else { return map.dimension == 1 ? 0 : .nan }
    guard map.determinant > 0 else { return .infinity }
    let (_, sine, cosine) = Euclidean.turn(map.matrix)
    return atan2(sine, cosine)
  }

  /// Whether numbers are moved and none is made anew: quarter turns, flips, permutations, and what own
  /// groups do is taken at its word.
  public var isExact: Bool { map == nil && (isometry?.isExact ?? true) }

  /// The motion that undoes this one.
  public var inverse: Motion {
    Motion(
      isometry: isometry.map { O2().inverse($0) },
      map: map.map { map in
        guard isOrthogonal else { return map.inverse }
        let back = map.transposed
        return AffineMap(matrix: back.matrix, translation: back.linear(map.translation).map { -$0 })
      },
      isOrthogonal: isOrthogonal, permutation: permutation?.inverse,
      others: others.reversed().map(\.inverse))
  }

  /// First `other`, then this motion.
  public func after(_ other: Motion) -> Motion {
    var result = Motion(others: OtherElement.joined(other.others, others))
    if map == nil && other.map == nil {
      result.isometry =
        isometry.map { g in other.isometry.map { O2().compose(g, $0) } ?? g } ?? other.isometry
    } else if isometry == nil && map == nil {
      (result.map, result.isOrthogonal) = (other.map, other.isOrthogonal)
    } else if other.isometry == nil && other.map == nil {
      (result.map, result.isOrthogonal) = (map, isOrthogonal)
    } else if let own = map ?? isometry.map({ AffineMap(matrix: $0.matrix) }),
      let first = other.map ?? other.isometry.map({ AffineMap(matrix: $0.matrix) })
    {
      result.map = own.after(first)
      result.isOrthogonal = isOrthogonal && other.isOrthogonal
    }
    result.permutation =
      permutation.map { g in
        other.permutation.map { Symmetric(g.places.count).compose(g, $0) } ?? g
      } ?? other.permutation
    return result
  }

  /// In words, for people.
  public var text: String {
    func degrees(_ angle: Double) -> String {
      let tenths = (angle * 1800 / .pi).rounded() / 10
      return "\(tenths == 0 ? 0 : tenths)°"
    }
    var parts: [String] = []
    if let isometry { parts.append(degrees(isometry.angle) + (isometry.isReflected ? " m" : "")) }
    if let map {
      func short(_ numbers: [Double]) -> String {
        numbers.map { "\(($0 * 100).rounded() / 100)" }.joined(separator: " ")
      }
      parts.append(
        "[\(short(map.matrix))]"
          + (map.translation.allSatisfy { $0 == 0 } ? "" : " + (\(short(map.translation)))"))
    }
    if permutation != nil { parts.append("shuffled") }
    parts += others.map(\.text)
    return parts.isEmpty ? "identity" : parts.joined(separator: ", ")
  }
}

/// An element of any group, with the action by which it moves inputs.
public struct OtherElement: Hashable, Sendable {
  private let action: any Action
  private let element: any Hashable & Sendable

  public init<A: Action>(_ element: A.Group.Element, _ action: A) {
    self.action = action
    self.element = element
  }

  /// The element that undoes this one.
  public var inverse: OtherElement {
    func opened<A: Action>(_ action: A) -> OtherElement {
      (element as? A.Group.Element).map { OtherElement(action.group.inverse($0), action) } ?? self
    }
    return opened(action)
  }

  /// First the elements of one list, then those of another; neighbors of one group are composed, and identities
  /// left out.
  static func joined(_ first: [OtherElement], _ second: [OtherElement]) -> [OtherElement] {
    var all = first
    for element in second {
      guard let last = all.last, let both = element.after(last) else {
        all.append(element)
        continue
      }
      all.removeLast()
      if !both.isIdentity { all.append(both) }
    }
    return all
  }

  /// First `other`, then this element; `nil` where they are of different groups.
  private func after(_ other: OtherElement) -> OtherElement? {
    func opened<A: Action>(_ action: A) -> OtherElement? {
      guard other.action is A, let g = element as? A.Group.Element,
        let h = other.element as? A.Group.Element
      else { return nil }
      return OtherElement(action.group.compose(g, h), action)
    }
    return opened(action)
  }

  private var isIdentity: Bool {
    func opened<A: Action>(_ action: A) -> Bool {
      (element as? A.Group.Element) == action.group.identity
    }
    return opened(action)
  }

  /// Moves inputs `[1, …]`.
  public func act(on batch: Tensor) -> Tensor {
    func opened<A: Action>(_ action: A) -> Tensor {
      (element as? A.Group.Element).map { action.act([$0], on: batch) } ?? batch
    }
    return opened(action)
  }

  /// How far apart two elements are, in their group's metric; infinite for those of two groups.
  public func distance(to other: OtherElement) -> Double {
    func opened<A: Action>(_ action: A) -> Double {
      guard let g = element as? A.Group.Element, let h = other.element as? A.Group.Element else {
        return .infinity
      }
      return action.group.distance(g, h)
    }
    return opened(action)
  }

  /// In words.
  public var text: String { "\(element)" }

  public static func == (a: OtherElement, b: OtherElement) -> Bool {
    AnyHashable(a.element) == AnyHashable(b.element)
  }

  public func hash(into hasher: inout Hasher) { hasher.combine(AnyHashable(element)) }
}

/// An action whose elements can be read as motions.
///
/// Actions of other groups need not conform: their elements are kept as they are.
public protocol GeometricAction: Action {
  /// The element as a motion.
  func motion(of element: Group.Element) -> Motion
}

extension Action {
  /// An element as a motion, which every action has.
  public func anyMotion(of element: Group.Element) -> Motion {
    func opened<G: GeometricAction>(_ geometric: G) -> Motion {
      (element as? G.Group.Element).map(geometric.motion) ?? Motion()
    }
    guard let geometric = self as? any GeometricAction else {
      return Motion(others: [OtherElement(element, self)])
    }
    return opened(geometric)
  }
}

extension ImageAction: GeometricAction {
  public func motion(of element: Group.Element) -> Motion {
    Motion(isometry: group.isometry(element))
  }
}

extension AffineImageAction: GeometricAction {
  public func motion(of element: AffineMap) -> Motion { Motion(map: element) }
}

extension PointAction: GeometricAction {
  public func motion(of element: AffineMap) -> Motion { Motion(map: element, isOrthogonal: true) }
}

extension PermutationAction: GeometricAction {
  public func motion(of element: Permutation) -> Motion { Motion(permutation: element) }
}

extension Trivial: GeometricAction {
  public func motion(of element: Group.Element) -> Motion { Motion() }
}

extension ProductAction: GeometricAction {
  public func motion(of element: ProductGroup<First.Group, Second.Group>.Element) -> Motion {
    first.anyMotion(of: element.first).after(second.anyMotion(of: element.second))
  }
}
