import Autodiff
import Datasets
import Foundation
import Layers
import Settings
import Symmetry
import TensorCore
import Testing
import Training

private func settings(_ text: String) throws -> RunConfiguration {
  try RunConfiguration(text: text, source: "test")
}

/// The words in which a configuration is refused.
private func refusal(_ text: String) -> String {
  do {
    _ = try settings(text)
    return ""
  } catch { return "\(error)" }
}

private func trained(_ text: String) throws -> (model: any MeasuredModel, data: RunConfiguration) {
  let configuration = try settings(text)
  var trainer = try Trainer(configuration, data: try configuration.loadData())
  while !trainer.isFinished {
    try trainer.advance()
    if trainer.isValidationDue { try trainer.validate() }
  }
  try trainer.restoreBest()
  return (try #require(trainer.model as? any MeasuredModel), configuration)
}

private func figures(_ text: String) throws -> [String: Double] {
  let (model, configuration) = try trained(text)
  let test = try #require(try configuration.data.test(seed: 0))
  return Dictionary(
    try model.figures(on: try model.prepared(test)).map { ($0.name, $0.value) }
  ) { $1 }
}

@Suite struct LatentModelTests {
  @Test("Codes hit where they are, not elsewhere, and what is no number hits nothing")
  func hitRate() {
    var random = RandomStream(seed: 1, name: "codes")
    let codes = Tensor.normal([70, 3], using: &random)
    let perfect = HitRate(predicted: codes, actual: codes)
    // The last six are among fewer, and are left out.
    #expect(perfect.count == 64 && perfect.value == 1)
    let others = codes.gathered((0..<70).map { min($0 / 32 * 32 + ($0 + 1) % 32, 69) })
    #expect(HitRate(predicted: others, actual: codes).value == 0)
    let nothing = HitRate(predicted: codes * .nan, actual: codes)
    #expect(nothing.hits == 0 && nothing.sampling > 0)
    let collapsed = Tensor(repeating: 1, shape: [64, 3])
    #expect(HitRate(predicted: collapsed, actual: collapsed).value == 2.0 / 64)
  }

  @Test(
    "Poses that differ by a translation of their orbit from the right are right",
    arguments: [
      "R2", "SO2", "SO3",
    ])
  func poseErrors(name: String) throws {
    let group = try #require(AmbientGroup(named: name))
    var random = RandomStream(seed: 2, name: name)
    let actual = (0..<20).map { _ in group.sample(using: &random) }
    let frames = (0..<2).map { _ in group.sample(using: &random) }
    let orbits = (0..<20).map { $0 % 2 }
    let right = zip(actual, orbits).map { group.compose($0, frames[$1]) }
    let exact = PoseErrors(found: right, actual: actual, orbits: orbits, in: group)
    #expect(exact.quantile(1) < 1e-6)
    // From the left they are not, but where the group commutes.
    let left = zip(actual, orbits).map { group.compose(frames[$1], $0) }
    let wrong = PoseErrors(found: left, actual: actual, orbits: orbits, in: group)
    #expect((wrong.quantile(1) > 0.1) == (name == "SO3"))
  }

  @Test("Scenes are moved by the group: a quarter turn is that of the picture, a shift a shift")
  func scenes() throws {
    let glyphs = Glyphs()
    let quarter = AmbientGroup.Element([0, 1])
    var random = RandomStream(seed: 3, name: "glyph")
    for orbit in 0..<3 {
      let pose = glyphs.pose(using: &random)
      func picture(_ g: AmbientGroup.Element) -> Tensor {
        Tensor(glyphs.draw(orbit, g, size: 24), shape: [1, 24, 24, 1])
      }
      let turned = ImageAction(SO2()).act([PlanarIsometry(quarterTurns: 1)], on: picture(pose))
      // A sample on an outline may fall on either side of it.
      let difference = picture(glyphs.group.compose(quarter, pose)) - turned
      #expect(difference.absolute().mean().scalar < 1e-3)
    }
    let sprites = Sprites()
    let still = sprites.draw(0, .init([0, 0, 0]), size: 16)
    let moved = sprites.draw(0, .init([2.0 / 16, -4.0 / 16, 0]), size: 16)
    let expected = (0..<256).map { i -> Float in
      let (x, y) = (i % 16 - 1, i / 16 + 2)
      return (0..<16).contains(x) && (0..<16).contains(y) ? still[y * 16 + x] : 0
    }
    #expect(zip(moved, expected).reduce(0) { $0 + abs($1.0 - $1.1) } / 256 < 1e-3)
  }

  @Test(
    "Pictures of all scenes differ with orbit and pose, and elements take one to the next",
    arguments: ["sprites", "several-sprites", "glyphs", "solids", "rooms", "colors", "dsprites"])
  func pairs(scene: String) throws {
    let configuration = try settings(
      "{data: {kind: scenes, scene: \(scene), count: 32, size: 16}, model: class-pose}")
    let data = try #require(configuration.data as? SceneOptions)
    let test = try #require(try data.test(seed: 0))
    #expect((test.inputs - (try #require(test["partner"]))).absolute().mean().scalar > 0.01)
    #expect(test.inputs.elements.allSatisfy { (0...1).contains($0) })
    // The product of all steps takes the first pose to the last, by which it is drawn.
    let group = data.group
    let (steps, pose) = (try #require(test["steps"]), try #require(test["pose"]))
    #expect(steps.shape.extents == [64, 20, group.dimension])
    #expect(pose.shape.extents == [64, group.elementCount])
    #expect(
      Set(test.labels).count
        == ["several-sprites": 27, "rooms": 2, "colors": 4][scene, default: 3])
  }

  @Test("Shifts of polygons go around the torus bit for bit; turns are those of the picture")
  func polygons() throws {
    let shifts = Polygons(.shift, order: 5, size: 20).pairs(shapes: 2, perShape: 25, seed: 1)
    let (x, y) = (shifts.inputs, try #require(shifts["partner"]))
    let steps = try #require(shifts["element"]).elements
    for n in 0..<shifts.count {
      let (a, b) = (x[n].elements, y[n].elements)
      let by = Int(steps[n]) * 4
      #expect((0..<400).allSatisfy { b[$0 / 20 * 20 + ($0 % 20 + by) % 20] == a[$0] })
    }
    let turns = Polygons(.rotation, order: 4, size: 20).pairs(shapes: 2, perShape: 16, seed: 1)
    let moved = ImageAction(SO2()).act(
      try #require(turns["element"]).elements.map { PlanarIsometry(quarterTurns: Int($0)) },
      on: turns.inputs)
    #expect((moved - (try #require(turns["partner"]))).absolute().elements.allSatisfy { $0 < 1e-5 })
  }

  @Test("Quarter turns and shifts of a torus move pixels, one after the other") func stacked()
    throws
  {
    let polygons = Polygons(.all, order: 5, size: 20)
    let pairs = polygons.pairs(shapes: 2, perShape: 30, seed: 1)
    let (x, y) = (pairs.inputs, try #require(pairs["partner"]))
    let steps = try #require(pairs["element"]).elements.map { Int($0) }
    for n in 0..<pairs.count {
      let turned = ImageAction(SO2()).act(
        [PlanarIsometry(quarterTurns: steps[3 * n])], on: x.sliced(n..<n + 1)
      ).elements
      let b = y[n].elements
      let (right, down) = (4 * steps[3 * n + 1], 4 * steps[3 * n + 2])
      #expect(
        turned.indices.allSatisfy {
          b[($0 / 20 + down) % 20 * 20 + ($0 % 20 + right) % 20] == turned[$0]
        })
    }
  }

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

  @Test("A few steps teach a class-pose encoder where glyphs are; a learned action drifts")
  func learning() throws {
    func run(_ action: String) throws -> [String: Double] {
      try figures(
        """
        data: {kind: scenes, scene: glyphs, count: 640, size: 12}
        model: {kind: class-pose, action: \(action)}
        backbone: {kind: pose-cnn, width: 8}
        training: {epochs: 12, batch: 32, rate: 0.003}
        """)
    }
    let found = try run("multiplication")
    // One in 32 by chance; a quarter turn is the mean error of a pose at random.
    #expect((found["hit-rate, 1 step"] ?? 0) > 0.3)
    #expect((found["hit-rate, 20 steps"] ?? 0) > 0.3)
    #expect((found["pose error, median"] ?? .infinity) < 0.3)
    let learned = try run("learned")
    #expect((learned["hit-rate, 20 steps"] ?? 1) < (found["hit-rate, 20 steps"] ?? 0))
  }

  @Test("A shift operator makes second views that a disentangled one cannot") func operators()
    throws
  {
    func error(_ action: String, _ more: String = "") throws -> Double {
      try figures(
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
    let found = try figures(
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
    let found = try figures(
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

  @Test("Turns act on a linear code as matrices; a decoder draws what codes say")
  func linearAndDecoder() throws {
    let found = try figures(
      """
      data: {kind: scenes, scene: glyphs, count: 640, size: 12}
      model: {kind: class-pose, action: linear}
      backbone: {kind: pose-cnn, width: 8}
      training: {epochs: 8, batch: 32, rate: 0.003}
      """)
    #expect((found["hit-rate, 20 steps"] ?? 0) > 0.2, "\(found)")
    #expect(found["pose error, median"] == nil)
    #expect(
      refusal("{data: {kind: scenes, scene: rooms}, model: {kind: class-pose, action: linear}}")
        .contains("products of SO2 and SO3"))
    let (model, configuration) = try trained(
      """
      data: {kind: scenes, scene: glyphs, count: 640, size: 12}
      model: {kind: class-pose, decoder: true}
      backbone: {kind: pose-cnn, width: 8}
      training: {epochs: 8, batch: 32, rate: 0.003}
      """)
    let traversable = try #require(model as? any TraversableModel)
    let test = try #require(try configuration.data.test(seed: 0))
    let partner = try #require(test["partner"]).sliced(0..<32)
    let drawn = traversable.traversed(test, count: 32)
    let mean = partner.mean([0], keepingAxes: true)
    #expect(
      (drawn - partner).squared().mean().scalar < (partner - mean).squared().mean().scalar)
    // What was drawn is no partner that was looked up.
    #expect(drawn[0].elements != partner[0].elements)
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
    let settings = try settings(
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
      refusal("{data: {kind: stepped-mnist}, model: {kind: transport, dimension: 201}}")
        .contains("does not divide"))
  }

  @Test("Of an orbit with a single example no pose error is told, and that is said")
  func singleExamples() throws {
    let model = try settings("{data: {kind: scenes, scene: glyphs, size: 8}, model: class-pose}")
      .makeModel(classNames: [])
    let encoder = try #require(model as? OrbitModel)
    var random = RandomStream(seed: 6, name: "single")
    func examples(_ labels: [Int]) -> Examples {
      let pictures = Tensor.uniform([labels.count, 8, 8, 1], using: &random)
      return Examples(
        inputs: pictures, labels: labels,
        [
          "partner": pictures, "element": .zeros([labels.count, 1]),
          "pose": Tensor(labels.flatMap { _ in [Float(1), 0] }, shape: [labels.count, 2]),
        ])
    }
    let single = examples([0, 1, 2])
    #expect(try encoder.figures(on: single).contains { $0.name.contains("pose error") } == false)
    #expect(encoder.remarks(on: single)[0].contains("3 orbits"))
    let mixed = examples([0, 0, 1])
    #expect(try encoder.figures(on: mixed).contains { $0.name.contains("pose error") })
    #expect(encoder.remarks(on: mixed)[0].contains("1 orbit there"))
    #expect(encoder.remarks(on: examples([0, 0, 1, 1])).isEmpty)
  }

  @Test("What cannot be is said in a sentence")
  func refusals() throws {
    let scenes = "data: {kind: scenes, scene: solids}\n"
    #expect(refusal(scenes + "model: {kind: class-pose, group: R3}").contains("move by SO3"))
    #expect(refusal(scenes + "model: {kind: class-pose, group: SU2}").contains("must be like"))
    let shifts = "data: {kind: polygons, transform: shift, order: 10, size: 28}\n"
    #expect(refusal(shifts).contains("do not go around"))
    let turns = "data: {kind: polygons, order: 10}\n"
    #expect(
      refusal(turns + "model: {kind: operators, dimension: 801}").contains("does not divide"))
    #expect(
      refusal(turns + "model: {kind: operators, orders: [7]}").contains("go around after [10]"))
    #expect(
      refusal(turns + "model: {kind: operators, orders: [2.5]}").contains("whole numbers"))
    let model = try settings(scenes + "model: class-pose").makeModel(classNames: [])
    let pictures = Tensor.zeros([2, 32, 32, 1])
    func lacking(_ tensors: [String: Tensor]) -> String {
      do {
        _ = try model.prepared(Examples(inputs: pictures, tensors))
        return ""
      } catch { return "\(error)" }
    }
    #expect(lacking([:]).contains("needs 'partner'"))
    #expect(lacking(["partner": pictures]).contains("needs 'element'"))
    #expect(
      lacking(["partner": pictures, "element": .zeros([2, 2])]).contains("[count] + [3]"))
    #expect(
      lacking(["partner": pictures, "element": .ones([2, 3]) * .nan]).contains("not numbers"))
    // Orders whose product is beyond all numbers, steps for angles and angles for steps, mixers without use.
    let points = "data: {kind: tensors, points: 3, dimension: 2}\n"
    for action in ["shift", "diagonal", "irreducible"] {
      #expect(
        refusal(
          points
            + "model: {kind: operators, dimension: 16, action: \(action), orders: [1024, 1024, 1024, 1024, 1024, 1024, 1024, 1024]}"
        ).contains("has elements"))
    }
    #expect(refusal(turns + "model: class-pose").contains("whole steps"))
    #expect(refusal(scenes + "model: operators").contains("move by SO3"))
    #expect(
      refusal(turns + "model: {kind: operators, action: diagonal, mixers: true}").contains(
        "several"))
    #expect(
      refusal("data: {kind: stepped-mnist, reach: 5}\nmodel: transport").contains("some twice"))
    let operators = try settings(turns + "model: operators").makeModel(classNames: [])
    let small = Tensor.zeros([1, 28, 28, 1])
    #expect(throws: DatasetError.self) {
      try operators.prepared(
        Examples(inputs: small, ["partner": small, "element": Tensor([0.5], shape: [1, 1])]))
    }
  }
}
