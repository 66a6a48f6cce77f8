import Autodiff
import Canonicalization
import Layers
import Symmetry
import TensorCore
import TestSupport
import Testing

/// Blobs without symmetry, `[count, side, side, channels]`.
private func pictures(_ count: Int, _ side: Int, channels: Int = 1) -> Tensor {
  var random = RandomStream(seed: 21, name: "pictures")
  let images = (0..<count).flatMap { _ -> [Float] in
    let blobs = (0..<5).map { _ in
      (
        x: Float(side) * (0.25 + 0.5 * random.uniform()),
        y: Float(side) * (0.25 + 0.5 * random.uniform()), height: 0.3 + random.uniform()
      )
    }
    return (0..<side * side).flatMap { i -> [Float] in
      let value = blobs.reduce(Float(0)) { sum, b in
        let (dx, dy) = (Float(i % side) - b.x, Float(i / side) - b.y)
        return sum + b.height / (1 + dx * dx + dy * dy)
      }
      return (0..<channels).map { min(value, 1) * (1 - 0.3 * Float($0)) }
    }
  }
  return Tensor(images, shape: [count, side, side, channels])
}

private func sets(_ members: Int, _ width: Int) -> Tensor {
  var random = RandomStream(seed: 22, name: "sets")
  return .normal([6, members, width], using: &random)
}

private struct Case: CustomTestStringConvertible, Sendable {
  let testDescription: String
  let canonicalizer: any ExportableCanonicalizer
  let batch: Tensor

  init(_ name: String, _ batch: Tensor, _ make: (inout RandomStream) -> any ExportableCanonicalizer)
  {
    var random = RandomStream(seed: 23, name: "canonicalizer")
    (testDescription, self.batch, canonicalizer) = (name, batch, make(&random))
  }
}

private func scorer(_ size: Int, _ random: inout RandomStream) -> any Layer {
  Backbone.scorer(size: size, width: 3, features: 1, using: &random)
}

private let images = pictures(8, 20)
private let color = pictures(4, 20, channels: 3)

private let ofImages: [Case] = [
  Case("C8, three layers", images) {
    GroupConvolutionCanonicalizer(
      Cyclic(8), .init(size: 20, kernel: 5, groupKernel: 3, channels: 2, layers: 3), using: &$0)
  },
  Case("D4, a matched filter", images) {
    GroupConvolutionCanonicalizer(Dihedral(4), .init(size: 20, kernel: 20), using: &$0)
  },
  Case("orbit of C12", images) {
    OrbitCanonicalizer(Cyclic(12), network: scorer(20, &$0), features: 1, using: &$0)
  },
  Case("orbit of D3, mirrored at the edges", images) {
    OrbitCanonicalizer(
      Dihedral(3), network: scorer(20, &$0), features: 1, border: .reflect, using: &$0)
  },
  Case("refined C16", images) {
    RefinedPoses(
      GroupConvolutionCanonicalizer(Cyclic(16), .init(size: 20, kernel: 20), using: &$0),
      in: SO2())
  },
  Case("refined D8", images) {
    RefinedPoses(
      OrbitCanonicalizer(Dihedral(8), network: scorer(20, &$0), features: 1, using: &$0),
      in: O2())
  },
  Case("SO(2), copies", images) {
    SteerableCanonicalizer(SO2(), size: 20, width: 2, copies: 3, using: &$0)
  },
  Case("O(2), Fourier", images) {
    SteerableCanonicalizer(O2(), size: 20, width: 2, nonlinearity: .fourier, using: &$0)
  },
  Case("principal axis", images) { _ in PrincipalAxis() },
  Case("principal axis of bright pixels", images) { _ in PrincipalAxis(threshold: 0.5) },
  Case("principal axis, restricted to C6", images) { _ in
    RestrictedPoses(PrincipalAxis(), to: Cyclic(6))
  },
  Case("gradients", images) { _ in GradientOrientation() },
  Case("chosen direction of the axis", images) {
    ChosenTie(PrincipalAxis(usesThirdMoment: false), network: scorer(20, &$0))
  },
  Case("chosen quarter turn, averaged over mirror images", images) {
    ChosenTie(QuarterTurns(), network: MirrorAveraged(scorer(20, &$0)))
  },
  Case("center", images) { _ in MomentNormalization(.center) },
  Case("scale", images) { _ in MomentNormalization(.scale) },
  Case("learned center", images) { LearnedCenter(width: 2, using: &$0) },
  Case("class and pose", images) {
    let group = AmbientGroup([.circle])
    let network = Backbone.poseCNN(
      size: 20, channels: 1, width: 4, stride: 2,
      outputs: ClassPoseEncoder.outputCount(group, head: .projection, classDimensions: 3),
      using: &$0)
    return ClassPoseCanonicalizer(
      ClassPoseEncoder(network, group: group, classDimensions: 3), size: 20, turns: 8)
  },
  Case("color seen small and gray", color) {
    ReducedImages(
      GroupConvolutionCanonicalizer(Cyclic(8), .init(size: 9, kernel: 9), using: &$0),
      seeing: ImageDomain(size: 9, channels: 1), border: .edge)
  },
  Case("principal axis, within 60°", images) { _ in
    PartialPoses(PrincipalAxis(), within: .pi / 3, of: Pixels())
  },
  Case("axis without a direction, within 60°", images) { _ in
    PartialPoses(PrincipalAxis(usesThirdMoment: false), within: .pi / 3, of: Pixels())
  },
  Case("orbit of C12, to the window's edge", images) {
    PartialPoses(
      OrbitCanonicalizer(Cyclic(12), network: scorer(20, &$0), features: 1, using: &$0),
      within: .pi / 3, of: Pixels())
  },
  Case("orbit of D4, within 100°", images) {
    PartialPoses(
      OrbitCanonicalizer(Dihedral(4), network: scorer(20, &$0), features: 1, using: &$0),
      within: 1.75, of: Pixels())
  },
  Case("SO(2), within 120°", images) {
    PartialPoses(
      SteerableCanonicalizer(SO2(), size: 20, width: 2, copies: 2, using: &$0), within: 2.1,
      of: Pixels())
  },
  Case("nothing", images) { _ in IdentityCanonicalizer() },
]

