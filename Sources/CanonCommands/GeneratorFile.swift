import Foundation
import Symmetry
import TensorCore

/// Generators of affine maps of the plane, as `canon discover` writes them and `--group` reads them.
struct GeneratorFile: Codable {
  struct Generator: Codable {
    /// The rows of (A, t).
    var tangent: [Double]
    var pairs: Int
    var explained, explainedByChance: Double
    var nearest: String
    var degreesToNearest: Double
    var amounts: [Double]
  }
  var generators: [Generator]

  init(_ found: [FoundGenerator]) {
    generators = found.map {
      let nearest = GeneratorFile.nearest($0.tangent)
      return Generator(
        tangent: $0.tangent, pairs: $0.pairs.count, explained: $0.explained,
        explainedByChance: $0.null, nearest: nearest.name,
        degreesToNearest: nearest.angle * 180 / .pi, amounts: $0.amounts)
    }
  }

  /// The known direction that is nearest; of shifts the one of their own angle.
  static func nearest(_ tangent: [Double]) -> (name: String, angle: Double) {
    let shift = [0, 0, tangent[2], 0, 0, tangent[5]]
    let known: [(String, [Double])] = [
      ("rotation", PlanarAffine.Generator.rotation.tangent),
      ("scaling", PlanarAffine.Generator.scaling.tangent),
      ("stretch", PlanarAffine.Generator.stretch.tangent),
      ("diagonal stretch", PlanarAffine.Generator.diagonalStretch.tangent),
    ]
    let all =
      known + (shift.contains { $0 != 0 } ? [("shift", shift)] : [])
    return all.map { ($0.0, FoundGenerator.angle(tangent, $0.1)) }.min { $0.1 < $1.1 }
      ?? ("none", .pi / 2)
  }
}

extension GeneratorFile {
  /// From which amount to which pairs go, in the unit of the nearest known direction; in multiples of the generator where none is near.
  static func words(_ tangent: [Double], _ from: Double, _ to: Double) -> String {
    let nearest = nearest(tangent)
    func range(
      _ factor: Double, _ decimals: Int, _ unit: String, _ map: (Double) -> Double = { $0 }
    )
      -> String
    {
      let ends = [map(from * factor), map(to * factor)].sorted()
      return "\(ends[0].formatted(decimals))\(unit) … \(ends[1].formatted(decimals))\(unit)"
    }
    if let turn = PlanarAffine.Generator.found(tangent).turn(), nearest.angle > 0.01 {
      return range(turn.speed * 180 / .pi, 1, "°")
        + " about (\(turn.center.x.formatted(2)), \(turn.center.y.formatted(2)))"
    }
    guard nearest.angle < 0.1 else { return range(1, 2, " ×") }
    switch nearest.name {
    case "rotation": return range((tangent[1] - tangent[3]) / 2 * 180 / .pi, 1, "°")
    case "scaling": return range((tangent[0] + tangent[4]) / 2, 2, " ×", exp)
    case "shift":
      return range(
        (tangent[2] * tangent[2] + tangent[5] * tangent[5]).squareRoot() / 2, 3, " sides")
    default: return range(1, 2, " ×")
    }
  }
}

/// The group of a name, of inputs of a domain; or of a file of generators, of images.
///
/// - Throws: `CommandError` where a file is named that holds none.
func groupFactor(_ name: String, of domain: any Domain) throws -> MotionGroup.Factor? {
  guard name.hasSuffix(".json") else { return domain.group(named: name) }
  guard let images = domain as? ImageDomain else {
    throw CommandError("\(name): generators are of images, and inputs are \(domain.text).")
  }
  guard let data = FileManager.default.contents(atPath: name) else {
    throw CommandError("\(name) cannot be read; check the path.")
  }
  guard let file = try? JSONDecoder().decode(GeneratorFile.self, from: data),
    (1...6).contains(file.generators.count)
  else {
    throw CommandError("\(name) is no file of generators, as `canon discover --out` writes them.")
  }
  let tangents = file.generators.map(\.tangent)
  guard
    tangents.allSatisfy({ tangent in
      tangent.count == 6 && tangent.allSatisfy { $0.isFinite && abs($0) <= 10 }
        && tangent.contains { abs($0) > 1e-6 }
    })
  else {
    throw CommandError(
      "\(name): a generator has six finite numbers, up to 10, that are not all 0.")
  }
  return .init(
    AffineImageAction(PlanarAffine(tangents.map { .found($0) }), border: images.border))
}

extension PlanarAffine.Generator {
  /// The point about which it turns, to the right and down in halves of the side, and by how many radians for each unit, counterclockwise as it
  /// is seen; `nil` where it does not go around.
  fileprivate func turn() -> (center: (x: Double, y: Double), speed: Double)? {
    guard isPeriodic else { return nil }
    let (a, b, c, d) = (tangent[0], tangent[1], tangent[3], tangent[4])
    let determinant = a * d - b * c
    guard determinant > 0 else { return nil }
    let (x, y) = (tangent[2], tangent[5])
    return (
      ((b * y - d * x) / determinant, (c * x - a * y) / determinant),
      (b > c ? 1 : -1) * determinant.squareRoot()
    )
  }
}
