public import Symmetry
public import TensorCore

/// In which poses a model brings upright images of a class, and how well poses follow turns.
public struct PoseReport: Codable, Sendable {
  public var `class`: String
  public var count: Int
  public var meanDegrees, deviationDegrees, resultant, medianErrorDegrees: Double
  /// How many images were turned once around, and of how many the pose went once around too.
  public var orbits, orbitsOnceAround: Int?
  /// Of so many of them, turned by half a degree at a time: the largest change of a pose from one to the next in degrees,
  /// and over that of the image.
  public var traced: Int?
  public var largestJumpDegrees, lipschitz: Double?
  /// Of as many, on the way through a picture that a half turn leaves as it is: how far poses come, a mean, and the
  /// largest change of one in a 719th of it.
  public var symmetryChangeDegrees, symmetryJumpDegrees: Double?

  private init(_ name: String, _ poses: [Found]) {
    let spread = PoseSpread(poses.map(\.pose))
    (self.class, count, resultant) = (name, spread.count, spread.resultant)
    medianErrorDegrees = poses.map(\.error).sorted()[poses.count / 2] * 180 / .pi
    meanDegrees = spread.mean.angle * 180 / .pi
    deviationDegrees = spread.deviation * 180 / .pi
  }

  private typealias Found = (pose: PlanarIsometry, error: Double)

  /// Finds the poses of images.
  public typealias Finder = (Tensor) -> [Pose<Motion>]

  /// Measures what finds poses on upright images: each class, then all together.
  ///
  /// - Parameters:
  ///   - images: Upright, `[count, …]`.
  ///   - labels: Their classes.
  ///   - classNames: The names of all classes.
  ///   - orbits: How many images are turned once around, in 36 steps.
  ///   - traced: How many of them in 720.
  ///   - find: Finds the poses of a batch.
  public static func all(
    _ images: Tensor, labels: [Int], classNames: [String], orbits: Int, traced: Int = 0,
    _ find: Finder
  ) -> [PoseReport] {
    let poses = measured(images, find)
    guard !poses.isEmpty else { return [] }
    var reports = classNames.indices.compactMap { label -> PoseReport? in
      let own = zip(poses, labels).filter { $0.1 == label }.map(\.0)
      return own.isEmpty ? nil : PoseReport(classNames[label], own)
    }
    var all = PoseReport("all", poses)
    let turned = min(orbits, images.shape[0])
    all.orbits = turned
    all.orbitsOnceAround = (0..<turned).count {
      trace(images.sliced($0..<$0 + 1), steps: 36, find).winding == 1
    }
    let traces = (0..<min(traced, turned)).map {
      trace(images.sliced($0..<$0 + 1), steps: 720, find)
    }
    if !traces.isEmpty {
      all.traced = traces.count
      all.largestJumpDegrees = traces.reduce(0) { max($0, $1.largestJump) } * 180 / .pi
      all.lipschitz = traces.reduce(0) { max($0, $1.lipschitz) }
      let crossings = (0..<traces.count).map { crossing(images.sliced($0..<$0 + 1), find) }
      all.symmetryChangeDegrees =
        crossings.reduce(0) { $0 + $1.change } / Double(crossings.count) * 180 / .pi
      all.symmetryJumpDegrees = crossings.reduce(0) { max($0, $1.largestJump) } * 180 / .pi
    }
    reports.append(all)
    return reports
  }

  /// The pose of each image, and how far that of a turned copy is from the turned one, in radians.
  private static func measured(_ images: Tensor, _ find: Finder) -> [Found] {
    var random = RandomStream(seed: 0, name: "poses")
    var result: [Found] = []
    for start in stride(from: 0, to: images.shape[0], by: 256) {
      let part = images.sliced(start..<min(images.shape[0], start + 256))
      let turns = (0..<part.shape[0]).map { _ in SO2().sample(using: &random) }
      let plain = find(part).map(\.element.planarIsometry)
      let moved = find(Pixels().act(turns.map { Motion(isometry: $0) }, on: part))
      for n in plain.indices {
        let expected = O2().compose(turns[n], plain[n])
        result.append((plain[n], O2().distance(moved[n].element.planarIsometry, expected)))
      }
    }
    return result
  }

  /// How the pose goes as an image is turned once around.
  private static func trace(_ image: Tensor, steps: Int, _ find: Finder) -> OrbitTrace {
    let turns = (0..<steps).map { PlanarIsometry(residual: 2 * .pi * Double($0) / Double(steps)) }
    let copies = Tensor.concatenated([Tensor](repeating: image, count: steps))
    let moved = Pixels().act(turns.map { Motion(isometry: $0) }, on: copies)
    return OrbitTrace(find(moved).map(\.element.planarIsometry))
  }

  /// How the pose goes from an image to the same one half a turn on, through their mean.
  private static func crossing(_ image: Tensor, _ find: Finder) -> SymmetryCrossing {
    let half = Pixels().act([Motion(isometry: PlanarIsometry(quarterTurns: 2))], on: image)
    let way = SymmetryCrossing.way(from: image, to: half)
    return SymmetryCrossing(angles: find(way).map(\.element.planarIsometry.angle))
  }
}
