import Autodiff
import Foundation
import TensorCore
import TestSupport
import Testing

@Suite struct WarpTests {
  /// Bilinear sampling by its definition: hat functions around every pixel.
  static func bilinear(
    _ v: [Double], _ height: Int, _ width: Int, _ m: [Double], _ border: BorderPolicy
  ) -> [Double] {
    sampled(v, height, width, m, border, reach: 1) { max(0, 1 - abs($0)) }
  }

  /// Keys' cubic convolution (1981) with a = −1/2, by its definition.
  static func bicubic(
    _ v: [Double], _ height: Int, _ width: Int, _ m: [Double], _ border: BorderPolicy
  ) -> [Double] {
    sampled(v, height, width, m, border, reach: 2) { distance in
      let t = abs(distance)
      if t < 1 { return 1.5 * t * t * t - 2.5 * t * t + 1 }
      return t < 2 ? -0.5 * t * t * t + 2.5 * t * t - 4 * t + 2 : 0
    }
  }

  /// A sum over the pixels within reach, weighted by a kernel of the distance along each axis.
  private static func sampled(
    _ v: [Double], _ height: Int, _ width: Int, _ m: [Double], _ border: BorderPolicy, reach: Int,
    kernel: (Double) -> Double
  ) -> [Double] {
    func index(_ i: Int, _ n: Int) -> Int? {
      if 0..<n ~= i { return i }
      switch border {
      case .zero: return nil
      case .edge: return min(max(i, 0), n - 1)
      case .reflect:
        let q = ((i % (2 * n)) + 2 * n) % (2 * n)
        return q < n ? q : 2 * n - 1 - q
      }
    }
    return (0..<height * width).map { k in
      let (dx, dy) = (
        Double(k % width) - Double(width - 1) / 2, Double(k / width) - Double(height - 1) / 2
      )
      let sx = Double(width - 1) / 2 + m[0] * dx + m[1] * dy
      let sy = Double(height - 1) / 2 + m[2] * dx + m[3] * dy
      var sum = 0.0
      for i in Int(floor(sy)) - reach + 1...Int(floor(sy)) + reach {
        for j in Int(floor(sx)) - reach + 1...Int(floor(sx)) + reach {
          guard let r = index(i, height), let q = index(j, width) else { continue }
          sum += v[r * width + q] * kernel(sy - Double(i)) * kernel(sx - Double(j))
        }
      }
      return sum
    }
  }

  @Test(
    "The value agrees with the definition to the rounding of coordinates",
    arguments: BorderPolicy.allCases, [(5, 5), (6, 4), (1, 7), (9, 8)])
  func value(border: BorderPolicy, size: (Int, Int)) {
    var random = RandomStream(seed: 1, name: "warp")
    let x = Tensor.uniform([1, size.0, size.1, 1], using: &random)
    for angle in stride(from: 0.0, to: 6.3, by: 0.37) {
      let m = [cos(angle) * 1.3, -sin(angle), sin(angle), cos(angle)]
      let y = x.warped(by: [SamplingMap(matrix: m)], border: border)
      let expected = WarpTests.bilinear(x.elements.map(Double.init), size.0, size.1, m, border)
      // Coordinates are off by at most 2⁻¹⁷ each, and values differ by at most 1 from pixel to pixel.
      #expect(deviation(y.elements.map(Double.init), expected) < 4 * 0x1p-17)
    }
  }

  @Test(
    "Bicubic values of images with runs of pixels inside agree with the definition, of any number of channels",
    arguments: BorderPolicy.allCases, 1...5)
  func bicubicValue(border: BorderPolicy, channels: Int) {
    var random = RandomStream(seed: 4, name: "warp")
    let (height, width) = (38, 57)
    let x = Tensor.uniform([1, height, width, channels], using: &random)
    for angle in [0.1, 1.5, 2.9, 4.8] {
      let m = [cos(angle), -sin(angle) * 0.9, sin(angle), cos(angle) * 1.1]
      let y = x.warped(by: [SamplingMap(matrix: m)], .bicubic, border: border)
      for c in 0..<channels {
        let one = x.sliced(c..<c + 1, axis: 3).elements.map(Double.init)
        let expected = WarpTests.bicubic(one, height, width, m, border)
        // A coordinate is off by 2⁻¹⁷, and the kernel's slopes are of 1.06 at most, of 16 values up to 1.
        let found = y.sliced(c..<c + 1, axis: 3).elements.map(Double.init)
        #expect(deviation(found, expected) < 8 * 0x1p-17, "\(c)")
      }
    }
  }

