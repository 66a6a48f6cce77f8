import Foundation
import Symmetry
import TensorCore
import TestSupport
import Testing

@Suite struct EuclideanTests {
  @Test(
    "SO(d), O(d), SE(d), E(d) are groups on a sample",
    arguments: [
      Euclidean.so(2), .so(3), .o(2), .o(3), .se(2), .se(3), .e(2), .e(3), .o(4),
    ])
  func axioms(group: Euclidean) {
    var random = RandomStream(seed: 2, name: "isometries")
    let elements = (0..<8).map { _ in group.sample(using: &random) }
    // In four dimensions the distance is of a matrix norm, left-invariant too.
    checkAxioms(group, elements) { group.distance($0, $1) < 1e-7 }
    #expect(Set(elements.map { $0.determinant < 0 }).count == (group.hasReflections ? 2 : 1))
    for g in elements {
      #expect(abs(abs(g.determinant) - 1) < 1e-12)
      #expect(g.translation.contains { $0 != 0 } == group.hasTranslations)
      #expect(deviation(group.inverse(g).matrix, g.inverse.matrix) < 1e-12)
      #expect(deviation(group.inverse(g).translation, g.inverse.translation) < 1e-12)
    }
  }

  @Test("The distance of rotations is the angle between them") func angles() {
    for angle in stride(from: 0.0, through: 3.1, by: 0.31) {
      let (c, s) = (cos(angle), sin(angle))
      let plane = AffineMap(matrix: [c, -s, s, c])
      let space = AffineMap(matrix: [1, 0, 0, 0, c, -s, 0, s, c])
      #expect(abs(Euclidean.so(2).distance(.identity(2), plane) - angle) < 1e-9)
      #expect(abs(Euclidean.so(3).distance(.identity(3), space) - angle) < 1e-9)
    }
    let mirror = AffineMap(matrix: [-1, 0, 0, 1], translation: [3, 4])
    #expect(abs(Euclidean.e(2).distance(.identity(2), mirror) - (1.5 * .pi + 5)) < 1e-9)
  }

  @Test("Affine maps compose, invert and measure volume as their matrices do") func affine() {
    let a = AffineMap(matrix: [0, 2, 0, 1, 0, 0, 0, 0, 3], translation: [1, 2, 3])
    let b = AffineMap(matrix: [1, 1, 0, 0, 1, 0, 0, 0, 1], translation: [0, -1, 0])
    #expect(a.determinant == -6 && b.determinant == 1 && a.after(b).determinant == -6)
    #expect(a.after(b)([1, 2, 3]) == a(b([1, 2, 3])))
    #expect(a.after(a.inverse) == .identity(3) && b.inverse.after(b) == .identity(3))
    #expect(a.linear([1, 0, 0]) == [0, 1, 0] && a([1, 0, 0]) == [1, 3, 3])
  }

  @Test("Eigenvectors of symmetric matrices are orthonormal and diagonalize") func eigen() {
    var random = RandomStream(seed: 3, name: "symmetric")
    for d in 1...5 {
      let half = (0..<d * d).map { _ in random.normal() }
      let matrix = (0..<d * d).map { half[$0] + half[$0 % d * d + $0 / d] }
      let found = symmetricEigen(matrix)
      #expect(zip(found, found.dropFirst()).allSatisfy { $0.value >= $1.value })
      for (i, a) in found.enumerated() {
        let image = AffineMap(matrix: matrix).linear(a.vector)
        #expect(deviation(image, a.vector.map { $0 * a.value }) < 1e-12)
        for (j, b) in found.enumerated() {
          let product = zip(a.vector, b.vector).reduce(0) { $0 + $1.0 * $1.1 }
          #expect(abs(product - (i == j ? 1 : 0)) < 1e-12)
        }
      }
    }
  }

  @Test("Isometries act on points, vectors and numbers by (gh)·x = g·(h·x)") func points() {
    var random = RandomStream(seed: 4, name: "points")
    for group in [Euclidean.e(2), .se(3)] {
      let d = group.spaceDimension
      let action = PointAction(group, columns: [.point, .scalars(2), .vector])
      let x = Tensor.uniform([3, 5, 2 * d + 2], using: &random)
      let (g, h) = (
        (0..<3).map { _ in group.sample(using: &random) },
        (0..<3).map { _ in group.sample(using: &random) }
      )
      let both = action.act(zip(g, h).map(group.compose), on: x)
      #expect(largestDifference(both, action.act(g, on: action.act(h, on: x))) < 2e-6)
      #expect(action.act([.identity(d), .identity(d), .identity(d)], on: x) == x)
      // Each member by its own element: points move, numbers stay, vectors only turn.
      let one = x[1][2].elements.map(Double.init)
      let moved = both[1][2].elements.map(Double.init)
      let map = group.compose(g[1], h[1])
      let expected =
        map(Array(one[..<d])) + one[d..<d + 2] + map.linear(Array(one[(d + 2)...]))
      #expect(deviation(moved, expected) < 2e-6)
    }
  }
}

@Suite struct PermutationTests {
  @Test("Sₙ is a group", arguments: [1, 2, 3, 7]) func axioms(n: Int) {
    let group = Symmetric(n)
    var random = RandomStream(seed: 5, name: "permutations")
    checkAxioms(group, (0..<6).map { _ in group.sample(using: &random) }, equal: ==)
  }

  @Test("Permutations act on sets and on relations bit for bit") func actions() {
    let group = Symmetric(4)
    var random = RandomStream(seed: 6, name: "permutations")
    let sets = Tensor.uniform([2, 4, 3], using: &random)
    let relations = Tensor.uniform([2, 4, 4, 2], using: &random)
    let (g, h) = (
      (0..<2).map { _ in group.sample(using: &random) },
      (0..<2).map { _ in group.sample(using: &random) }
    )
    let gh = zip(g, h).map(group.compose)
    for (action, x) in [
      (PermutationAction(group), sets), (PermutationAction(group, axes: 2), relations),
    ] {
      #expect(action.act(gh, on: x) == action.act(g, on: action.act(h, on: x)))
      #expect(action.act(g.map(group.inverse), on: action.act(g, on: x)) == x)
    }
    // What is at place i goes to place g(i), in rows and in columns.
    let moved = PermutationAction(group, axes: 2).act(g, on: relations)
    for i in 0..<4 {
      #expect(PermutationAction(group).act(g, on: sets)[1][g[1].places[i]] == sets[1][i])
      for j in 0..<4 {
        #expect(moved[0][g[0].places[i]][g[0].places[j]] == relations[0][i][j])
      }
    }
    #expect(Permutation(bringing: [2, 0, 1]).places == [1, 2, 0])
  }

  @Test("A product acts by both factors, in either order") func products() {
    let (turns, orders) = (Euclidean.o(2), Symmetric(3))
    let group = ProductGroup(turns, orders)
    var random = RandomStream(seed: 7, name: "products")
    let elements = (0..<5).map { _ in group.sample(using: &random) }
    checkAxioms(group, elements) { group.distance($0, $1) < 1e-7 }
    let (points, places) = (PointAction(turns), PermutationAction(orders))
    let x = Tensor.uniform([5, 3, 2], using: &random)
    let moved = ProductAction(points, places).act(elements, on: x)
    #expect(
      moved == places.act(elements.map(\.second), on: points.act(elements.map(\.first), on: x)))
    #expect(
      moved
        == ProductAction(places, points).act(
          elements.map { .init($0.second, $0.first) }, on: x))
  }
}
