import Autodiff
import Canonicalization
import Foundation
import Layers
import Symmetry
import TensorCore
import TestSupport
import Testing

/// A smooth picture without symmetry.
private func picture(_ side: Int, seed: UInt64) -> Tensor {
  var random = RandomStream(seed: seed, name: "smooth")
  let middle = Double(side - 1) / 2
  let blobs = (0..<5).map { _ in
    (random.normal() * 2.5, random.normal() * 2.5, random.uniformDouble())
  }
  let pixels = (0..<side * side).map { i -> Float in
    let (x, y) = (Double(i % side) - middle, Double(i / side) - middle)
    let sum = blobs.reduce(0.0) { sum, blob in
      let (dx, dy) = (x - blob.0, y - blob.1)
      return sum + blob.2 * Foundation.exp(-(dx * dx + dy * dy) / 8)
    }
    return Float(min(sum, 1))
  }
  return Tensor(pixels, shape: [1, side, side, 1])
}

private let pictures = Tensor.concatenated((0..<4).map { picture(21, seed: $0) })

private func steerable<G: PlanarGroup>(
  _ group: G, _ nonlinearity: SteerableNonlinearity = .norm, copies: Int = 1
) -> SteerableCanonicalizer<G> where G.Element == PlanarIsometry {
  var random = RandomStream(seed: 2, name: "steerable")
  return SteerableCanonicalizer(
    group, size: 21, width: 3, kernels: [7, 5, 5], nonlinearity: nonlinearity, copies: copies,
    using: &random)
}

@Suite struct SteerableCanonicalizerTests {
  @Test(
    "Laws of SO(2) and O(2): bit for bit for quarter turns and flips",
    arguments: SteerableNonlinearity.allCases)
  func exact(nonlinearity: SteerableNonlinearity) {
    let rotations = steerable(SO2(), nonlinearity)
    let turns = rotations.deviations(on: pictures, under: SO2().exactElements)
    #expect(turns.form == 0 && turns.pose < 1e-12)
    let isometries = steerable(O2(), nonlinearity)
    let flips = isometries.deviations(on: pictures, under: O2().exactElements)
    #expect(flips.form == 0 && flips.pose < 1e-12)
    // Both kinds of poses occur, by the flips.
    #expect(
      Set(
        O2().exactElements.map { g in
          isometries.poses(of: isometries.action.act([g], on: picture(21, seed: 0)))[0].element
            .isReflected
        }
      ).count == 2)
  }

  @Test("Laws at any angle, within what sampling a smooth picture changes") func anyAngle() {
    for canonicalizer in [steerable(SO2()), steerable(SO2(), .fourier)] {
      let found = canonicalizer.deviations(
        on: pictures, under: canonicalizer.sampledElements(12))
      #expect(found.pose < 8 * .pi / 180, "\(found.pose * 180 / .pi)°")
      #expect(found.form < 0.25 && found.restoration < 0.25)
    }
    // With reflections, of the two in sixteen pictures that are surest of theirs.
    let flips = steerable(O2())
    let more = Tensor.concatenated((0..<16).map { picture(21, seed: $0) })
    let margins = flips.poses(of: more).map(\.margin)
    let sure = margins.indices.sorted { margins[$0] > margins[$1] }.prefix(2)
    let found = flips.deviations(
      on: more.gathered(Array(sure)), under: flips.sampledElements(12))
    #expect(found.pose < 20 * .pi / 180, "\(found.pose * 180 / .pi)°")
  }

  @Test("Averaged over turned copies, poses follow turns more closely, and quarter turns exactly")
  func copies() {
    let (one, four) = (steerable(SO2()), steerable(SO2(), copies: 4))
    let exact = four.deviations(on: pictures, under: SO2().exactElements)
    #expect(exact.form == 0 && exact.pose < 1e-12)
    func mean(_ canonicalizer: SteerableCanonicalizer<SO2>) -> Double {
      let elements = canonicalizer.sampledElements(12)
      return elements.map { canonicalizer.deviations(on: pictures, under: [$0]).pose }.reduce(0, +)
        / Double(elements.count)
    }
    #expect(mean(four) < 0.7 * mean(one), "\(mean(one)) → \(mean(four))")
    // The same poses, but for what is averaged out.
    for (a, b) in zip(one.poses(of: pictures), four.poses(of: pictures)) {
      #expect(SO2().distance(a.element, b.element) < 8 * .pi / 180)
    }
  }

  @Test("The pose winds once around as the image does") func winding() {
    let canonicalizer = steerable(SO2())
    let steps = 36
    for n in 0..<4 {
      let copies = pictures.gathered([Int](repeating: n, count: steps))
      let turns = (0..<steps).map { PlanarIsometry(residual: 2 * .pi * Double($0) / Double(steps)) }
      let poses = canonicalizer.poses(of: canonicalizer.action.act(turns, on: copies))
      #expect(OrbitTrace(poses.map(\.element)).winding == 1)
    }
  }

  @Test("Training forms are inference's, and the gradient reaches every filter") func training() {
    var random = RandomStream(seed: 3, name: "templates")
    let alignment = ClassAlignment(classes: 2, size: 21, using: &random)
    for flips in [false, true] {
      let x = Variable(pictures)
      let tape = Tape.training(random: RandomStream(seed: 0, name: "t"))
      func check<G: PlanarGroup>(_ group: G) where G.Element == PlanarIsometry {
        let canonicalizer = SteerableCanonicalizer(
          group, size: 21, width: 3, kernels: [7], alignment: alignment, using: &random)
        let forms = canonicalizer.trainingForms(x, on: tape)
        #expect(
          largestDifference(forms.forms.value, canonicalizer.canonicalize(pictures).form) < 1e-3)
        #expect(largestDifference(forms.move(Pixels(), x).value, forms.forms.value) < 1e-4)
        let labels = Tensor.oneHot([0, 1, 1, 0], classes: 2)
        let aligned = forms.alignmentLoss?(labels)
        let expected = (0..<4).map { n -> Float in
          let own = alignment.templates.value.transposed()[[0, 1, 1, 0][n]]
          return (forms.forms.value[n].reshaped([-1]) - own).squared().sum().scalar / 8
        }
        #expect(zip(aligned?.value.elements ?? [], expected).allSatisfy { abs($0 - $1) < 1e-3 })
        let gradient = tape.leaf(of: canonicalizer.parameters[0].parameter).flatMap {
          Gradients(of: (forms.forms * Variable(pictures.gathered([1, 2, 3, 0]))).sum())[$0]
        }
        #expect(gradient?.elements.contains { abs($0) > 1e-5 } == true)
      }
      if flips { check(O2()) } else { check(SO2()) }
    }
  }
}
