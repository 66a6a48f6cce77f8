import Autodiff
import Canonicalization
import Foundation
import Symmetry
import TensorCore
import TestSupport
import Testing

/// Gaussian blobs, given by place from the middle, width in pixels, and height.
private func blobs(
  _ all: [(x: Double, y: Double, r: Double, height: Double)], side: Int = 25
) -> Tensor {
  let middle = Double(side - 1) / 2
  let pixels = (0..<side * side).map { i -> Float in
    let (x, y) = (Double(i % side) - middle, Double(i / side) - middle)
    return Float(
      all.reduce(0.0) { (sum, b) -> Double in
        let square = (x - b.x) * (x - b.x) + (y - b.y) * (y - b.y)
        return sum + b.height * Foundation.exp(-square / (2 * b.r * b.r))
      })
  }
  return Tensor(pixels, shape: [1, side, side, 1])
}

/// A smooth figure without symmetry, far from the borders, somewhat off the middle.
private func figure(_ side: Int = 41) -> Tensor {
  blobs([(1.5, -1, 2, 0.9), (5.5, 0, 1.6, 0.6), (-0.5, 2, 1.5, 0.5)], side: side)
}

/// How far an image is off at most where it is sampled bilinearly once, wherever between the pixels: an eighth of the
/// second differences along both axes.
private func samplingError(_ image: Tensor) -> Double {
  let (h, w) = (image.shape[1], image.shape[2])
  let x = image.elements.map { Double($0) }
  func largest(_ step: Int, _ rows: Range<Int>, _ columns: Range<Int>) -> Double {
    var most = 0.0
    for r in rows {
      for c in columns {
        let at = r * w + c
        most = max(most, abs(x[at - step] - 2 * x[at] + x[at + step]))
      }
    }
    return most
  }
  return (largest(1, 0..<h, 1..<w - 1) + largest(w, 1..<h - 1, 0..<w)) / 8
}

/// Canonicalizers of images one after the other.
private func steps(_ canonicalizers: any TrainableCanonicalizer...) -> Steps {
  Steps(canonicalizers.map { Step($0) }, of: ImageDomain())
}

