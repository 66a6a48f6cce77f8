import Glibc
import Symmetry
import TensorCore
import Testing

private let groups = ["R3", "SO2", "SO3", "T2", "R2xSO2", "SO3xR1xT2"]

@Suite struct AmbientGroupTests {
  @Test(
    "The axioms hold, and the metric is one that left multiplication leaves alone",
    arguments: groups)
  func axioms(name: String) throws {
    let group = try #require(AmbientGroup(named: name))
    var random = RandomStream(seed: 5, name: name)
    let elements = [group.identity] + (0..<5).map { _ in group.sample(using: &random) }
    // Angles come from products of up to three matrices of Doubles; near 0 an arc cosine's are exact to 1e-8.
    #expect(group.deviations(on: elements).largest < 1e-7)
  }

  @Test("exp and log undo each other, at 0, near it, near half a turn and at it", arguments: groups)
  func logarithms(name: String) throws {
    let group = try #require(AmbientGroup(named: name))
    var random = RandomStream(seed: 6, name: name)
    for angle in [0, 1e-8, 1e-3, 1, 3, .pi - 1e-4, .pi] {
      // A tangent of that length in each factor.
      let tangent = group.places.flatMap { place -> [Double] in
        let v = (0..<place.factor.numbers.algebra).map { _ in random.normal() }
        let length = v.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return v.map { $0 / length * angle }
      }
      let g = group.exp(tangent)
      #expect(group.distance(group.exp(group.log(g)), g) < 1e-7)
      if angle < 3.14 {
        #expect(zip(group.log(g), tangent).allSatisfy { abs($0 - $1) < 1e-7 })
      }
      #expect(!group.log(g).contains { !$0.isFinite })
    }
  }

  @Test("An element is where it projects to itself, whatever its length", arguments: groups)
  func projections(name: String) throws {
    let group = try #require(AmbientGroup(named: name))
    var random = RandomStream(seed: 7, name: name)
    for _ in 0..<20 {
      let g = group.sample(using: &random)
      let ambient = group.places.flatMap { place -> [Double] in
        let part = Array(g.numbers[place.element..<place.element + place.factor.numbers.element])
        switch place.factor {
        case .line: return part
        case .circle: return part.map { $0 * 3.5 }
        // Two columns, of other lengths, the second leaning on the first.
        case .rotations:
          let first = [part[0], part[3], part[6]]
          let second = zip([part[1], part[4], part[7]], first).map { 0.5 * $0 + 0.3 * $1 }
          return first.map { 2 * $0 } + second
        }
      }
      #expect(group.distance(group.projection(ambient), g) < 1e-7)
    }
    let nothing = [Double](repeating: 0, count: group.ambientCount)
    #expect(group.projection(nothing) == group.identity)
  }

  @Test("A mean lies between, and turns with the elements", arguments: groups)
  func means(name: String) throws {
    let group = try #require(AmbientGroup(named: name))
    var random = RandomStream(seed: 8, name: name)
    let (g, h) = (group.sample(using: &random), group.sample(using: &random))
    let tangent = (0..<group.dimension).map { _ in 0.3 * random.normal() }
    let pair = [group.exp(tangent), group.exp(tangent.map { -$0 })]
    #expect(group.distance(group.mean(pair), group.identity) < 1e-7)
    let three = [g] + pair.map { group.compose(g, $0) }
    #expect(group.distance(group.mean(three), g) < 1e-7)
    let moved = three.map { group.compose(h, $0) }
    #expect(group.distance(group.mean(moved), group.compose(h, g)) < 1e-6)
  }

  @Test("A Fréchet mean moves with the elements from both sides; a median does not follow a stray")
  func frechetMeans() throws {
    for name in ["R2", "SO2", "SO3", "R2xSO2"] {
      let group = try #require(AmbientGroup(named: name))
      var random = RandomStream(seed: 9, name: name)
      let (g, h) = (group.sample(using: &random), group.sample(using: &random))
      let near = (0..<9).map { _ in
        group.exp((0..<group.dimension).map { _ in 0.2 * random.normal() })
      }
      for isRobust in [false, true] {
        let plain = group.frechetMean(near, isRobust: isRobust)
        let moved = group.frechetMean(
          near.map { group.compose(group.compose(g, $0), h) }, isRobust: isRobust)
        let expected = group.compose(group.compose(g, plain.mean), h)
        #expect(group.distance(moved.mean, expected) < 1e-5, "\(name)")
        #expect(abs(moved.spread - plain.spread) < 1e-5)
        // From a mean the logarithms sum to nothing.
        guard !isRobust else { continue }
        for i in 0..<group.dimension {
          let sum = near.reduce(0) {
            $0 + group.log(group.compose(group.inverse(plain.mean), $1))[i]
          }
          #expect(abs(sum) < 1e-8)
        }
      }
      let stray = [Double](repeating: 2.5, count: group.dimension)
      let some = (0..<8).map { _ in group.identity } + [group.exp(stray)]
      #expect(group.distance(group.frechetMean(some, isRobust: true).mean, group.identity) < 1e-3)
      #expect(group.distance(group.frechetMean(some).mean, group.identity) > 0.2)
    }
  }

  @Test("What is no number stays none", arguments: groups) func noNumbers(name: String) throws {
    let group = try #require(AmbientGroup(named: name))
    let none = AmbientGroup.Element([Double](repeating: .nan, count: group.elementCount))
    let logarithm = group.log(none)
    #expect(logarithm.count == group.dimension && logarithm.contains { $0.isNaN })
    #expect(group.distance(none, group.identity).isNaN)
    let ambient = [Double](repeating: .infinity, count: group.ambientCount)
    #expect(group.projection(ambient).numbers.contains { $0.isNaN })
    #expect(group.mean([none, group.identity]).numbers.contains { $0.isNaN })
    #expect(group.frechetMean([none, group.identity]).mean.numbers.contains { $0.isNaN })
  }

  @Test(
    "Names that say no group give none", arguments: ["", "SO4", "R0", "R2x", "Q", "R-1", "R65"])
  func names(name: String) { #expect(AmbientGroup(named: name) == nil) }

  @Test("A turn of space about an axis turns what lies across it as that of the plane does")
  func convention() throws {
    let group = try #require(AmbientGroup(named: "SO3"))
    let m = group.exp([0, 0, .pi / 2]).numbers
    // About z: x goes to y.
    let expected: [Double] = [0, -1, 0, 1, 0, 0, 0, 0, 1]
    #expect(zip(m, expected).allSatisfy { abs($0 - $1) < 1e-12 })
  }
}
