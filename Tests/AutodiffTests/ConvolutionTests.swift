import Autodiff
import TensorCore
import TestSupport
import Testing

struct ConvolutionCase: Sendable, CustomTestStringConvertible {
  let batch = 2
  var height, width, inputs, outputs, kernel: Int
  var geometry = ConvolutionGeometry()
  var testDescription: String {
    "\(batch)×\(height)×\(width)×\(inputs) → \(outputs), \(kernel)×\(kernel), \(geometry)"
  }
}

@Suite struct ConvolutionTests {
  static let cases = [
    ConvolutionCase(height: 1, width: 1, inputs: 1, outputs: 1, kernel: 1),
    ConvolutionCase(height: 5, width: 4, inputs: 3, outputs: 2, kernel: 3),
    ConvolutionCase(
      height: 6, width: 7, inputs: 2, outputs: 17, kernel: 3, geometry: .init(padding: 1)),
    ConvolutionCase(
      height: 8, width: 8, inputs: 1, outputs: 33, kernel: 5, geometry: .init(stride: 2, padding: 1)
    ),
    ConvolutionCase(
      height: 7, width: 9, inputs: 2, outputs: 3, kernel: 3, geometry: .init(stride: 3)),
    ConvolutionCase(
      height: 9, width: 8, inputs: 2, outputs: 3, kernel: 3,
      geometry: .init(padding: 2, dilation: 2)),
    ConvolutionCase(
      height: 9, width: 9, inputs: 2, outputs: 2, kernel: 3,
      geometry: .init(stride: 2, padding: 1, dilation: 3)),
    ConvolutionCase(
      height: 5, width: 5, inputs: 4, outputs: 6, kernel: 3, geometry: .init(padding: 1, groups: 2)),
    ConvolutionCase(
      height: 4, width: 4, inputs: 3, outputs: 3, kernel: 2, geometry: .init(groups: 3)),
    ConvolutionCase(
      height: 3, width: 3, inputs: 2, outputs: 2, kernel: 2, geometry: .init(stride: 4, padding: 1)),
    ConvolutionCase(
      height: 2, width: 3, inputs: 1, outputs: 2, kernel: 2, geometry: .init(padding: 3)),
    ConvolutionCase(
      height: 6, width: 5, inputs: 8, outputs: 9, kernel: 3, geometry: .init(padding: 1)),
    // From eight input channels on, the input gradient falls into phases.
    ConvolutionCase(
      height: 3, width: 5, inputs: 8, outputs: 3, kernel: 2, geometry: .init(stride: 2)),
    ConvolutionCase(height: 4, width: 3, inputs: 9, outputs: 2, kernel: 1),
    ConvolutionCase(
      height: 8, width: 7, inputs: 8, outputs: 3, kernel: 5, geometry: .init(stride: 2, padding: 1)),
    ConvolutionCase(
      height: 9, width: 9, inputs: 8, outputs: 2, kernel: 3,
      geometry: .init(stride: 2, padding: 1, dilation: 3)),
    ConvolutionCase(
      height: 8, width: 7, inputs: 2, outputs: 3, kernel: 5, geometry: .init(padding: 2)),
    // A kernel of its own for each channel.
    ConvolutionCase(
      height: 5, width: 9, inputs: 37, outputs: 37, kernel: 3,
      geometry: .init(padding: 1, groups: 37)),
    ConvolutionCase(
      height: 11, width: 7, inputs: 16, outputs: 16, kernel: 5,
      geometry: .init(stride: 2, padding: 2, groups: 16)),
    ConvolutionCase(
      height: 9, width: 10, inputs: 5, outputs: 5, kernel: 3,
      geometry: .init(padding: 2, dilation: 2, groups: 5)),
  ]

