import Glibc
import Layers
public import Settings
public import Symmetry
public import TensorCore

/// A frame of a set's mean place and mean vectors, such as its velocity, made orthonormal one after the other
/// (Gram–Schmidt): for a single body the direction in which it lies, and that in which it moves.
///
/// In *d* dimensions *d* − 1 of them are needed, and *d* with reflections; a place counts where translations are not of the group. The
/// margin is the smallest sine between a direction and those before it: a frame of parallel directions means nothing, and
/// is the one that is nearest to the axes.
public struct MeanDirections: PointCanonicalizer {
  public let action: PointAction

  public init(_ action: PointAction) { self.action = action }

  public func poses(of batch: Tensor) -> [Pose<AffineMap>] {
    let (d, count) = (action.group.spaceDimension, batch.shape[0])
    let sets = batch.reshaped([count, -1, action.width])
    let parts = action.parts(of: sets).filter { part in
      part.kind == .vector || part.kind == .point && !action.group.hasTranslations
    }
    let means = parts.map { $0.values.mean([1]).elements.map { Double($0) } }
    let centers = action.origins(of: sets).elements.map { Double($0) }
    return (0..<count).map { n in
      pose(
        means.map { Array($0[n * d..<(n + 1) * d]) }, at: Array(centers[n * d..<(n + 1) * d]))
    }
  }

  private func pose(_ directions: [[Double]], at center: [Double]) -> Pose<AffineMap> {
    let d = action.group.spaceDimension
    let needed = action.group.hasReflections ? d : d - 1
    var (axes, margin) = ([[Double]](), 1.0)
    func add(_ vector: [Double]) -> Double {
      let rest = axes.reduce(vector) { rest, axis in
        let along = zip(rest, axis).reduce(0) { $0 + $1.0 * $1.1 }
        return zip(rest, axis).map { $0 - along * $1 }
      }
      let length = rest.reduce(0) { $0 + $1 * $1 }.squareRoot()
      let whole = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
      // What is left of parallel directions is rounding.
      guard length.isFinite, length > 1e-6 * whole else { return 0 }
      axes.append(rest.map { $0 / length })
      return length / whole
    }
    for vector in directions where axes.count < needed { margin = min(margin, add(vector)) }
    if axes.count < needed { margin = 0 }
    // The rest of the frame: unit vectors, and a last one that makes its sense positive.
    for i in 0..<d where axes.count < d { _ = add((0..<d).map { $0 == i ? 1 : 0 }) }
    func map() -> AffineMap {
      AffineMap(matrix: (0..<d * d).map { axes[$0 % d][$0 / d] }, translation: center)
    }
    if !action.group.hasReflections && map().determinant < 0 {
      axes[d - 1] = axes[d - 1].map { -$0 }
    }
    let isNumber = directions.joined().allSatisfy(\.isFinite)
    return Pose(map(), margin: isNumber ? Float(margin) : .nan)
  }
}

/// The settings of `{kind: directions}`.
public struct MeanDirectionsOptions: CanonicalizerOptions {
  public static let kind = "directions"
  public static let summary =
    "The frame of a set's mean place and velocity, made orthonormal: for single bodies."
  public var group = ""
  public init() {}

  public mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {
    let sets = try keys.sets(domain, Self.kind)
    if group.isEmpty { group = "SO\(sets.dimension)" }
    try keys.readEuclideanGroup(&group, sets)
    let group = sets.action(group).group
    let count = sets.columns.count {
      $0 == .vector || $0 == .point && !group.hasTranslations
    }
    let needed = sets.dimension - (group.hasReflections ? 0 : 1)
    guard count >= needed else {
      throw keys.failure(
        "'directions' needs \(needed) directions for '\(self.group)', places or velocities, and members of \(domain.text) have \(count)"
      )
    }
  }

  public func make(_ build: CanonicalizerBuild) throws(SettingsError) -> any TrainableCanonicalizer
  {
    MeanDirections(try build.sets(Self.kind).action(group))
  }
}
