import CKernels
import Foundation
import Synchronization
import TensorCore
import TestSupport
import Testing

@Suite struct ActivationTests {
  static let activations: [Activation] = [
    .relu, .sigmoid, .swish, .hardSwish, .gelu, .clamped(-0.5, 0.25),
    .clamped(0, 1, scale: 0.2, shift: 0.5),
  ]

  private static func exact(_ activation: Activation, _ x: Double) -> Double {
    switch activation {
    case .relu: max(0, x)
    case .sigmoid: 1 / (1 + exp(-x))
    case .swish: x / (1 + exp(-x))
    case .hardSwish: x * min(1, max(0, x / 6 + 0.5))
    case .gelu: 0.5 * x * erfc(-x / 2.0.squareRoot())
    case .clamped(let low, let high, let scale, let shift):
      min(Double(high), max(Double(low), x * Double(scale) + Double(shift)))
    }
  }

  @Test("Activations are their formulas, and what is no number stays so", arguments: activations)
  func formulas(activation: Activation) {
    let numbers = (0..<4001).map { Float($0 - 2000) / 100 }
    let found = activation(Tensor(numbers)).elements
    for (x, y) in zip(numbers, found) {
      let expected = Self.exact(activation, Double(x))
      // Of a GELU the sum 1 + erf loses what its result is small by; others round a few times.
      #expect(abs(Double(y) - expected) <= 4e-7 * max(abs(expected), abs(Double(x))) + 1e-37)
    }
    let odd = activation(Tensor([.nan, 3, .nan, 0])).elements
    #expect(odd[0].isNaN && odd[2].isNaN && odd[1].isFinite && odd[3].isFinite)
  }

  @Test("A swish is nothing far below zero, and what it is given far above")
  func farSwish() {
    let y = Tensor([-3e38, -.infinity, -101, -50, 3e38, .infinity]).swish().elements
    #expect(y[0] == 0 && y[1] == 0 && y[2] == 0 && abs(y[3]) < 1e-19)
    #expect(y[4] == 3e38 && y[5] == .infinity)
  }

  @Test("The error function is within 3 units in the last place")
  func errorFunction() {
    let numbers = (1...60_000).map { Float($0) / 10_000 }
    let found = (
      Tensor(numbers).errorFunction().elements, Tensor(numbers.map { -$0 }).errorFunction().elements
    )
    for (n, x) in numbers.enumerated() {
      let expected = erf(Double(x))
      #expect(abs(Double(found.0[n]) - expected) <= 3 * Double(Float(expected).ulp))
      #expect(found.1[n] == -found.0[n])
    }
    let edges = Tensor([.infinity, -.infinity, 0, .nan]).errorFunction().elements
    #expect(edges[0] == 1 && edges[1] == -1 && edges[2] == 0 && edges[3].isNaN)
  }

  /// Kernels of every way to compute: by hand, in panels, Winograd's (with its outputs in parts), depthwise.
  static let kernels: [(side: Int, shape: Shape, geometry: ConvolutionGeometry)] = [
    (9, [1, 1, 5, 7], .init()), (9, [3, 3, 6, 40], .init(stride: 2, padding: 1)),
    (7, [3, 3, 16, 70], .init(padding: 1)), (30, [3, 3, 8, 9], .init(padding: 1)),
    (11, [5, 5, 1, 37], .init(padding: 2, groups: 37)),
    (9, [3, 3, 1, 12], .init(padding: 2, dilation: 2, groups: 12)),
    // Winograd's matrices from memory: not for small images.
    (5, [3, 3, 352, 384], .init(padding: 1)), (9, [3, 3, 352, 384], .init(padding: 1)),
    // Far taps, which are gathered.
    (9, [3, 3, 1, 5], .init(stride: 7, padding: 200, dilation: 200, groups: 5)),
  ]

  @Test(
    "A convolution with an activation is the convolution, and then the activation, bit for bit",
    arguments: activations, kernels.indices)
  func inConvolutions(activation: Activation, index: Int) {
    let (side, shape, geometry) = Self.kernels[index]
    var random = RandomStream(seed: 1, name: "activation")
    let x = Tensor.uniform(
      [1, side, side, shape[2] * geometry.groups], from: -2, to: 2, using: &random)
    let w = Tensor.uniform(shape, from: -1, to: 1, using: &random)
    let b = Tensor.uniform([shape[3]], from: -1, to: 1, using: &random)
    let expected = activation(x.convolved(with: w, bias: b, geometry))
    #expect(x.convolved(with: w, bias: b, activation: activation, geometry) == expected)
    #expect(PreparedConvolution(w, bias: b, activation: activation, geometry)(x) == expected)
  }

