import Canonicalization
import Symmetry
import TensorCore
import Testing

@Suite struct LatentCanonicalizerTests {
  @Test("Codes that an operator moves have the same form, bit for bit, and poses that follow")
  func transport() {
    let group = FiniteAbelian([6])
    var random = RandomStream(seed: 1, name: "codes")
    for isDirectional in [false, true] {
      let canonicalizer = TransportCanonicalizer(
        Regular(group, copies: 3), references: .normal([20, 18], using: &random), neighbors: 3,
        isDirectional: isDirectional)
      let codes = Tensor.normal([7, 18], using: &random)
      let deviations = canonicalizer.deviations(on: codes, under: group.elements)
      #expect(deviations == LawDeviations(), "\(deviations)")
    }
  }

  @Test("A code that was moved from a reference is moved back; one with a symmetry has ties")
  func references() {
    let group = FiniteAbelian([6])
    let representation = Regular(group, copies: 2)
    var random = RandomStream(seed: 2, name: "references")
    let references = Tensor.normal([4, 12], using: &random)
    let canonicalizer = TransportCanonicalizer(representation, references: references)
    let moved = representation.act((0..<4).map { group.element([$0 + 1]) }, on: references)
    let found = canonicalizer.canonicalize(moved)
    #expect(found.poses.map { $0.element.steps } == [[1], [2], [3], [4]])
    #expect(found.form.elements == references.elements)
    // Repeated after two steps, and after three: so many poses are as good.
    for period in [2, 3] {
      let pattern = (0..<12).map { Float($0 / 2 % period + 1) * ($0 % 2 == 0 ? 1 : -0.5) }
      let pose = canonicalizer.poses(of: Tensor(pattern, shape: [1, 12]))[0]
      #expect(pose.candidates.count >= 6 / period)
      let steps = Set(pose.candidates.map { $0.steps[0] % period })
      #expect(steps.count * (6 / period) == pose.candidates.count)
    }
    let none = canonicalizer.poses(of: Tensor(repeating: .nan, shape: [1, 12]))[0]
    #expect(none.margin.isNaN)
  }

  @Test("Peaks are all that are nearly the best; of nothing every element is one")
  func peaks() {
    let group = FiniteAbelian([4])
    let scores = Tensor([1, 0.2, 0.99, 0, 0.5, 0.5, 0.5, 0.5, 0, 1, .nan, 0], shape: [3, 4])
    let poses = CorrelationPeaks.poses(scores, in: group)
    #expect(poses[0].candidates.map { $0.steps[0] } == [0, 2])
    #expect(abs(poses[0].margin - 0.8) < 1e-6)
    #expect(poses[1].candidates.count == 4 && poses[1].margin == 0)
    #expect(poses[2].margin.isNaN && poses[2].ties.isEmpty)
  }

  @Test("Frames of neighbors undo what each orbit's frame is, a few strays among them or not")
  func comparableFrames() throws {
    let group = try #require(AmbientGroup(named: "SO3"))
    var random = RandomStream(seed: 3, name: "frames")
    let points = [[1, 0, 0], [0, 1, 0], [0, 0, 1]].map { $0.map { Float($0) } }
    let frames = points.map { _ in group.sample(using: &random) }
    // Upright inputs on each orbit: their poses are its frame, but for a stray.
    var (orbits, poses): ([Float], [AmbientGroup.Element]) = ([], [])
    for (point, frame) in zip(points, frames) {
      for n in 0..<10 {
        orbits += point
        poses.append(n == 0 ? group.sample(using: &random) : frame)
      }
    }
    let reference = Tensor(orbits, shape: [30, 3])
    let actual = points.map { _ in group.sample(using: &random) }
    let found = zip(actual, frames).map { group.compose($0, $1) }
    let asked = Tensor(points.flatMap { $0 }, shape: [3, 3])
    let robust = ComparableFrames(orbits: reference, poses: poses, group: group, neighbors: 10)
    for (pair, g) in zip(robust.comparable(found, orbits: asked), actual) {
      #expect(group.distance(pair.pose, g) < 1e-2 && pair.spread > 0.01)
    }
    let mean = ComparableFrames(
      orbits: reference, poses: poses, group: group, neighbors: 10, isRobust: false)
    #expect(
      zip(mean.comparable(found, orbits: asked), actual).contains {
        group.distance($0.pose, $1) > 1e-2
      })
    let none = robust.comparable(found, orbits: asked * .nan)
    #expect(none.allSatisfy { $0.spread.isNaN })
  }
}
