import Autodiff
import Layers
import Symmetry
import TensorCore
import TestSupport
import Testing

@Suite struct VectorNeuronTests {
  /// All vectors, whatever their channel, turned: `[…, d, channels]`.
  private func turned(_ g: AffineMap, _ x: Tensor) -> Tensor {
    Tensor(g.matrix.map { Float($0) }, shape: [g.dimension, g.dimension]).matmul(
      x.permuted([0, 2, 1, 3]).reshaped([x.shape[0], x.shape[2], -1])
    ).reshaped([x.shape[0], x.shape[2], x.shape[1], x.shape[3]]).permuted([0, 2, 1, 3])
  }

  @Test("Vector layers commute with every rotation and reflection", arguments: [2, 3])
  func equivariance(d: Int) {
    var random = RandomStream(seed: 1, name: "vectors")
    let x = Tensor.normal([2, 5, d, 4], using: &random)
    let layers: [any Layer] = [
      VectorLinear(4, 6, using: &random), VectorLeakyReLU(4, using: &random), VectorBatchNorm(4),
    ]
    for _ in 0..<5 {
      let g = Euclidean.o(d).sample(using: &random)
      for layer in layers {
        #expect(
          largestDifference(layer.predict(turned(g, x)), turned(g, layer.predict(x))) < 1e-5)
      }
      let pools: [any Layer] = [
        VectorMaxPool(4, using: &random), PoseVectors(4, outputs: 3, width: 5, using: &random),
      ]
      for pool in pools {
        let plain = pool.predict(x).reshaped([2, 1, d, -1])
        let moved = pool.predict(turned(g, x)).reshaped([2, 1, d, -1])
        #expect(largestDifference(moved, turned(g, plain)) < 1e-4)
        let reordered = pool.predict(
          x.permuted([1, 0, 2, 3]).gathered([3, 1, 4, 0, 2])
            .permuted([1, 0, 2, 3]))
        #expect(largestDifference(reordered.reshaped([2, 1, d, -1]), plain) < 1e-5)
      }
    }
  }

  @Test("The vectors' leaky ReLU, its value and gradient") func leaky() {
    var random = RandomStream(seed: 2, name: "leaky")
    let layer = VectorLeakyReLU(2, slope: 0.2, using: &random)
    let w = layer.directions.weight.value.elements.map(Double.init)
    let found = OperationDeviation(of: [.normal([3, 3, 2], using: &random)]) {
      layer($0[0], on: .inference())
    } reference: { numbers in
      let x = numbers[0]
      return (0..<3).flatMap { n -> [Double] in
        var y = Array(x[n * 6..<(n + 1) * 6])
        for c in 0..<2 {
          let v = (0..<3).map { x[n * 6 + $0 * 2 + c] }
          let k = (0..<3).map { x[n * 6 + $0 * 2] * w[c] + x[n * 6 + $0 * 2 + 1] * w[2 + c] }
          let along = zip(v, k).reduce(0) { $0 + $1.0 * $1.1 }
          let square = k.reduce(1e-6) { $0 + $1 * $1 }
          if along < 0 { for i in 0..<3 { y[i * 2 + c] -= 0.8 * along / square * k[i] } }
        }
        return y
      }
    }
    #expect(found.value < 1e-5 && found.gradient < 1e-4, "\(found)")
  }

  @Test("Networks for sets do not depend on the members' order") func sets() {
    var random = RandomStream(seed: 3, name: "sets")
    let x = Tensor.normal([2, 6, 7], using: &random)
    let orders = [[2, 0, 1, 5, 4, 3], [5, 4, 3, 2, 1, 0]].map { Permutation($0) }
    let action = PermutationAction(Symmetric(6))
    let moved = action.act(orders, on: x)
    let net = PointNet(7, outputs: 3, widths: [8, 16], hidden: 8, using: &random)
    #expect(largestDifference(net.predict(moved), net.predict(x)) < 1e-5)
    let layers: [any Layer] = [
      DeepSets(7, widths: [8, 3], using: &random),
      ParticleNetwork(width: 8, rounds: 2, using: &random),
    ]
    for layer in layers {
      let plain = layer.predict(x)
      #expect(plain.shape == [2, 6, 3])
      #expect(largestDifference(layer.predict(moved), action.act(orders, on: plain)) < 1e-5)
      #expect(largestDifference(layer.predict(moved), plain) > 1e-3)
    }
  }

  @Test("A particle hears all others, and nothing of itself") func messages() {
    var random = RandomStream(seed: 4, name: "particles")
    let network = ParticleNetwork(width: 8, rounds: 1, using: &random)
    let x = Tensor.normal([1, 3, 7], using: &random)
    let plain = network.predict(x)
    for other in 0..<3 {
      // The charge enters messages only: one's own changes them, others' too.
      var numbers = x.elements
      numbers[other * 7 + 6] += 1
      let changed = network.predict(Tensor(numbers, shape: [1, 3, 7]))
      for one in 0..<3 { #expect(changed[0][one] != plain[0][one]) }
    }
    let alone = x.sliced(0..<1, axis: 1)
    var charged = alone.elements
    charged[6] += 1
    #expect(network.predict(Tensor(charged, shape: [1, 1, 7])) == network.predict(alone))
  }

  @Test("Particles are moved round by round, and the next round sees where they are") func rounds()
  {
    var random = RandomStream(seed: 5, name: "rounds")
    let x = Tensor.normal([1, 3, 7], using: &random)
    for rounds in 1...3 {
      let network = ParticleNetwork(width: 8, rounds: rounds, using: &random)
      let whole = network.predict(x)
      // Where they all are together does not matter.
      let shift = Tensor([3, -2, 1, 0, 0, 0, 0], shape: [1, 1, 7])
      #expect(largestDifference(network.predict(x + shift), whole) < 1e-5)
      // A sixteenth of a move is moved: after one round that is all; then others see less of it.
      for (name, parameter) in network.parameters where name.hasPrefix("round.move") {
        parameter.update { $0 = $0 * 0.0625 }
      }
      let difference = largestDifference(network.predict(x) * 16, whole)
      #expect(rounds == 1 ? difference < 1e-4 : difference > 1e-3, "\(rounds): \(difference)")
    }
  }
}
