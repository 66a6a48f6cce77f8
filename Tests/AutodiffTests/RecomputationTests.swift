import Autodiff
import TensorCore
import TestSupport
import Testing

@Suite struct RecomputationTests {
  /// A small network on each member.
  private func body(_ x: Variable, _ w: [Variable]) -> Variable {
    x.convolved(with: w[0], relu: true).convolved(with: w[1], bias: w[2]).mean([1, 2])
  }

  private func variables() -> [Variable] {
    var random = RandomStream(seed: 1, name: "recomputation")
    return [[7, 6, 6, 2], [3, 3, 2, 5], [1, 1, 5, 4], [4]].map {
      Variable(
        Tensor.uniform(Shape($0), from: -1, to: 1, using: &random), requiresGradient: true)
    }
  }

  private func gradients(_ result: Variable, _ inputs: [Variable]) -> [Tensor] {
    let weights = (0..<result.shape.count).map { Float($0 % 5) - 2 }
    let found = Gradients(of: result, weights: Tensor(weights, shape: result.shape))
    return inputs.map { found[$0] ?? .zeros([]) }
  }

  @Test(
    "Value and gradients are those of the function on the whole batch", arguments: [1, 3, 7, 9])
  func agrees(members: Int) {
    let (plain, parts) = (variables(), variables())
    let expected = body(plain[0], Array(plain.dropFirst()))
    let found = parts[0].recomputed(with: Array(parts.dropFirst()), members: members, body)
    #expect(found.value == expected.value)
    for (a, b) in zip(gradients(found, parts), gradients(expected, plain)) {
      // The same sums in another order.
      #expect(largestDifference(a, b) < 1e-5)
    }
  }

  @Test("Nothing is computed for what needs no gradient") func constants() {
    let v = variables()
    let image = Variable(v[0].value)
    let result = image.recomputed(with: Array(v.dropFirst()), members: 2, body)
    let found = Gradients(of: result.sum())
    #expect(found[image] == nil && found[v[1]] != nil)
  }

  @Test("Gradients of a weighted sum are those of the sum, weighted") func weights() {
    let x = Variable(Tensor([1, 2, 3]), requiresGradient: true)
    #expect(Gradients(of: x.squared(), weights: Tensor([1, 10, 100]))[x] == Tensor([2, 40, 600]))
  }

  @Test("A record is used up by its gradients") func usedUp() {
    let x = Variable(Tensor([3]), requiresGradient: true)
    let y = x.squared().sum()
    #expect(Gradients(of: y)[x] == Tensor([6]))
    #expect(Gradients(of: y)[x] == nil)
  }

  @Test("What is derived of parameters is made anew when one changes, and only then") func derived()
  {
    let (a, b) = (Parameter(Tensor(2)), Parameter(Tensor(3)))
    let product = Derived(from: [a, b]) { a.value * b.value }
    let first = product.value
    #expect(first == Tensor(6) && product.value.sharesMemory(with: first))
    b.value = Tensor(5)
    #expect(product.value == Tensor(10))
    a.update { $0 = $0 + 1 }
    #expect(product.value == Tensor(15))
  }
}

extension Tensor {
  /// Whether both are windows on the same elements.
  fileprivate func sharesMemory(with other: Tensor) -> Bool {
    unsafe withElements { a in unsafe other.withElements { b in unsafe a == b } }
  }
}
