import Glibc
public import TensorCore

/// A Lie group of affine maps of the plane: those that its generators reach.
///
/// Generators are data: one's own group is a list of matrices.
///
/// Coordinates are those of images, *x* to the right and *y* down from the center; a length of 1 is half
/// the smaller side.
public struct PlanarAffine: LieGroup {
  /// A direction in which to begin: the 2 × 3 matrix (*A*, *t*) of a tangent vector at the identity.
  public struct Generator: Sendable, Hashable {
    /// Row-major, *A* beside *t*.
    public let tangent: [Double]
    /// How elements are drawn along it: uniform on −π…π where it goes around, else normal with a deviation
    /// of 0.1.
    public let isPeriodic: Bool

    /// `tangent`: Six numbers, the rows of (*A*, *t*).
    /// - Precondition: There are six, not all of them 0, and all finite.
    public init(_ tangent: [Double], isPeriodic: Bool = false) {
      require(
        tangent.count == 6 && tangent.allSatisfy(\.isFinite) && tangent.contains { $0 != 0 },
        "a generator \(tangent) of affine maps of the plane")
      self.tangent = tangent
      self.isPeriodic = isPeriodic
    }

    /// A generator that was found or is one's own: it goes around where its matrix turns and hardly grows.
    public static func found(_ tangent: [Double]) -> Generator {
      Generator(tangent, isPeriodic: Generator(tangent).turn.map { $0.growth < 0.05 } ?? false)
    }

    /// How far along it is half around, and how much its matrix grows for each radian; `nil` where it does not turn.
    var turn: (half: Double, growth: Double)? {
      let (a, b, c, d) = (tangent[0], tangent[1], tangent[3], tangent[4])
      let square = -((a - d) * (a - d) / 4 + b * c)
      guard square > 0 else { return nil }
      let speed = square.squareRoot()
      return (.pi / speed, abs(a + d) / 2 / speed)
    }

    /// What it is, with the unit of amounts along it.
    public var name: String {
      switch self {
      case .rotation: "turn, radians"
      case .horizontalShift: "shift to the right, halves of the side"
      case .verticalShift: "shift down, halves of the side"
      case .scaling: "scaling, logarithm"
      case .stretch: "stretch, logarithm"
      case .diagonalStretch: "diagonal stretch, logarithm"
      default:
        "multiples of (\(tangent.map { "\(($0 * 1000).rounded() / 1000)" }.joined(separator: ", ")))"
      }
    }

    /// How far elements along it are looked for: half around, or 0.3 where it does not go around.
    var radius: Double { isPeriodic ? turn?.half ?? .pi : 0.3 }

    /// Counterclockwise as an image is seen, in radians.
    public static let rotation = Generator([0, 1, 0, -1, 0, 0], isPeriodic: true)
    public static let horizontalShift = Generator([0, 0, 1, 0, 0, 0])
    public static let verticalShift = Generator([0, 0, 0, 0, 0, 1])
    /// The logarithm of the scale.
    public static let scaling = Generator([1, 0, 0, 0, 1, 0])
    /// Longer along one axis, shorter along the other, straight or diagonal.
    public static let stretch = Generator([1, 0, 0, 0, -1, 0])
    public static let diagonalStretch = Generator([0, 1, 0, 1, 0, 0])
  }

  public let generators: [Generator]

  /// - Precondition: The generators span a Lie algebra: with a shift and anything else, both shifts.
  public init(_ generators: [Generator]) { self.generators = generators }

  /// The group of generators that are written one after the other, six numbers each; `nil` of none.
  ///
  /// - Precondition: Their number is a multiple of six, and none is 0.
  public init?(sixEach numbers: [Float]) {
    guard !numbers.isEmpty else { return nil }
    self.init(
      stride(from: 0, to: numbers.count, by: 6).map { start in
        Generator.found(numbers[start..<start + 6].map { Double($0) })
      })
  }

