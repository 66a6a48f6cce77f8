import Autodiff
import Canonicalization
import Datasets
import Foundation
import Layers
import Settings
import Symmetry
import TensorCore
import Testing
import Training

func latentSettings(_ text: String) throws -> RunConfiguration {
  try RunConfiguration(text: text, source: "test")
}

/// The words in which a configuration is refused.
func latentRefusal(_ text: String) -> String {
  do {
    _ = try latentSettings(text)
    return ""
  } catch { return "\(error)" }
}

func latentTrained(_ text: String) throws -> (model: any MeasuredModel, data: RunConfiguration) {
  let configuration = try latentSettings(text)
  var trainer = try Trainer(configuration, data: try configuration.loadData())
  while !trainer.isFinished {
    try trainer.advance()
    if trainer.isValidationDue { try trainer.validate() }
  }
  try trainer.restoreBest()
  return (try #require(trainer.model as? any MeasuredModel), configuration)
}

func latentFigures(_ text: String) throws -> [String: Double] {
  let (model, configuration) = try latentTrained(text)
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
    let configuration = try latentSettings(
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

  @Test("A few steps teach a class-pose encoder where glyphs are; a learned action drifts")
  func learning() throws {
    func run(_ action: String) throws -> [String: Double] {
      try latentFigures(
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

  @Test("Turns act on a linear code as matrices; a decoder draws what codes say")
  func linearAndDecoder() throws {
    let found = try latentFigures(
      """
      data: {kind: scenes, scene: glyphs, count: 640, size: 12}
      model: {kind: class-pose, action: linear}
      backbone: {kind: pose-cnn, width: 8}
      training: {epochs: 8, batch: 32, rate: 0.003}
      """)
    #expect((found["hit-rate, 20 steps"] ?? 0) > 0.2, "\(found)")
    #expect(found["pose error, median"] == nil)
    #expect(
      latentRefusal(
        "{data: {kind: scenes, scene: rooms}, model: {kind: class-pose, action: linear}}"
      )
      .contains("products of SO2 and SO3"))
    let (model, configuration) = try latentTrained(
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

  @Test("Hits are counted by half of what orbits lie apart, and all of what poses do")
  func measure() throws {
    var random = RandomStream(seed: 1, name: "measure")
    let network = Linear(2, 4, using: &random)
    let group = try #require(AmbientGroup(named: "R2"))
    let space = ClassPoseSpace(ClassPoseEncoder(network, group: group, classDimensions: 2))
    let codes = Tensor([1, 0, 0.1, 0.2, 0, 1, 0.4, 0.2], shape: [2, 4])
    let measured = space.measured(codes)
    let apart = (measured[0] - measured[1]).squared().sum().scalar
    #expect(abs(apart - (2 / 2 + 0.09)) < 1e-6)
  }

  @Test("Of an orbit with a single example no pose error is told, and that is said")
  func singleExamples() throws {
    let model = try latentSettings(
      "{data: {kind: scenes, scene: glyphs, size: 8}, model: class-pose}"
    )
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
    #expect(
      encoder.remarks(on: examples([0, 0, 1, 1]))
        == ["There are 4 pairs: a hit is among so many, and by chance one in 4."])
  }

  @Test("What cannot be is said in a sentence")
  func refusals() throws {
    let scenes = "data: {kind: scenes, scene: solids}\n"
    #expect(latentRefusal(scenes + "model: {kind: class-pose, group: R3}").contains("move by SO3"))
    #expect(
      latentRefusal(scenes + "model: {kind: class-pose, group: SU2}").contains("must be like"))
    let shifts = "data: {kind: polygons, transform: shift, order: 10, size: 28}\n"
    #expect(latentRefusal(shifts).contains("do not go around"))
    let turns = "data: {kind: polygons, order: 10}\n"
    #expect(
      latentRefusal(turns + "model: {kind: operators, dimension: 801}").contains("does not divide"))
    #expect(
      latentRefusal(turns + "model: {kind: operators, orders: [7]}").contains(
        "go around after [10]"))
    #expect(
      latentRefusal(turns + "model: {kind: operators, orders: [2.5]}").contains("whole numbers"))
    let model = try latentSettings(scenes + "model: class-pose").makeModel(classNames: [])
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
      lacking(["partner": pictures, "element": .zeros([2, 2])]).contains("[count, 3]"))
    #expect(
      lacking(["partner": pictures, "element": .ones([2, 3]) * .nan]).contains("not numbers"))
    // Orders whose product is beyond all numbers, steps for angles and angles for steps, mixers without use.
    let points = "data: {kind: tensors, points: 3, dimension: 2}\n"
    for action in ["shift", "diagonal", "irreducible"] {
      #expect(
        latentRefusal(
          points
            + "model: {kind: operators, dimension: 16, action: \(action), orders: [1024, 1024, 1024, 1024, 1024, 1024, 1024, 1024]}"
        ).contains("has elements"))
    }
    #expect(latentRefusal(turns + "model: class-pose").contains("whole steps"))
    #expect(latentRefusal(scenes + "model: operators").contains("move by SO3"))
    #expect(
      latentRefusal(turns + "model: {kind: operators, action: diagonal, mixers: true}").contains(
        "several"))
    #expect(
      latentRefusal("data: {kind: stepped-mnist, reach: 5}\nmodel: transport").contains(
        "some twice"))
    let operators = try latentSettings(turns + "model: operators").makeModel(classNames: [])
    let small = Tensor.zeros([1, 28, 28, 1])
    #expect(throws: DatasetError.self) {
      try operators.prepared(
        Examples(inputs: small, ["partner": small, "element": Tensor([0.5], shape: [1, 1])]))
    }
  }
}
