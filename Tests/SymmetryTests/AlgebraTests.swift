import Symmetry
import TensorCore
import Testing

@Suite struct AlgebraTests {
  @Test(
    "exp and log of rigid motions undo each other, from 0 to half a turn", arguments: [2, 3, 4])
  func euclidean(dimension: Int) {
    let group = Euclidean.se(dimension)
    #expect(group.dimension == dimension * (dimension + 1) / 2)
    var random = RandomStream(seed: 1, name: "algebra")
    for angle in [0, 1e-8, 1e-3, 0.5, 2, 3.0] {
      var tangent = (0..<group.dimension).map { _ in random.normal() }
      let turns = group.dimension - dimension
      let length = tangent.prefix(turns).reduce(0) { $0 + $1 * $1 }.squareRoot()
      for i in 0..<turns { tangent[i] *= angle / length }
      // In four dimensions a turn in two planes is one of less than its length in each.
      let g = group.exp(tangent)
      #expect(group.distance(g, group.exp(group.log(g))) < 1e-7, "\(angle)")
      if dimension < 4 && angle < 3 {
        #expect(zip(group.log(g), tangent).allSatisfy { abs($0 - $1) < 1e-6 }, "\(angle)")
      }
      #expect(
        group.distance(group.compose(g, group.exp(tangent.map { -$0 })), group.identity) < 1e-7)
    }
  }

  @Test("Half turns of space about any axis have a logarithm") func halfTurns() {
    let group = Euclidean.so(3)
    for axis in [[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0.6, 0.8, 0], [0.36, -0.48, 0.8]] {
      for angle in [Double.pi, .pi - 1e-4, .pi - 1e-9] {
        let g = group.exp(axis.map { $0 * angle })
        let found = group.log(g)
        #expect(
          found.allSatisfy(\.isFinite) && group.distance(group.exp(found), g) < 1e-6,
          "\(axis), \(angle)")
        #expect(abs(found.reduce(0) { $0 + $1 * $1 }.squareRoot() - angle) < 1e-6)
      }
    }
  }

  @Test("A group of one's own generators: exp is a one-parameter group, and log its inverse")
  func generators() {
    // A shear, and a turn about a point that is not the center: neither is among those that have names.
    let shear = PlanarAffine([.init([0, 1, 0, 0, 0, 0])])
    #expect(shear.exp([0.7]).matrix == [1, 0.7, 0, 1])
    let off = PlanarAffine([.init([0, 1, -0.5, -1, 0, 0.25], isPeriodic: true)])
    for group in [shear, off] {
      for (a, b) in [(0.3, 0.4), (-1.0, 0.2)] {
        let both = group.compose(group.exp([a]), group.exp([b]))
        #expect(group.distance(both, group.exp([a + b])) < 1e-9)
        #expect(abs(group.log(both)[0] - (a + b)) < 1e-9)
      }
    }
    // Generators that are not perpendicular have coordinates of their own.
    let skew = PlanarAffine([.horizontalShift, .init([0, 0, 1, 0, 0, 1])])
    let found = skew.log(skew.exp([0.2, -0.6]))
    #expect(abs(found[0] - 0.2) < 1e-9 && abs(found[1] + 0.6) < 1e-9)
  }

  @Test("A generator of nothing, or of what is not a number, ends the program")
  func wrongGenerator() async {
    await #expect(processExitsWith: .failure) { _ = PlanarAffine([.init([0, 0, 0, 0, 0, 0])]) }
    await #expect(processExitsWith: .failure) { _ = PlanarAffine([.init([0, .nan, 0, 0, 0, 0])]) }
  }

  @Test("A product of finite groups is finite, and obeys the axioms") func products() {
    let group = ProductGroup(Cyclic(3), Dihedral(2))
    #expect(group.order == 12 && Set(group.elements).count == 12)
    #expect(group.elements[0] == group.identity)
    #expect(group.elements.map(group.index) == Array(0..<12))
    #expect(group.deviations(on: group.elements).largest < 1e-9)
    var random = RandomStream(seed: 2, name: "product")
    #expect(Set((0..<200).map { _ in group.sample(using: &random) }).count == 12)
  }

  @Test("The checkers of laws find a planted error in a group, and in an action") func checkers() {
    /// Forgets that a reflection turns rotations around.
    struct Wrong: Group {
      let right = Dihedral(3)
      var identity: Dihedral.Element { right.identity }
      func compose(_ g: Dihedral.Element, _ h: Dihedral.Element) -> Dihedral.Element {
        .init(steps: (g.steps + h.steps) % 3, isReflected: g.isReflected != h.isReflected)
      }
      func inverse(_ g: Dihedral.Element) -> Dihedral.Element { right.inverse(g) }
      func distance(_ g: Dihedral.Element, _ h: Dihedral.Element) -> Double { right.distance(g, h) }
      func sample(using random: inout RandomStream) -> Dihedral.Element {
        right.sample(using: &random)
      }
    }
    #expect(Dihedral(3).deviations(on: Dihedral(3).elements).largest < 1e-9)
    #expect(Wrong().deviations(on: Dihedral(3).elements).inverse > 0.1)
    /// Turns the other way around where it turns twice.
    struct Backwards: Action {
      let group = Cyclic(4)
      func act(_ elements: [Cyclic.Element], on batch: Tensor) -> Tensor {
        ImageAction(group).act(
          elements.map { $0.steps == 3 ? .init(steps: 1) : $0 }, on: batch)
      }
    }
    var random = RandomStream(seed: 3, name: "image")
    let x = Tensor.uniform([2, 5, 5, 1], using: &random)
    let right = ImageAction(Cyclic(4)).deviations(on: x, under: Cyclic(4).elements)
    #expect(right == ActionDeviations())
    #expect(Backwards().deviations(on: x, under: Cyclic(4).elements).composition > 0.1)
    // What is not a number is not within a tolerance.
    let broken = Tensor([Float.nan, 1], shape: [1, 2])
    #expect(Trivial(Cyclic(2)).deviations(on: broken, under: Cyclic(2).elements).identity.isNaN)
  }
}
