import Autodiff
import Glibc
import Layers
import Symmetry
import TensorCore
import TestSupport
import Testing

@testable import Canonicalization

/// Blots without symmetry, of samples of 8 bits.
private func blots(_ count: Int, side: Int = 16) -> Tensor {
  var random = RandomStream(seed: 31, name: "blots")
  let numbers = (0..<count * side * side).map { i -> Float in
    let (x, y) = (Float(i % side) - 7.5, Float(i / side % side) - 7.5)
    return x * x + y * y < 50 ? Float(random.next() % 256) / 255 : 0
  }
  return Tensor(numbers, shape: [count, side, side, 1])
}

@Suite struct PartialPosesTests {
  @Test("A motion turns by its angle, whatever else it does, and reflections by no angle")
  func turn() {
    #expect(Motion().turn == 0)
    for degrees in [0.0, 30, 90, 179, 180, 181, 270, 359] {
      let angle = degrees * .pi / 180
      let expected = min(angle, 2 * .pi - angle)
      let g = PlanarIsometry(residual: angle)
      #expect(abs(Motion(isometry: g).turn - expected) < 1e-9)
      let scaled = AffineMap(matrix: g.matrix.map { 3 * $0 }, translation: [1, 2])
      #expect(abs(Motion(map: scaled).turn - expected) < 1e-9)
      let (c, s) = (cos(angle), sin(angle))
      for matrix in [
        [c, -s, 0, s, c, 0, 0, 0, 1], [c, 0, s, 0, 1, 0, -s, 0, c], [1, 0, 0, 0, c, -s, 0, s, c],
      ] {
        #expect(abs(Motion(map: AffineMap(matrix: matrix)).turn - expected) < 1e-7)
      }
    }
    #expect(Motion(isometry: PlanarIsometry(isReflected: true)).turn == .infinity)
    #expect(Motion(map: AffineMap(matrix: [1, 0, 0, 0, 1, 0, 0, 0, -1])).turn == .infinity)
  }

  @Test(
    "Poses within the window are undone as by the whole canonicalizer, bit for bit; of others nothing is"
  )
  func window() {
    let base = RestrictedPoses(PrincipalAxis(), to: Cyclic(4))
    let partial = PartialPoses(base, within: 1.6, of: Pixels())
    let images = blots(6)
    let group = Cyclic(4)
    var (inside, outside) = (0, 0)
    for g in group.elements {
      let moved = base.action.act([Cyclic.Element](repeating: g, count: 6), on: images)
      let (whole, part) = (base.canonicalize(moved), partial.canonicalize(moved))
      for (n, pose) in whole.poses.enumerated() {
        let turn = Motion(isometry: group.isometry(pose.element)).turn
        if turn < 1.6 {
          inside += 1
          #expect(part.form[n] == whole.form[n])
        } else {
          outside += 1
          #expect(part.form[n] == moved[n] && part.poses[n].element == Motion())
        }
        #expect(part.poses[n].margin <= pose.margin)
      }
      #expect(partial.restore(part.form, with: partial.action, by: part.poses) == moved)
    }
    // Three of the four quarters are within 90°.
    #expect(inside == 18 && outside == 6)
    #expect(partial.action.group.isTrivial)
  }

