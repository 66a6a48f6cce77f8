import Glibc
public import Symmetry
public import TensorCore

/// Data whose pairs lie whole steps of cycles apart.
public protocol SteppedOptions: DatasetOptions {
  /// After how many steps each transform goes around.
  var orders: [Int] { get }
}

/// Data whose pairs lie an element of a group apart.
public protocol PairedOptions: DatasetOptions {
  /// What moves them.
  var group: AmbientGroup { get }

  /// Whether the group's first circle acts on inputs linearly, as turns act on pixels; true where nothing else is said.
  var isLinear: Bool { get }

  /// Inputs of the test part, each moved once around by the group's first circle in even steps: closed orbits, on which
  /// poses are looked at. None where the group has no circle.
  ///
  /// - Parameter seed: The run's, from which the test part follows.
  /// - Returns: `[steps, …]` each.
  /// - Throws: `DatasetError` or an error of a file.
  func orbits(_ count: Int, steps: Int, seed: UInt64) throws -> [Tensor]
}

extension PairedOptions {
  public var isLinear: Bool { true }

  /// Elements that go once around the group's first circle; `nil` where it has none.
  func around(_ steps: Int) -> [AmbientGroup.Element]? {
    guard let place = group.places.first(where: { $0.factor == .circle }) else { return nil }
    return (0..<steps).map { step in
      var tangent = [Double](repeating: 0, count: group.dimension)
      tangent[place.algebra] = 2 * .pi * Double(step) / Double(steps)
      return group.exp(tangent)
    }
  }
}

extension Examples {
  /// Ways of one pose after the other, a step from each to the next.
  ///
  /// - Parameters:
  ///   - poses: Of each way, one more than its steps.
  ///   - group: What takes a pose to the next.
  ///   - labels: The orbits.
  ///   - seen: What is there of all ways after so many steps, `[count, …]`.
  /// - Returns: `inputs`, `partner` (after one step) and `element`; of several steps also `steps`, `partner`*n* after half and
  ///   all of them, and `pose`.
  init(
    ways poses: [[AmbientGroup.Element]], in group: AmbientGroup, labels: [Int],
    _ seen: (_ step: Int) -> Tensor
  ) {
    let (count, steps) = (poses.count, (poses.first?.count ?? 1) - 1)
    let all = Tensor(
      poses.flatMap { way in
        (1...steps).flatMap { t in
          group.log(group.compose(way[t], group.inverse(way[t - 1]))).map { Float($0) }
        }
      }, shape: [count, steps, group.dimension])
    var tensors = [
      "partner": seen(1),
      "element": all.sliced(0..<1, axis: 1).reshaped([count, group.dimension]).contiguous,
    ]
    if steps > 1 {
      tensors["steps"] = all
      tensors["partner\(steps / 2)"] = seen(steps / 2)
      tensors["partner\(steps)"] = seen(steps)
      tensors["pose"] = Tensor(
        poses.flatMap { $0[0].numbers.map { Float($0) } }, shape: [count, group.elementCount])
    }
    self.init(inputs: seen(0), labels: labels, tensors)
  }
}

extension SceneOptions: PairedOptions {
  public func orbits(_ count: Int, steps: Int, seed: UInt64) throws -> [Tensor] {
    guard let around = around(steps) else { return [] }
    let drawn = Scenes.named(scene)
    // Where nothing but the circle acts, a body has one orbit.
    let all = group.factors.count == 1 ? min(count, drawn.orbitCount) : count
    return (0..<all).map { n in
      var random = RandomStream(seed: 4, name: "orbit/\(n)")
      let pose = drawn.pose(using: &random)
      return Tensor(
        Parallel.map(around) { g in
          drawn.draw(n % drawn.orbitCount, group.compose(g, pose), size: size)
        }.flatMap { $0 }, shape: Shape([steps, size, size, drawn.channels]))
    }
  }
}

extension MovedImagesOptions: PairedOptions {
  public var group: AmbientGroup { motion.group }

  public func orbits(_ count: Int, steps: Int, seed: UInt64) throws -> [Tensor] {
    guard let around = around(steps) else { return [] }
    let part = try testImages(seed: seed)
    return (0..<min(count, part.count)).map { n in
      motion.act(
        around, on: part.images.gathered([Int](repeating: n, count: steps)), border: images.border)
    }
  }
}

extension PolygonsOptions: SteppedOptions {
  public var orders: [Int] { polygons.group.orders }
}
