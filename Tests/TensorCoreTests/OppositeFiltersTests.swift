import TensorCore
import Testing

/// Convolutions by filters and their opposites, beside those by each filter on its own.
@Suite("Opposite filters")
struct OppositeFiltersTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let kernel, channels, blocks, half, batch: Int
    let height, width: Int
    var testDescription: String {
      "\(kernel) × \(kernel), \(channels) → \(blocks) × 2 × \(half), \(batch) × \(height) × \(width)"
    }
  }
  /// Kernels with and without a middle, tiles of every size, several pieces of a loop, no pixel and no image.
  private static let cases =
    (1...13).map {
      Case(kernel: 5, channels: 1, blocks: 1, half: 32, batch: 2, height: 6, width: $0 + 4)
    } + [
      Case(kernel: 1, channels: 2, blocks: 1, half: 32, batch: 1, height: 3, width: 4),
      Case(kernel: 2, channels: 1, blocks: 2, half: 32, batch: 3, height: 5, width: 9),
      Case(kernel: 3, channels: 3, blocks: 2, half: 64, batch: 2, height: 9, width: 19),
      Case(kernel: 4, channels: 4, blocks: 1, half: 32, batch: 1, height: 12, width: 8),
      Case(kernel: 5, channels: 1, blocks: 1, half: 64, batch: 6, height: 28, width: 28),
      Case(kernel: 7, channels: 2, blocks: 3, half: 32, batch: 1, height: 20, width: 31),
      Case(kernel: 5, channels: 1, blocks: 1, half: 32, batch: 2, height: 4, width: 9),
      Case(kernel: 3, channels: 1, blocks: 1, half: 32, batch: 0, height: 4, width: 9),
      Case(kernel: 5, channels: 1, blocks: 1, half: 32, batch: 2, height: 9, width: 4),
    ]

  private func random(_ shape: Shape, _ name: String) -> Tensor {
    var stream = RandomStream(seed: 5, name: name)
    return .uniform(shape, from: -1, to: 1, using: &stream)
  }

  /// Turned by half a turn, in its plane: `[height, width, …]`.
  private func turned(_ plane: Tensor) -> Tensor {
    let (height, width) = (plane.shape[0], plane.shape[1])
    let rest = Array(plane.shape.extents.dropFirst(2))
    let flat = plane.reshaped([height * width] + rest)
    let rows = (0..<height * width).reversed().map { flat.sliced($0..<$0 + 1) }
    return rows.isEmpty ? plane : Tensor.concatenated(rows).reshaped([height, width] + rest)
  }

  /// Filters with their opposites, the images, and a bias.
  private func operands(_ c: Case) -> (weight: Tensor, x: Tensor, bias: Tensor) {
    let one = random([c.kernel, c.kernel, c.channels, c.blocks, 1, c.half], "weight")
    return (
      Tensor.concatenated([one, turned(one)], axis: 4)
        .reshaped([c.kernel, c.kernel, c.channels, 2 * c.blocks * c.half]),
      random([c.batch, c.height, c.width, c.channels], "images"),
      random([2 * c.blocks * c.half], "bias")
    )
  }

  @Test("The convolution is that by each filter", arguments: cases)
  func values(_ c: Case) throws {
    let (weight, x, bias) = operands(c)
    let filters = try #require(OppositeFilters(weight, blocks: c.blocks))
    for (bias, relu) in [(nil, false), (bias, true)] as [(Tensor?, Bool)] {
      let found = filters.convolved(x, bias: bias, relu: relu)
      let expected = x.convolved(with: weight, bias: bias, activation: relu ? .relu : nil)
      #expect(found.shape == expected.shape)
      // Both sums, of n products and a bias, are off by (n + 1) ε times the sum of magnitudes at most; the halves of a pair are
      // rounded first, three times, and are twice as large together.
      let magnitudes = x.absolute().convolved(with: weight.absolute(), bias: bias?.absolute())
      let count = Float(c.kernel * c.kernel * c.channels + 4)
      for ((a, b), most) in zip(zip(found.elements, expected.elements), magnitudes.elements) {
        #expect(abs(a - b) <= 3 * count * .ulpOfOne * most)
      }
    }
  }

  @Test(
    "An image turned by half a turn exchanges filters and opposites, bit for bit", arguments: cases)
  func turnedImage(_ c: Case) throws {
    let (weight, x, _) = operands(c)
    let filters = try #require(OppositeFilters(weight, blocks: c.blocks))
    for n in 0..<c.batch where min(c.height, c.width) >= c.kernel {
      let plain = filters.convolved(x.sliced(n..<n + 1))[0]
      let other = filters.convolved(turned(x[n]).reshaped([1] + x[n].shape.extents))[0]
      let (height, width) = (plain.shape[0], plain.shape[1])
      let split = turned(other).reshaped([height, width, c.blocks, 2, c.half])
      let exchanged = Tensor.concatenated(
        [split.sliced(1..<2, axis: 3), split.sliced(0..<1, axis: 3)], axis: 3)
      #expect(exchanged.elements == plain.elements)
    }
  }

  @Test("The result of an image does not depend on the others") func independent() throws {
    let c = Self.cases[17]
    let (weight, x, bias) = operands(c)
    let filters = try #require(OppositeFilters(weight))
    let together = filters.convolved(x, bias: bias, relu: true)
    for n in 0..<c.batch {
      let alone = filters.convolved(x.sliced(n..<n + 1), bias: bias, relu: true)
      #expect(alone.elements == together[n].elements)
    }
  }

  @Test("Filters that are not each other's opposites, or too few, are not taken")
  func refused() {
    let c = Case(kernel: 3, channels: 1, blocks: 1, half: 32, batch: 1, height: 5, width: 5)
    let (weight, _, _) = operands(c)
    #expect(OppositeFilters(weight) != nil && OppositeFilters(weight, blocks: 2) == nil)
    var numbers = weight.elements
    numbers[7] = numbers[7].nextUp
    #expect(OppositeFilters(Tensor(numbers, shape: weight.shape)) == nil)
    let few = operands(
      Case(kernel: 3, channels: 1, blocks: 1, half: 7, batch: 1, height: 5, width: 5))
    #expect(OppositeFilters(few.weight) == nil)
    #expect(OppositeFilters(random([3, 5, 1, 64], "wide")) == nil)
    #expect(OppositeFilters(.zeros([0, 0, 1, 64])) == nil)
    #expect(
      OppositeFilters(.zeros([3, 3, 0, 64])) == nil && OppositeFilters(.zeros([3, 3, 1, 0])) == nil)
    // What is no number is no other's opposite.
    #expect(OppositeFilters(weight * .nan) == nil)
  }
}