  /// Elements evenly along the first generator, from one end of the window to the other, the identity first.
  public func starts(_ count: Int) -> [AffineMap] {
    let radius = window.radii.first ?? 0
    return (0..<count).map { k in
      let place = count == 1 ? 0 : radius * (2 * Double(k) / Double(count - 1) - 1)
      return exp(generators.indices.map { $0 == 0 ? place : 0 })
    }.sorted { distance($0, identity) < distance($1, identity) }
  }

  /// The groups that have names: SO2, T2 (translations), scalings, SE2, similarity, SL2, GL2 (of positive determinant), affine.
  public static let named: [(name: String, group: PlanarAffine)] = [
    ("SO2", PlanarAffine([.rotation])), ("T2", .translations), ("scalings", .scalings),
    ("SE2", .rigidMotions), ("similarity", .similarities), ("SL2", .special), ("GL2", .linear),
    ("affine", .all),
  ]

  /// The group of a name; `nil` of a name that is none.
  public init?(named name: String) {
    guard let found = PlanarAffine.named.first(where: { $0.name == name }) else { return nil }
    self = found.group
  }

  public static let translations = PlanarAffine([.horizontalShift, .verticalShift])
  public static let scalings = PlanarAffine([.scaling])
  /// Rotations and translations, SE(2).
  public static let rigidMotions = PlanarAffine([.rotation, .horizontalShift, .verticalShift])
  /// Rotations, translations and scalings.
  public static let similarities = PlanarAffine([
    .rotation, .horizontalShift, .verticalShift, .scaling,
  ])
  /// The linear maps of determinant 1, SL(2, ℝ): turns and stretches.
  ///
  /// Not every element is an exponential: none with a trace below −2 is.
  public static let special = PlanarAffine([.rotation, .stretch, .diagonalStretch])
  /// The linear maps of positive determinant, GL⁺(2).
  public static let linear = PlanarAffine([.rotation, .scaling, .stretch, .diagonalStretch])
  /// All maps of positive determinant.
  public static let all = PlanarAffine([
    .rotation, .horizontalShift, .verticalShift, .scaling, .stretch, .diagonalStretch,
  ])

  public var identity: AffineMap { .identity(2) }
  public func compose(_ g: AffineMap, _ h: AffineMap) -> AffineMap { g.after(h) }
  public func inverse(_ g: AffineMap) -> AffineMap { g.inverse }

  /// The length of the shortest tangent vector from one to the other; for maps that turn about half
  /// around, which have no logarithm, that of the turn and of what remains.
  public func distance(_ g: AffineMap, _ h: AffineMap) -> Double {
    func length(_ g: AffineMap) -> Double { log(g).reduce(0) { $0 + $1 * $1 }.squareRoot() }
    let step = compose(inverse(g), h)
    let turn = step.nearestAngle
    guard abs(turn) > 3 else { return length(step) }
    let back = AffineMap(matrix: PlanarIsometry(residual: -turn).matrix)
    return hypot(turn, length(back.after(step)))
  }

  /// The groups with shifts or scalings have no uniform distribution: generators that go around
  /// are uniform, all else is normal with a deviation of 0.1.
  public func sample(using random: inout RandomStream) -> AffineMap {
    exp(
      generators.map {
        $0.isPeriodic ? $0.radius * (2 * random.uniformDouble() - 1) : 0.1 * random.normal()
      })
  }

  public var dimension: Int { generators.count }

  /// Half around where a generator goes around, 0.3 elsewhere: shifts by 15 % of the side, scales from 0.74 to 1.35.
  public var window: AlgebraWindow { AlgebraWindow(generators.map(\.radius)) }

