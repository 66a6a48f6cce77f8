import Glibc
public import TensorCore

/// A rotation of the plane about the origin, after an optional reflection: an element of O(2).
///
/// The angle is kept as quarter turns and a residual in [−π/4, π/4), so that quarter turns compose
/// exactly, and act on images bit for bit. Angles are counterclockwise as an image is seen.
public struct PlanarIsometry: Hashable, Sendable {
  /// Whether the plane is first mirrored left to right.
  public let isReflected: Bool
  /// Whole quarter turns, in `0..<4`.
  public let quarterTurns: Int
  /// What remains of the angle, in radians, in [−π/4, π/4).
  public let residual: Double

  /// Creates an isometry; the residual may be any angle, and counts as 0 where it is not a number.
  public init(quarterTurns: Int = 0, residual: Double = 0, isReflected: Bool = false) {
    let residual =
      !residual.isFinite
      ? 0 : abs(residual) < 1e9 ? residual : residual.remainder(dividingBy: 2 * .pi)
    let extra = (residual / (.pi / 2) + 0.5).rounded(.down)
    let turns = (quarterTurns + Int(extra)) % 4
    self.quarterTurns = turns < 0 ? turns + 4 : turns
    self.residual = extra == 0 ? residual : residual - extra * (.pi / 2)
    self.isReflected = isReflected
  }

  /// The angle in radians, in [−π/4, 7π/4).
  public var angle: Double { Double(quarterTurns) * .pi / 2 + residual }

  /// Whether it maps the pixels of an image onto each other.
  public var isExact: Bool { residual == 0 }

  /// The 2 × 2 matrix, row-major, in image coordinates (*x* to the right, *y* down).
  ///
  /// Entries of quarter turns are exactly 0 and ±1, and those of residuals are the same numbers
  /// moved around.
  public var matrix: [Double] {
    var (c, s) = (cos(residual), sin(residual))
    for _ in 0..<quarterTurns { (c, s) = (-s, c) }
    return isReflected ? [-c, s, s, c] : [c, s, -s, c]
  }

  /// The inverse of `matrix`: where a moved pixel looks in the image.
  public var samplingMap: SamplingMap {
    let m = matrix
    return SamplingMap(matrix: [m[0], m[2], m[1], m[3]])
  }
}

/// A group of isometries of the plane that fix the origin: what can act on images, points, vectors.
public protocol PlanarGroup: Group {
  /// The element as an isometry.
  func isometry(_ g: Element) -> PlanarIsometry

  /// The elements that only move pixels, the identity first: quarter turns and flips.
  var exactElements: [Element] { get }
}

/// All rotations of the plane, SO(2).
public struct SO2: LieGroup, PlanarGroup {
  public typealias Element = PlanarIsometry

  public init() {}

  public var identity: PlanarIsometry { PlanarIsometry() }

  public func compose(_ g: PlanarIsometry, _ h: PlanarIsometry) -> PlanarIsometry {
    PlanarIsometry(
      quarterTurns: g.quarterTurns + h.quarterTurns, residual: g.residual + h.residual)
  }

  public func inverse(_ g: PlanarIsometry) -> PlanarIsometry {
    PlanarIsometry(quarterTurns: -g.quarterTurns, residual: -g.residual)
  }

  /// The angle between two rotations, in 0…π.
  public func distance(_ g: PlanarIsometry, _ h: PlanarIsometry) -> Double {
    abs(log(compose(inverse(g), h))[0])
  }

  public func sample(using random: inout RandomStream) -> PlanarIsometry {
    PlanarIsometry(residual: 2 * .pi * random.uniformDouble())
  }

  public var dimension: Int { 1 }
  public var window: AlgebraWindow { AlgebraWindow([.pi]) }

  public func exp(_ tangent: [Double]) -> PlanarIsometry { PlanarIsometry(residual: tangent[0]) }

  public func log(_ g: PlanarIsometry) -> [Double] { [remainder(g.angle, 2 * .pi)] }

  public func isometry(_ g: PlanarIsometry) -> PlanarIsometry { g }

  public var exactElements: [PlanarIsometry] { (0..<4).map { PlanarIsometry(quarterTurns: $0) } }
}

/// All rotations and reflections of the plane, O(2): the group that every image canonicalizer's
/// poses can be read in.
public struct O2: PlanarGroup {
  public typealias Element = PlanarIsometry

  public init() {}

  public var identity: PlanarIsometry { PlanarIsometry() }

  /// A rotation passes a reflection by changing its sense: *F* *R* = *R*⁻¹ *F*.
  public func compose(_ g: PlanarIsometry, _ h: PlanarIsometry) -> PlanarIsometry {
    let sense = g.isReflected ? -1 : 1
    return PlanarIsometry(
      quarterTurns: g.quarterTurns + sense * h.quarterTurns,
      residual: g.residual + Double(sense) * h.residual,
      isReflected: g.isReflected != h.isReflected)
  }

  public func inverse(_ g: PlanarIsometry) -> PlanarIsometry {
    g.isReflected ? g : SO2().inverse(g)
  }

  /// The angle between two elements of the same handedness; π plus it between others.
  public func distance(_ g: PlanarIsometry, _ h: PlanarIsometry) -> Double {
    let between = compose(inverse(g), h)
    let angle = abs(SO2().log(between)[0])
    return between.isReflected ? .pi + angle : angle
  }

  public func sample(using random: inout RandomStream) -> PlanarIsometry {
    PlanarIsometry(
      residual: 2 * .pi * random.uniformDouble(), isReflected: random.uniform() < 0.5)
  }

  public func isometry(_ g: PlanarIsometry) -> PlanarIsometry { g }

  public var exactElements: [PlanarIsometry] {
    [false, true].flatMap { flip in
      (0..<4).map { PlanarIsometry(quarterTurns: $0, isReflected: flip) }
    }
  }
}
