import Symmetry
import TensorCore
import Testing

/// Blots without a symmetry, `[count, 24, 24, 1]`.
private func blots(_ count: Int) -> Tensor {
  var random = RandomStream(seed: 1, name: "blots")
  let size = 24
  let numbers = (0..<count).flatMap { _ -> [Float] in
    let spots = (0..<5).map { _ in
      (
        12 + 5 * random.normal().clamped(1.2), 12 + 5 * random.normal().clamped(1.2),
        1.5 + random.uniformDouble()
      )
    }
    return (0..<size * size).map { k in
      let (x, y) = (Double(k % size), Double(k / size))
      return Float(
        spots.reduce(0) { sum, spot in
          let square = (x - spot.0) * (x - spot.0) + (y - spot.1) * (y - spot.1)
          return max(sum, 1 - square / (4 * spot.2 * spot.2))
        })
    }
  }
  return Tensor(numbers, shape: [count, size, size, 1])
}

extension Double {
  fileprivate func clamped(_ bound: Double) -> Double { Swift.max(-bound, Swift.min(bound, self)) }
}

private func moved(_ x: Tensor, _ generator: [Double], _ amounts: [Double]) -> Tensor {
  let group = PlanarAffine([.init(generator)])
  return AffineImageAction(group).act(amounts.map { group.exp([$0]) }, on: x)
}

private func amounts(_ count: Int, _ reach: Double) -> [Double] {
  var random = RandomStream(seed: 2, name: "amounts")
  return (0..<count).map { _ in reach * (2 * random.uniformDouble() - 1) }
}

@Suite("Generators found in pairs")
struct GeneratorDiscoveryTests {
  @Test(
    "Turned, shifted, scaled and otherwise moved images tell their generator",
    arguments: [
      (PlanarAffine.Generator.rotation.tangent, 1.5), ([0, 0, 0.8, 0, 0, 0.6], 0.3),
      (PlanarAffine.Generator.scaling.tangent, 0.3), ([0.2, 1, 0.1, -1, 0.2, 0], 0.5),
    ])
  func found(generator: [Double], reach: Double) throws {
    let x = blots(24)
    let told = amounts(24, reach)
    let all = try GeneratorDiscovery().generators(of: x, moved(x, generator, told))
    let found = try #require(all.first)
    #expect(all.count == 1 && found.pairs == Array(0..<24))
    #expect(
      FoundGenerator.angle(found.tangent, generator) < 0.02,
      "\(found.tangent), \(FoundGenerator.angle(found.tangent, generator))")
    #expect(found.explained > 0.95, "\(found.explained)")
    // Amounts too, up to the common scale.
    let length = generator.reduce(0) { $0 + $1 * $1 }.squareRoot()
    let sign = zip(found.tangent, generator).reduce(0) { $0 + $1.0 * $1.1 } < 0 ? -1.0 : 1
    let errors = zip(found.amounts, told).map { abs(sign * $0 / length - $1) }.sorted()
    #expect(errors[12] < 0.02, "\(errors)")
  }

  @Test("Two generators are told apart") func two() throws {
    let x = blots(32)
    let (turns, shifts) = (amounts(16, 1.2), amounts(16, 0.35))
    let y = Tensor.concatenated([
      moved(x.sliced(0..<16), PlanarAffine.Generator.rotation.tangent, turns),
      moved(x.sliced(16..<32), PlanarAffine.Generator.horizontalShift.tangent, shifts),
    ])
    let found = try GeneratorDiscovery(count: 2).generators(of: x, y)
    #expect(found.count == 2)
    for generator in [PlanarAffine.Generator.rotation, .horizontalShift] {
      let nearest = found.map { FoundGenerator.angle($0.tangent, generator.tangent) }.min() ?? 1
      #expect(nearest < 0.04, "\(nearest)")
    }
  }

  @Test("What cannot be found is said") func refusals() {
    let x = blots(8)
    func fails(_ y: Tensor, _ word: String) {
      #expect {
        _ = try GeneratorDiscovery().generators(of: x, y)
      } throws: { "\($0)".contains(word) }
    }
    fails(x, "no pair differs")
    fails(x * .nan, "pair 0")
    fails(x.sliced(0..<4), "one shape")
    // Unrelated pictures.
    var random = RandomStream(seed: 3, name: "noise")
    fails(.uniform(x.shape, from: 0, to: 1, using: &random), "explains the pairs")
    #expect(throws: DiscoveryError.self) {
      try GeneratorDiscovery().generators(of: x.sliced(0..<2), x.sliced(1..<3))
    }
  }
}