  /// The definition, in loops.
  static func reference(_ c: ConvolutionCase, _ x: [Double], _ w: [Double], _ b: [Double])
    -> [Double]
  {
    let g = c.geometry
    let oh = g.outputExtent(c.height, kernel: c.kernel),
      ow = g.outputExtent(c.width, kernel: c.kernel)
    let (perIn, perOut) = (c.inputs / g.groups, c.outputs / g.groups)
    var y: [Double] = []
    for n in 0..<c.batch {
      for i in 0..<oh {
        for j in 0..<ow {
          for o in 0..<c.outputs {
            var sum = b[o]
            for u in 0..<c.kernel {
              for v in 0..<c.kernel {
                let (r, q) = (
                  i * g.stride + u * g.dilation - g.padding,
                  j * g.stride + v * g.dilation - g.padding
                )
                guard 0..<c.height ~= r, 0..<c.width ~= q else { continue }
                for k in 0..<perIn {
                  let input = ((n * c.height + r) * c.width + q) * c.inputs + o / perOut * perIn + k
                  sum += x[input] * w[((u * c.kernel + v) * perIn + k) * c.outputs + o]
                }
              }
            }
            y.append(sum)
          }
        }
      }
    }
    return y
  }

  @Test("Value and all gradients agree with the definition in Double", arguments: cases)
  func agreesWithDefinition(c: ConvolutionCase) {
    var random = RandomStream(seed: 2, name: "convolution")
    let x = Tensor.uniform([c.batch, c.height, c.width, c.inputs], from: -1, to: 1, using: &random)
    let w = Tensor.uniform(
      [c.kernel, c.kernel, c.inputs / c.geometry.groups, c.outputs], from: -1, to: 1, using: &random
    )
    let b = Tensor.uniform([c.outputs], from: -1, to: 1, using: &random)
    let deviation = OperationDeviation(of: [x, w, b]) { v in
      v[0].convolved(with: v[1], bias: v[2], c.geometry)
    } reference: { v in
      ConvolutionTests.reference(c, v[0], v[1], v[2])
    }
    // At most a few hundred products per sum, each rounded to 2⁻²⁴.
    #expect(deviation.value < 1e-5)
    #expect(deviation.gradient < 1e-5)
  }

  static let tiled = [
    ConvolutionCase(height: 4, width: 4, inputs: 1, outputs: 1, kernel: 3),
    ConvolutionCase(height: 3, width: 3, inputs: 3, outputs: 2, kernel: 3),
    ConvolutionCase(
      height: 7, width: 14, inputs: 17, outputs: 33, kernel: 3, geometry: .init(padding: 1)),
    ConvolutionCase(
      height: 28, width: 9, inputs: 16, outputs: 16, kernel: 3, geometry: .init(padding: 2)),
    ConvolutionCase(
      height: 61, width: 70, inputs: 20, outputs: 5, kernel: 3, geometry: .init(padding: 1)),
  ]

  @Test(
    "A number that is none stays none through every fused rectifier (correctness 8)",
    arguments: [1, 3, 8, 19])
  func notNumbers(outputs: Int) {
    let x = Tensor(repeating: .nan, shape: [1, 12, 12, 8])
    let g = ConvolutionGeometry(padding: 1)
    let w = Tensor(repeating: 1, shape: [3, 3, 8, outputs])
    for algorithm in ConvolutionAlgorithm.allCases {
      let y = x.convolved(with: w, bias: nil, activation: .relu, g, algorithm: algorithm)
      let numbers = y.elements
      #expect(numbers.allSatisfy { $0.isNaN }, "\(algorithm)")
    }
    let ones = Tensor(repeating: 1, shape: [1, 12, 12, 8])
    let own = Tensor.ones([3, 3, 1, 8])
    let alone = x.convolved(
      with: own, activation: .relu, ConvolutionGeometry(padding: 1, groups: 8))
    #expect(alone.elements.allSatisfy { $0.isNaN })
    let below = ones.convolved(with: w * -1, bias: nil, activation: .relu, g)
    #expect(below.elements.allSatisfy { $0 == 0 })
    let scale = [Float](repeating: 1, count: 8)
    let fused = x.scaled(by: scale, shift: scale, relu: true).elements
    #expect(fused.allSatisfy { $0.isNaN })
    let plain = x.relu().elements
    #expect(plain.allSatisfy { $0.isNaN })
  }