  @Test(
    "Several images with runs of pixels inside agree with the definition, of any number of channels, each as it does alone",
    arguments: BorderPolicy.allCases, 1...5)
  func bilinearValues(border: BorderPolicy, channels: Int) {
    var random = RandomStream(seed: 5, name: "warp")
    // Whole runs, of which some begin inside and end outside.
    let (height, width) = (38, 64)
    // More than the pieces of a loop: the next of a piece is fetched meanwhile.
    let x = Tensor.uniform([70, height, width, channels], using: &random)
    let maps = (0..<70).map { n in
      let angle = 0.1 + 0.7 * Double(n)
      return [cos(angle), -sin(angle) * 0.9, sin(angle), cos(angle) * 1.1]
    }
    let y = x.warped(by: maps.map { SamplingMap(matrix: $0) }, border: border)
    for n in stride(from: 0, to: 70, by: 3) {
      let (image, result) = (x.sliced(n..<n + 1), y.sliced(n..<n + 1))
      #expect(image.warped(by: [SamplingMap(matrix: maps[n])], border: border) == result)
      for c in 0..<channels {
        let one = image.sliced(c..<c + 1, axis: 3).elements.map(Double.init)
        let expected = WarpTests.bilinear(one, height, width, maps[n], border)
        let found = result.sliced(c..<c + 1, axis: 3).elements.map(Double.init)
        #expect(deviation(found, expected) < 4 * 0x1p-17, "\(n), \(c)")
      }
    }
  }

  @Test(
    "Wide images, whose coordinates need more than 32 bits, are read at the same places",
    arguments: [8000, 8300, 20_000])
  func wide(width: Int) {
    var random = RandomStream(seed: 6, name: "warp")
    let x = Tensor.uniform([1, 3, width, 1], using: &random)
    let m = [cos(0.0002), -sin(0.0002), sin(0.0002), cos(0.0002)]
    let y = x.warped(by: [SamplingMap(matrix: m)])
    let expected = WarpTests.bilinear(x.elements.map(Double.init), 3, width, m, .zero)
    #expect(deviation(y.elements.map(Double.init), expected) < 4 * 0x1p-17)
    // The nearest pixel's value is one of those around, by the same places.
    let nearest = x.warped(by: [SamplingMap(matrix: m)], .nearest).elements
    let middle = width + width / 2
    #expect(nearest[middle - 40..<middle + 40] == x.elements[middle - 40..<middle + 40])
  }

  @Test(
    "Quarter turns and flips move pixels, whatever they hold, also of images larger than a block",
    arguments: [(3, 3, 1), (40, 23, 1), (33, 33, 3), (17, 50, 2)])
  func exactMoves(height: Int, width: Int, channels: Int) {
    // Neighbors that are no numbers must not spread.
    var values = (0..<height * width * channels).map { Float($0) }
    values[values.count / 2] = .nan
    values[1] = .infinity
    let x = Tensor(values, shape: [1, height, width, channels])
    for (m, isTurned) in [
      ([1, 0, 0, 1], false), ([-1, 0, 0, -1], false), ([-1, 0, 0, 1], false),
      ([1, 0, 0, -1], false),
      ([0, 1, -1, 0], true), ([0, -1, 1, 0], true), ([0, 1, 1, 0], true), ([0, -1, -1, 0], true),
    ] as [([Double], Bool)] {
      let size = isTurned ? (height: width, width: height) : (height: height, width: width)
      for kind in Interpolation.allCases {
        let y = x.warped(by: [SamplingMap(matrix: m)], size: size, kind).elements
        let isMoved = (0..<size.height * size.width * channels).allSatisfy { i in
          let (c, px, py) = (i % channels, i / channels % size.width, i / channels / size.width)
          let (dx, dy) = (2 * px - size.width + 1, 2 * py - size.height + 1)
          let sx = (Int(m[0]) * dx + Int(m[1]) * dy + width - 1) / 2
          let sy = (Int(m[2]) * dx + Int(m[3]) * dy + height - 1) / 2
          return y[i].bitPattern == values[(sy * width + sx) * channels + c].bitPattern
        }
        #expect(isMoved, "\(m), \(kind)")
      }
    }
  }

