import TensorCore
import Testing

/// What is seen beside a turned image, beside what it is by definition: a fade to a color, by how much of each place is the image's.
@Suite struct BackdropTests {
  private static let maps: [SamplingMap] = [
    SamplingMap(matrix: [0.70710678, -0.70710678, 0.70710678, 0.70710678]),
    SamplingMap(matrix: [0.9, 0.3, -0.2, 1.1], offset: [0.3, -7.25]),
    SamplingMap(matrix: [1, 0, 0, 1]), SamplingMap(matrix: [0, -1, 1, 0]),
    SamplingMap(matrix: [1, 0, 0, 1], offset: [0.5, 0.25]),
    SamplingMap(matrix: [1, 0, 0, 1], offset: [1e9, -1e9]),
    SamplingMap(matrix: [3, 1, -1, 4], offset: [40, 0]),
  ]

  private func random(_ shape: Shape) -> Tensor {
    var stream = RandomStream(seed: 2, name: "backdrop")
    return .uniform(shape, from: 0, to: 1, using: &stream)
  }

  @Test(
    "Values fade to the backdrop as the image does that is one within it, and zero beside",
    arguments: Interpolation.allCases, [1, 2, 3, 4, 5])
  func fades(interpolation: Interpolation, channels: Int) {
    let (height, width, margin) = (11, 14, 3)
    let images = random([2, height, width, channels])
    let color = (0..<channels).map { Float($0) / 4 - 0.5 }
    let area = Tensor.ones([2, height + 2 * margin, width + 2 * margin, 1])
    for map in Self.maps {
      for size in [(height, width), (26, 21), (1, 1)] {
        for border in [BorderPolicy.edge, .reflect] {
          let backdrop = Backdrop(
            color, outside: -margin..<height + margin, -margin..<width + margin)
          let found = images.warped(
            by: [map, map], size: size, interpolation, border: border, over: backdrop)
          let plain = images.warped(by: [map, map], size: size, interpolation, border: border)
          let shares = area.warped(by: [map, map], size: size).elements
          let expected = plain.elements.enumerated().map { n, value in
            // Within, the weights' sum is off by a rounding; places are multiples of 2⁻¹⁷ pixel, and none is seen by more than 1 − 2⁻¹⁷
            // that is not seen whole.
            let share = shares[n / channels] > 1 - 0x1p-18 ? 1 : shares[n / channels]
            return share == 1 ? value : value * share + color[n % channels] * (1 - share)
          }
          #expect(found.elements == expected)
        }
      }
    }
  }

  @Test("Of a part of an image the same is seen as of the whole") func part() {
    let image = random([1, 20, 30, 3])
    let color: [Float] = [0, 0.5, 1]
    // Of nineteen rows from the first on, and twenty columns from the sixth: the map's middle moves along.
    let map = SamplingMap(matrix: [0.6, -0.8, 0.8, 0.6], offset: [1, 0.5])
    let moved = SamplingMap(
      matrix: map.matrix, offset: [1 + 14.5 - (6 + 9.5), 0.5 + 9.5 - (1 + 9)])
    let whole = image.warped(
      by: [map], size: (7, 8), .bicubic, border: .edge,
      over: Backdrop(color, outside: 6..<14, 5..<27))
    let part = image.sliced(1..<20, axis: 1).sliced(6..<26, axis: 2).warped(
      by: [moved], size: (7, 8), .bicubic, border: .edge,
      over: Backdrop(color, outside: 5..<13, -1..<21))
    #expect(whole.elements == part.elements)
    let plain = image.warped(by: [map], size: (7, 8), .bicubic, border: .edge)
    let changed = zip(whole.elements, plain.elements).count { $0 != $1 }
    #expect(0 < changed && changed < plain.shape.count)
  }
}
