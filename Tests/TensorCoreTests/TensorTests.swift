import TestSupport
import Testing

@testable import TensorCore

private func ramp(_ shape: Shape) -> Tensor {
  Tensor((0..<shape.count).map { Float($0 % 23) - 11 }, shape: shape)
}

@Suite struct TensorTests {
  @Test("Copies are values: changing one leaves the other") func copyOnWrite() {
    let a = ramp([2, 3])
    var b = a
    unsafe b.withMutableElements { unsafe $0[0] = 100 }
    #expect(a.elements[0] == -11 && b.elements[0] == 100)
  }

  @Test("Views read the elements that they name") func views() {
    let x = Tensor((0..<24).map(Float.init), shape: [2, 3, 4])
    #expect(x.permuted([2, 0, 1]).elements[1] == 4)
    #expect(x.sliced(1..<3, axis: 1).sliced(2..<3, axis: 2).elements == [6, 10, 18, 22])
    #expect(x[1][2].elements == [20, 21, 22, 23])
    #expect(x.transposed()[0][1].elements == [1, 5, 9])
    #expect(x.reshaped([4, -1]).shape == [4, 6])
    #expect(Tensor([1, 2], shape: [2, 1]).broadcast(to: [2, 3]).elements == [1, 1, 1, 2, 2, 2])
  }

  @Test("every so many indices are a view, and axes of one index come and go without a copy")
  func steps() {
    let x = Tensor((0..<24).map(Float.init), shape: [2, 3, 4])
    for step in 1...5 {
      for range in [0..<4, 1..<4, 3..<4, 2..<2] {
        let kept = stride(from: range.lowerBound, to: range.upperBound, by: step)
        let columns = kept.map { x.sliced($0..<$0 + 1, axis: 2) }
        let slice = x.sliced(range, axis: 2, by: step)
        #expect(slice.shape == [2, 3, columns.count] && slice.storage === x.storage)
        if !columns.isEmpty { #expect(slice == .concatenated(columns, axis: 2)) }
      }
    }
    // Of two images with channels last, seen channels first: the second.
    let images = x.reshaped([2, 3, 2, 2]).permuted([0, 3, 1, 2])
    let second = images.sliced(1..<2)
    for extents in [[2, 3, 2], [2, 1, 3, 2, 1], [1, 2, 3, 1, 2]] {
      let view = second.reshaped(extents, asView: true)
      #expect(view.storage === x.storage && view.elements == second.elements)
    }
    // As an image of a batch its channels are last again.
    let image = second.reshaped([2, 3, 2], asView: true)
    #expect(image.reshaped([1, 2, 3, 2], asView: true).memoryOrder == [0, 2, 3, 1])
    // Any other shape is a copy, and without being asked for so is this.
    for copy in [
      second.reshaped([3, 4], asView: true), second.reshaped([3, 2, 2], asView: true),
      second.reshaped([2, 3, 2]),
    ] {
      #expect(copy.storage !== x.storage && copy.elements == second.elements)
    }
    // What is written to one is not seen by the other.
    var written = x.sliced(0..<4, axis: 2, by: 2).sliced(0..<3, axis: 1, by: 2)
    #expect(written.elements == [0, 2, 8, 10, 12, 14, 20, 22])
    unsafe written.withMutableElements { unsafe $0[0] = 100 }
    #expect(x.elements[0] == 0 && written.elements[0] == 100)
    #expect(Tensor([7]).broadcast(to: [6]).sliced(1..<6, by: 3).elements == [7, 7])
  }

  @Test(
    "Elementwise operations are right at every length around a vector's",
    arguments: [0, 1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 100])
  func elementwise(count: Int) {
    let (x, y) = (ramp([count]), ramp([count]) * 0.5 + 3)
    let pairs = Array(zip(x.elements, y.elements))
    #expect((x + y).elements == pairs.map { $0 + $1 })
    #expect((x - y).elements == pairs.map { $0 - $1 })
    #expect((x * y).elements == pairs.map { $0 * $1 })
    #expect((x / y).elements == pairs.map { $0 / $1 })
    #expect(Tensor.maximum(x, y).elements == pairs.map { max($0, $1) })
    #expect(x.relu().elements == x.elements.map { max($0, 0) })
    #expect(x.isEqual(to: y).elements == pairs.map { $0 == $1 ? 1 : 0 })
    let waves = x.sine().squared() + x.cosine().squared()
    #expect(waves.elements.allSatisfy { abs($0 - 1) < 1e-6 })
    #expect(x.isGreater(than: y).elements == pairs.map { $0 > $1 ? 1 : 0 })
  }

  @Test("Broadcasting repeats axes of extent 1, from both sides") func broadcasting() {
    let sum = ramp([2, 1, 3]) + ramp([4, 1])
    #expect(sum.shape == [2, 4, 3])
    #expect(
      sum.elements[1 * 12 + 2 * 3 + 1] == ramp([2, 1, 3]).elements[4] + ramp([4, 1]).elements[2])
    #expect((Tensor.zeros([0, 3]) + Tensor.ones([3])).shape == [0, 3])
  }