private let described: [PointAction.Columns] = [.point, .vector, .scalars(1)]

private let ofSets: [Case] =
  [Euclidean.so(2), .e(2), .so(3), .o(3), .e(3)].flatMap { group -> [Case] in
    let action = PointAction(group, columns: described)
    let batch = sets(9, 2 * group.spaceDimension + 1)
    return [
      Case("principal axes of \(group)", batch) { _ in PrincipalFrame(action) },
      Case("principal axes of \(group), within 115°", batch) { _ in
        PartialPoses(
          PrincipalFrame(action), within: 2,
          of: Members(described, dimension: group.spaceDimension))
      },
      Case("learned frame of \(group)", batch) {
        LearnedFrame(action, neighbors: 2, width: 4, layers: 2, using: &$0)
      },
      Case("chosen signs of \(group)", batch) {
        ChosenTie(
          PrincipalFrame(action, usesThirdMoment: false),
          network: PointNet(action.width, outputs: 1, widths: [6, 8], hidden: 6, using: &$0))
      },
    ]
  } + [
    Case("sorted", sets(7, 3)) { _ in
      SortedSet(Symmetric(7), rule: .lexicographic, coordinates: 3)
    },
    Case("sorted by length", sets(7, 3)) { _ in
      SortedSet(Symmetric(7), rule: .norm, coordinates: 3)
    },
    Case("sorted by a learned score", sets(7, 3)) {
      LearnedPermutation(Symmetric(7), features: 3, head: .sort(), using: &$0)
    },
  ]

