import Datasets
import TensorCore
import Testing

@Suite struct PointDataTests {
  @Test("Charged particles keep charge, momentum and, to the step's error, energy")
  func particles() {
    let all = ChargedParticles(count: 12, first: 0, last: 5, seed: 3)
    #expect(all.states.shape == [12, 5, 7] && all.targets.shape == [12, 5, 3])
    // The first systems do not depend on how many there are.
    #expect(
      ChargedParticles(count: 4, first: 0, last: 5, seed: 3).targets == all.targets.sliced(0..<4))
    #expect(
      ChargedParticles(count: 4, first: 0, last: 5, seed: 4).targets != all.targets.sliced(0..<4))
    let later = ChargedParticles(count: 12, first: 5, last: 6, seed: 3)
    #expect(later.states.sliced(0..<3, axis: 2) == all.targets)
    #expect(
      later.states.sliced(6..<7, axis: 2) == all.states.sliced(6..<7, axis: 2)
        && all.states.sliced(6..<7, axis: 2).absolute() == .ones([12, 5, 1]))
    let (before, after) = (all.states, later.states)
    for n in 0..<12 {
      let momenta = [before, after].map { $0[n].sliced(3..<6, axis: 1).sum([0]).elements }
      #expect(zip(momenta[0], momenta[1]).allSatisfy { abs($0 - $1) < 1e-3 })
      #expect(
        before[n].sliced(3..<6, axis: 1).squared().sum([1]).elements.allSatisfy {
          abs($0 - 0.25) < 1e-5
        })
      let energies = [before, after].map { energy($0[n]) }
      // Close encounters make leapfrog's error large; most systems have none.
      if energies.allSatisfy({ abs($0) < 3 }) { #expect(abs(energies[0] - energies[1]) < 0.03) }
    }
  }

  private func energy(_ system: Tensor) -> Double {
    let rows = (0..<system.shape[0]).map { system[$0].elements.map { Double($0) } }
    var sum = rows.reduce(0) { $0 + $1[3..<6].reduce(0) { $0 + $1 * $1 } / 2 }
    for (i, a) in rows.enumerated() {
      for b in rows[..<i] {
        let square = zip(a[..<3], b[..<3]).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
        sum += a[6] * b[6] / square.squareRoot()
      }
    }
    return sum
  }

  @Test("Points of an image lie where it is bright, x to the right and y up") func points() {
    var pixels = [Float](repeating: 0, count: 36)
    pixels[1 * 6 + 4] = 0.5  // right, near the top
    pixels[4 * 6 + 4] = 1
    let images = LabeledImages(
      images: Tensor(pixels, shape: [1, 6, 6, 1]), labels: [0], classNames: ["a"])
    let set = LabeledPoints(images, perImage: 600)
    #expect(set.points.shape == [1, 600, 2])
    let rows = (0..<600).map { set.points[0][$0].elements }
    #expect(rows.allSatisfy { $0[0] >= 1.0 / 3 && $0[0] <= 2.0 / 3 })
    let top = rows.filter { $0[1] >= 1.0 / 3 && $0[1] <= 2.0 / 3 }.count
    #expect(rows.allSatisfy { abs($0[1]) >= 1.0 / 3 && abs($0[1]) <= 2.0 / 3 + 1e-6 })
    #expect((150...250).contains(top))
  }

  @Test("Bodies are centered, scaled, and of every class in turn") func bodies() {
    let set = SolidShapes.sample(count: 16, points: 500, noise: 0, seed: 1)
    #expect(set.labels == (0..<16).map { $0 % 8 } && set.classNames.count == 8)
    for n in 0..<16 {
      let points = set.points[n]
      #expect(points.mean([0]).elements.allSatisfy { abs($0) < 1e-5 })
      #expect(abs(points.squared().sum([1]).mean().scalar - 1) < 1e-4)
    }
    // A torus about the third axis leaves its middle empty, a ball-like body does not.
    let torus = set.points[3]
    #expect(
      torus.sliced(0..<2, axis: 1).squared().sum([1]).elements.allSatisfy { $0 > 0.05 })
    #expect(
      SolidShapes.sample(count: 8, points: 500, noise: 0, seed: 1).points
        == set.points.sliced(0..<8))
  }
}
