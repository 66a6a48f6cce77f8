import Symmetry
import TensorCore
import TestSupport
import Testing

/// Motions of each kind that compose.
private func motions(_ kind: String, _ count: Int) -> [Motion] {
  var random = RandomStream(seed: 3, name: "motions/\(kind)")
  return (0..<count).map { _ in
    switch kind {
    case "isometry": Motion(isometry: O2().sample(using: &random))
    case "quarters":
      Motion(
        isometry: PlanarIsometry(
          quarterTurns: Int.random(in: 0..<4, using: &random),
          isReflected: Bool.random(using: &random)))
    case "affine": Motion(map: PlanarAffine.all.sample(using: &random))
    case "space":
      Motion(
        map: Euclidean.e(3).sample(using: &random), isOrthogonal: true,
        permutation: Symmetric(5).sample(using: &random))
    case "mixed":
      Bool.random(using: &random)
        ? Motion(isometry: O2().sample(using: &random))
        : Motion(map: PlanarAffine.similarities.sample(using: &random))
    default: Motion(others: [OtherElement(Cyclic(3).elements[1], Recoloring())])
    }
  }
}

/// A group of one's own that is no geometry: the cycles of three channels.
private struct Recoloring: Action {
  let group = Cyclic(3)
  func act(_ elements: [Cyclic.Element], on batch: Tensor) -> Tensor {
    .concatenated(
      elements.enumerated().map { n, g in
        let one = batch.sliced(n..<n + 1)
        return .concatenated(
          (0..<3).map { c in
            let from = (c + 3 - g.steps) % 3
            return one.sliced(from..<from + 1, axis: 3)
          }, axis: 3)
      })
  }
}

@Suite struct MotionTests {
  @Test(
    "Motions are a group, whatever they are made of",
    arguments: ["isometry", "affine", "space", "mixed", "own"])
  func axioms(kind: String) {
    let group = MotionGroup([])
    let some = motions(kind, 4)
    let deviations = group.deviations(on: some)
    // The metric of affine maps is not one that composition leaves alone.
    #expect(deviations.identity < 1e-6 && deviations.inverse < 1e-6, "\(deviations)")
    #expect(deviations.associativity < 1e-6, "\(deviations)")
  }

  /// Each kind of quantity, with values of it for three inputs of 8 pixels, and whether quarter turns alone keep
  /// its laws.
  private static let quantities: [(name: String, quantity: any Quantity, shape: [Int])] = [
    ("scores", Scores(), [4]), ("pixels", Pixels(), [8, 8, 3]),
    ("mask", Pixels(.nearest), [8, 8, 1]), ("keypoints", Keypoints(size: 8), [5, 2]),
    ("boxes", Boxes(size: 8), [2, 4]), ("vectors", Vectors(), [6, 2]),
    ("field", VectorField(), [8, 8, 2]),
    ("boxes and scores", Parts([(Scores(), [3]), (Boxes(size: 8), [1, 4])]), [7]),
  ]

  private func values(_ shape: [Int], isBoxes: Bool) -> Tensor {
    var random = RandomStream(seed: 4, name: "values")
    let x = Tensor.uniform(Shape([3] + shape), using: &random)
    // Boxes have their left and upper sides first.
    return isBoxes
      ? x + Tensor((0..<x.shape.count).map { Float($0 % 4 / 2) * 2 }, shape: x.shape) : x
  }

  @Test(
    "(gh)·x = g·(h·x) bit for bit under quarter turns, for every kind of quantity", arguments: 0..<8
  )
  func exact(index: Int) {
    let (name, quantity, shape) = MotionTests.quantities[index]
    let isBoxes = name.contains("boxes")
    var x = values(shape, isBoxes: isBoxes)
    if name == "boxes and scores" {
      x = .concatenated(
        [x.sliced(0..<3, axis: 1), values([1, 4], isBoxes: true).reshaped([3, 4])], axis: 1)
    }
    let some = motions("quarters", 6)
    for g in some {
      for h in some {
        func copies(_ m: Motion) -> [Motion] { [m, m, m] }
        let both = quantity.act(copies(g.after(h)), on: x)
        let turned = quantity.act(copies(g), on: quantity.act(copies(h), on: x))
        // Keypoints and boxes are shifted to the middle and back: a rounding each.
        let tolerance: Float = name.contains("boxes") || name == "keypoints" ? 2e-6 : 0
        #expect(largestDifference(both, turned) <= tolerance, "\(name)")
      }
    }
    #expect(largestDifference(quantity.act([Motion(), Motion(), Motion()], on: x), x) <= 1e-6)
  }