  @Test("Reductions agree with sums in Double along every axis", arguments: [0, 1, 2])
  func reductions(axis: Int) {
    let x = ramp([5, 130, 17])
    var expected: [Double] = []
    let e = x.shape.extents
    let kept = (0..<3).filter { $0 != axis }
    for i in 0..<e[kept[0]] {
      for j in 0..<e[kept[1]] {
        var at = [0, 0, 0]
        (at[kept[0]], at[kept[1]]) = (i, j)
        expected.append(
          (0..<e[axis]).reduce(0.0) { sum, r in
            at[axis] = r
            return sum + Double(x.elements[(at[0] * e[1] + at[1]) * e[2] + at[2]])
          })
      }
    }
    #expect(x.sum([axis]).elements.map(Double.init) == expected)
    #expect(x.maximum(axis).elements.allSatisfy { $0 <= 11 })
    #expect(x.permuted([2, 1, 0]).sum([2 - axis]).sum().scalar == x.sum().scalar)
  }

  @Test("A long sum of tenths keeps its digits") func longSum() {
    // 10⁶ roundings of relative size 2⁻²⁴ in one accumulator would cost 1 %.
    let mean = Tensor(repeating: 0.1, shape: [1_000_000]).mean().scalar
    #expect(abs(mean - 0.1) < 1e-6)
  }

  @Test(
    "Matrix products agree with sums in Double, transposed and in batches",
    arguments: [(1, 1, 1), (3, 5, 7), (300, 17, 33), (0, 3, 2), (2, 0, 2)])
  func products(m: Int, k: Int, n: Int) {
    let (a, b) = (ramp([2, m, k]), ramp([k, n]))
    func expected(_ batch: Int) -> [Float] {
      (0..<m * n).map { i in
        (0..<k).reduce(Float(0)) {
          $0 + a.elements[(batch * m + i / n) * k + $1] * b.elements[$1 * n + i % n]
        }
      }
    }
    #expect(a.matmul(b).elements == expected(0) + expected(1))
    #expect(a[1].matmul(b.transposed().contiguous.transposed()).elements == expected(1))
    #expect(a[0].transposed().contiguous.transposed().matmul(b).elements == expected(0))
    let batched = b.broadcast(to: [2, k, n])
    #expect(a.matmul(batched).elements == expected(0) + expected(1))
  }

  @Test(
    "Products of many blocks agree with sums in Double, transposed too",
    arguments: [(300, 150, 700), (1500, 130, 1500), (129, 5, 513), (7, 300, 1030)])
  func blocks(m: Int, k: Int, n: Int) {
    var random = RandomStream(seed: 4, name: "blocks")
    let a = Tensor.uniform([m, k], from: -1, to: 1, using: &random)
    let b = Tensor.uniform([k, n], from: -1, to: 1, using: &random)
    let (left, right) = (a.elements, b.elements)
    let products = [
      a.matmul(b), a.transposed().contiguous.transposed().matmul(b),
      a.matmul(b.transposed().contiguous.transposed()),
    ].map(\.elements)
    // Some of each block: all of them would take long in Double.
    for i in stride(from: 0, to: m, by: 31) {
      for j in stride(from: 0, to: n, by: 29) {
        let sum = (0..<k).reduce(0.0) { $0 + Double(left[i * k + $1]) * Double(right[$1 * n + j]) }
        for product in products {
          #expect(abs(Double(product[i * n + j]) - sum) < 1e-6 * Double(k), "\(i), \(j)")
        }
      }
    }
  }