  @Test(
    "The gradients by image and by map agree with central differences",
    arguments: BorderPolicy.allCases, [Interpolation.bilinear, .bicubic])
  func gradients(border: BorderPolicy, interpolation: Interpolation) {
    var random = RandomStream(seed: 2, name: "warp")
    let x = Tensor.uniform([1, 5, 4, 1], using: &random)
    // Chosen so that no sample lies within the difference's step of a pixel's row or column.
    let m = Tensor([0.83, -0.41, 0.37, 0.91], shape: [1, 4])
    let d = OperationDeviation(of: [x, m]) {
      $0[0].warped(by: $0[1], interpolation, border: border)
    } reference: {
      interpolation == .bilinear
        ? WarpTests.bilinear($0[0], 5, 4, $0[1], border)
        : WarpTests.bicubic($0[0], 5, 4, $0[1], border)
    }
    #expect(d.value < 8 * 0x1p-17)
    // A displaced coordinate changes a weight by 2⁻¹⁷ or so, and a map's gradient sums 20 of them,
    // times distances up to 2.
    #expect(d.gradient < 80 * 0x1p-17)
  }

  @Test("Nearest sampling passes the gradient to the pixel that it took") func nearestGradient() {
    let x = Variable(Tensor([1, 2, 3], shape: [1, 1, 3, 1]), requiresGradient: true)
    let m = Variable(Tensor([0.6, 0, 0, 1], shape: [1, 4]), requiresGradient: true)
    let y = x.warped(by: m, .nearest)
    let weights = Variable(Tensor([1, 10, 100], shape: [1, 1, 3, 1]))
    let gradients = Gradients(of: (y * weights).sum())
    #expect(y.value == x.value && gradients[x] == weights.value)
    #expect(gradients[m]?.elements.allSatisfy { $0 == 0 } == true)
  }

  @Test(
    "Nearest and bicubic sampling give pixels back where they fall on them",
    arguments: [Interpolation.nearest, .bicubic, .bilinear])
  func onPixels(interpolation: Interpolation) {
    var random = RandomStream(seed: 3, name: "warp")
    let x = Tensor.uniform([1, 6, 6, 2], using: &random)
    #expect(x.warped(by: [SamplingMap(matrix: [1, 0, 0, 1])], interpolation) == x)
    let shifted = x.warped(by: [SamplingMap(matrix: [1, 0, 0, 1], offset: [2, 0])], interpolation)
    #expect(shifted.sliced(0..<4, axis: 2) == x.sliced(2..<6, axis: 2))
  }

  @Test("Bicubic sampling reproduces a quadratic exactly between pixels") func bicubicOrder() {
    // Keys' kernel with a = −1/2 reproduces polynomials of degree 2.
    let x = Tensor((0..<81).map { Float(($0 % 9) * ($0 % 9)) / 64 }, shape: [1, 9, 9, 1])
    let y = x.warped(by: [SamplingMap(matrix: [1, 0, 0, 1], offset: [0.3, 0])], .bicubic)
    for j in 1..<6 {
      let expected = (Double(j) + 0.3) * (Double(j) + 0.3) / 64
      #expect(abs(Double(y.elements[4 * 9 + j]) - expected) < 1e-4)
    }
  }
}
