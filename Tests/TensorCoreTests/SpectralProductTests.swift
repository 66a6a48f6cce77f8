import TensorCore
import Testing

/// Products in another basis, beside sums in `Double`.
@Suite("Spectral products")
struct SpectralProductTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let order, inputs, channels, rows: Int
    var testDescription: String { "order \(order), \(inputs) → \(channels), \(rows) rows" }
  }
  /// Whole vectors of every instruction set and parts of them, several lots of rows and parts of one, several pieces.
  private static let cases = [
    Case(order: 2, inputs: 1, channels: 1, rows: 1),
    Case(order: 4, inputs: 3, channels: 5, rows: 7),
    Case(order: 6, inputs: 8, channels: 16, rows: 30),
    Case(order: 8, inputs: 16, channels: 16, rows: 200),
    Case(order: 10, inputs: 33, channels: 20, rows: 90),
    Case(order: 12, inputs: 40, channels: 9, rows: 85),
    Case(order: 64, inputs: 4, channels: 32, rows: 700),
    Case(order: 4, inputs: 16, channels: 16, rows: 3300),
  ]

  private func random(_ shape: Shape, _ name: String) -> Tensor {
    var stream = RandomStream(seed: 3, name: name)
    return .uniform(shape, from: -1, to: 1, using: &stream)
  }

  /// A matrix of any numbers: that it is orthogonal matters to its meaning alone.
  private func operands(_ c: Case) -> (product: SpectralProduct, blocks: Tensor, x: Tensor) {
    (
      SpectralProduct(random([c.order, c.order], "matrix") * (2 / Float(c.order).squareRoot())),
      random([c.order / 2, 2 * c.inputs, 2 * c.channels], "blocks"),
      random([c.rows, c.order * c.inputs], "x")
    )
  }

  /// Fᵀ B F x of a row, in `Double`.
  private func reference(_ c: Case, _ matrix: [Float], _ blocks: [Float], _ x: ArraySlice<Float>)
    -> [Double]
  {
    let (n, start) = (c.order, x.startIndex)
    var (middle, result) = (
      [Double](repeating: 0, count: n * c.channels), [Double](repeating: 0, count: n * c.channels)
    )
    for k in 0..<n {
      for i in 0..<c.inputs {
        let transformed = (0..<n).reduce(0.0) {
          $0 + Double(matrix[k * n + $1]) * Double(x[start + $1 * c.inputs + i])
        }
        let row = (k / 2 * 2 * c.inputs + k % 2 * c.inputs + i) * 2 * c.channels
        for o in 0..<2 * c.channels {
          middle[k / 2 * 2 * c.channels + o] += transformed * Double(blocks[row + o])
        }
      }
    }
    for k in 0..<n {
      for r in 0..<n {
        for o in 0..<c.channels {
          result[r * c.channels + o] += Double(matrix[k * n + r]) * middle[k * c.channels + o]
        }
      }
    }
    return result
  }

  @Test("The sum in Double, with a bias, clamped and not", arguments: cases)
  func value(_ c: Case) {
    let (product, blocks, x) = operands(c)
    let bias = random([c.order * c.channels], "bias")
    let (plain, clamped) = (product(x, blocks), product(x, blocks, bias: bias, relu: true))
    let (m, b, numbers) = (product.matrix.elements, blocks.elements, x.elements)
    let (found, foundClamped, shift) = (plain.elements, clamped.elements, bias.elements)
    let depth = c.order * c.inputs
    // Three sums one after the other, of `order`, 2 · `inputs` and `order` products.
    let tolerance = Double(2 * c.order + 2 * c.inputs) * 6e-8
    for row in Set([0, c.rows / 2, c.rows - 1]) {
      let expected = reference(c, m, b, numbers[row * depth..<(row + 1) * depth])
      let size = expected.map(abs).max() ?? 0
      for (n, value) in expected.enumerated() {
        let place = row * expected.count + n
        #expect(abs(Double(found[place]) - value) <= tolerance * max(1, size))
        let shifted = max(0, value + Double(shift[n]))
        #expect(abs(Double(foundClamped[place]) - shifted) <= tolerance * max(1, size))
      }
    }
  }

  @Test(
    "Gradients are adjoints: ⟨y, P x⟩ = ⟨P* y, x⟩, and the same of the blocks", arguments: cases)
  func gradients(_ c: Case) {
    let (product, blocks, x) = operands(c)
    let dy = random([c.rows, c.order * c.channels], "dy")
    func inner(_ a: Tensor, _ b: Tensor) -> Double {
      zip(a.elements, b.elements).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }
    let value = product(x, blocks)
    let left = inner(dy, value)
    let byInput = product.inputGradient(dy, blocks)
    let byBlocks = product.blocksGradient(dy, input: x, blocks: blocks.shape)
    #expect(byInput.shape == x.shape && byBlocks.shape == blocks.shape)
    // Beside what the sum would be if all its terms had one sign.
    let size = (inner(dy, dy) * inner(value, value)).squareRoot()
    #expect(size > 0.1)
    #expect(abs(inner(byInput, x) - left) < 1e-6 * size)
    #expect(abs(inner(byBlocks, blocks) - left) < 1e-6 * size)
  }

  @Test("The mean over positions is that of what is made at each", arguments: cases)
  func mean(_ c: Case) {
    let (product, blocks, x) = operands(c)
    let bias = random([c.order * c.channels], "bias")
    let batch = Tensor.concatenated([x, x * -0.5]).reshaped([2, c.rows, c.order * c.inputs])
    let found = product.mean(batch, blocks, bias: bias, relu: true)
    let whole = product(batch, blocks, bias: bias, relu: true)
    #expect(found.shape == [2, c.order * c.channels])
    // Sums of `rows` numbers of one sign, in two orders.
    let most = 2 * Float(c.rows) * .ulpOfOne
    for (a, b) in zip(found.elements, whole.mean([1]).elements) { #expect(abs(a - b) <= most * b) }
    // Of one image alone the same, bit for bit.
    #expect(
      product.mean(batch.sliced(1..<2), blocks, bias: bias, relu: true) == found.sliced(1..<2))
    #expect(product.mean(batch.sliced(0..<0), blocks).shape == [0, c.order * c.channels])
  }

  @Test("Views are read as what they show")
  func views() {
    let c = Case(order: 4, inputs: 3, channels: 2, rows: 6)
    let (product, blocks, x) = operands(c)
    let turned = x.transposed().contiguous.transposed()
    #expect(!turned.isContiguous)
    #expect(product(turned, blocks).elements == product(x, blocks).elements)
    let y = product(x, blocks)
    let other = y.transposed().contiguous.transposed()
    #expect(
      product.blocksGradient(other, input: turned, blocks: blocks.shape).elements
        == product.blocksGradient(y, input: x, blocks: blocks.shape).elements)
  }

  @Test("A row's result does not depend on the others, nor on the threads", arguments: cases)
  func rows(_ c: Case) {
    let (product, blocks, x) = operands(c)
    let all = product(x, blocks)
    for row in Set([0, c.rows / 3, c.rows - 1]) {
      #expect(
        product(x.sliced(row..<row + 1), blocks).elements == all.sliced(row..<row + 1).elements)
    }
    let dy = all
    func results(_ threads: Int) -> [[Float]] {
      let before = Parallel.threadCount
      Parallel.threadCount = threads
      defer { Parallel.threadCount = before }
      return [
        product(x, blocks).elements,
        product.blocksGradient(dy, input: x, blocks: blocks.shape).elements,
      ]
    }
    #expect(results(1) == results(3))
  }

  @Test("Of no rows there is no result, and no gradient")
  func none() {
    let product = SpectralProduct(random([4, 4], "matrix"))
    let blocks = random([2, 6, 4], "blocks")
    #expect(product(.zeros([0, 12]), blocks).shape == [0, 8])
    let gradient = product.blocksGradient(
      .zeros([0, 8]), input: .zeros([0, 12]), blocks: [2, 6, 4])
    #expect(gradient.elements == [Float](repeating: 0, count: 48))
  }
}
