import Glibc
public import TensorCore

/// A product of lines, circles and rotations of space, as points of an ambient space that projects onto it: ℝⁿ,
/// SO(2), SO(3), tori, ℝ² × SO(2), and whatever else such factors make.
///
/// It is where a network's numbers become an element of a group. A head that takes them as a tangent vector, through
/// `exp`, covers a circle as a line does: its image of a closed orbit can be shrunk to a point, so that it goes
/// around 0 times and must tear somewhere. A projection from the plane without its origin has no such bar
/// (Zhou et al. 2019, arXiv 1812.07035, for SO(3)).
///
/// As a product it is direct: a translation is not turned by a rotation beside it.
public struct AmbientGroup: LieGroup, Hashable {
  /// One factor.
  public enum Factor: String, Sendable, Hashable, CaseIterable {
    /// The real numbers, under addition: its own ambient space and algebra.
    case line
    /// The rotations of the plane: the points of length 1 of ℝ², (cos, sin), onto which it projects by dividing by
    /// the length.
    case circle
    /// The rotations of space: two vectors of ℝ³ project onto them by Gram–Schmidt, the first two columns of the
    /// matrix; elements are matrices, row by row.
    case rotations

    /// How many numbers an element has, and how many the ambient space and the algebra.
    public var numbers: (element: Int, ambient: Int, algebra: Int) {
      switch self {
      case .line: (1, 1, 1)
      case .circle: (2, 2, 1)
      case .rotations: (9, 6, 3)
      }
    }
  }

  /// The numbers of all factors in turn.
  public struct Element: Hashable, Sendable, CustomStringConvertible {
    public let numbers: [Double]

    public init(_ numbers: [Double]) { self.numbers = numbers }

    public var description: String {
      numbers.map { "\(($0 * 1000).rounded() / 1000)" }.joined(separator: " ")
    }
  }

  public let factors: [Factor]

  /// - Precondition: There is a factor.
  public init(_ factors: [Factor]) {
    require(!factors.isEmpty, "a group of no factor")
    self.factors = factors
  }

  /// The group of a name: `R3`, `SO2`, `SO3`, `T2` (a torus), or several with `x` between, like `R2xSO2`.
  public init?(named name: String) {
    var factors: [Factor] = []
    for part in name.split(separator: "x", omittingEmptySubsequences: false) {
      switch part {
      case "SO2": factors.append(.circle)
      case "SO3": factors.append(.rotations)
      default:
        guard let letter = part.first, "RT".contains(letter), let count = Int(part.dropFirst()),
          (1...64).contains(count)
        else { return nil }
        factors += [Factor](repeating: letter == "R" ? .line : .circle, count: count)
      }
    }
    guard (1...64).contains(factors.count) else { return nil }
    self.factors = factors
  }

  /// The name by which `init(named:)` makes the group.
  public var name: String {
    var parts: [(factor: Factor, count: Int)] = []
    for factor in factors {
      if parts.last?.factor == factor, factor != .rotations {
        parts[parts.count - 1].count += 1
      } else {
        parts.append((factor, 1))
      }
    }
    return parts.map { part in
      switch part.factor {
      case .line: "R\(part.count)"
      case .circle: part.count == 1 ? "SO2" : "T\(part.count)"
      case .rotations: "SO3"
      }
    }.joined(separator: "x")
  }

  /// How many numbers an element has.
  public var elementCount: Int { factors.reduce(0) { $0 + $1.numbers.element } }
  /// The dimension of the ambient space.
  public var ambientCount: Int { factors.reduce(0) { $0 + $1.numbers.ambient } }
  public var dimension: Int { factors.reduce(0) { $0 + $1.numbers.algebra } }

  /// Half around for circles and rotations of space, 1 for lines.
  public var window: AlgebraWindow {
    AlgebraWindow(
      factors.flatMap { factor in
        [Double](repeating: factor == .line ? 1 : .pi, count: factor.numbers.algebra)
      })
  }

  /// The factors with where their numbers begin, in elements, the ambient space and the algebra.
  public var places: [(factor: Factor, element: Int, ambient: Int, algebra: Int)] {
    var (element, ambient, algebra) = (0, 0, 0)
    return factors.map { factor in
      let numbers = factor.numbers
      defer {
        (element, ambient, algebra) = (
          element + numbers.element, ambient + numbers.ambient, algebra + numbers.algebra
        )
      }
      return (factor, element, ambient, algebra)
    }
  }

  /// The parts of elements, factor by factor, changed together.
  private func combine(
    _ elements: [Element], _ body: (Factor, [ArraySlice<Double>]) -> [Double]
  ) -> Element {
    Element(
      places.flatMap { place in
        body(
          place.factor,
          elements.map { $0.numbers[place.element..<place.element + place.factor.numbers.element] })
      })
  }

  public var identity: Element { exp([Double](repeating: 0, count: dimension)) }

  public func compose(_ g: Element, _ h: Element) -> Element {
    combine([g, h]) { factor, parts in
      let (a, b) = (Array(parts[0]), Array(parts[1]))
      switch factor {
      case .line: return [a[0] + b[0]]
      case .circle: return [a[0] * b[0] - a[1] * b[1], a[1] * b[0] + a[0] * b[1]]
      case .rotations: return AffineMap(matrix: a).after(AffineMap(matrix: b)).matrix
      }
    }
  }

