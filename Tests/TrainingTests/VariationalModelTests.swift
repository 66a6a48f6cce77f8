import Autodiff
import Datasets
import Foundation
import Layers
import Settings
import Symmetry
import TensorCore
import Testing

@testable import Training

private let tiny =
  """
  data: {kind: dsprites, count: 640, size: 16}
  training: {epochs: 6, batch: 32, optimizer: adam, rate: 0.01}
  """

private func made(_ model: String, seed: Int = 0) throws -> VariationalModel {
  try #require(
    try latentSettings("\(tiny)\nseed: \(seed)\nmodel: {kind: variational, \(model)}")
      .makeModel(classNames: []) as? VariationalModel)
}

@Suite struct VariationalModelTests {
  @Test(
    "The objective is reconstruction and divergence, as by hand",
    arguments: [
      VariationalModel.Likelihood.bernoulli, .gaussian,
    ])
  func byHand(likelihood: VariationalModel.Likelihood) {
    // Two pictures of two pixels; the encoder and the decoder say the same whatever they see.
    let (means, variances): ([Double], [Double]) = ([1, -0.5, 0, 2], [0, -1, 0.5, 0])
    let rows = Tensor([1, -0.5, 0, -1, 0, 2, 0.5, 0], shape: [2, 4])
    let raw = Tensor([2, -1, 0, 0.5], shape: [2, 2])
    var settings = VariationalModel.Settings()
    settings.likelihood = likelihood
    settings.beta = 3
    let model = VariationalModel(
      encoder: Function { _ in Variable(rows) }, decoder: Function { _ in Variable(raw) },
      dimension: 2, settings: settings, domain: ImageDomain(size: 16))
    let pictures: [Double] = [1, 0, 0.25, 1]
    let reconstruction =
      zip(raw.elements.map(Double.init), pictures).map { x, t -> Double in
        let p = 1 / (1 + exp(-x))
        return likelihood == .bernoulli
          ? -t * log(p) - (1 - t) * log(1 - p) : (p - t) * (p - t)
      }.reduce(0, +) / 2
    let divergence =
      zip(means, variances).map { ($0 * $0 + exp($1) - $1 - 1) / 2 }
      .reduce(0, +) / 2
    let examples = Examples(inputs: Tensor(pictures.map { Float($0) }, shape: [2, 2]))
    let loss = Double(model.loss(examples, on: .inference()).value.scalar)
    #expect(abs(loss - (reconstruction + 3 * divergence)) < 1e-5)
    let terms = model.terms(of: examples.inputs, on: .inference())
    #expect(abs(Double(terms[0].value.value.scalar) - reconstruction) < 1e-5)
    #expect(abs(Double(terms[1].value.value.scalar) - divergence) < 1e-5)
  }

  @Test("Total correlation is near 0 of independent numbers, and that of a correlation otherwise")
  func totalCorrelation() {
    var random = RandomStream(seed: 5, name: "codes")
    let (count, share) = (600, Float(0.8))
    func estimate(isShared: Bool) -> Double {
      let drawn = Tensor.normal([count, 2], deviation: share.squareRoot(), using: &random)
      let one = drawn.sliced(0..<1, axis: 1)
      let posterior = Posterior(
        mean: Variable(isShared ? .concatenated([one, one], axis: 1) : drawn),
        logVariance: Variable(Tensor(repeating: log(1 - share), shape: [count, 2])))
      let codes = posterior.sample(on: .training(random: random))
      return Double(
        posterior.totalCorrelation(of: codes, population: 600).value.scalar)
    }
    // Of two normal numbers of correlation r it is −½ log(1 − r²).
    #expect(abs(estimate(isShared: false)) < 0.06)
    #expect(abs(estimate(isShared: true) + 0.5 * log(1 - 0.64)) < 0.1)
    for row in 0..<7 {
      let weights = Posterior.stratified(7, population: 1000).sliced(row..<row + 1).elements
      #expect(abs(weights.reduce(0) { $0 + exp(Double($1)) } - 1) < 1e-6)
      #expect(abs(exp(Double(weights[row])) - 1e-3) < 1e-8)
    }
  }