  @Test(
    "What is added to a convolution is added before its activation, bit for bit",
    arguments: activations, kernels.indices)
  func adding(activation: Activation, index: Int) {
    let (side, shape, geometry) = Self.kernels[index]
    var random = RandomStream(seed: 5, name: "adding")
    let x = Tensor.uniform(
      [3, side, side, shape[2] * geometry.groups], from: -2, to: 2, using: &random)
    let w = Tensor.uniform(shape, from: -1, to: 1, using: &random)
    let b = Tensor.uniform([shape[3]], from: -1, to: 1, using: &random)
    let plain = PreparedConvolution(w, bias: b, geometry)
    let convolution = PreparedConvolution(w, bias: b, activation: activation, geometry)
    for images in [x, x.sliced(0..<1)] {
      let y = plain(images)
      #expect(convolution.outputShape(images.shape) == y.shape)
      let other = Tensor.uniform(y.shape, from: -3, to: 3, using: &random)
      #expect(convolution(images, adding: other) == activation(y + other))
      // Wherever it lies.
      let turned = other.permuted([0, 3, 1, 2]).contiguous.permuted([0, 2, 3, 1])
      #expect(convolution(images, adding: turned) == activation(y + other))
    }
  }

  @Test(
    "Colors that lie apart are read as those that lie together, bit for bit", arguments: 2...5)
  func planar(colors: Int) {
    var random = RandomStream(seed: 6, name: "planar")
    let x = Tensor.uniform([3, 13, 10, colors], from: -2, to: 2, using: &random)
    let apart = x.permuted([0, 3, 1, 2]).contiguous.permuted([0, 2, 3, 1])
    let w = Tensor.uniform([3, 3, colors, 33], from: -1, to: 1, using: &random)
    for (stride, padding, dilation) in [(1, 0, 1), (2, 1, 1), (2, 3, 1), (1, 2, 2), (3, 1, 4)] {
      let g = ConvolutionGeometry(stride: stride, padding: padding, dilation: dilation)
      let prepared = PreparedConvolution(w, g)
      for images in [0..<3, 0..<1, 2..<3] {
        let y = prepared(x.sliced(images))
        #expect(prepared(apart.sliced(images)) == y)
        #expect(apart.sliced(images).convolved(with: w, g, algorithm: .direct) == y)
      }
    }
  }

  @Test("A dilated kernel is the kernel with zeros between its taps", arguments: [2, 5, 9, 14])
  func dilated(dilation: Int) {
    var random = RandomStream(seed: 2, name: "dilated")
    let x = Tensor.uniform([2, 13, 10, 6], from: -1, to: 1, using: &random)
    let w = Tensor.uniform([3, 3, 6, 33], from: -1, to: 1, using: &random)
    let span = 2 * dilation + 1
    var wide = Tensor.zeros([span, span, 6, 33])
    for i in 0..<3 {
      for j in 0..<3 {
        let tap = w.sliced(i..<i + 1).sliced(j..<j + 1, axis: 1)
        wide.assign(tap, at: [i * dilation, j * dilation, 0, 0])
      }
    }
    for (padding, stride) in [(dilation, 1), (dilation + 1, 2), (dilation, 3)] {
      let (g, h) = (
        ConvolutionGeometry(stride: stride, padding: padding, dilation: dilation),
        ConvolutionGeometry(stride: stride, padding: padding)
      )
      let y = x.convolved(with: wide, h, algorithm: .direct)
      #expect(x.convolved(with: w, g) == y)
      #expect(PreparedConvolution(w, g)(x) == y)
    }
  }
}

