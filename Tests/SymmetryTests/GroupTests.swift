import Symmetry
import TensorCore
import Testing

/// The axioms, for all triples of some elements.
func checkAxioms<G: Group>(
  _ group: G, _ elements: [G.Element], equal: (G.Element, G.Element) -> Bool
) {
  let e = group.identity
  for g in elements {
    #expect(equal(group.compose(g, e), g) && equal(group.compose(e, g), g))
    #expect(
      equal(group.compose(g, group.inverse(g)), e) && equal(group.compose(group.inverse(g), g), e))
    for h in elements {
      for k in elements {
        #expect(equal(group.compose(group.compose(g, h), k), group.compose(g, group.compose(h, k))))
      }
      #expect(abs(group.distance(g, h) - group.distance(h, g)) < 1e-9)
      #expect(
        abs(
          group.distance(group.compose(elements[0], g), group.compose(elements[0], h))
            - group.distance(g, h)) < 1e-9)
    }
  }
}

/// Matrices multiply as elements compose, to rounding.
private func checkMatrices<G: PlanarGroup>(_ group: G, _ elements: [G.Element]) {
  for g in elements {
    for h in elements {
      let (a, b) = (group.isometry(g).matrix, group.isometry(h).matrix)
      let product = [
        a[0] * b[0] + a[1] * b[2], a[0] * b[1] + a[1] * b[3], a[2] * b[0] + a[3] * b[2],
        a[2] * b[1] + a[3] * b[3],
      ]
      let expected = group.isometry(group.compose(g, h)).matrix
      #expect(zip(product, expected).allSatisfy { abs($0 - $1) < 1e-12 })
    }
  }
}

@Suite struct GroupTests {
  @Test(
    "Cₙ is a group, and its matrices multiply as it composes", arguments: [1, 2, 3, 4, 5, 8, 12])
  func cyclic(n: Int) {
    let group = Cyclic(n)
    #expect(group.elements.count == n && group.elements[0] == group.identity)
    #expect(group.elements.map(group.index) == Array(0..<n))
    checkAxioms(group, group.elements, equal: ==)
    checkMatrices(group, group.elements)
  }

  @Test("Dₙ is a group, and its matrices multiply as it composes", arguments: [1, 2, 3, 4, 6])
  func dihedral(n: Int) {
    let group = Dihedral(n)
    #expect(Set(group.elements).count == 2 * n && group.elements[0] == group.identity)
    #expect(group.elements.map(group.index) == Array(0..<2 * n))
    checkAxioms(group, group.elements, equal: ==)
    checkMatrices(group, group.elements)
  }

  @Test("SO(2) and O(2) are groups on a sample") func continuous() {
    var random = RandomStream(seed: 1, name: "groups")
    let rotations = (0..<6).map { _ in SO2().sample(using: &random) }
    checkAxioms(SO2(), rotations) { SO2().distance($0, $1) < 1e-9 }
    checkMatrices(SO2(), rotations)
    let isometries = (0..<8).map { _ in O2().sample(using: &random) }
    #expect(Set(isometries.map(\.isReflected)).count == 2)
    checkAxioms(O2(), isometries) { O2().distance($0, $1) < 1e-9 }
    checkMatrices(O2(), isometries)
  }

  @Test("exp and log of SO(2) undo each other") func exponential() {
    for angle in stride(from: -3.1, through: 3.1, by: 0.1) {
      #expect(abs(SO2().log(SO2().exp([angle]))[0] - angle) < 1e-12)
    }
  }

  @Test("Quarter turns are exact in every group that has them", arguments: [4, 8, 12, 64])
  func exactElements(n: Int) {
    #expect(Cyclic(n).exactElements.count == 4 && Dihedral(n).exactElements.count == 8)
    // Elements a quarter turn apart have the same residual, bit for bit.
    for steps in 0..<n {
      let a = Cyclic(n).isometry(.init(steps: steps)),
        b = Cyclic(n).isometry(.init(steps: (steps + n / 4) % n))
      #expect(a.residual == b.residual && (a.quarterTurns + 1) % 4 == b.quarterTurns)
    }
    #expect(Cyclic(6).exactElements.count == 2 && Cyclic(5).exactElements.count == 1)
  }
}
