import Autodiff
import Glibc
import Layers
import Optimizers
import Symmetry
import TensorCore
import TestSupport
import Testing

private func images(_ count: Int, size: Int = 8) -> Tensor {
  var random = RandomStream(seed: 1, name: "images")
  return .uniform([count, size, size, 1], from: 0, to: 1, using: &random)
}

private func network(_ size: Int = 8) -> Sequential {
  var random = RandomStream(seed: 2, name: "network")
  return Backbone.mlp(inputs: size * size, hidden: [8], outputs: 3, using: &random)
}

private let turns = PlanarAffine([.rotation])

private func convolution(
  _ radii: [Double], of group: PlanarAffine = turns, nodes: Int = 4, isMean: Bool = true,
  sampling: AlgebraConvolution.Sampling = .grid, layer: any Layer = network()
) -> AlgebraConvolution {
  var random = RandomStream(seed: 3, name: "convolution")
  return AlgebraConvolution(
    group, window: AlgebraWindow(radii), layer: layer, nodes: nodes, sampling: sampling,
    isMean: isMean, using: &random)
}

@Suite("Lie-algebra convolutions")
struct AlgebraConvolutionTests {
  @Test("A window of nothing is the layer itself, bit for bit") func point() {
    let x = images(3)
    let layer = network()
    #expect(convolution([0], layer: layer).predict(x) == layer.predict(x))
  }

  @Test("A constant kernel on all turns makes the result invariant, one on a part does not")
  func invariance() {
    let x = images(4)
    let moved = ImageAction(Cyclic(4)).act(
      [Cyclic.Element](repeating: .init(steps: 1), count: 4), on: x)
    // The nodes of four are a quarter turn apart: a quarter turn of the input changes their places.
    let whole = convolution([.pi])
    #expect(largestDifference(whole.predict(moved), whole.predict(x)) < 1e-5)
    let part = convolution([.pi / 4])
    #expect(largestDifference(part.predict(moved), part.predict(x)) > 1e-3)
  }

  @Test(
    "However far a kernel has learned, its weights are no further apart than the contrast allows")
  func contrast() {
    for contrast: Float in [0, 0.5, 2] {
      var random = RandomStream(seed: 3, name: "convolution")
      let layer = AlgebraConvolution(
        turns, window: AlgebraWindow([3]), layer: network(), nodes: 16, contrast: contrast,
        using: &random)
      for (_, parameter) in layer.kernel.parameters {
        parameter.value = .normal(parameter.value.shape, using: &random) * 20
      }
      let weights = layer.weights(of: layer.tangents(on: .inference()), on: .inference()).value
        .elements
      let (low, high) = (weights.min() ?? 0, weights.max() ?? 0)
      // From −c to c; rounding.
      #expect(high <= low * exp(2 * contrast) * 1.0001)
      #expect(contrast == 0 ? low == 1 / 16 && high == 1 / 16 : high > 1.2 * low)
      #expect(abs(weights.reduce(0, +) - 1) < 1e-5)
    }
  }