  @Test("Moved codes and their pictures are compared with the partner's, there and back")
  func pairs() {
    var random = RandomStream(seed: 9, name: "codebook")
    let codebook = SymmetryCodebook(dimension: 1, elements: 1, using: &random)
    // The first pixel is the code, of no variance, and exp(log 4) leads from z to 4 z where it is switched on.
    codebook.generators.value = Tensor([log(4)], shape: [1, 1, 1, 1])
    func terms(isOn: Bool) -> [String: Float] {
      codebook.attention.weight.value = .zeros([4, 3])
      codebook.attention.bias.value = Tensor(isOn ? [-50, 50, 0] : [50, -50, 0])
      var settings = VariationalModel.Settings()
      settings.likelihood = .gaussian
      let model = VariationalModel(
        encoder: Function { input in
          let first = input.reshaped([2, -1]).sliced(0..<1, axis: 1)
          return .concatenated([first, first * 0 - 60], axis: 1)
        }, decoder: Function { $0 }, dimension: 1, codebook: codebook, settings: settings,
        domain: ImageDomain(size: 1))
      let tape = Tape.training(random: RandomStream(seed: 1, name: "step"))
      let found = model.terms(of: Tensor([1, 3], shape: [2, 1, 1, 1]), on: tape)
      return Dictionary(found.map { ($0.name, $0.value.value.scalar) }) { $1 }
    }
    func picture(_ code: Double, _ pixel: Double) -> Double {
      pow(1 / (1 + exp(-code)) - pixel, 2)
    }
    for (isOn, factor) in [(false, 1.0), (true, 4)] {
      let found = terms(isOn: isOn)
      let encoding = pow(factor - 3, 2) + pow(3 / factor - 1, 2)
      #expect(abs(Double(found["encoding"] ?? .nan) - encoding) < 1e-5)
      let decoding = picture(factor, 3) + picture(3 / factor, 1)
      #expect(abs(Double(found["decoding"] ?? .nan) - decoding) < 1e-5)
      // Two numbers 2 apart have changed: sure that they have not, a switch pays 100.
      #expect(abs((found["prediction"] ?? .nan) - (isOn ? 0 : 100)) < 1e-4)
    }
  }