@Suite struct RowTests {
  @Test("Rows normalized together are those normalized one by one, and of mean 0 and variance 1")
  func layerNorm() {
    var random = RandomStream(seed: 3, name: "rows")
    let x = Tensor.uniform([700, 37], from: 2, to: 5, using: &random)
    let scale = Tensor.uniform([37], from: -1, to: 1, using: &random)
    let shift = Tensor.uniform([37], from: -1, to: 1, using: &random)
    let y = x.layerNormalized(scale: scale, shift: shift, epsilon: 1e-5)
    for row in [0, 311, 699] {
      let alone = x.sliced(row..<row + 1)
      #expect(
        alone.layerNormalized(scale: scale, shift: shift, epsilon: 1e-5)
          == y.sliced(row..<row + 1))
      let numbers = alone.elements.map { Double($0) }
      let mean = numbers.reduce(0, +) / 37
      let variance = numbers.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / 37
      let expected = numbers.enumerated().map { n, x in
        (x - mean) / (variance + 1e-5).squareRoot() * Double(scale.elements[n])
          + Double(shift.elements[n])
      }
      #expect(deviation(y[row].elements.map { Double($0) }, expected) < 1e-5)
    }
  }

  @Test("The softmax of what is impossible is nothing, and of many rows that of each")
  func softmax() {
    let masked = Tensor([1, -.infinity, 2, -.infinity], shape: [1, 4]).softmax().elements
    #expect(masked[1] == 0 && masked[3] == 0 && abs(masked[0] + masked[2] - 1) < 1e-6)
    var random = RandomStream(seed: 4, name: "softmax")
    let x = Tensor.uniform([3000, 21], from: -9, to: 9, using: &random)
    let s = x.softmax()
    for row in [0, 1500, 2999] {
      #expect(x.sliced(row..<row + 1).softmax() == s.sliced(row..<row + 1))
    }
    let none = Tensor([0, .nan, 1], shape: [1, 3]).softmax().elements
    #expect(none.allSatisfy { $0.isNaN })
  }

  @Test("Large tensors are broadcast and copied as small ones are", arguments: [1, 3, 1000])
  func broadcasting(columns: Int) {
    var random = RandomStream(seed: 5, name: "broadcast")
    let x = Tensor.uniform([240, 301, columns], using: &random)
    let (row, plane) = (
      Tensor.uniform([columns], using: &random), Tensor.uniform([301, 1], using: &random)
    )
    let (sum, product, turned) = (x + row, x * plane, x.permuted([2, 0, 1]).contiguous)
    let scaled = x * Tensor(3)
    for n in [0, 77, 239] {
      #expect(sum[n] == x[n] + row && product[n] == x[n] * plane && scaled[n] == x[n] * Tensor(3))
      let slice = turned.sliced(n..<n + 1, axis: 1).reshaped([columns, 301])
      #expect(slice == x[n].transposed())
    }
  }
}

@Suite struct ThreadPoolTests {
  @Test("Loops begun by several threads at once, and loops in loops, do each piece once")
  func together() {
    let counts = Mutex([Int](repeating: 0, count: 8))
    DispatchQueue.concurrentPerform(iterations: 8) { thread in
      for round in 0..<200 {
        let done = Mutex([Int](repeating: 0, count: 1 + round % 37))
        let pieces = 1 + round % 37
        Parallel.forEach(pieces) { piece in
          Parallel.forEach(2) { _ in done.withLock { $0[piece] += 1 } }
        }
        let isRight = done.withLock { $0.allSatisfy { $0 == 2 } }
        if isRight { counts.withLock { $0[thread] += 1 } }
      }
    }
    #expect(counts.withLock { $0 } == [Int](repeating: 200, count: 8))
  }

  @Test(
    "A thread that is to wake is kept off the CPU of who wakes it",
    .enabled(if: ck_processor_count() > 1))
  func otherProcessor() {
    let thread = Atomic<Int32>(0)
    let left = Atomic<Int32>(0)
    let all = Atomic<Int32>(0)
    let (isThere, mayGo, isDone) = (
      DispatchSemaphore(value: 0), DispatchSemaphore(value: 0), DispatchSemaphore(value: 0)
    )
    Thread.detachNewThread {
      thread.store(ck_thread(), ordering: .sequentiallyConsistent)
      isThere.signal()
      mayGo.wait()
      left.store(ck_processor_count(), ordering: .sequentiallyConsistent)
      ck_return_to_all_cpus()
      all.store(ck_processor_count(), ordering: .sequentiallyConsistent)
      isDone.signal()
    }
    isThere.wait()
    ck_keep_off_this_cpu(thread.load(ordering: .sequentiallyConsistent))
    mayGo.signal()
    isDone.wait()
    #expect(left.load(ordering: .sequentiallyConsistent) == ck_processor_count() - 1)
    #expect(all.load(ordering: .sequentiallyConsistent) == ck_processor_count())
  }

  @Test("A loop after a while without work is done too")
  func afterSleep() {
    for pause in [0, 10_000, 100_000] {
      usleep(UInt32(pause))
      let sum = Mutex(0)
      Parallel.forEach(100) { piece in sum.withLock { $0 += piece } }
      #expect(sum.withLock { $0 } == 4950)
    }
  }
}