  @Test("Drawn tangent vectors have the integral as their mean") func unbiased() throws {
    let x = images(1)
    let layer = convolution([0.8], isMean: false, sampling: .monteCarlo)
    // A kernel that is not constant.
    var random = RandomStream(seed: 9, name: "kernel")
    for (_, parameter) in layer.kernel.parameters {
      parameter.value = .normal(parameter.value.shape, using: &random)
    }
    let fine = convolution([0.8], nodes: 256, isMean: false, layer: layer.layer)
    for ((_, to), (_, from)) in zip(fine.kernel.parameters, layer.kernel.parameters) {
      to.value = from.value
    }
    let integral = fine.predict(x).elements.map { Double($0) }
    let count = 2000
    var (sum, squares) = ([0.0, 0, 0], [0.0, 0, 0])
    for n in 0..<count {
      let tape = Tape.training(random: RandomStream(seed: UInt64(n), name: "draw"))
      for (i, value) in layer(Variable(x), on: tape).value.elements.enumerated() {
        sum[i] += Double(value)
        squares[i] += Double(value) * Double(value)
      }
    }
    for i in 0..<3 {
      let mean = sum[i] / Double(count)
      let error = ((squares[i] / Double(count) - mean * mean) / Double(count)).squareRoot()
      #expect(
        error > 0 && abs(mean - integral[i]) < 4 * error, "\(mean) ± \(error), \(integral[i])")
    }
    // The same seed draws the same.
    let draws = (0..<2).map { _ in
      layer(Variable(x), on: .training(random: RandomStream(seed: 5, name: "draw"))).value
    }
    #expect(draws[0] == draws[1])
  }

  @Test("An element that no exponential reaches is reached through the learned map") func missed()
    throws
  {
    let group = PlanarAffine.special
    // Of determinant 1 and trace −2.5: an exponential of SL(2, ℝ) has a trace of −2 at least.
    let target = AffineMap(matrix: [-2, 0, 0, -0.5])
    var random = RandomStream(seed: 1, name: "search")
    let nearest =
      AlgebraWindow([4, 2, 2]).samples(4000, using: &random).map { a -> Double in
        let g = group.exp(a)
        #expect(g.matrix[0] + g.matrix[3] > -2 - 1e-9)
        return zip(g.matrix, target.matrix).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
      }.min() ?? 0
    // |tr(g) − tr(m)| ≤ √2 |g − m|, so that none is nearer than 0.5/√2.
    #expect(nearest >= 0.125)
    let layer = convolution(
      [0.1, 0.1, 0.1], of: group, nodes: 1, layer: Function { $0.reshaped([$0.shape[0], -1]) })
    var learner = Learner(
      layer.parameters.map(\.parameter).filter { $0.value.shape.count > 0 }, rule: AdamW())
    let goal = Variable(Tensor(target.matrix.map { Float($0) } + [0, 0], shape: [1, 6]))
    #expect(layer.predict(images(1)).reshaped([1, 8, 8, 1]) == images(1))
    for step in 0..<400 {
      let tape = Tape.training(random: RandomStream(seed: 0, name: "\(step)"))
      let loss = (layer.maps(of: layer.tangents(on: tape), on: tape) - goal).squared().sum()
      // The kernel is not of it.
      learner.step(
        down: loss + layer.weights(of: [[0, 0, 0]], on: tape).sum() * 0, on: tape, rate: 0.02)
    }
    let reached = layer.predict(images(1)).reshaped([1, 8, 8, 1])
    let wanted = images(1).warped(by: [SamplingMap(matrix: target.matrix, offset: [0, 0])])
    #expect(largestDifference(reached, wanted) < 1e-2)
  }

  @Test("Gradients by kernel, map and layer are those of central differences") func gradients()
    throws
  {
    let layer = convolution([0.5, 0.2, 0.2], of: .rigidMotions, nodes: 2)
    let x = images(2)
    var random = RandomStream(seed: 4, name: "weights")
    for (_, parameter) in layer.parameters {
      parameter.value = parameter.value + .normal(parameter.value.shape, using: &random) * 0.1
    }
    func value(_ tape: Tape) -> Variable { layer(Variable(x), on: tape).squared().sum() }
    let tape = Tape.training(random: RandomStream(seed: 0, name: "gradient"))
    let gradients = Gradients(of: value(tape))
    for (name, parameter) in layer.parameters {
      let direction = Tensor.normal(parameter.value.shape, using: &random)
      let found = try #require(tape.leaf(of: parameter).flatMap { gradients[$0] })
      let plain = parameter.value
      func at(_ step: Float) -> Double {
        parameter.value = plain + direction * step
        defer { parameter.value = plain }
        return Double(value(.inference()).value.scalar)
      }
      let difference = (at(2e-3) - at(-2e-3)) / 4e-3
      let along = Double((found * direction).sum().scalar)
      // Bilinear samples and ReLU have kinks: a step crosses few of them.
      #expect(
        abs(along - difference) < 0.03 * max(1, abs(difference)), "\(name): \(along), \(difference)"
      )
    }
  }
}