@Suite struct NormalizationTests {
  @Test("The center of mass follows shifts, the spread scalings, the angle about it turns")
  func laws() {
    // Forms of a shifted image are sampled twice and compared with one sampled once; what is restored was sampled twice.
    let once = samplingError(figure())
    let center = MomentNormalization(.center)
    let shifts = center.deviations(on: figure(), under: center.sampledElements(8))
    #expect(
      shifts.pose < 0.01 && shifts.form < 3 * once && shifts.restoration < 2 * once, "\(shifts)")
    let rigid = steps(center, PrincipalAxis())
    let motions = rigid.deviations(on: figure(), under: rigid.sampledElements(8))
    #expect(motions.pose < 0.05 && motions.form < 0.1, "\(motions)")
    let similar = steps(center, MomentNormalization(.scale, spread: 0.3), PrincipalAxis())
    let all = similar.deviations(on: figure(), under: similar.sampledElements(8))
    #expect(all.pose < 0.08 && all.form < 0.12, "\(all)")
    // Without the center, a shift is taken for something else.
    let bare = steps(PrincipalAxis())
    #expect(bare.deviations(on: figure(), under: rigid.sampledElements(8)).form > 0.3)
  }

  @Test("Shifts by whole pixels are undone to rounding") func exact() {
    var numbers = [Float](repeating: 0, count: 16 * 16)
    for (y, x, v) in [(6, 6, 2), (6, 7, 1), (7, 6, 1), (9, 6, 1), (6, 10, 1)] {
      numbers[y * 16 + x] = Float(v) / 2
    }
    let x = Tensor(numbers, shape: [1, 16, 16, 1])
    let center = MomentNormalization(.center)
    let plain = center.canonicalize(x)
    let step = 1.0 / 8
    for (dx, dy) in [(1.0, 0.0), (-2.0, 3.0), (4.0, -1.0)] {
      let g = AffineMap(matrix: [1, 0, 0, 1], translation: [dx * step, dy * step])
      let moved = center.canonicalize(center.action.act([g], on: x))
      #expect(largestDifference(moved.form, plain.form) < 1e-5)
    }
  }

  @Test("A learned center starts as that of mass, and learns to leave out what does not belong")
  func learnedCenter() {
    var random = RandomStream(seed: 3, name: "center")
    let learned = LearnedCenter(width: 4, kernel: 5, using: &random)
    let mass = MomentNormalization(.center)
    // A wide blob, and a small one somewhere about it.
    let places = (0..<8).map { _ in (0..<4).map { _ in Double.random(in: -1...1, using: &random) } }
    let x = Tensor.concatenated(
      places.map { p in
        blobs([(2 * p[0], 2 * p[1], 2.5, 0.9), (p[2] < 0 ? -7 : 7, 7 * p[3], 0.9, 0.9)])
      })
    let goal = Variable(.concatenated(places.map { _ in blobs([(0, 0, 2.5, 0.9)]) }))
    func error(_ poses: [Pose<AffineMap>]) -> Double {
      zip(poses, places).map { pose, p in
        hypot(
          pose.element.translation[0] * 12.5 - 2 * p[0],
          pose.element.translation[1] * 12.5 - 2 * p[1])
      }.reduce(0, +) / Double(places.count)
    }
    let before = error(learned.poses(of: x))
    #expect(abs(before - error(mass.poses(of: x))) < 1e-4)
    for step in 0..<60 {
      let tape = Tape.training(random: RandomStream(seed: 0, name: "step/\(step)"))
      let forms = learned.trainingForms(Variable(x), on: tape).forms
      let gradients = Gradients(of: (forms - goal).squared().sum())
      for (_, parameter) in learned.parameters {
        guard let gradient = tape.leaf(of: parameter).flatMap({ gradients[$0] }) else { continue }
        let length = 0.02 / (gradient.squared().sum().scalar + 1e-12).squareRoot()
        parameter.update { $0 = $0 - gradient * length }
      }
    }
    let after = error(learned.poses(of: x))
    #expect(after < 0.5 * before, "\(before) → \(after) pixels")
    // As the center of mass: bilinear sampling alone.
    let y = figure()
    let shifts = learned.deviations(on: y, under: learned.sampledElements(8))
    let once = samplingError(y)
    #expect(
      shifts.pose < 0.01 && shifts.form < 3 * once && shifts.restoration < 2 * once, "\(shifts)")
    let rigid = steps(learned, PrincipalAxis())
    let motions = rigid.deviations(on: y, under: rigid.sampledElements(8))
    #expect(motions.pose < 0.05 && motions.form < 0.1, "\(motions)")
    #expect(learned.poses(of: .zeros([1, 9, 9, 1]))[0].margin == 0)
  }

  @Test("The gradient reaches a learned center through the warp, in a chain too") func gradient()
    throws
  {
    var random = RandomStream(seed: 4, name: "center")
    let learned = LearnedCenter(width: 2, kernel: 5, using: &random)
    let chain = steps(learned, MomentNormalization(.scale, spread: 0.3))
    let x = figure(21)
    let aside = AffineMap(matrix: [1, 0, 0, 1], translation: [0.1, -0.2])
    let goal = Variable(chain.action.act([Motion(map: aside)], on: chain.canonicalize(x).form))
    func loss(_ tape: Tape) -> Variable {
      ((chain.trainingForms(Variable(x), on: tape).forms - goal).squared()).sum()
    }
    let weight = learned.parameters.last { $0.name.hasSuffix("weight") }!.parameter
    let tape = Tape.training(random: RandomStream(seed: 0, name: "center"))
    let start = loss(tape)
    let gradient = try #require(tape.leaf(of: weight).flatMap { Gradients(of: start)[$0] })
    #expect(gradient.squared().sum().scalar > 0)
    // A step down lowers the loss.
    let length = 0.02 / gradient.squared().sum().scalar.squareRoot()
    weight.update { $0 = $0 - gradient * length }
    let after = loss(.training(random: RandomStream(seed: 0, name: "center"))).value.scalar
    #expect(after < start.value.scalar)
  }

  @Test("Of an empty image the pose is the identity, without margin") func empty() {
    for moment in ImageMoment.allCases {
      let pose = MomentNormalization(moment).poses(of: .zeros([1, 6, 6, 1]))[0]
      #expect(pose.element == .identity(2) && pose.margin == 0)
    }
  }
}
