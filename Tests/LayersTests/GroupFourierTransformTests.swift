import Autodiff
import Layers
import Symmetry
import TensorCore
import TestSupport
import Testing

@Suite("The Fourier transform on a group")
struct GroupFourierTransformTests {
  private static let groups: [any (FiniteGroup & PlanarGroup)] = [
    Cyclic(2), Cyclic(4), Cyclic(6), Cyclic(64), Dihedral(1), Dihedral(3), Dihedral(4),
    Dihedral(16),
  ]

  @Test("It is orthogonal", arguments: groups.indices)
  func orthogonal(index: Int) throws {
    func check<Group: FiniteGroup & PlanarGroup>(_ group: Group) throws {
      let matrix = try #require(GroupFourierTransform(group)).matrix
      var identity = [Float](repeating: 0, count: group.order * group.order)
      for n in 0..<group.order { identity[n * (group.order + 1)] = 1 }
      let product = matrix.matmul(matrix.transposed())
      #expect(
        largestDifference(product, Tensor(identity, shape: [group.order, group.order])) < 1e-6)
    }
    try check(GroupFourierTransformTests.groups[index])
  }

  @Test("There is none for an odd order")
  func odd() {
    #expect(GroupFourierTransform(Cyclic(1)) == nil)
    #expect(GroupFourierTransform(Cyclic(5)) == nil)
  }

  @Test(
    "A convolution by it, and its gradients, are those of the plain one", arguments: groups.indices)
  func convolution(index: Int) throws {
    func check<Group: FiniteGroup & PlanarGroup>(_ group: Group) throws {
      func convolution(_ usesFourierTransform: Bool) -> GroupConvolution<Group> {
        var stream = RandomStream(seed: 1, name: "weights")
        return GroupConvolution(
          group, 3, 2, usesFourierTransform: usesFourierTransform, using: &stream)
      }
      let (x, bias) = (
        random([2, 3, 2, group.order * 3]), random([group.order * 2], "bias")
      )
      func results(_ layer: GroupConvolution<Group>) throws -> [Tensor] {
        let tape = Tape.training(random: RandomStream(seed: 0, name: "none"))
        let input = Variable(x, requiresGradient: true)
        let y = layer.apply(
          layer.operand(on: tape), to: input, bias: Variable(bias), relu: true)
        let gradients = Gradients(of: (y * y).sum())
        let leaf = try #require(tape.leaf(of: layer.weight))
        return [y.value, try #require(gradients[input]), try #require(gradients[leaf])]
      }
      let (plain, fast) = (try results(convolution(false)), try results(convolution(true)))
      for (a, b) in zip(plain, fast) {
        // Sums of up to 192 products, in another order, beside the largest of them.
        let size = a.elements.map { abs($0) }.max() ?? 0
        #expect(size > 0.1 && largestDifference(a, b) < 4e-6 * size * 3)
      }
    }
    try check(GroupFourierTransformTests.groups[index])
  }

  @Test("What it gives for an image does not depend on the images beside it")
  func neighbors() {
    var stream = RandomStream(seed: 1, name: "weights")
    let layer = GroupConvolution(Cyclic(32), 4, 4, usesFourierTransform: true, using: &stream)
    let x = random([5, 3, 3, 128])
    let all = layer.predict(x)
    for n in 0..<5 {
      #expect(layer.predict(x.sliced(n..<n + 1)).elements == all.sliced(n..<n + 1).elements)
    }
  }
}
