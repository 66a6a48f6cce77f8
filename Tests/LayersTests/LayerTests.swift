import Autodiff
import Foundation
import Layers
import Optimizers
import Symmetry
import TensorCore
import TestSupport
import Testing

func random(_ shape: Shape, _ name: String = "x") -> Tensor {
  var stream = RandomStream(seed: 21, name: name)
  return .uniform(shape, from: -1, to: 1, using: &stream)
}

@Suite struct LayerTests {
  var stream = RandomStream(seed: 1, name: "weights")

  @Test(
    "A network for photographs has any width, also that of the images' channels", arguments: 1...4)
  func photographs(width: Int) {
    var random = RandomStream(seed: 1, name: "photo")
    let network = Backbone.photoCNN(
      size: 8, channels: 3, width: width, outputs: 5, using: &random)
    let x = Tensor.zeros([2, 8, 8, 3])
    #expect(network.predict(x).shape == [2, 5])
  }

  @Test("Backbones give one score per class, and count the paper's parameters")
  mutating func shapes() {
    let paper = Backbone.paperCNN(classes: 10, using: &stream)
    // Methods, part 1.9: 351,914 parameters.
    #expect(paper.trainableCount == 351_914)
    #expect(paper.predict(random([2, 28, 28, 1])).shape == [2, 10])
    #expect(
      Backbone.smallCNN(classes: 3, using: &stream).predict(random([2, 17, 12, 1])).shape == [2, 3])
    #expect(
      Backbone.mlp(inputs: 16, outputs: 5, using: &stream).predict(random([2, 4, 4, 1])).shape == [
        2, 5,
      ])
    #expect(UNet(width: 4, using: &stream).predict(random([2, 8, 12, 1])).shape == [2, 8, 12, 1])
  }

  @Test("Parameters have names of their own") mutating func names() {
    let layers: [any Layer] = [
      Backbone.paperCNN(classes: 10, using: &stream), UNet(using: &stream),
    ]
    for layer in layers {
      let names = layer.parameters.map(\.name)
      #expect(Set(names).count == names.count && !names.isEmpty)
    }
  }

  @Test("Batch norm predicts by the running moments that training leaves") func batchNorm() {
    let (norm, x) = (BatchNorm(2, momentum: 1), random([50, 2]))
    let y = norm(Variable(x), on: .training(random: RandomStream(seed: 0, name: "t"))).value
    #expect(y.mean([0]).elements.allSatisfy { abs($0) < 1e-6 })
    // The running variance is unbiased: 50/49 of the batch's.
    let scale = Float((49.0 / 50).squareRoot())
    #expect(largestDifference(norm.predict(x), y * scale) < 1e-3)
  }

  @Test(
    "In inference a convolution with batch norm is both in turn, to rounding",
    arguments: [true, false])
  func folding(hasBias: Bool) {
    var stream = RandomStream(seed: 6, name: "fold")
    let convolution = Convolution(2, 5, kernel: 3, hasBias: hasBias, using: &stream)
    let (norm, x) = (BatchNorm(5, relu: true), random([4, 7, 7, 2]))
    for parameter in norm.parameters.map(\.parameter) {
      parameter.value = .uniform([5], from: 0.5, to: 2, using: &stream)
    }
    let together = Sequential([convolution, norm]).predict(x)
    // Sums of 18 products of numbers of unit size.
    #expect(largestDifference(together, norm.predict(convolution.predict(x))) < 1e-5)
    #expect(together.elements.contains { $0 > 0.1 })
  }

  @Test("In a sequence, a convolution and its batch norm are what they are apart") func sequence() {
    var random = RandomStream(seed: 3, name: "sequence")
    let convolution = Convolution(9, 12, kernel: 3, using: &random)
    let together = BatchNorm(12, relu: true)
    let apart = BatchNorm(12, relu: true)
    let x = Variable(Tensor.uniform([5, 8, 7, 9], from: -1, to: 1, using: &random))
    let tape = Tape.training(random: random)
    let y = Sequential([convolution, together])(x, on: tape).value
    let z = apart(convolution(x, on: tape), on: tape).value
    #expect(largestDifference(y, z) < 1e-5)
    for (a, b) in zip(together.parameters, apart.parameters) {
      #expect(largestDifference(a.parameter.value, b.parameter.value) < 1e-5)
    }
    // And in inference, where the weights are folded, also after they change.
    for step in 0..<2 {
      together.weight.value = Tensor(repeating: Float(1 + step), shape: [12])
      let folded = Sequential([convolution, together]).predict(x.value)
      #expect(largestDifference(folded, together.predict(convolution.predict(x.value))) < 1e-4)
    }
  }

  @Test("Layer norm leaves every member with mean 0 and variance 1") func layerNorm() {
    let y = LayerNorm(8).predict(random([3, 8]) * 5 + 2)
    #expect(y.mean([1]).elements.allSatisfy { abs($0) < 1e-5 })
    #expect(y.squared().mean([1]).elements.allSatisfy { abs($0 - 1) < 1e-3 })
  }

  @Test("Dropout keeps the mean, and does nothing in inference") func dropout() {
    let (layer, x) = (Dropout(0.4), Tensor.ones([100, 100]))
    let y = layer(Variable(x), on: .training(random: RandomStream(seed: 0, name: "d"))).value
    let zeros = y.elements.filter { $0 == 0 }.count
    #expect(abs(Double(zeros) / 10_000 - 0.4) < 0.025)  // five standard deviations
    #expect(Set(y.elements) == [0, 1 / 0.6])
    #expect(layer.predict(x) == x)
    let channels = Dropout(0.5, wholeChannels: true)(
      Variable(.ones([4, 3, 3, 8])), on: .training(random: RandomStream(seed: 0, name: "c"))
    ).value
    #expect(Set(channels.sum([1, 2]).elements) == [0, 18])
  }

  @Test(
    "A lifting and group convolutions commute with the group, for quarter turns and flips",
    arguments: [1, 3])
  func equivariance(kernel: Int) {
    func check<G: FiniteGroup & PlanarGroup>(_ group: G) {
      var stream = RandomStream(seed: 5, name: "group")
      let network = Sequential([
        LiftingConvolution(group, 2, 3, kernel: 5, padding: 1, using: &stream),
        GroupBatchNorm(3, relu: true),
        GroupConvolution(group, 3, 2, kernel: kernel, padding: 1, using: &stream),
      ])
      let (x, n) = (random([1, 9, 9, 2]), group.order)
      let action = ImageAction(group)
      let y = network.predict(x)
      let side = y.shape[1]
      for g in group.exactElements {
        // (g·y)[h] is y[g⁻¹ h], with its pixels moved by g.
        let moved = action.act([g], on: y).reshaped([side * side, n, 2])
        let order = group.elements.map { group.index(of: group.compose(group.inverse(g), $0)) }
        let permuted = moved.permuted([1, 0, 2]).gathered(order).permuted([1, 0, 2])
        let found = network.predict(action.act([g], on: x)).reshaped([side * side, n, 2])
        // Sums of 50 and of 3 n k² products in another order; 3 × 3 by Winograd's tiles of 7 × 7, of which both may be off by 10⁻⁴ of the
        // root mean square at a corner.
        let square = permuted.elements.reduce(0) { $0 + $1 * $1 } / Float(permuted.shape.count)
        let most = kernel == 3 ? max(2e-5, 2e-4 * square.squareRoot()) : 2e-5
        #expect(largestDifference(found, permuted) < most)
        #expect(found.elements.map { abs($0) }.max() ?? 0 > 0.1)
      }
    }
    check(Cyclic(4))
    check(Cyclic(8))
    check(Dihedral(4))
  }

  static let differentiable:
    [(name: String, shape: Shape, make: @Sendable (inout RandomStream) -> any Layer)] = [
      ("linear", [4, 6], { Linear(6, 3, using: &$0) }),
      (
        "convolution", [2, 6, 5, 2],
        { Convolution(2, 3, kernel: 3, .init(stride: 2, padding: 1), using: &$0) }
      ),
      ("batch norm", [8, 3], { _ in BatchNorm(3, relu: true) }),
      ("layer norm", [4, 5], { _ in LayerNorm(5) }),
      ("dropout", [6, 5], { Sequential([Linear(5, 5, using: &$0), Dropout(0.5)]) }),
      (
        "lifting, group convolution, group batch norm", [2, 8, 8, 1],
        {
          Sequential([
            LiftingConvolution(Dihedral(3), 1, 2, kernel: 3, using: &$0),
            GroupBatchNorm(2, relu: true),
            GroupConvolution(Dihedral(3), 2, 1, kernel: 3, using: &$0),
          ])
        }
      ),
      ("small CNN", [4, 8, 8, 1], { Backbone.smallCNN(width: 2, classes: 3, using: &$0) }),
      ("U-Net", [2, 8, 8, 1], { UNet(width: 2, using: &$0) }),
    ]

  @Test("Gradients by all parameters agree with central differences", arguments: 0..<8)
  func gradients(index: Int) throws {
    let (name, shape, make) = LayerTests.differentiable[index]
    var stream = RandomStream(seed: 9, name: name)
    let (layer, x) = (make(&stream), Variable(random(shape, name)))
    func loss() -> (Variable, Tape) {
      let tape = Tape.training(random: RandomStream(seed: 0, name: "gradient"))
      return ((layer(x, on: tape).tanh().squared()).mean(), tape)
    }
    let (value, tape) = loss()
    let gradients = Gradients(of: value)
    let trained = layer.parameters.map(\.parameter).filter(\.isTrainable)
    var (expected, found) = (0.0, 0.0)
    var original: [Tensor] = []
    var directions: [Tensor] = []
    for parameter in trained {
      let direction = Tensor.uniform(parameter.value.shape, from: -1, to: 1, using: &stream)
      let gradient = try #require(tape.leaf(of: parameter).flatMap { gradients[$0] })
      expected += Double((gradient * direction).sum().scalar)
      original.append(parameter.value)
      directions.append(direction)
    }
    // Along a random direction of all parameters. A step of 2⁻⁹ leaves 10⁻⁴ of rounding in `Float`
    // losses and little of the second derivative. Networks of many normalized layers are bent more:
    // they need a step of 2⁻¹³, and then rounding leaves some percent.
    let isDeep = index >= 6
    let step: Float = isDeep ? 0x1p-13 : 0x1p-9
    for sign in [Float(1), -1] {
      for (n, parameter) in trained.enumerated() {
        parameter.value = original[n] + directions[n] * (sign * step)
      }
      found += Double(sign * loss().0.value.scalar) / (2 * Double(step))
    }
    #expect(
      abs(found - expected) < (isDeep ? 0.1 : 0.03) * abs(expected) + 1e-4,
      "\(name): \(found), \(expected)")
    #expect(abs(expected) > 1e-4)
  }

  @Test("Losses agree with their formulas") func losses() {
    let (x, t) = (random([2, 3]), Tensor.oneHot([2, 0], classes: 3))
    let p = x.softmax().elements.map(Double.init)
    let cross = Loss.crossEntropy(labelSmoothing: 0.3).perMember(Variable(x), t).value.elements
    for n in 0..<2 {
      let expected = (0..<3).reduce(0.0) { (sum: Double, c: Int) -> Double in
        let target = 0.7 * Double(t.elements[n * 3 + c]) + 0.1
        return sum - target * log(p[n * 3 + c])
      }
      #expect(abs(Double(cross[n]) - expected) < 1e-6)
    }
    let square = Loss.meanSquaredError.perMember(Variable(x), t).value
    #expect(largestDifference(square, (x - t).squared().mean([1])) < 1e-6)
    let binary = Loss.binaryCrossEntropy.perMember(Variable(x), t).value.elements
    let s = x.elements.map { 1 / (1 + exp(-Double($0))) }
    let expected = (0..<3).reduce(0.0) { (sum: Double, c: Int) -> Double in
      sum - log(t.elements[c] == 1 ? s[c] : 1 - s[c]) / 3
    }
    #expect(abs(Double(binary[0]) - expected) < 1e-6)
  }

  @Test("Optimizers follow their formulas for two steps") func optimizers() {
    let g = Tensor([0.5, -2])
    var (w, state) = (Tensor([1, 1]), [Tensor.zeros([2]), .zeros([2])])
    let adam = AdamW(weightDecay: 0.1)
    for step in 1...2 {
      adam.update(&w, gradient: g, state: &state, rate: 0.01, step: step, decays: true)
    }
    // With a constant gradient the corrected moments are g and g²: w ← w − 0.01 (sign g + 0.1 w).
    let once = [1 - 0.01 * (1 + 0.1), 1 - 0.01 * (-1 + 0.1)]
    let twice = [
      once[0] - 0.01 * (1 + 0.1 * once[0]), once[1] - 0.01 * (-1 + 0.1 * once[1]),
    ]
    #expect(zip(w.elements, twice).allSatisfy { abs(Double($0) - $1) < 1e-6 })
    (w, state) = (Tensor([1, 1]), [.zeros([2])])
    for step in 1...2 {
      SGD(momentum: 0.9).update(
        &w, gradient: g, state: &state, rate: 0.1, step: step, decays: false)
    }
    // Velocities g and 1.9 g.
    #expect(largestDifference(w, Tensor([1 - 0.1 * 2.9 * 0.5, 1 + 0.1 * 2.9 * 2])) < 1e-6)
  }

  @Test("Schedules begin and end where they say") func schedules() {
    #expect(Schedule.cosine.factor(step: 0, total: 100) == 1)
    #expect(abs(Schedule.cosine.factor(step: 50, total: 100) - 0.5) < 1e-6)
    #expect(Schedule.step(every: 0.3, factor: 0.1).factor(step: 65, total: 100) - 0.01 < 1e-8)
    let cycle = Schedule.oneCycle(warmup: 0.1)
    #expect(cycle.factor(step: 0, total: 100) < 0.1 && cycle.factor(step: 10, total: 100) == 1)
    #expect(
      cycle.factor(step: 99, total: 100) < 0.01 && Schedule.constant.factor(step: 9, total: 10) == 1
    )
  }

  @Test("Clipping scales all gradients to the norm, and leaves small ones alone") func clipping() {
    var gradients: [Tensor?] = [Tensor([3]), nil, Tensor([4])]
    #expect(clip(&gradients, toNorm: 10) == 5 && gradients[0]?.scalar == 3)
    #expect(clip(&gradients, toNorm: 1) == 5 && abs((gradients[2]?.scalar ?? 0) - 0.8) < 1e-6)
  }
}
