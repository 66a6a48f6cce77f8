import Autodiff
import Canonicalization
import Charts
import Datasets
import Foundation
import Symmetry
import TensorCore
import Training

/// What is looked at: a curve of one model, of one figure of the page.
struct Curve: Codable, Sendable {
  var figure, name: String
  /// Pairs of numbers.
  var points: [[Double]]
}

extension Chart {
  /// The figures whose curves are drawn, by their names.
  static let looks: [(figure: String, title: String, x: String, y: String)] = [
    ("pose", "Pose against angle, along one orbit", "angle of the input, degrees", "pose, degrees"),
    (
      "symmetry", "Pose on the way through a picture that a half turn leaves as it is",
      "part of the way to the half turn, %", "pose, degrees"
    ),
    ("orbit", "One orbit before the projection onto the circle", "first number", "second number"),
    (
      "correlation", "Correlation with a view three steps on", "step",
      "phase correlation"
    ),
  ]
}

/// Poses along closed orbits: what a head's topology decides.
func traced(
  _ model: any MeasuredModel, _ data: any DatasetOptions, seed: Int, orbits count: Int = 30
) throws -> [(name: String, value: Double)] {
  guard let model = model as? OrbitModel, let paired = data as? any PairedOptions,
    paired.group.factors.contains(.circle)
  else { return [] }
  let orbits = try paired.orbits(count, steps: 720, seed: UInt64(seed))
  let traces = orbits.compactMap(model.trace)
  guard !traces.isEmpty else { return [] }
  var figures = [
    ("orbits once around", Double(traces.count { $0.winding == 1 }) / Double(traces.count)),
    ("largest jump in half a degree", (traces.map(\.largestJump).max() ?? 0) * 180 / .pi),
    ("Lipschitz", traces.map(\.lipschitz).max() ?? 0),
  ]
  let crossings = paired.isLinear ? orbits.compactMap(model.crossing) : []
  if !crossings.isEmpty {
    let changes = crossings.reduce(0) { $0 + $1.change } / Double(crossings.count)
    let jump = crossings.map(\.largestJump).max() ?? 0
    figures.append(("degrees past a symmetric input", changes * 180 / .pi))
    figures.append(("of these at once", jump * 180 / .pi))
  }
  return figures
}

/// Angles from the first one on, each the nearest to the one before.
private func unwrapped(_ angles: [Double]) -> [Double] {
  var sum = 0.0
  return angles.indices.map { n in
    if n > 0 { sum += (angles[n] - angles[n - 1]).remainder(dividingBy: 2 * .pi) }
    return sum
  }
}

/// The curves of a model, where there is something to look at.
func curves(
  _ model: any MeasuredModel, _ data: any DatasetOptions, name: String
) throws -> [Curve] {
  if let model = model as? OrbitModel, let paired = data as? any PairedOptions,
    paired.group.factors == [.circle], let orbit = try paired.orbits(1, steps: 360, seed: 0).first,
    let angles = model.angles(orbit)
  {
    let degrees = angles.map { angle -> Double in
      let turn = (angle - angles[0]) * 180 / Double.pi
      return turn < -1e-9 ? turn + 360 : turn
    }
    var all = [
      Curve(
        figure: "pose", name: name,
        points: degrees.indices.map { [Double($0), degrees[$0]] })
    ]
    let way = SymmetryCrossing.way(
      from: orbit.sliced(0..<1), to: orbit.sliced(180..<181), steps: 399)
    if let found = model.angles(way) {
      all.append(
        Curve(
          figure: "symmetry", name: name,
          points: unwrapped(found).enumerated().map {
            [Double($0.offset) / 3.99, $0.element * 180 / .pi]
          }))
    }
    if let space = model.space as? ClassPoseSpace,
      let ambient = space.encoder(Variable(orbit), on: .inference()).ambient
    {
      let numbers = ambient.value.elements.map { Double($0) }
      all.append(
        Curve(
          figure: "orbit", name: name,
          points: (0...360).map { step -> [Double] in
            let place = step % 360 * 2
            return [numbers[place], numbers[place + 1]]
          }))
    }
    return all
  }
  if let model = model as? OperatorModel, let options = data as? PolygonsOptions,
    options.transform == .rotation, model.operators.count == 1, model.operators[0] is Diagonal,
    !model.isWeak
  {
    let polygons = options.polygons
    var random = RandomStream(seed: 5, name: "looks")
    return [
      ("a random pentagon", polygons.corners(using: &random)),
      ("a regular pentagon", polygons.regularCorners),
    ].map { what, corners in
      func view(_ step: Int) -> Tensor {
        Tensor(
          polygons.draw(corners, polygons.group.element([step])),
          shape: [1, polygons.size, polygons.size, 1])
      }
      let scores = model.correlations(
        model.encoder.predict(view(0)), model.encoder.predict(view(3))
      ).elements
      return Curve(
        figure: "correlation", name: what,
        points: scores.indices.map { [Double($0), Double(scores[$0])] })
    }
  }
  return []
}
