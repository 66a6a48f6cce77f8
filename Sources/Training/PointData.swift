import Datasets
import Layers
import Symmetry
import TensorCore

/// The parts of a task on sets of points.
struct PointData {
  let classNames: [String]
  private let make: (Digits.Part) -> Examples

  /// - Throws: `DatasetError`.
  init(_ configuration: RunConfiguration) throws {
    let data = configuration.data
    switch data.kind {
    case .particles:
      // As in the literature: the first 3,000 systems, then 2,000 and 2,000.
      let all = ChargedParticles(count: 7000)
      let steps = all.targets - all.states.sliced(0..<3, axis: 2)
      classNames = []
      make = { part in
        let range = [.train: 0..<3000, .valid: 3000..<5000, .test: 5000..<7000][part] ?? 0..<0
        return Examples(inputs: all.states.sliced(range), targets: steps.sliced(range))
      }
    case .bodies:
      classNames = SolidShapes.classNames
      make = { part in
        let count = [.train: 2000, .valid: 400, .test: 2000][part] ?? 0
        let seed = [.train: 1, .valid: 2, .test: 3][part] ?? UInt64(0)
        let bodies = SolidShapes.sample(count: count, points: data.points, seed: seed)
        var random = RandomStream(seed: seed, name: "bodies/turns")
        let turns = (0..<count).map { _ in Euclidean.so(3).sample(using: &random) }
        return Examples(bodies, points: PointAction(.so(3)).act(turns, on: bodies.points))
      }
    default:
      let digits = try Digits(folder: data.path)
      classNames = data.variant.classNames
      make = { part in
        let images = digits.rotated(
          part, isUpright: data.kind == .mnistPoints, variant: data.variant)
        let sets = LabeledPoints(
          images, perImage: data.points, seed: [.train: 1, .valid: 2, .test: 3][part] ?? 0)
        return Examples(sets, points: sets.points)
      }
    }
  }

  func examples(_ part: Digits.Part) -> Examples { make(part) }
}

extension Examples {
  /// Sets with their classes.
  fileprivate init(_ labeled: LabeledPoints, points: Tensor) {
    self.init(
      inputs: points, targets: .oneHot(labeled.labels, classes: labeled.classNames.count),
      labels: labeled.labels)
  }
}