  @Test("Every term's gradient is the slope of the term")
  func gradients() throws {
    let model = try made(
      "objective: total-correlation, beta: 4, symmetry: codebook, dimension: 3, elements: 2, width: 2, hidden: 8"
    )
    let inputs = DSprites.examples(at: (0..<6).map { 100_003 * $0 + 17 }, size: 16).inputs
    // Untrained, an encoder says nearly the same of all, and nothing depends on anything.
    for (name, parameter) in model.parameters where name.hasPrefix("backbone.encoder") {
      parameter.value = parameter.value * 2
    }
    func terms() -> (tape: Tape, terms: [(name: String, value: Variable, weight: Float)]) {
      let tape = Tape.training(random: RandomStream(seed: 6, name: "step"))
      return (tape, model.terms(of: inputs, on: tape))
    }
    let names = terms().terms.map(\.name)
    #expect(names.count == 10)
    var random = RandomStream(seed: 7, name: "direction")
    for (n, name) in names.enumerated() {
      // Through switches that are hard forwards and soft backwards there is no slope to compare with.
      let isBehindSwitches = name == "encoding" || name == "decoding"
      let moved = model.parameters.filter {
        !isBehindSwitches || $0.name == "codebook.generators"
          || $0.name.hasPrefix("backbone.decoder")
      }.map(\.parameter)
      let directions = moved.map { Tensor.normal($0.value.shape, using: &random) }
      let (tape, found) = terms()
      let gradients = Gradients(of: found[n].value)
      let slope = zip(moved, directions).reduce(0.0) { sum, pair in
        let gradient = tape.leaf(of: pair.0).flatMap { gradients[$0] }
        return sum + Double(gradient.map { ($0 * pair.1).sum().scalar } ?? 0)
      }
      // The logarithm of a small cosine is steep.
      let step: Float = name == "parallel" ? 5e-5 : 1e-3
      func value(_ factor: Float) -> Double {
        for (p, d) in zip(moved, directions) { p.value = p.value + d * factor }
        defer { for (p, d) in zip(moved, directions) { p.value = p.value - d * factor } }
        return Double(terms().terms[n].value.value.scalar)
      }
      let difference = (value(step) - value(-step)) / Double(2 * step)
      #expect(abs(slope) > 1e-5, "\(name)")
      #expect(
        abs(slope - difference) < 0.06 * max(0.1, abs(difference)), "\(name) \(slope) \(difference)"
      )
    }
  }

  @Test(
    "The loss falls",
    arguments: [
      "symmetry: none", "objective: total-correlation, beta: 2", "symmetry: codebook",
      "likelihood: gaussian, anneal: 10",
    ])
  func learns(model: String) throws {
    let settings = try latentSettings(
      "\(tiny)\nmodel: {kind: variational, \(model), dimension: 4, elements: 3, width: 4, hidden: 16}"
        .replacing(model.contains("codebook") ? "#" : ", elements: 3", with: ""))
    var trainer = try Trainer(settings, data: try settings.loadData())
    let before = trainer.model.quality(on: trainer.data.valid).loss
    while !trainer.isFinished { try trainer.advance() }
    let after = trainer.model.quality(on: trainer.data.valid).loss
    #expect(after < 0.8 * before, "\(before) \(after)")
    let measured = try #require(trainer.model as? VariationalModel)
    let figures = try measured.figures(on: trainer.data.valid)
    #expect(figures.allSatisfy { $0.value.isFinite && $0.value >= 0 })
    if model.contains("anneal") {
      #expect(trainer.model.tensors["steps"]?.scalar == 120)
    }
  }

  @Test("Codes are posterior means, and the codebook has what the settings say")
  func codes() throws {
    let model = try made("symmetry: codebook, dimension: 3, elements: 5, width: 2")
    let examples = DSprites.examples(at: [5, 70_000, 300_000, 600_000], size: 16)
    let mean = model.posterior(Variable(examples.inputs), on: .inference()).mean.value
    #expect(model.codes(of: examples.inputs) == mean)
    let codebook = try #require(model.codebook)
    #expect(codebook.generators.value.shape == [3, 5, 3, 3])
    #expect(codebook.attention.weight.value.shape == [12, 3 * 7])
    // Where attention has no preference a factor's symmetry is the mean of its elements.
    codebook.attention.weight.value = .zeros([12, 21])
    codebook.attention.bias.value = .zeros([21])
    let found = try model.generators(on: examples)
    #expect((found - codebook.generators.value.mean([1])).absolute().elements.max() ?? 1 < 1e-6)
    let deviations = try model.deviations(on: examples)
    #expect(deviations.map(\.values.count) == [2, 2, 2, 2])
    // A codebook of zeros moves nothing.
    codebook.generators.value = .zeros([3, 5, 3, 3])
    let figures = Dictionary(try model.figures(on: examples).map { ($0.name, $0.value) }) { $1 }
    #expect(
      figures["code moved to its partner, relative"] == figures["code unmoved, relative"])
  }

  @Test("A traversal changes one number of the first code, for those that are active")
  func traversal() throws {
    let model = VariationalModel(
      encoder: Function { input in
        let first = input.reshaped([input.shape[0], -1]).sliced(0..<1, axis: 1)
        return .concatenated([first, first * 0.001, first * 0, first * 0], axis: 1)
      },
      decoder: Function { codes in
        codes.sum([1], keepingAxes: true) + Variable(.zeros([1, 256]))
      }, dimension: 2, domain: ImageDomain(size: 16))
    var random = RandomStream(seed: 8, name: "pictures")
    let examples = Examples(inputs: .uniform([20, 16, 16, 1], using: &random))
    let rows = try model.traversal(from: examples, values: [-2, 2])
    #expect(rows.map(\.number) == [0] && rows[0].pictures.shape == [2, 16, 16, 1])
    let second = examples.inputs.elements[0] * 0.001
    #expect(abs(rows[0].pictures.elements[300] - 1 / (1 + exp(-2 - second))) < 1e-6)
  }

  @Test("Pieces of a batch count each step once") func pieces() throws {
    let settings = try latentSettings(
      "\(tiny.replacing("epochs: 6", with: "epochs: 1, pieces: 2"))\nmodel: {kind: variational, anneal: 5, symmetry: codebook, dimension: 2, elements: 2, width: 2, hidden: 4}"
    )
    var trainer = try Trainer(settings, data: try settings.loadData())
    for _ in 0..<4 { try trainer.advance() }
    #expect(trainer.model.tensors["steps"]?.scalar == 4)
  }

  static let refused = [
    (
      "data: {kind: dsprites}\nmodel: {kind: variational, symmetry: codebook}\ntraining: {batch: 15}",
      "'batch' is 15, and a codebook learns from the pairs of two halves; set an even one"
    ),
    (
      "data: {kind: dsprites}\nmodel: {kind: variational, symmetry: codebook}\ntraining: {batch: 6, pieces: 2}",
      "'batch' is 6 in 2 pieces"
    ),
    (
      "data: {kind: dsprites}\nmodel: {kind: variational, objective: total-correlation}\ntraining: {batch: 4, pieces: 4}",
      "no total correlation"
    ),
    (
      "data: {kind: scenes, scene: sprites}\nmodel: {kind: variational, objective: total-correlation}",
      "set 'population'"
    ),
    (
      "data: {kind: scenes, scene: sprites, size: 24}\nmodel: {kind: variational}",
      "16 does not divide"
    ),
    ("data: {kind: dsprites, size: 40}", "'size' is 40 but must be a multiple of 16"),
    ("data: {kind: mnist-points}\nmodel: {kind: variational}", "'variational' is for images"),
    ("data: {kind: dsprites}\nmodel: {kind: variational, elements: 3}", "unknown key 'elements'"),
    ("data: {kind: dsprites}\nmodel: {kind: variational, beta: -1}", "'beta' is '-1'"),
  ]

  @Test("What cannot be trained is refused in a sentence", arguments: refused)
  func refusal(text: String, words: String) {
    let said = latentRefusal(text)
    #expect(said.contains(words), "\(said)")
  }

  @Test("Generators that are no numbers stop training, and have no figures") func degenerate()
    throws
  {
    let settings = try latentSettings(
      "\(tiny)\nmodel: {kind: variational, symmetry: codebook, dimension: 2, elements: 2, width: 2}"
    )
    var trainer = try Trainer(settings, data: try settings.loadData())
    let model = try #require(trainer.model as? VariationalModel)
    model.codebook?.generators.value = Tensor(repeating: .nan, shape: [2, 2, 2, 2])
    #expect(throws: TrainingError.self) { try trainer.advance() }
    let figures = Dictionary(
      try model.figures(on: trainer.data.valid).map { ($0.name, $0.value) }
    ) { $1 }
    #expect(figures["code moved to its partner, relative"]?.isNaN == true)
    let plain = try made("dimension: 2, width: 2")
    #expect(throws: DatasetError.self) { try plain.deviations(on: trainer.data.valid) }
    #expect(throws: DatasetError.self) { try plain.prepared(trainer.data.valid.prefix(1)) }
  }
}

