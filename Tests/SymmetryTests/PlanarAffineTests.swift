import Foundation
import Symmetry
import TensorCore
import TestSupport
import Testing

@Suite struct PlanarAffineTests {
  static let groups: [PlanarAffine] = [
    .translations, .scalings, .rigidMotions, .similarities, .all, PlanarAffine([.rotation]),
  ]

  @Test("Groups of affine maps are groups; exp and log undo each other", arguments: groups)
  func laws(group: PlanarAffine) {
    var random = RandomStream(seed: 1, name: "affine")
    let elements = (0..<6).map { _ in group.sample(using: &random) }
    // The logarithm is of turns by less than half around: distances of near elements only.
    func equal(_ g: AffineMap, _ h: AffineMap) -> Bool {
      deviation(g.matrix + g.translation, h.matrix + h.translation) < 1e-10
    }
    for g in elements {
      #expect(equal(group.compose(g, group.inverse(g)), group.identity))
      for h in elements {
        let k = elements[0]
        #expect(equal(group.compose(group.compose(g, h), k), group.compose(g, group.compose(h, k))))
      }
    }
    for _ in 0..<20 {
      let tangent = group.generators.map { _ in random.normal() * 0.5 }
      #expect(deviation(group.log(group.exp(tangent)), tangent) < 1e-9)
      let half = group.exp(tangent.map { $0 / 2 })
      #expect(equal(group.compose(half, half), group.exp(tangent)))
      #expect(
        abs(
          group.distance(elements[0], group.compose(elements[0], group.exp(tangent)))
            - tangent.reduce(0) { $0 + $1 * $1 }.squareRoot()) < 1e-8)
    }
  }

  @Test("A rotation is counterclockwise as seen, a shift to the right and down") func sense() {
    let quarter = PlanarAffine([.rotation]).exp([.pi / 2])
    #expect(deviation(quarter.matrix, PlanarIsometry(quarterTurns: 1).matrix) < 1e-12)
    let shift = PlanarAffine.translations.exp([0.5, 0.25])
    #expect(shift.translation == [0.5, 0.25] && shift.matrix == [1, 0, 0, 1])
    #expect(abs(PlanarAffine.scalings.exp([log(2)]).matrix[0] - 2) < 1e-12)
  }

  @Test("Affine maps move pixels bit for bit where they can, and compose before sampling")
  func images() {
    var random = RandomStream(seed: 2, name: "image")
    let x = Tensor.uniform([1, 8, 8, 2], using: &random)
    let action = AffineImageAction(.all)
    for g in O2().exactElements {
      #expect(action.act([AffineMap(matrix: g.matrix)], on: x) == ImageAction(O2()).act([g], on: x))
    }
    // A unit is half the side, four pixels: one pixel to the right, two down.
    let shifted = action.act(
      [AffineMap(matrix: [1, 0, 0, 1], translation: [0.25, 0.5])], on: x)
    #expect(
      shifted.sliced(2..<8, axis: 1).sliced(1..<8, axis: 2)
        == x.sliced(0..<6, axis: 1).sliced(0..<7, axis: 2))
    #expect(shifted.sliced(0..<2, axis: 1) == .zeros([1, 2, 8, 2]))
    // Twice as large: the middle four pixels fill the image.
    let large = action.act([AffineMap(matrix: [2, 0, 0, 2])], on: .ones([1, 8, 8, 1]))
    #expect(large == .ones([1, 8, 8, 1]))
  }

  @Test("The distance to a half turn is π, and with a shift more") func halfTurn() {
    let group = PlanarAffine.rigidMotions
    let half = AffineMap(matrix: PlanarIsometry(quarterTurns: 2).matrix)
    #expect(abs(group.distance(group.identity, half) - .pi) < 1e-9)
    let shifted = AffineMap(matrix: half.matrix, translation: [0.5, 0])
    #expect(group.distance(group.identity, shifted) > .pi)
    let nearly = AffineMap(matrix: PlanarIsometry(residual: 2.9).matrix)
    #expect(abs(group.distance(half, nearly) - (.pi - 2.9)) < 1e-9)
  }
}