  /// The matrix exponential, by scaling and squaring of its series.
  public func exp(_ tangent: [Double]) -> AffineMap {
    let whole = sum(tangent)
    // The series is of numbers up to 1/16.
    let norm = whole.reduce(0) { $0 + $1 * $1 }.squareRoot()
    let halvings = norm > 16 && norm.isFinite ? min(40, 8 + Int(log2(norm / 16).rounded(.up))) : 8
    let scaled = whole.map { $0 / Double(1 << halvings) }
    var power = [1.0, 0, 0, 0, 1, 0]
    var result = power
    for k in 1...12 {
      // Rows of (A, t): the last row of the 3 × 3 tangent is zero, and the identity's is (0, 0, 1).
      let isFirst = k == 1
      power = (0..<6).map { i in
        let (row, column) = (i / 3 * 3, i % 3)
        let linear = power[row] * scaled[column] + power[row + 1] * scaled[3 + column]
        return isFirst ? scaled[i] : linear / Double(k)
      }
      for i in 0..<6 { result[i] += power[i] }
    }
    var map = AffineMap(
      matrix: [result[0], result[1], result[3], result[4]], translation: [result[2], result[5]])
    for _ in 0..<halvings { map = map.after(map) }
    return map
  }

  /// The logarithm, by repeated square roots (Denman & Beavers 1976) and its series; for maps that turn
  /// by less than half around.
  public func log(_ g: AffineMap) -> [Double] {
    var map = g
    for _ in 0..<8 { map = map.squareRoot }
    let x = [
      map.matrix[0] - 1, map.matrix[1], map.translation[0], map.matrix[2], map.matrix[3] - 1,
      map.translation[1],
    ]
    var (power, result) = (x, x)
    for k in 2...12 {
      power = (0..<6).map { i in
        let (row, column) = (i / 3 * 3, i % 3)
        return power[row] * x[column] + power[row + 1] * x[3 + column]
      }
      for i in 0..<6 { result[i] += (k % 2 == 0 ? -1 : 1) * power[i] / Double(k) }
    }
    let along = generators.map { generator in
      256 * zip(generator.tangent, result).reduce(0) { $0 + $1.0 * $1.1 }
    }
    return coordinates(along)
  }

  /// The numbers of a tangent vector, from its products with the generators: the solution of the normal
  /// equations, which are diagonal where generators are perpendicular.
  private func coordinates(_ products: [Double]) -> [Double] {
    let gram = generators.flatMap { a in
      generators.map { b in zip(a.tangent, b.tangent).reduce(0) { $0 + $1.0 * $1.1 } }
    }
    let n = generators.count
    if gram.indices.allSatisfy({ $0 % (n + 1) == 0 || gram[$0] == 0 }) {
      return products.indices.map { products[$0] / gram[$0 * (n + 1)] }
    }
    return AffineMap(matrix: gram).inverse.linear(products)
  }

  /// How *g* exp(ξ) changes with each number of ξ at 0: for each generator the change of (*A*, *t*), first
  /// the four numbers of the matrix.
  public func differential(at g: AffineMap) -> [[Double]] {
    generators.map { generator in
      let t = generator.tangent
      let linear = AffineMap(matrix: g.matrix).after(
        AffineMap(matrix: [t[0], t[1], t[3], t[4]], translation: [t[2], t[5]]))
      return linear.matrix + linear.translation
    }
  }

  private func sum(_ tangent: [Double]) -> [Double] {
    zip(generators, tangent).reduce([0, 0, 0, 0, 0, 0]) { sum, part in
      zip(sum, part.0.tangent).map { $0 + part.1 * $1 }
    }
  }
}

extension AffineMap {
  /// The angle of the rotation nearest to the matrix, that of its polar decomposition, in −π…π.
  public var nearestAngle: Double { atan2(matrix[1] - matrix[2], matrix[0] + matrix[3]) }

  /// The map that twice in a row is this one.
  ///
  /// By the iteration of Denman & Beavers 1976; for maps that turn by less than half around.
  var squareRoot: AffineMap {
    var (y, z) = (self, AffineMap.identity(dimension))
    for _ in 0..<30 {
      func mean(_ a: AffineMap, _ b: AffineMap) -> AffineMap {
        AffineMap(
          matrix: zip(a.matrix, b.matrix).map { ($0 + $1) / 2 },
          translation: zip(a.translation, b.translation).map { ($0 + $1) / 2 })
      }
      let next = (mean(y, z.inverse), mean(z, y.inverse))
      let change = zip(next.0.matrix, y.matrix).map { abs($0 - $1) }.max() ?? 0
      (y, z) = next
      if change < 1e-15 { break }
    }
    return y
  }
}