  @Test("A random tensor has the numbers that are drawn one by one, wherever a stream begins")
  func randomTensors() {
    for begin in [0, 3] {
      var one = RandomStream(seed: 5, name: "tensor")
      for _ in 0..<begin { _ = one.next() }
      var all = one
      let tensor = Tensor.uniform([10_001], from: 2, to: 3, using: &all)
      #expect(tensor.elements == (0..<10_001).map { _ in 2 + (3 - 2) * one.uniform() })
      #expect(all.next() == one.next() && all.position == one.position)
      var back = all.advanced(by: -2)
      _ = back.next()
      #expect(back.position == all.position - 1)
    }
  }

  @Test("Scatter is the adjoint of gather: ⟨gather x, y⟩ = ⟨x, scatter y⟩") func gatherScatter() {
    let (x, y, rows) = (ramp([4, 3]), ramp([5, 3]) + 2, [3, 0, 3, 1, 1])
    let left = (x.gathered(rows) * y).sum().scalar
    #expect(left == (x * y.scattered(rows, count: 4)).sum().scalar)
  }

  @Test("Concatenation and slicing undo each other along every axis", arguments: [0, 1, 2])
  func concatenation(axis: Int) {
    let x = ramp([4, 5, 6])
    let parts = [0..<1, 1..<3, 3..<4].map { x.sliced($0, axis: axis) }
    #expect(Tensor.concatenated(parts, axis: axis) == x.sliced(0..<4, axis: axis))
  }

  @Test("Sorting puts the first of equals first, and NaN last") func sorting() {
    let x = Tensor([1, 3, 3, .nan, 2, -1], shape: [1, 6])
    #expect(x.sortedColumns() == [[1, 2, 4, 0, 5, 3]])
    #expect(Tensor([2, 5, 5], shape: [1, 3]).largestColumn() == [1])
  }

  @Test(
    "One number that is none, anywhere, and a tensor is not finite; the largest numbers are finite",
    arguments: [Float.nan, -.nan, .infinity, -.infinity, .signalingNaN])
  func finite(odd: Float) {
    let extremes: [Float] = [
      .greatestFiniteMagnitude, -.greatestFiniteMagnitude, .leastNonzeroMagnitude, -0,
    ]
    let x = Tensor((0..<37).map { extremes[$0 % 4] }, shape: [37])
    #expect(x.isFinite && Tensor([], shape: [0]).isFinite)
    for place in 0..<37 {
      var y = x
      unsafe y.withMutableElements { unsafe $0[place] = odd }
      #expect(!y.isFinite)
    }
    // A view counts what it shows.
    let half = Tensor([1, odd], shape: [2])
    #expect(half.sliced(0..<1, axis: 0).isFinite && !half.sliced(1..<2, axis: 0).isFinite)
  }

