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