@Suite struct DSpritesDataTests {
  @Test("A sprite that is not turned is the one that is drawn point by point, to the bit")
  func drawing() {
    for (orbit, scale) in [(0, 0.5), (1, 0.7), (2, 1), (0, 1.0)] {
      for (x, y) in [(-0.6, 0.6), (0.013, -0.2), (0.6, -0.6), (0.95, 0.1)] {
        let n = log(scale)
        #expect(
          DSprites().draw(orbit, .init([n, 1, 0, x, y]), size: 32)
            == Sprites().draw(orbit, .init([x, y, n]), size: 32))
      }
    }
    // However it is turned, nothing is cut off.
    let areas = (0..<40).map { step -> Float in
      let angle = 2 * Double.pi * Double(step) / 40
      return DSprites().draw(0, .init([0, cos(angle), sin(angle), 0, 0]), size: 64).reduce(0, +)
    }
    #expect((areas.max() ?? 0) - (areas.min() ?? 0) < 0.01 * areas[0])
  }

  @Test("Pictures follow from seed, place and epoch, and their factors say what they show")
  func stream() throws {
    var options = DSpritesOptions()
    (options.count, options.size) = (64, 16)
    let data = try options.load(seed: 0)
    let stream = try #require(data.stream)
    let (one, again) = (stream([3, 9], epoch: 1), stream([9], epoch: 1))
    #expect(
      one.inputs.sliced(1..<2) == again.inputs && stream([9], epoch: 2).inputs != again.inputs)
    #expect(data.trainCount == 64 && data.valid["factors"]?.shape == [16, 5])
    let test = try #require(try options.test(seed: 0))
    for examples in [test, data.valid, one] {
      let factors = try #require(examples["factors"]).elements.map { Int($0) }
      for n in 0..<examples.count {
        let values = Array(factors[5 * n..<5 * n + 5])
        #expect(values[0] == examples.labels[n])
        let pose = DSprites.pose(values[1...])
        #expect(
          DSprites().draw(values[0], pose, size: 16) == examples.inputs[n].elements)
      }
    }
  }
}
