public import TensorCore

/// What the inputs of a model are: their shape, and how motions act on them.
///
/// A kind of input of one's own, such as trajectories, is one conformer.
public protocol Domain: Sendable {
  /// The shape of one input.
  var shape: [Int] { get }

  /// How motions act on inputs.
  var inputs: any Quantity { get }

  /// In words, as in "28 × 28 × 1".
  var text: String { get }

  /// Whether a motion makes numbers anew between others, so that it is only nearly undone.
  func interpolates(_ motion: Motion) -> Bool

  /// The group of motions of a name, like C8, SO2 or E3; `nil` where none is called so.
  func group(named name: String) -> MotionGroup.Factor?
}

/// Square images.
public struct ImageDomain: Domain, Hashable {
  /// The side, in pixels.
  public var size: Int
  /// 1 gray, 3 color.
  public var channels: Int
  /// What lies outside an image.
  public var border: BorderPolicy

  public init(size: Int = 28, channels: Int = 1, border: BorderPolicy = .zero) {
    (self.size, self.channels, self.border) = (size, channels, border)
  }

  public var shape: [Int] { [size, size, channels] }
  public var inputs: any Quantity { Pixels(border: border) }
  public var text: String { "\(size) × \(size) × \(channels)" }
  public func interpolates(_ motion: Motion) -> Bool { !motion.isExact }

  /// Cₙ, Dₙ, SO2, O2, T2 (translations), scalings, SE2, similarity, SL2, GL2 (of positive determinant), affine.
  public func group(named name: String) -> MotionGroup.Factor? {
    func opened<G: PlanarGroup>(_ group: G) -> MotionGroup.Factor {
      .init(ImageAction(group, border: border))
    }
    switch name {
    // Turns and reflections about the middle keep quarter turns exact.
    case "SO2": return opened(SO2())
    case "O2": return opened(O2())
    default:
      return PlanarAffine(named: name).map { .init(AffineImageAction($0, border: border)) }
        ?? finitePlanarGroup(name).map { opened($0) }
    }
  }
}

/// Sets of members that are described by points, vectors and numbers.
public struct SetDomain: Domain, Hashable {
  public var members: Int
  /// The dimension of space.
  public var dimension: Int
  public var columns: [PointAction.Columns]

  public init(members: Int, dimension: Int, columns: [PointAction.Columns] = [.point]) {
    (self.members, self.dimension, self.columns) = (members, dimension, columns)
  }

  /// How many numbers describe a member.
  public var width: Int { Members(columns, dimension: dimension).width }
  public var shape: [Int] { [members, width] }
  public var inputs: any Quantity { Members(columns, dimension: dimension) }
  public var text: String { "\(members) points in \(dimension) dimensions" }
  public func interpolates(_ motion: Motion) -> Bool { false }

  /// How the isometries of a named group act on the members.
  public func action(_ group: String) -> PointAction {
    PointAction(
      Euclidean(
        dimension, hasReflections: !group.hasPrefix("S"), hasTranslations: group.contains("E")),
      columns: columns)
  }

  /// SO, O, SE and E with the dimension, and S: the orders of the members.
  public func group(named name: String) -> MotionGroup.Factor? {
    if name == "S" { return .init(PermutationAction(Symmetric(members))) }
    guard ["SO", "O", "SE", "E"].contains(where: { name == "\($0)\(dimension)" }) else {
      return nil
    }
    return .init(action(name))
  }
}

/// The finite group of rotations, or rotations and reflections, of a name like C8 or D4.
public func finitePlanarGroup(_ name: String) -> (any FiniteGroup & PlanarGroup)? {
  guard let letter = name.first, let order = Int(name.dropFirst()), (1...256).contains(order) else {
    return nil
  }
  switch letter {
  case "C": return Cyclic(order)
  case "D": return Dihedral(order)
  default: return nil
  }
}
