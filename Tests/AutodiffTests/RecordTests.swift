import Autodiff
import TensorCore
import Testing

@Suite("The record of a computation")
struct RecordTests {
  @Test("It holds no values: of a chain of sums those on the way are free")
  func values() {
    let x = Variable(.ones([10_000_000]), requiresGradient: true)
    let before = AddressSpace.used
    var y = x
    for _ in 0..<50 { y = y + Variable(Tensor(1)) }
    // Fifty values are 2 GB; one is read while the next is written.
    #expect(AddressSpace.used - before < 1_000_000_000)
    #expect(Gradients(of: y.sum())[x]?.elements.first == 1)
    #expect(y.value.elements.first == 51)
  }

  @Test("A value that can be made again is, and is the same")
  func kept() {
    let x = Variable(Tensor([1, 2, 3, 4], shape: [2, 2]), requiresGradient: true)
    let (weight, bias) = (Variable(Tensor([1, 2])), Variable(Tensor([0, 1])))
    let y = x.batchNormalized(weight: weight, bias: bias, epsilon: 1e-5, relu: true).result
    #expect(y.kept().elements == y.value.elements)
    #expect(x.kept().elements == x.value.elements)
  }

  @Test("A long chain whose gradients nobody asks for is released without a deep stack")
  func released() {
    let x = Variable(Tensor(1), requiresGradient: true)
    var y = x
    for _ in 0..<100_000 { y = y + x }
    #expect(y.value.scalar == 100_001)
    y = x
    #expect(Gradients(of: y)[x]?.scalar == 1)
  }

  @Test("Gradients are those of their leaves, and of no variable that is made when these are gone")
  func identity() {
    func gradients() -> Gradients {
      let x = Variable(Tensor([2]), requiresGradient: true)
      return Gradients(of: (x * x).sum())
    }
    let known = gradients()
    for _ in 0..<1_000 {
      #expect(known[Variable(Tensor([2]), requiresGradient: true)] == nil)
    }
  }

  @Test("Leaves are told once each, by their places")
  func leaves() {
    let x = Variable(Tensor([2]), requiresGradient: true)
    var told: [Int] = []
    let gradients = Gradients(of: (x * x * x).sum(), leaves: [nil, x]) { place, gradient in
      told.append(place)
      #expect(gradient.elements == [12])
    }
    #expect(told == [1] && gradients[x]?.elements == [12])
  }
}