@Suite struct PoseVariableTests {
  @Test("Poses as a computation are the poses that are found", arguments: ofImages + ofSets)
  private func poses(one: Case) throws {
    func check<C: ExportableCanonicalizer>(_ canonicalizer: C) throws {
      let poses = canonicalizer.poses(of: one.batch)
      let motions = poses.map { canonicalizer.action.anyMotion(of: $0.element) }
      let found = try canonicalizer.poseVariables(
        of: Variable(traced: one.batch), on: .inference())
      for (n, motion) in motions.enumerated() {
        let map = motion.map ?? (motion.isometry == nil ? nil : motion.planarMap)
        let d = found.matrix?.shape[1] ?? map?.dimension ?? 2
        let expected = map ?? .identity(d)
        let matrix = found.matrix?.value[n].elements ?? expectedIdentity(d)
        // Sums of a thousand floats in another order, and a parabola's quotient.
        #expect(deviation(matrix.map { Double($0) }, expected.matrix) < 3e-4)
        let shift = found.translation?.value[n].elements.map { Double($0) }
        #expect(
          deviation(shift ?? [Double](repeating: 0, count: d), expected.translation) < 1e-4)
        if let margin = found.margin?.value.elements[n], poses[n].margin.isFinite {
          #expect(deviation([Double(margin)], [Double(poses[n].margin)]) < 1e-4)
        }
        if let places = motion.permutation?.places {
          let rows = try #require(found.order).value[n]
          #expect(places.indices.allSatisfy { rows[$0].elements[places[$0]] == 1 })
        }
      }
      let form = try canonicalizer.inputs.act(found.inverse, on: Variable(one.batch)).value
      let expected = canonicalizer.canonicalize(one.batch).form
      #expect(largestDifference(form, expected) < 1e-3)
    }
    try check(one.canonicalizer)
  }

  private func expectedIdentity(_ d: Int) -> [Float] {
    AffineMap.identity(d).matrix.map { Float($0) }
  }

  @Test("Of neighbors that are as far the first ones count, as in a lattice")
  func lattice() throws {
    var random = RandomStream(seed: 26, name: "lattice")
    let action = PointAction(.so(2))
    let places = [[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [3, 1], [0, 2], [2, 3]]
    let batch = Tensor(places.joined().map { Float($0) }, shape: [1, 8, 2])
    let frame = LearnedFrame(action, neighbors: 3, width: 4, layers: 2, using: &random)
    let expected = try #require(frame.poses(of: batch).first).element.matrix
    let found = try frame.poseVariables(of: Variable(traced: batch), on: .inference())
    let matrix = try #require(found.matrix).value.elements.map { Double($0) }
    #expect(deviation(matrix, expected) < 1e-4)
    let svd = LearnedFrame(action, orthonormalization: .svd, width: 4, using: &random)
    #expect(throws: NotExportable.self) {
      try svd.poseVariables(of: Variable(batch), on: .inference())
    }
  }

  @Test("Steps compose their poses, and what undoes a pose undoes it")
  func steps() throws {
    let steps = Steps(
      [
        Step(MomentNormalization(.center)), Step(MomentNormalization(.scale)),
        Step(PrincipalAxis()),
      ], of: ImageDomain(size: 20))
    let found = try steps.poseVariables(of: Variable(images), on: .inference())
    for (n, pose) in steps.poses(of: images).enumerated() {
      let matrix = try #require(found.matrix).value[n].elements.map { Double($0) }
      #expect(deviation(matrix, pose.element.planarMap.matrix) < 1e-3)
      let shift = try #require(found.translation).value[n].elements.map { Double($0) }
      #expect(deviation(shift, pose.element.planarMap.translation) < 1e-3)
    }
    let nothing = found.after(found.inverse)
    let identity = Tensor([1, 0, 0, 1], shape: [1, 2, 2])
    let away = try #require(nothing.matrix).value - identity
    #expect(away.elements.allSatisfy { abs($0) < 1e-5 })
    #expect(try #require(nothing.translation).value.elements.allSatisfy { abs($0) < 1e-5 })
  }

  @Test("Quantities move as motions move them")
  func quantities() throws {
    var random = RandomStream(seed: 24, name: "quantities")
    let motions = (0..<3).map { n in
      Motion(
        map: AffineMap(
          matrix: PlanarIsometry(residual: Double(n) + 0.3, isReflected: n == 1).matrix,
          translation: [0.1 * Double(n), -0.2]))
    }
    let poses = PoseVariables(
      matrix: Variable(
        Tensor(motions.flatMap { $0.planarMap.matrix.map { Float($0) } }, shape: [3, 2, 2])),
      translation: Variable(
        Tensor(motions.flatMap { $0.planarMap.translation.map { Float($0) } }, shape: [3, 2])))
    let all: [(any ExportableQuantity, Shape)] = [
      (Scores(), [3, 5]), (Pixels(border: .edge), [3, 8, 8, 2]), (Keypoints(size: 8), [3, 4, 2]),
      (Boxes(size: 8), [3, 2, 4]), (Vectors(), [3, 2]), (VectorField(), [3, 8, 8, 2]),
      (Members([.point, .vector, .scalars(2)], dimension: 2), [3, 5, 6]),
      (Symmetry.Parts([(Scores(), [3]), (Boxes(size: 8), [1, 4])]), [3, 7]),
    ]
    for (quantity, shape) in all {
      let batch = Tensor.uniform(shape, using: &random)
      let found = try quantity.act(poses, on: Variable(batch)).value
      #expect(largestDifference(found, quantity.act(motions, on: batch)) < 2e-5, "\(quantity)")
    }
  }

  @Test("What cannot be written down says so")
  func refused() {
    var random = RandomStream(seed: 25, name: "refused")
    let curve = SortedSet(Symmetric(7), rule: .hilbert, coordinates: 3)
    let assignment = LearnedPermutation(
      Symmetric(7), features: 3, head: .assignment(), using: &random)
    for canonicalizer: any ExportableCanonicalizer in [curve, assignment] {
      #expect(throws: NotExportable.self) {
        try canonicalizer.poseVariables(of: Variable(sets(7, 3)), on: .inference())
      }
    }
  }
}
