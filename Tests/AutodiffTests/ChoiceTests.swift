import Autodiff
import Foundation
import TensorCore
import TestSupport
import Testing

private func random(_ shape: Shape, _ name: String) -> Tensor {
  var stream = RandomStream(seed: 12, name: name)
  return .uniform(shape, from: -1, to: 1, using: &stream)
}

@Suite struct ChoiceTests {
  @Test("What is chosen, and the gradient, which goes there alone")
  func choose() {
    let condition = Variable(Tensor([1, 0, 2], shape: [3]))
    let d = OperationDeviation(of: [random([2, 3], "a"), random([3], "b")]) {
      .choose(condition, $0[0] * $0[0], $0[1] * $0[1])
    } reference: { v in
      (0..<6).map { $0 % 3 == 1 ? v[1][1] * v[1][1] : v[0][$0] * v[0][$0] }
    }
    #expect(d.value < 1e-6 && d.gradient < 2e-6)
    // Beside what is not chosen NaN does not matter.
    let nan = Variable(Tensor([.nan, 1, .nan], shape: [3]))
    #expect(
      Variable.choose(condition, Variable(Tensor([5, .nan, 6], shape: [3])), nan).value.elements
        == [5, 1, 6])
  }

  @Test("Angles of vectors, in every quadrant, and their derivative")
  func arcTangent() {
    let d = OperationDeviation(of: [random([40], "y"), random([40], "x")]) {
      .arcTangent(across: $0[0], along: $0[1])
    } reference: { v in
      zip(v[0], v[1]).map { Foundation.atan2($0, $1) }
    }
    #expect(d.value < 1e-6 && d.gradient < 1e-5)
    let axes = Variable.arcTangent(
      across: Variable(Tensor([0, 1, 0, -1])), along: Variable(Tensor([1, 0, -1, 0])))
    let quarters = axes.value.elements.map { $0 / (.pi / 2) }
    #expect(deviation(quarters.map { Double($0) }, [0, 1, 2, -1]) < 1e-6)
  }

  @Test("Comparisons, the first of the largest, the largest in order, whole numbers")
  func comparisons() {
    let x = Variable(Tensor([3, 7, 7, 1, 2, 2, .nan, 9], shape: [2, 4]))
    #expect(x.firstLargest().value.elements == [0, 1, 0, 0, 0, 0, 1, 0])
    let y = Variable(Tensor([3, 7, 7, 1, 2, 5, -4, 9], shape: [2, 4]))
    #expect(y.largest(2).value.elements == [7, 7, 9, 5] && y.largest(2).shape == [2, 2])
    let other = Variable(Tensor([3, 6], shape: [2, 1]))
    #expect(y.isGreater(than: other).value.elements == [0, 1, 1, 0, 0, 0, 0, 1])
    #expect(y.isEqual(to: other).value.elements == [1, 0, 0, 0, 0, 0, 0, 0])
    #expect(Variable(Tensor([-1.5, 2, 0.99])).roundedDown().value.elements == [-2, 2, 0])
  }

  @Test("No gradient flows through a comparison")
  func constant() {
    let leaf = Variable(Tensor([1, 2]), requiresGradient: true)
    let result = (leaf * leaf.isGreater(than: Variable(Tensor(1.5)))).sum()
    #expect(Gradients(of: result)[leaf]?.elements == [0, 1])
  }

  @Test("Each image under every map is that image under each, and so is the gradient")
  func warpByEach() throws {
    let images = random([2, 5, 5, 1], "images")
    let maps = [
      SamplingMap(matrix: [0, 1, -1, 0]),
      SamplingMap(matrix: [0.8, 0.6, -0.6, 0.8], offset: [1, 0]),
    ]
    let leaf = Variable(images, requiresGradient: true)
    let copies = leaf.warped(byEach: maps, border: .edge)
    for (n, map) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
      let one = images.sliced(n..<n + 1).warped(by: [maps[map]], border: .edge)
      #expect(copies.value[2 * n + map].elements == one.elements)
    }
    let weights = random([4, 5, 5, 1], "weights")
    let found = try #require(Gradients(of: copies, weights: weights)[leaf])
    var expected = Tensor.zeros([2, 5, 5, 1])
    for map in 0..<2 {
      let rows = weights.gathered([map, map + 2])
      let part = rows.warpGradients(
        images: images, maps: [maps[map], maps[map]], border: .edge, ofMaps: false)
      expected.add(try #require(part.images))
    }
    #expect(largestDifference(found, expected) < 1e-6)
  }

  @Test(
    "What is computed from a traced input says of each operation what it is; else nothing is kept")
  func traces() {
    let traced = Variable(traced: random([2, 3], "traced"))
    let result = ((traced.relu() + 1).sum([1]) * 2).detached
    var (names, node) = ([String](), Optional(result))
    while let now = node, let operation = now.operation {
      names.append("\(operation)")
      node = now.inputs.first
    }
    #expect(names.count == 5 && names[0] == "same" && names[1] == "multiply", "\(names)")
    #expect(node === traced && result.isTraced)
    let leaf = Variable(random([2, 3], "leaf"), requiresGradient: true)
    #expect(leaf.relu().operation == nil && !leaf.relu().isTraced)
  }
}