  @Test(
    "Winograd's algorithm agrees with the direct sum, value and gradients", arguments: tiled,
    [ConvolutionAlgorithm.winograd4, .winograd7])
  func winograd(c: ConvolutionCase, algorithm: ConvolutionAlgorithm) {
    var random = RandomStream(seed: 5, name: "winograd")
    let x = Tensor.uniform([5, c.height, c.width, c.inputs], from: -1, to: 1, using: &random)
    let w = Tensor.uniform([3, 3, c.inputs, c.outputs], from: -1, to: 1, using: &random)
    let b = Tensor.uniform([c.outputs], from: -1, to: 1, using: &random)
    let g = c.geometry
    func results(_ algorithm: ConvolutionAlgorithm) -> [Tensor] {
      let y = x.convolved(with: w, bias: b, activation: .relu, g, algorithm: algorithm)
      return [
        y, y.convolutionInputGradient(weight: w, inputShape: x.shape, g, algorithm: algorithm),
        y.convolutionWeightGradient(input: x, weightShape: w.shape, g, algorithm: algorithm),
      ]
    }
    // Both round sums of up to a few thousand products; measured 2e-6 of the largest value, and 3e-5.
    let tolerance: Float = algorithm == .winograd4 ? 1e-5 : 1e-4
    for (direct, winograd) in zip(results(.direct), results(algorithm)) {
      #expect(
        largestDifference(direct, winograd)
          < tolerance * largestDifference(direct, .zeros(direct.shape)))
    }
  }

  @Test(
    "The rounding error is what is said of it",
    arguments: zip(ConvolutionAlgorithm.allCases, [6e-7, 1.2e-6, 1.2e-5]))
  func error(algorithm: ConvolutionAlgorithm, most: Double) {
    var random = RandomStream(seed: 9, name: "error")
    let c = ConvolutionCase(
      height: 14, width: 14, inputs: 64, outputs: 16, kernel: 3,
      geometry: .init(padding: 1))
    let x = Tensor.uniform([c.batch, 14, 14, 64], from: -1, to: 1, using: &random)
    let w = Tensor.uniform([3, 3, 64, 16], from: -1, to: 1, using: &random)
    let exact = Self.reference(
      c, x.elements.map(Double.init), w.elements.map(Double.init), .init(repeating: 0, count: 16))
    let found = x.convolved(with: w, c.geometry, algorithm: algorithm).elements
    let square = zip(found, exact).reduce(0.0) {
      $0 + ($1.1 - Double($1.0)) * ($1.1 - Double($1.0))
    }
    let relative = (square / exact.reduce(0.0) { $0 + $1 * $1 }).squareRoot()
    // Nothing is exact in float, and no algorithm is used under another's name.
    #expect((most / 6)...most ~= relative, "\(relative)")
  }

  @Test(
    "Tiles of 7 × 7 are for images that fewer than a third as many of them cover, and few channels",
    arguments: [
      (7, 16, .winograd7), (14, 16, .winograd7), (25, 16, .winograd7), (28, 16, .winograd7),
      (8, 16, .winograd4), (24, 16, .winograd4), (14, 130, .winograd4), (14, 4, .direct),
    ] as [(Int, Int, ConvolutionAlgorithm)])
  func tiles(side: Int, channels: Int, expected: ConvolutionAlgorithm) {
    var random = RandomStream(seed: 10, name: "tiles")
    let x = Tensor.uniform([1, side, side, channels], from: -1, to: 1, using: &random)
    let w = Tensor.uniform([3, 3, channels, channels], from: -1, to: 1, using: &random)
    let g = ConvolutionGeometry(padding: 1)
    let chosen = x.convolved(with: w, g)
    for algorithm in ConvolutionAlgorithm.allCases {
      #expect(
        (x.convolved(with: w, g, algorithm: algorithm) == chosen) == (algorithm == expected))
    }
  }

  @Test(
    "Winograd's outputs in parts, as for one small image, are those of the direct sum",
    arguments: [(7, 70), (7, 32), (12, 97), (30, 40)],
    [ConvolutionAlgorithm.winograd4, .winograd7])
  func winogradInParts(size: (side: Int, outputs: Int), algorithm: ConvolutionAlgorithm) {
    let (side, outputs) = size
    var random = RandomStream(seed: 8, name: "parts")
    let x = Tensor.uniform([1, side, side, 16], from: -1, to: 1, using: &random)
    let w = Tensor.uniform([3, 3, 16, outputs], from: -1, to: 1, using: &random)
    let b = Tensor.uniform([outputs], from: -9, to: 9, using: &random)
    let g = ConvolutionGeometry(padding: 1)
    func result(_ algorithm: ConvolutionAlgorithm) -> Tensor {
      x.convolved(with: w, bias: b, activation: .relu, g, algorithm: algorithm)
    }
    #expect(
      largestDifference(result(.direct), result(algorithm))
        < (algorithm == .winograd4 ? 2e-5 : 5e-4))
  }

  @Test(
    "An image's result does not depend on the rest of its batch, bit for bit",
    arguments: ConvolutionAlgorithm.allCases)
  func independentOfBatch(algorithm: ConvolutionAlgorithm) {
    var random = RandomStream(seed: 3, name: "batch")
    let x = Tensor.uniform([37, 6, 5, 16], from: -1, to: 1, using: &random)
    let w = Tensor.uniform([3, 3, 16, 20], from: -1, to: 1, using: &random)
    let all = x.convolved(with: w, ConvolutionGeometry(padding: 1), algorithm: algorithm)
    for n in [0, 11, 36] {
      #expect(
        x.sliced(n..<n + 1)
          .convolved(with: w, ConvolutionGeometry(padding: 1), algorithm: algorithm)
          == all.sliced(n..<n + 1))
    }
  }

  @Test("A convolution made ready beforehand is the same, bit for bit", arguments: [3, 16])
  func prepared(inputs: Int) {
    var random = RandomStream(seed: 6, name: "prepared")
    let w = Tensor.uniform([3, 3, inputs, 20], from: -1, to: 1, using: &random)
    let b = Tensor.uniform([20], using: &random)
    let g = ConvolutionGeometry(padding: 1)
    let prepared = PreparedConvolution(w, bias: b, activation: .relu, g)
    // Sizes of which each algorithm takes its turn.
    for (height, width) in [(9, 7), (14, 14), (9, 7), (0, 4)] {
      let x = Tensor.uniform([3, height, width, inputs], from: -1, to: 1, using: &random)
      #expect(prepared(x) == x.convolved(with: w, bias: b, activation: .relu, g))
    }
  }

  @Test(
    "The first image of a kernel made ready, for which no matrices are kept, is that of many, bit for bit",
    arguments: [(14, 64, 128), (28, 16, 40), (7, 8, 9), (12, 24, 33)])
  func firstImage(side: Int, inputs: Int, outputs: Int) {
    var random = RandomStream(seed: 12, name: "first")
    let w = Tensor.uniform([3, 3, inputs, outputs], from: -1, to: 1, using: &random)
    let b = Tensor.uniform([outputs], from: -1, to: 1, using: &random)
    let x = Tensor.uniform([40, side, side, inputs], from: -1, to: 1, using: &random)
    let other = Tensor.uniform([40, side, side, outputs], from: -1, to: 1, using: &random)
    let g = ConvolutionGeometry(padding: 1)
    let all = PreparedConvolution(w, bias: b, activation: .relu, g)(x, adding: other)
    let prepared = PreparedConvolution(w, bias: b, activation: .relu, g)
    for n in 0..<3 {
      let one = prepared(x.sliced(n..<n + 1), adding: other.sliced(n..<n + 1))
      #expect(one == all.sliced(n..<n + 1))
    }
    #expect(
      x.sliced(0..<1).convolved(with: w, bias: b, g)
        == PreparedConvolution(w, bias: b, g)(x).sliced(0..<1))
  }

  @Test(
    "A product to which nothing is added is that with a bias of zeros, bit for bit",
    arguments: [(1, 64, 32), (5, 32, 48), (13, 4, 16), (29, 33, 40), (100, 128, 7), (15, 8, 20)])
  func plainProducts(rows: Int, depth: Int, outputs: Int) {
    var random = RandomStream(seed: 11, name: "plain")
    let x = Tensor.uniform([1, rows, 1, depth], from: -1, to: 1, using: &random)
    let w = Tensor.uniform([1, 1, depth, outputs], from: -1, to: 1, using: &random)
    let zeros = Tensor.zeros([outputs])
    #expect(x.convolved(with: w) == x.convolved(with: w, bias: zeros))
    #expect(PreparedConvolution(w)(x) == PreparedConvolution(w, bias: zeros)(x))
  }

  @Test(
    "A long sum in parts is the sum in one, bit for bit, however rows and outputs are dealt out",
    arguments: [(200, 2100, 40), (61, 2100, 3), (500, 700, 97), (1, 3000, 200), (48, 300, 33)])
  func longSums(rows: Int, depth: Int, outputs: Int) {
    var random = RandomStream(seed: 9, name: "long")
    let x = Tensor.uniform([1, rows, 1, depth], from: -1, to: 1, using: &random)
    let w = Tensor.uniform([1, 1, depth, outputs], from: -1, to: 1, using: &random)
    let b = Tensor.uniform([outputs], from: -1, to: 1, using: &random)
    let whole = PreparedConvolution(w, bias: b, activation: .relu)(x)
    #expect(whole == x.convolved(with: w, bias: b, activation: .relu))
    // Of one row the sum is in one part.
    for row in [0, rows / 2, rows - 1] {
      let alone = x.sliced(row..<row + 1, axis: 1).contiguous
      #expect(
        alone.convolved(with: w, bias: b, activation: .relu)
          == whole.sliced(row..<row + 1, axis: 1))
    }
    let (xs, ws, bs) = (x.elements, w.elements, b.elements)
    let expected = (0..<outputs).map { o in
      (0..<depth).reduce(Double(bs[o])) { $0 + Double(xs[$1]) * Double(ws[$1 * outputs + o]) }
    }
    for (a, e) in zip(whole.elements, expected) { #expect(abs(Double(a) - max(0, e)) < 1e-4) }
  }

  @Test("What is kept of one size of images is not used for another")
  func keptTables() {
    var random = RandomStream(seed: 10, name: "kept")
    let w = Tensor.uniform([3, 3, 3, 20], from: -1, to: 1, using: &random)
    let (b, g) = (Tensor.uniform([20], using: &random), ConvolutionGeometry(stride: 2, padding: 1))
    let prepared = PreparedConvolution(w, bias: b, g)
    for (batch, height, width) in [
      (1, 9, 7), (1, 7, 9), (40, 7, 9), (3, 9, 7), (1, 9, 7), (17, 5, 5),
    ] {
      // Colors that lie apart, as files have them.
      let apart = Tensor.uniform([batch, 3, height, width], from: -1, to: 1, using: &random)
      let x = apart.permuted([0, 2, 3, 1])
      #expect(prepared(x) == x.contiguous.convolved(with: w, bias: b, g))
      for n in [0, batch - 1] {
        #expect(
          prepared(x).sliced(n..<n + 1) == x.sliced(n..<n + 1).convolved(with: w, bias: b, g))
      }
    }
  }

  @Test("The moments taken on the way are those of the result", arguments: [2, 16], [7, 61])
  func moments(inputs: Int, side: Int) {
    var random = RandomStream(seed: 7, name: "moments")
    let x = Tensor.uniform([3, side, side, inputs], from: -1, to: 1, using: &random)
    let w = Tensor.uniform([3, 3, inputs, 21], from: -1, to: 1, using: &random)
    let b = Tensor.uniform([21], from: 10, to: 20, using: &random)
    let (y, found) = x.convolvedWithMoments(with: w, bias: b)
    #expect(y == x.convolved(with: w, bias: b))
    let expected = y.channelMoments()
    #expect(deviation(found.mean, expected.mean) < 1e-6)
    #expect(deviation(found.variance, expected.variance) < 1e-5)
  }

  @Test("The clamp's gradient is zero where the result is") func fusedReluGradient() {
    var random = RandomStream(seed: 8, name: "relu")
    let inputs = [[2, 5, 4, 3], [3, 3, 3, 4], [4]].map {
      Variable(
        Tensor.uniform(Shape($0), from: -1, to: 1, using: &random), requiresGradient: true)
    }
    func gradients(_ y: Variable) -> [Tensor?] {
      let found = Gradients(of: y, weights: Tensor.ones(y.shape) * 2)
      return inputs.map { found[$0] }
    }
    let fused = gradients(inputs[0].convolved(with: inputs[1], bias: inputs[2], relu: true))
    let separate = gradients(inputs[0].convolved(with: inputs[1], bias: inputs[2]).relu())
    #expect(fused == separate && fused.allSatisfy { $0 != nil })
  }

  @Test("The clamp in the same pass is a ReLU after it") func fusedRelu() {
    var random = RandomStream(seed: 4, name: "relu")
    let x = Tensor.uniform([2, 6, 6, 3], from: -1, to: 1, using: &random)
    let w = Tensor.uniform([3, 3, 3, 18], from: -1, to: 1, using: &random)
    #expect(x.convolved(with: w, activation: .relu) == x.convolved(with: w).relu())
  }
}