  @Test("The softmax sums to 1 and bears large numbers") func softmax() {
    let s = Tensor([1000, 1001, -1000, 0, 0, 0], shape: [2, 3]).softmax()
    let e = 1 / (1 + Float(2.718_281_8))
    #expect(
      largestDifference(s, Tensor([e, 1 - e, 0, 1 / 3, 1 / 3, 1 / 3], shape: [2, 3])) < 1e-6)
  }

  @Test("The larger or smaller of two, one of which is no number, is none")
  func extremaOfNoNumbers() {
    let (a, b) = (Tensor([1, .nan, 3, .nan]), Tensor([2, 2, .nan, .nan]))
    for result in [Tensor.maximum(a, b), .minimum(a, b)] {
      #expect(!result.elements[0].isNaN && result.elements[1...].allSatisfy(\.isNaN))
    }
    #expect(Tensor.maximum(a, Tensor(5)).elements.map(\.isNaN) == [false, true, false, true])
  }

  @Test("Of equal maxima the first gets the gradient, and a NaN is its window's maximum")
  func poolingTies() {
    let x = Tensor([2, 1, 5, 5, 2, 2, 5, .nan], shape: [1, 2, 4, 1])
    let (values, choice) = x.maxPooled(size: 2, stride: 2)
    #expect(values.elements[0] == 2 && values.elements[1].isNaN)
    let gradient = Tensor([3, 4], shape: [1, 1, 2, 1])
      .maxPoolGradient(inputShape: x.shape, choice: choice)
    #expect(gradient.elements == [3, 0, 0, 0, 0, 0, 0, 4])
    // Windows that overlap add up.
    let (_, shared) = Tensor([0, 9, 0], shape: [1, 1, 3, 1]).padded(1)
      .maxPooled(size: 3, stride: 1)
    let sums = Tensor.ones([1, 1, 3, 1]).maxPoolGradient(inputShape: [1, 3, 5, 1], choice: shared)
    #expect(sums.elements[7] == 3 && sums.sum().scalar == 3)
  }

  @Test("The moments keep their digits where the mean is large") func moments() {
    let x = Tensor((0..<4000).map { 10_000 + Float($0 % 2) }, shape: [4000, 1])
    let moments = x.channelMoments()
    #expect(abs(moments.mean[0] - 10_000.5) < 1e-6 && abs(moments.variance[0] - 0.25) < 1e-6)
  }

  @Test("Results do not depend on the number of threads") func threads() {
    var random = RandomStream(seed: 1, name: "threads")
    let x = Tensor.uniform([40, 9, 9, 5], from: -1, to: 1, using: &random)
    let w = Tensor.uniform([3, 3, 5, 7], from: -1, to: 1, using: &random)
    let wide = Tensor.uniform([40, 9, 9, 16], from: -1, to: 1, using: &random)
    let kernel = Tensor.uniform([3, 3, 16, 16], from: -1, to: 1, using: &random)
    func all() -> [Tensor] {
      let y = x.convolved(with: w)
      let z = wide.convolved(with: kernel)
      return [
        z, z.convolutionWeightGradient(input: wide, weightShape: kernel.shape),
        y, y.convolutionWeightGradient(input: x, weightShape: w.shape),
        x.reshaped([-1, 5]).matmul(w.reshaped([5, 63])), x.sum([0, 1]),
        Tensor(x.channelMoments().variance.map { Float($0) }),
      ]
    }
    let before = Parallel.threadCount
    Parallel.threadCount = 1
    let one = all()
    Parallel.threadCount = 5
    let five = all()
    Parallel.threadCount = before
    #expect(one == five)
  }

  @Test("Wrong shapes are programmer errors") func wrongShapes() async {
    await #expect(processExitsWith: .failure) { _ = Tensor.zeros([2, 3]) + Tensor.zeros([2, 4]) }
    await #expect(processExitsWith: .failure) { _ = Tensor.zeros([2, 3]).matmul(.zeros([2, 3])) }
  }
}

extension Tensor {
  fileprivate func convolutionWeightGradient(input: Tensor, weightShape: Shape) -> Tensor {
    convolutionWeightGradient(input: input, weightShape: weightShape, ConvolutionGeometry())
  }
}

@Suite struct RandomStreamTests {
  @Test("Philox gives the numbers of its authors' known-answer test") func knownAnswer() {
    // Random123's kat_vectors: philox4x32 10, counter and key zero; counter and key all ones.
    let zero = RandomStream.philox(counter: (0, 0, 0, 0), key: (0, 0))
    #expect(
      [zero.0, zero.1, zero.2, zero.3] == [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8])
    let m = UInt32.max
    let ones = RandomStream.philox(counter: (m, m, m, m), key: (m, m))
    #expect(
      [ones.0, ones.1, ones.2, ones.3] == [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd])
  }

  @Test("A stream continues at any position, and names make independent streams") func positions() {
    var a = RandomStream(seed: 3, name: "a")
    let numbers = (0..<7).map { _ in a.next() }
    var later = RandomStream(seed: 3, name: "a", position: 3)
    #expect((3..<7).map { _ in later.next() } == Array(numbers[3...]))
    var b = RandomStream(seed: 3, name: "b")
    #expect(b.next() != numbers[0])
  }

  @Test("Uniform and normal numbers have the moments that they should") func moments() {
    var random = RandomStream(seed: 5, name: "moments")
    let (u, n) = (Tensor.uniform([20_000], using: &random), Tensor.normal([20_000], using: &random))
    // Five standard errors of the mean: 5 · 0.29 / √20000 and 5 / √20000.
    #expect(abs(u.mean().scalar - 0.5) < 0.0103 && abs(n.mean().scalar) < 0.036)
    #expect(abs(n.squared().mean().scalar - 1) < 0.05)
    #expect(u.elements.allSatisfy { $0 >= 0 && $0 < 1 })
  }
}
