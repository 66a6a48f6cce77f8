import Symmetry
import TensorCore
import Testing

/// The laws of a representation on every pair of elements, and that acting on rows is its matrix.
private func checkLaws<R: Representation>(_ representation: R, _ elements: [R.Group.Element]) {
  let deviations = representation.deviations(on: elements)
  #expect(deviations.product < 1e-12 && deviations.orthogonality < 1e-12)
  #expect(deviations.character < 1e-12)
  let (count, d) = (elements.count, representation.dimension)
  var random = RandomStream(seed: 3, name: "representation")
  let vectors = Tensor.normal([count, d], using: &random)
  let moved = representation.act(elements, on: vectors).elements
  let numbers = vectors.elements
  for (n, g) in elements.enumerated() {
    let matrix = representation.matrix(g)
    for i in 0..<d {
      let expected = (0..<d).reduce(0.0) { $0 + matrix[i * d + $1] * Double(numbers[n * d + $1]) }
      // Sums of d products of numbers of unit scale, in Float.
      #expect(abs(expected - Double(moved[n * d + i])) < 1e-5)
    }
  }
}

@Suite struct RepresentationTests {
  private let group = FiniteAbelian([2, 3])

  @Test("Products of cyclic groups are groups", arguments: [[1], [5], [4, 3], [2, 2, 3]])
  func abelian(orders: [Int]) {
    let group = FiniteAbelian(orders)
    #expect(group.elements.map(group.index) == Array(0..<orders.reduce(1, *)))
    #expect(group.elements[0] == group.identity)
    #expect(group.deviations(on: group.elements).largest < 1e-12)
  }

  @Test("Regular representations keep their laws for all products, bit for bit") func regular() {
    checkLaws(Regular(group, copies: 2), group.elements)
    checkLaws(Regular(Dihedral(3)), Dihedral(3).elements)
    let shift = Regular(Cyclic(5), copies: 3)
    let vectors = Tensor((0..<15).map { Float($0) }, shape: [1, 15])
    // The slot of e goes to that of g.
    #expect(
      shift.act([Cyclic.Element(steps: 2)], on: vectors).elements
        == [9, 10, 11, 12, 13, 14, 0, 1, 2, 3, 4, 5, 6, 7, 8])
  }

  @Test("The character of a regular representation is its dimension at the identity, 0 elsewhere")
  func characters() {
    for g in group.elements {
      let expected: Double = g == group.identity ? 6 : 0
      #expect(Regular(group).character(g).magnitude == expected)
      #expect(abs(Diagonal.regular(group).character(g).magnitude - expected) < 1e-12)
      let real = DirectSum(Irreducible.all(group))
      // A real turn counts for its pair of conjugate characters.
      #expect(abs(real.character(g).real - expected) < 1e-12)
    }
  }

  @Test("Diagonal, irreducible, summed and stacked representations keep their laws")
  func others() {
    checkLaws(Diagonal.regular(group), group.elements)
    for part in Irreducible.all(group) { checkLaws(part, group.elements) }
    checkLaws(DirectSum(Irreducible.all(group)), group.elements)
    let first = Diagonal(group, frequencies: group.elements.map { [$0.steps[0], 0] })
    let second = Diagonal(group, frequencies: group.elements.map { [0, $0.steps[1]] })
    checkLaws(Stacked([first, second]), group.elements)
    let turn = AmbientGroup([.circle]).exp([0.7]).numbers
    // One basis for both: a turn in the plane of the first two numbers.
    var basis = (0..<144).map { $0 % 13 == 0 ? 1.0 : 0 }
    (basis[0], basis[1], basis[12], basis[13]) = (turn[0], -turn[1], turn[1], turn[0])
    checkLaws(Stacked([first, second], bases: [basis, basis]), group.elements)
    // Two bases: the parts do not commute, and the law is seen to fail.
    var other = (0..<144).map { $0 % 13 == 0 ? 1.0 : 0 }
    (other[0], other[8], other[96], other[104]) = (turn[0], -turn[1], turn[1], turn[0])
    let broken = Stacked([first, second], bases: [basis, other])
    #expect(broken.deviations(on: group.elements).product > 1e-3)
  }

  @Test("Several transforms multiply their characters: a quarter turn and two fifths of one")
  func severalTransforms() {
    // The code published with arXiv 2102.05623 overwrites the real part before it computes the imaginary one: there
    // the multiplier of these two is 0.
    let group = FiniteAbelian([4, 5])
    let one = Diagonal(group, frequencies: [[1, 1]])
    let character = one.character(group.element([1, 2]))
    // exp(2πi (1/4 + 2/5)) = exp(2πi · 13/20).
    #expect(abs(character.real - -0.587_785_252_292_473) < 1e-12)
    #expect(abs(character.imaginary - -0.809_016_994_374_947) < 1e-12)
    let apart = Diagonal(group, frequencies: [[1, 0]]).character(group.element([1, 2]))
    let other = Diagonal(group, frequencies: [[0, 1]]).character(group.element([1, 2]))
    #expect(abs((apart * other).real - character.real) < 1e-12)
    #expect(abs((apart * other).imaginary - character.imaginary) < 1e-12)
  }

  @Test("Frequencies that count up together cannot tell two transforms of one order apart")
  func tiled() {
    let group = FiniteAbelian([5, 5])
    let tiled = Diagonal(group, frequencies: (0..<25).map { [$0 % 5, $0 % 5] })
    let (x, y) = (group.element([1, 0]), group.element([0, 1]))
    #expect(tiled.matrix(x) == tiled.matrix(y))
    #expect(Diagonal.regular(group).matrix(x) != Diagonal.regular(group).matrix(y))
  }

  @Test("Steps beyond once around, and negative ones, are the same elements") func wrapping() {
    let group = FiniteAbelian([10])
    #expect(group.element([-3]) == group.element([7]) && group.element([27]) == group.element([7]))
    let diagonal = Diagonal(group, frequencies: [[-1], [11]])
    #expect(diagonal.frequencies == [[9], [1]])
  }

  @Test("Phase correlation is 1 at the element that was acted by, and below at all others")
  func phaseCorrelation() {
    let group = FiniteAbelian([3, 4])
    let diagonal = Diagonal.regular(group, copies: 2)
    var random = RandomStream(seed: 4, name: "phases")
    let vectors = Tensor.normal([group.order, diagonal.dimension], using: &random)
    let moved = diagonal.act(group.elements, on: vectors)
    let scores = diagonal.phaseCorrelation(vectors, moved).elements
    for n in 0..<group.order {
      for k in 0..<group.order {
        let score = scores[n * group.order + k]
        #expect(n == k ? abs(score - 1) < 1e-5 : score < 0.5)
      }
    }
    // Huge and tiny numbers have the same phases.
    let huge = diagonal.phaseCorrelation(vectors * 1e30, moved * 1e-30)
    #expect(huge.largestDifference(from: diagonal.phaseCorrelation(vectors, moved)) < 1e-5)
    // What is 0 has no phase.
    let nothing = Tensor.zeros([1, diagonal.dimension])
    #expect(diagonal.phaseCorrelation(nothing, nothing).elements.allSatisfy { $0 == 0 })
  }
}
