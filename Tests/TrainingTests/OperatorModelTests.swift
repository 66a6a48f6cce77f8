import Autodiff
import Datasets
import Foundation
import Layers
import Settings
import Symmetry
import TensorCore
import Testing
import Training

@Suite struct OperatorModelTests {
  /// Columns of a square picture in turn, so that the slots of a shift operator are columns.
  private struct Columns: Layer {
    let side: Int
    let isInverse: Bool

    func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
      input.reshaped([input.shape[0], side, side]).permuted([0, 2, 1])
        .reshaped([input.shape[0], side * side])
    }
  }

  @Test("With the right basis a shift operator makes the second view exactly") func exact() throws {
    let polygons = Polygons(.shift, order: 20, size: 20)
    let domain = ImageDomain(size: 20)
    let examples = polygons.pairs(shapes: 1, perShape: 400, seed: 1)
    let model = OperatorModel(
      encoder: Columns(side: 20, isInverse: false), decoder: Columns(side: 20, isInverse: true),
      operators: [Regular(polygons.group, copies: 20)], domain: domain)
    #expect(try model.prepared(examples).count == 400)
    #expect(model.quality(on: examples).loss == 0)
    let found = Dictionary(try model.figures(on: examples).map { ($0.name, $0.value) }) { $1 }
    #expect(found["second view, squared error"] == 0)
    #expect((found["mean picture, squared error"] ?? 0) > 0.01)
  }

  @Test("Acting by a representation has the gradient of acting by the inverse")
  func gradient() {
    let group = FiniteAbelian([3, 2])
    let elements = [group.element([1, 1]), group.element([2, 0])]
    func check<R: Representation>(_ r: R) where R.Group == FiniteAbelian {
      var random = RandomStream(seed: 4, name: "vectors")
      let vectors = Variable(
        .normal([2, r.dimension], using: &random), requiresGradient: true)
      let weights = Tensor.normal([2, r.dimension], using: &random)
      let loss = (vectors.acted(by: r, elements) * Variable(weights)).sum()
      let found = Gradients(of: loss)[vectors]?.elements ?? []
      for (n, g) in elements.enumerated() {
        let (matrix, d) = (r.matrix(g), r.dimension)
        for j in 0..<d {
          let expected = (0..<d).reduce(0.0) {
            $0 + matrix[$1 * d + j] * Double(weights.elements[n * d + $1])
          }
          #expect(abs(expected - Double(found[n * d + j])) < 1e-5)
        }
      }
    }
    check(Regular(group, copies: 2))
    check(Diagonal.regular(group))
    check(DirectSum(Irreducible.all(group)))
  }

  @Test("A shift operator makes second views that a disentangled one cannot") func operators()
    throws
  {
    func error(_ action: String, _ more: String = "") throws -> Double {
      try latentFigures(
        """
        data: {kind: polygons, transform: shift, order: 5, size: 10, shapes: 40}
        model: {kind: operators, action: \(action), dimension: 100\(more)}
        training: {epochs: 10, batch: 32, weightDecay: 0, rate: 0.003}
        """)["second view, squared error"] ?? .nan
    }
    let (shift, diagonal, turn) = (
      try error("shift"), try error("diagonal"), try error("disentangled")
    )
    #expect(shift * 3 < turn && diagonal * 3 < turn, "\(shift) \(diagonal) \(turn)")
  }

  @Test("Not told the steps, an operator finds them by phase correlation")
  func weakSupervision() throws {
    let found = try latentFigures(
      """
      data: {kind: polygons, transform: shift, order: 5, size: 10, shapes: 40}
      model: {kind: operators, action: diagonal, dimension: 100, supervision: none}
      training: {epochs: 12, batch: 32, weightDecay: 0, rate: 0.003}
      """)
    let (second, mean) = (
      found["second view, squared error"] ?? .nan, found["mean picture, squared error"] ?? .nan
    )
    #expect(second * 2 < mean, "\(found)")
    #expect((found["step found by correlation"] ?? 0) > 0.8, "\(found)")
  }

  @Test(
    "Blocks, convolutions and mixers learn too",
    arguments: [
      "{kind: operators, action: irreducible, dimension: 100}",
      "{kind: operators, action: shift, dimension: 100, architecture: convolutional, width: 4}",
      "{kind: operators, action: diagonal, dimension: 100, mixers: true}",
    ])
  func architectures(model: String) throws {
    let found = try latentFigures(
      """
      data: {kind: polygons, transform: \(model.contains("mixers") ? "all" : "shift"), order: \(model.contains("mixers") ? 2 : 4), size: 12, shapes: 40}
      model: \(model)
      training: {epochs: 12, batch: 32, weightDecay: 0, rate: 0.003}
      """.replacing(
        "dimension: 100", with: model.contains("mixers") ? "dimension: 64" : "dimension: 96")
    )
    let (second, mean) = (
      found["second view, squared error"] ?? .nan, found["mean picture, squared error"] ?? .nan
    )
    #expect(second < mean * 0.7, "\(found)")
  }

  @Test("A latent canonicalizer finds classes and steps that it was not trained on")
  func transport() throws {
    // A bar of one of two lengths on a ring of eight noisy pixels, which a shift moves.
    func examples(_ steps: [(a: Int, b: Int, label: Int)], seed: UInt64) -> Examples {
      var random = RandomStream(seed: seed, name: "rings")
      let noise = steps.map { _ in (0..<8).map { _ in 0.4 * random.uniform() } }
      func pictures(_ place: (Int) -> Int) -> Tensor {
        let pixels = steps.indices.flatMap { n in
          (0..<64).map { i -> Float in
            let slot = (i % 8 - place(n) + 16) % 8
            return i / 8 == 3 ? noise[n][slot] + (slot < (steps[n].label == 0 ? 1 : 3) ? 1 : 0) : 0
          }
        }
        return Tensor(pixels, shape: [steps.count, 8, 8, 1])
      }
      return Examples(
        inputs: pictures { steps[$0].a }, labels: steps.map(\.label),
        [
          "partner": pictures { steps[$0].b },
          "pose": Tensor(steps.map { Float($0.a) }, shape: [steps.count, 1]),
          "partnerPose": Tensor(steps.map { Float($0.b) }, shape: [steps.count, 1]),
        ])
    }
    let all = (0..<128).map { (a: $0 / 2 % 8, b: ($0 / 2 + 3) % 8, label: $0 % 2) }
    // Trained at three steps of eight.
    let few = (0..<480).map { (a: $0 / 2 % 3 - 1, b: ($0 / 2 + 1) % 3 - 1, label: $0 % 2) }
    let settings = try latentSettings(
      """
      data: {kind: tensors}
      input: {size: 8}
      model: {kind: transport, order: 8, dimension: 32, hidden: 16, references: 20, neighbors: 2}
      training: {epochs: 40, batch: 32, optimizer: adam, schedule: constant, rate: 0.003}
      """)
    let data = Dataset(
      train: examples(few, seed: 1), valid: examples(few, seed: 2),
      classNames: ["short", "long"])
    var trainer = try Trainer(settings, data: data)
    while !trainer.isFinished { try trainer.advance() }
    try trainer.validate()
    let model = try #require(trainer.model as? TransportModel)
    let figures = Dictionary(
      try model.figures(on: examples(all, seed: 3)).map { ($0.name, $0.value) }
    ) { $1 }
    #expect((figures["accuracy at the worst step, pose known"] ?? 0) > 0.9, "\(figures)")
    // One in eight by chance.
    #expect((figures["step found"] ?? 0) > 0.35, "\(figures)")
    // Codes that are no numbers have no figure.
    for (name, parameter) in model.parameters where name.hasPrefix("encoder") {
      let kept = parameter.value
      parameter.value = kept * .infinity
      #expect(try model.figures(on: examples(all, seed: 3)).allSatisfy { $0.value.isNaN })
      parameter.value = kept
    }
    let deviations = try model.deviations(on: examples(all, seed: 3))[0].values
    #expect(deviations.reduce(0, +) / Double(deviations.count) < 0.3)
    // References come back with the weights.
    let path =
      FileManager.default.temporaryDirectory.path
      + "/canon-transport-\(ProcessInfo.processInfo.processIdentifier).safetensors"
    try trainer.bestModel().write(to: path)
    let other = try #require(try ModelFile(path: path).model() as? TransportModel)
    let inputs = examples(all, seed: 3).inputs
    #expect(other.predict(inputs).poses == model.predict(inputs).poses)
    #expect(throws: DatasetError.self) {
      try model.prepared(Examples(inputs: inputs, labels: examples(all, seed: 3).labels))
    }
    #expect(
      latentRefusal("{data: {kind: stepped-mnist}, model: {kind: transport, dimension: 201}}")
        .contains("does not divide"))
  }
}