  @Test("Keypoints follow what they point at, under affine maps too")
  func keypoints() {
    // A single bright pixel, moved by a shift of two pixels and a half turn.
    var pixels = [Float](repeating: 0, count: 64)
    pixels[3 * 8 + 5] = 1
    let motion = Motion(map: AffineMap(matrix: [-1, 0, 0, -1], translation: [0.5, -0.25]))
    let image = Pixels().act([motion], on: Tensor(pixels, shape: [1, 8, 8, 1]))
    let point = Keypoints(size: 8).act([motion], on: Tensor([5, 3], shape: [1, 1, 2])).elements
    let place = image.elements.indices.reduce(0) {
      image.elements[$1] > image.elements[$0] ? $1 : $0
    }
    #expect(Float(place % 8) == point[0] && Float(place / 8) == point[1])
  }

  @Test("Members of sets are moved as their columns are, and reordered") func members() {
    let quantity = Members([.point, .vector, .scalars(1)], dimension: 3)
    var random = RandomStream(seed: 5, name: "members")
    let x = Tensor.normal([3, 5, 7], using: &random)
    for g in motions("space", 3) {
      for h in motions("space", 3) {
        let both = quantity.act([g.after(h), g.after(h), g.after(h)], on: x)
        #expect(
          largestDifference(both, quantity.act([g, g, g], on: quantity.act([h, h, h], on: x)))
            < 1e-4)
      }
      let back = quantity.act(
        [g.inverse, g.inverse, g.inverse], on: quantity.act([g, g, g], on: x))
      #expect(largestDifference(back, x) < 1e-5)
    }
  }

  @Test("A group of one's own moves inputs, and nothing else") func own() {
    let motion = motions("own", 1)[0]
    let x = Tensor((0..<12).map { Float($0) }, shape: [1, 2, 2, 3])
    #expect(Pixels().act([motion], on: x).elements.prefix(3) == [2, 0, 1])
    #expect(Pixels().act([motion.after(motion.inverse)], on: x) == x)
    #expect(Vectors().act([motion], on: Tensor([1, 2], shape: [1, 2])).elements == [1, 2])
  }

  @Test("The elements of a product are all pairs, and drawn ones where they cannot be listed")
  func products() {
    let images = ImageDomain(size: 8)
    let group = MotionGroup(["C4", "D2"].compactMap { images.group(named: $0) })
    #expect(group.elements?.count == 16)
    #expect(MotionGroup([]).elements == [Motion()])
    let continuous = MotionGroup(["SE2", "C8"].compactMap { images.group(named: $0) })
    #expect(continuous.elements == nil && continuous.elements(orSampled: 5).count == 5)
    #expect(continuous.elements(orSampled: 5).allSatisfy { $0.map != nil })
    let reflected = MotionGroup([images.group(named: "O2")].compactMap { $0 }).elements(
      orSampled: 32)
    #expect(reflected.contains { $0.planarIsometry.isReflected })
    #expect(reflected.contains { !$0.planarIsometry.isReflected })
    #expect(images.group(named: "E3") == nil && images.group(named: "C0") == nil)
    let sets = SetDomain(members: 4, dimension: 3)
    for (name, hasShift, reflects) in [
      ("SO3", false, false), ("O3", false, true), ("SE3", true, false),
    ] {
      let some = MotionGroup([sets.group(named: name)].compactMap { $0 }).elements(orSampled: 32)
      #expect(some.contains { $0.map?.translation.contains { $0 != 0 } ?? false } == hasShift)
      #expect(some.contains { ($0.map?.determinant ?? 1) < 0 } == reflects)
    }
  }

  @Test("A reflected affine map is read as the nearest reflected isometry") func reflections() {
    for angle in [0.0, 1, -2.5] {
      let g = PlanarIsometry(residual: angle, isReflected: true)
      let found = Motion(map: AffineMap(matrix: g.matrix)).planarIsometry
      #expect(O2().distance(found, g) < 1e-12)
    }
  }
}
