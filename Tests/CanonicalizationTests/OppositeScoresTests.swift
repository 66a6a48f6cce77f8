import Autodiff
import Canonicalization
import Layers
import Symmetry
import TensorCore
import TestSupport
import Testing

@Suite struct OppositeScoresTests {
  @Test(
    "Of a group with half turns a prediction's scores are those of the plain layers",
    arguments: ["C2", "C3", "C4", "C8", "D4", "D8"])
  func opposites(name: String) throws {
    let group = try #require(finitePlanarGroup(name))
    func check<G: FiniteGroup & PlanarGroup>(_ group: G) {
      var weights = RandomStream(seed: 4, name: "canonicalizer")
      let canonicalizer = GroupConvolutionCanonicalizer(
        group, .init(size: 13, kernel: 5, channels: 32, layers: 2, hasBatchNorm: false),
        using: &weights)
      var random = RandomStream(seed: 4, name: "canonicalizer")
      let lifting = LiftingConvolution(group, 1, 32, kernel: 5, using: &random)
      let filters = lifting.filters(on: .inference()).value
      let found = OppositeFilters(filters) ?? OppositeFilters(filters, blocks: 2)
      #expect((found != nil) == (name != "C3"))
      let images = Tensor.concatenated((0..<3).map { picture(13, seed: $0) })
      let scores = canonicalizer.scores(Variable(images), on: .inference()).value
      // With a gradient wanted it is the plain layers that are computed.
      let plain = canonicalizer.scores(Variable(images, requiresGradient: true), on: .inference())
      #expect(largestDifference(scores, plain.value) < 1e-5)
      #expect(scores.absolute().elements.max() ?? 0 > 0.01)
    }
    check(group)
  }
}