  public func inverse(_ g: Element) -> Element {
    combine([g]) { factor, parts in
      let a = Array(parts[0])
      switch factor {
      case .line: return [-a[0]]
      case .circle: return [a[0], -a[1]]
      case .rotations: return AffineMap(matrix: a).transposed.matrix
      }
    }
  }

  /// The length of the geodesic between them: the root of the sum of the squares of all factors' distances, a
  /// circle's and a rotation's being the angle between the two, in 0…π.
  public func distance(_ g: Element, _ h: Element) -> Double {
    log(compose(inverse(g), h)).reduce(0) { $0 + $1 * $1 }.squareRoot()
  }

  /// Uniform on circles and rotations; on lines, where nothing is, normal with variance 1.
  public func sample(using random: inout RandomStream) -> Element {
    Element(
      factors.flatMap { factor -> [Double] in
        switch factor {
        case .line: return [random.normal()]
        case .circle:
          let angle = 2 * .pi * random.uniformDouble()
          return [cos(angle), sin(angle)]
        case .rotations: return Euclidean.so(3).sample(using: &random).matrix
        }
      })
  }

  /// The numbers of a line, the angle of a circle, and the axis times the angle of a rotation of space.
  public func exp(_ tangent: [Double]) -> Element {
    require(tangent.count == dimension, "\(tangent.count) numbers for an algebra of \(dimension)")
    return Element(
      places.flatMap { place -> [Double] in
        let t = tangent[place.algebra..<place.algebra + place.factor.numbers.algebra].map { $0 }
        switch place.factor {
        case .line: return t
        case .circle: return [cos(t[0]), sin(t[0])]
        // The planes (0, 1), (0, 2), (1, 2) turn about the axes 2, −1, 0.
        case .rotations: return Euclidean.so(3).exp([t[2], -t[1], t[0]]).matrix
        }
      })
  }

  public func log(_ g: Element) -> [Double] {
    places.flatMap { place -> [Double] in
      let part = Array(g.numbers[place.element..<place.element + place.factor.numbers.element])
      switch place.factor {
      case .line: return part
      case .circle: return [atan2(part[1], part[0])]
      case .rotations:
        guard part.allSatisfy(\.isFinite) else { return [.nan, .nan, .nan] }
        let planes = Euclidean.so(3).log(AffineMap(matrix: part))
        return [planes[2], -planes[1], planes[0]]
      }
    }
  }

  /// The element onto which a point of the ambient space projects; the identity's numbers where it projects onto
  /// none, as the origin does, and none where the point's are none.
  public func projection(_ ambient: [Double]) -> Element {
    require(ambient.count == ambientCount, "\(ambient.count) numbers in \(ambientCount) dimensions")
    guard ambient.allSatisfy(\.isFinite) else {
      return Element([Double](repeating: .nan, count: elementCount))
    }
    return Element(
      places.flatMap { place -> [Double] in
        let a = ambient[place.ambient..<place.ambient + place.factor.numbers.ambient].map { $0 }
        switch place.factor {
        case .line: return a
        case .circle: return unit(a) ?? [1, 0]
        case .rotations:
          guard let first = unit(Array(a[0..<3])) else { return [1, 0, 0, 0, 1, 0, 0, 0, 1] }
          let along = (0..<3).reduce(0) { $0 + first[$1] * a[3 + $1] }
          guard let second = unit((0..<3).map { a[3 + $0] - along * first[$0] }) else {
            return [1, 0, 0, 0, 1, 0, 0, 0, 1]
          }
          return (0..<3).flatMap { i in
            let (j, k) = ((i + 1) % 3, (i + 2) % 3)
            return [first[i], second[i], first[j] * second[k] - first[k] * second[j]]
          }
        }
      })
  }

  private func unit(_ vector: [Double]) -> [Double]? {
    let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
    return length > 1e-150 && length.isFinite ? vector.map { $0 / length } : nil
  }

  /// The mean of elements: of lines their mean, of circles and rotations the projection of the mean of their
  /// matrices, the point nearest to all in the sum of squares of chords.
  ///
  /// - Precondition: There is an element.
  public func mean(_ elements: [Element]) -> Element {
    require(!elements.isEmpty, "the mean of no element")
    let sum = (0..<elementCount).map { i in
      elements.reduce(0) { $0 + $1.numbers[i] } / Double(elements.count)
    }
    return projection(
      places.flatMap { place -> [Double] in
        guard place.factor == .rotations else {
          return Array(sum[place.element..<place.element + place.factor.numbers.element])
        }
        let nearest = nearestRotation(to: Array(sum[place.element..<place.element + 9]))
        return (0..<6).map { nearest[$0 % 3 * 3 + $0 / 3] }
      })
  }
}

/// The rotation nearest to a matrix, by Newton's iteration for the polar factor (Higham 1986, doi 10.1137/0907079);
/// the matrix itself where it reflects or is singular, as means of scattered rotations may be.
private func nearestRotation(to matrix: [Double]) -> [Double] {
  var x = AffineMap(matrix: matrix)
  guard x.determinant > 1e-9 else { return matrix }
  for _ in 0..<60 {
    x = AffineMap(matrix: zip(x.matrix, x.inverse.transposed.matrix).map { ($0 + $1) / 2 })
  }
  return x.matrix
}