  @Test(
    "An element on the window's edge is undone, in training too, and half around there is no edge")
  func edge() throws {
    for (order, degrees) in [(12, 60.0), (12, 90), (3, 120), (6, 60), (4, 90), (180, 50)] {
      let base = RestrictedPoses(PrincipalAxis(), to: Cyclic(order))
      let partial = PartialPoses(base, within: degrees * .pi / 180, of: Pixels())
      let images = blots(40)
      let forms = partial.trainingForms(
        Variable(images), on: .training(random: RandomStream(seed: 1, name: "steps")))
      for (n, pose) in partial.poses(of: images).enumerated() {
        let whole = base.poses(of: images.sliced(n..<n + 1))[0].element
        let turn = Motion(isometry: Cyclic(order).isometry(whole)).turn * 180 / .pi
        #expect((pose.element == Motion()) == (turn > degrees + 1e-6), "\(turn)")
        #expect(forms.forms.value[n] == partial.canonicalize(images).form[n])
      }
    }
    let all = PartialPoses(PrincipalAxis(), within: .pi, of: Pixels())
    #expect(
      all.poses(of: blots(8)).map(\.margin) == PrincipalAxis().poses(of: blots(8)).map(\.margin))
    // Of ties that which is taken counts as well.
    let axis = PrincipalAxis(usesThirdMoment: false)
    let tied = axis.poses(of: blots(8))
    for (n, pose) in tied.enumerated() {
      let turns = pose.candidates.map { Motion(isometry: $0).turn }
      let near = try #require(turns.min())
      let partial = PartialPoses(axis, within: near + 0.001, of: Pixels())
      #expect(partial.poses(of: blots(8))[n].margin <= 0.0011)
    }
  }

  @Test(
    "In space too forms beyond the window are left as they came",
    arguments: [Euclidean.so(3), .o(3), .e(3)])
  func space(_ group: Euclidean) throws {
    var random = RandomStream(seed: 8, name: "space")
    let sets = Tensor.normal([12, 9, 3], using: &random)
    let action = PointAction(group)
    let partial = PartialPoses(
      PrincipalFrame(action), within: 2, of: Members([.point], dimension: 3))
    let forms = partial.trainingForms(
      Variable(sets), on: .training(random: RandomStream(seed: 1, name: "steps"))
    ).forms.value
    #expect(largestDifference(forms, partial.canonicalize(sets).form) < 1e-4)
    let left = partial.poses(of: sets).count { $0.element == Motion() }
    #expect((1..<12).contains(left))
  }

  @Test("What was turned beyond the window keeps that: a 6 and a 9 have forms of their own")
  func notNine() {
    let base = PrincipalAxis()
    let partial = PartialPoses(base, within: .pi / 2, of: Pixels())
    let six = blots(1)
    let half = base.action.act([PlanarIsometry(residual: .pi)], on: six)
    #expect(largestDifference(base.canonicalize(six).form, base.canonicalize(half).form) < 1e-5)
    let (a, b) = (partial.canonicalize(six).form, partial.canonicalize(half).form)
    #expect(largestDifference(a, b) > 0.1)
  }

  @Test(
    "In training too what is outside the window is left as it came, and only what is inside teaches the pose"
  )
  func training() throws {
    var random = RandomStream(seed: 5, name: "partial")
    let network = Backbone.scorer(size: 16, width: 3, features: 1, using: &random)
    let base = OrbitCanonicalizer(
      Cyclic(8), network: network, features: 1, gradient: .mixture(count: 8), using: &random)
    let partial = PartialPoses(base, within: 1, of: Pixels())
    let images = blots(5)
    let tape = Tape.training(random: RandomStream(seed: 1, name: "steps"))
    let whole = base.trainingForms(
      Variable(images), on: .training(random: RandomStream(seed: 1, name: "steps")))
    let forms = partial.trainingForms(Variable(images), on: tape)
    #expect(forms.count == whole.count && forms.count > 1)
    let shown = forms.forms.value
    var kept = 0
    for n in 0..<5 * forms.count {
      let isLeft = shown[n] == images[n % 5]
      kept += isLeft ? 1 : 0
      #expect(isLeft || shown[n] == whole.forms.value[n])
    }
    // Eight turns of 45°, of which three are within 57°: for each five of eight, and the one that turns by nothing.
    #expect(kept == 5 * 6)
    // Vectors go the same way: what is left as it came is not turned.
    let arrows = Variable(Tensor([1, 0, 1, 0, 1, 0, 1, 0, 1, 0], shape: [5, 2]))
    let moved = forms.move(Vectors(), arrows).value
    for n in 0..<5 * forms.count where shown[n] == images[n % 5] {
      #expect(largestDifference(moved[n], Tensor([1, 0])) < 1e-6)
    }
    #expect(
      partial.frames(of: images, count: 8).allSatisfy {
        $0.allSatisfy { $0.element.turn <= 1 }
      })
  }
}
