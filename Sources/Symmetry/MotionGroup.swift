public import TensorCore

/// The algebra of a Lie group of motions.
public struct Algebra: Sendable {
  /// The part that stands for the group where none is named.
  public let window: AlgebraWindow
  /// What each axis is, with its unit.
  public let names: [String]
  /// Follows a tangent vector for unit time.
  public let exponential: @Sendable ([Double]) -> Motion

  public init(
    window: AlgebraWindow, names: [String]? = nil,
    exponential: @escaping @Sendable ([Double]) -> Motion
  ) {
    (self.window, self.exponential) = (window, exponential)
    self.names = names ?? window.radii.indices.map { "generator \($0 + 1)" }
  }
}

/// The motions that a model claims: the product of the groups of its steps, as one group.
public struct MotionGroup: Group {
  /// One factor: what all that is asked of a group gives in motions.
  public struct Factor: Sendable {
    /// All elements, the identity first, where they can be listed.
    public let elements: [Motion]?
    /// Draws an element.
    public let sample: @Sendable (inout RandomStream) -> Motion
    /// Whether turns about the middle may be among its elements: not of affine maps by other generators.
    public let turnsAboutMiddle: Bool
    /// Of a Lie group how tangent vectors lead to elements; `nil` of others, and of one with reflections, to which none leads.
    public let algebra: Algebra?

    /// The group of an action.
    public init<A: Action>(_ action: A) {
      func listed<G: FiniteGroup>(_ group: G) -> [Motion]? {
        group.elements.compactMap { $0 as? A.Group.Element }.map(action.anyMotion)
      }
      elements =
        (action.group as? MotionGroup)?.elements
        ?? (action.group as? any FiniteGroup).flatMap { $0.order <= 4096 ? listed($0) : nil }
      turnsAboutMiddle =
        (action.group as? MotionGroup)?.turnsAboutMiddle
        ?? (action.group as? PlanarAffine)?.generators.contains(.rotation) ?? true
      sample = { action.anyMotion(of: action.group.sample(using: &$0)) }
      func opened<G: LieGroup>(_ group: G) -> Algebra {
        Algebra(
          window: group.window,
          names: (group as? PlanarAffine)?.generators.map(\.name) ?? (group as? Euclidean)?
            .axisNames
            ?? (group is SO2 ? ["turn, radians"] : nil)
        ) { tangent in
          (group.exp(tangent) as? A.Group.Element).map(action.anyMotion) ?? Motion()
        }
      }
      // Reflections are in no reach of the algebra.
      let isWhole = (action.group as? Euclidean)?.hasReflections != true
      algebra =
        (action.group as? MotionGroup)?.algebra
        ?? (action.group as? any LieGroup).flatMap { isWhole ? opened($0) : nil }
    }
  }

  /// The factors, that which acts last first.
  public let factors: [Factor]

  public init(_ factors: [Factor]) { self.factors = factors }

  /// Whether turns about the middle may be among its elements.
  public var turnsAboutMiddle: Bool { factors.contains(where: \.turnsAboutMiddle) }

  /// Whether it is the identity alone, which claims nothing.
  public var isTrivial: Bool { elements?.count == 1 }

  public var identity: Motion { Motion() }
  public func compose(_ g: Motion, _ h: Motion) -> Motion { g.after(h) }
  public func inverse(_ g: Motion) -> Motion { g.inverse }

  /// The sum of the distances of all that the two are made of.
  public func distance(_ g: Motion, _ h: Motion) -> Double {
    var sum = 0.0
    if g.map != nil || h.map != nil {
      let dimension = g.map?.dimension ?? h.map?.dimension ?? 2
      if g.isOrthogonal || h.isOrthogonal {
        let group = Euclidean.e(dimension)
        sum += group.distance(g.map ?? .identity(dimension), h.map ?? .identity(dimension))
      } else {
        sum += PlanarAffine.all.distance(g.planarMap, h.planarMap)
      }
    } else if g.isometry != nil || h.isometry != nil {
      sum += O2().distance(g.isometry ?? PlanarIsometry(), h.isometry ?? PlanarIsometry())
    }
    if let count = (g.permutation ?? h.permutation)?.places.count {
      let group = Symmetric(count)
      sum += group.distance(g.permutation ?? group.identity, h.permutation ?? group.identity)
    }
    if g.others.count != h.others.count { return .infinity }
    return zip(g.others, h.others).reduce(sum) { $0 + $1.0.distance(to: $1.1) }
  }

  public func sample(using random: inout RandomStream) -> Motion {
    factors.reduce(Motion()) { $0.after($1.sample(&random)) }
  }

  /// The tangent vectors of all factors side by side; `nil` where one of them is no Lie group, and of no factors.
  public var algebra: Algebra? {
    let all = factors.compactMap(\.algebra)
    guard !all.isEmpty, all.count == factors.count else { return nil }
    return Algebra(
      window: AlgebraWindow(all.flatMap(\.window.radii)), names: all.flatMap(\.names)
    ) { tangent in
      var (motion, start) = (Motion(), 0)
      for own in all {
        let end = start + own.window.radii.count
        motion = motion.after(own.exponential(Array(tangent[start..<end])))
        start = end
      }
      return motion
    }
  }

  /// All elements, the identity first, where every factor is finite and there are at most 4,096.
  public var elements: [Motion]? {
    var all = [Motion()]
    for factor in factors {
      guard let own = factor.elements, all.count * own.count <= 4096 else { return nil }
      all = all.flatMap { g in own.map { g.after($0) } }
    }
    return all
  }

  /// All elements, or so many drawn ones, always the same, where they cannot be listed.
  public func elements(orSampled count: Int) -> [Motion] {
    if let elements { return elements }
    var random = RandomStream(seed: 0, name: "elements")
    return (0..<count).map { _ in sample(using: &random) }
  }
}
