import TensorCore

/// The cyclic group *C*ₙ: the rotations of the plane by multiples of 2π/*n*.
public struct Cyclic: FiniteGroup, PlanarGroup {
  /// The rotation by `steps` · 2π/*n*, with `steps` in `0..<n`.
  public struct Element: Hashable, Sendable {
    public let steps: Int

    public init(steps: Int) { self.steps = steps }
  }

  public let order: Int

  /// - Precondition: `order` is positive.
  public init(_ order: Int) {
    require(order > 0, "a group is not empty: C\(order)")
    self.order = order
  }

  public var identity: Element { Element(steps: 0) }
  public var elements: [Element] { (0..<order).map(Element.init) }
  public func index(of g: Element) -> Int { g.steps }

  public func compose(_ g: Element, _ h: Element) -> Element {
    Element(steps: (g.steps + h.steps) % order)
  }

  public func inverse(_ g: Element) -> Element { Element(steps: (order - g.steps) % order) }

  /// The angle between two rotations, in 0…π.
  public func distance(_ g: Element, _ h: Element) -> Double {
    let steps = abs(g.steps - h.steps)
    return Double(min(steps, order - steps)) * 2 * .pi / Double(order)
  }

  public func isometry(_ g: Element) -> PlanarIsometry {
    planarRotation(steps: g.steps, order: order)
  }

  public var exactElements: [Element] { elements.filter { isometry($0).isExact } }
}

/// The dihedral group *D*ₙ: the rotations of *C*ₙ, each with and without a reflection before it.
public struct Dihedral: FiniteGroup, PlanarGroup {
  /// A reflection left to right, or none, then a rotation by `steps` · 2π/*n*.
  public struct Element: Hashable, Sendable {
    public let steps: Int
    public let isReflected: Bool

    public init(steps: Int, isReflected: Bool) {
      self.steps = steps
      self.isReflected = isReflected
    }
  }

  /// The number of rotations, *n*; the group has 2 *n* elements.
  public let rotations: Int

  /// - Precondition: `rotations` is positive.
  public init(_ rotations: Int) {
    require(rotations > 0, "a group is not empty: D\(rotations)")
    self.rotations = rotations
  }

  public var order: Int { 2 * rotations }
  public var identity: Element { Element(steps: 0, isReflected: false) }

  /// The rotations, then the reflections.
  public var elements: [Element] {
    [false, true].flatMap { flip in
      (0..<rotations).map { Element(steps: $0, isReflected: flip) }
    }
  }

  public func index(of g: Element) -> Int { g.steps + (g.isReflected ? rotations : 0) }

  /// A rotation passes a reflection by changing its sense: *F* *R* = *R*⁻¹ *F*.
  public func compose(_ g: Element, _ h: Element) -> Element {
    let steps = g.isReflected ? g.steps - h.steps + rotations : g.steps + h.steps
    return Element(steps: steps % rotations, isReflected: g.isReflected != h.isReflected)
  }

  public func inverse(_ g: Element) -> Element {
    g.isReflected ? g : Element(steps: (rotations - g.steps) % rotations, isReflected: false)
  }

  /// The angle between two elements of the same handedness; π plus it between others.
  public func distance(_ g: Element, _ h: Element) -> Double {
    let between = compose(inverse(g), h)
    let angle =
      Double(min(between.steps, rotations - between.steps)) * 2 * .pi / Double(rotations)
    return between.isReflected ? .pi + angle : angle
  }

  public func isometry(_ g: Element) -> PlanarIsometry {
    let rotation = planarRotation(steps: g.steps, order: rotations)
    return PlanarIsometry(
      quarterTurns: rotation.quarterTurns, residual: rotation.residual,
      isReflected: g.isReflected)
  }

  public var exactElements: [Element] { elements.filter { isometry($0).isExact } }
}

/// The rotation by `steps` · 2π/`order`, its quarter turns split off in integers: steps a quarter
/// turn apart have the same residual, bit for bit.
private func planarRotation(steps: Int, order: Int) -> PlanarIsometry {
  let turns = (8 * steps + order) / (2 * order)
  let rest = 4 * steps - turns * order
  return PlanarIsometry(
    quarterTurns: turns, residual: Double(rest) * (.pi / 2) / Double(order))
}
