import Datasets
import Foundation
import Images
import Settings
import Symmetry
import TensorCore
import TestSupport
import Testing
import Training

private func options<Data>(_ text: String) throws -> Data {
  let all = try RunConfiguration(text: "{data: \(text), model: class-pose}", source: "test")
  return try #require(all.data as? Data)
}

@Suite struct PairedDataTests {
  @Test("A stream gives the same pair again, and another one in the next epoch")
  func streams() throws {
    let scenes: SceneOptions = try options(
      "{kind: scenes, scene: colors, count: 5000000, size: 8, stream: true}")
    let data = try scenes.load(seed: 0)
    let stream = try #require(data.stream)
    #expect(data.trainCount == 5_000_000 && data.train.count == 64 && data.valid.count == 2048)
    let places = [4_999_999, 17]
    let (a, b) = (stream(places, epoch: 3), stream([17, 4_999_999], epoch: 3))
    #expect(a.inputs[1].elements == b.inputs[0].elements && a.labels == [3, 1])
    #expect(a.inputs.elements != stream(places, epoch: 4).inputs.elements)
    let few = data.limited(to: 10)
    #expect(few.trainCount == 10 && few.train.count == 10)
    // Kept they would not have a place.
    do {
      let _: SceneOptions = try options("{kind: scenes, count: 5000000, size: 64}")
      Issue.record("five million pairs were kept")
    } catch { #expect("\(error)".contains("set 'stream' to true")) }
  }

  @Test("A run on a stream goes on where it stopped, bit for bit") func resumes() throws {
    let settings = try RunConfiguration(
      text: """
        data: {kind: scenes, scene: glyphs, count: 64, size: 8, stream: true}
        model: {kind: class-pose}
        backbone: {kind: pose-cnn, width: 2}
        training: {epochs: 3, batch: 16}
        """, source: "test")
    var whole = try Trainer(settings, data: try settings.loadData())
    for _ in 0..<12 { try whole.advance() }
    var half = try Trainer(settings, data: try settings.loadData())
    for _ in 0..<6 { try half.advance() }
    let file = half.checkpoint
    var rest = try Trainer(settings, data: try settings.loadData())
    try rest.resume(from: file, path: "memory")
    for _ in 0..<6 { try rest.advance() }
    for (name, tensor) in whole.model.tensors {
      #expect(rest.model.tensors[name]?.elements == tensor.elements, "\(name)")
    }
  }

  @Test("dSprites' grid has 737,280 pictures in the published order") func grid() {
    #expect(DSprites.factors.reduce(1, *) == DSprites.count)
    #expect(DSprites.values(at: 0) == [0, 0, 0, 0, 0])
    #expect(DSprites.values(at: 33) == [0, 0, 0, 1, 1])
    #expect(DSprites.values(at: DSprites.count - 1) == [2, 5, 39, 31, 31])
    let first = DSprites.picture(at: 1024 * 40 * 5 + 16 * 32 + 16, size: 32)
    #expect(first.reduce(0, +) > 20 && first.allSatisfy { (0...1).contains($0) })
    // Ten steps of forty are a quarter turn about the body's place.
    let scene = DSprites()
    func heart(_ step: Double) -> Tensor {
      let angle = 2 * Double.pi * step / 40
      let pose = AmbientGroup.Element([0, Foundation.cos(angle), Foundation.sin(angle), 0, 0])
      return Tensor(scene.draw(0, pose, size: 32), shape: [1, 32, 32, 1])
    }
    let turned = ImageAction(SO2()).act([PlanarIsometry(quarterTurns: 1)], on: heart(3))
    #expect((turned - heart(13)).absolute().mean().scalar < 1e-3)
    #expect((turned - heart(33)).absolute().mean().scalar > 1e-2)
  }

  @Test("Motions of images are actions, and take one of a pair to the other")
  func motions() throws {
    var random = RandomStream(seed: 1, name: "motions")
    let images = Tensor.uniform([6, 12, 12, 3], using: &random)
    // Smooth pictures, which are nearly the same however they are sampled.
    let smooth = Tensor(
      (0..<6 * 24 * 24 * 3).map { i -> Float in
        let (x, y) = (Float(i / 3 % 24) - 11.5, Float(i / 72 % 24) - 11.5)
        let (n, channel) = (Float(i / 1728), Float(i % 3))
        return Foundation.exp(-(x * x + 0.3 * y * y + (3 + n) * x - 2 * y) / 30)
          * (0.3 + 0.2 * channel)
      }, shape: [6, 24, 24, 3])
    for motion in [Turns(), Hues(), Shifts(), TurnsAndScalings()] as [any ImageMotion] {
      let moved = MovedImages(smooth, by: motion)
      let pairs = moved.ways([0, 1, 2, 3, 4, 5], steps: 1, seed: 1, name: "test")
      let numbers = try #require(pairs["element"])
      let steps = (0..<6).map { motion.group.exp(numbers[$0].elements.map { Double($0) }) }
      let (x, y) = (pairs.inputs, try #require(pairs["partner"]))
      // Colors are turned by a matrix; pixels are sampled twice here and once there.
      let bound: Float = motion is Hues ? 1e-5 : 0.02
      func error(_ steps: [AmbientGroup.Element]) -> Float {
        let reached = motion.act(steps, on: x, border: .zero)
        return (reached - y).sliced(6..<18, axis: 1).sliced(6..<18, axis: 2).absolute().mean()
          .scalar
      }
      let (forward, backward) = (error(steps), error(steps.map(motion.group.inverse)))
      #expect(forward < bound && backward > 2 * bound, "\(motion): \(forward), \(backward)")
    }
    // Gray has no hue.
    let gray = Tensor(repeating: 0.5, shape: [1, 4, 4, 3])
    let hued = Hues().act([Hues().group.exp([1])], on: gray, border: .zero)
    #expect(hued.largestDifference(from: gray) < 1e-6)
    // A shift by whole pixels moves pixels, and a quarter turn too.
    let shifted = Shifts().act(
      [AmbientGroup.Element([1.0 / 6, 0])], on: images.sliced(0..<1), border: .zero)
    #expect(
      shifted.sliced(1..<12, axis: 2).elements
        == images.sliced(0..<1).sliced(0..<11, axis: 2).elements)
    let quarter = TurnsAndScalings().act(
      [AmbientGroup.Element([0, 1, 0])], on: images.sliced(0..<1), border: .zero)
    let turned = Turns().act(
      [AmbientGroup.Element([0, 1])], on: images.sliced(0..<1), border: .zero)
    #expect(quarter.largestDifference(from: turned) < 1e-5)
  }

  @Test("Any folder gives pairs; an image of one value has no pose, and is left out with a word")
  func folder() throws {
    let folder =
      FileManager.default.temporaryDirectory.path
      + "/canon-moved-images-\(ProcessInfo.processInfo.processIdentifier)"
    try? FileManager.default.removeItem(atPath: folder)
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    var random = RandomStream(seed: 2, name: "folder")
    for n in 0..<12 {
      let samples = (0..<64).map { _ in n == 3 ? UInt16(7) : UInt16(255 * random.uniform()) }
      try Image(width: 8, height: 8, channels: 1, samples: samples).write(to: "\(folder)/\(n).png")
    }
    let moved = try RunConfiguration(
      text: """
        data: {kind: moved-images, path: \(folder), test: 0.2, valid: 0.2, views: 3}
        input: {size: 8}
        model: class-pose
        """, source: "test")
    let data = try moved.loadData()
    #expect(data.errors.count == 1 && "\(data.errors)".contains("3.png"))
    #expect(data.trainCount == 7 && data.valid.count == 4)
    let test = try #require(try moved.data.test(seed: 0))
    #expect(test.count == 6 && test.labels == [0, 1, 0, 1, 0, 1])
    #expect(throws: SettingsError.self) {
      try RunConfiguration(
        text: "{data: {kind: moved-images, by: hues}, model: class-pose}", source: "test")
    }
    let paired = try #require(moved.data as? any PairedOptions)
    let orbits = try paired.orbits(9, steps: 4, seed: 0)
    #expect(orbits.count == 2 && orbits[0].shape.extents == [4, 8, 8, 1])
    // The test part follows from the seed, and its orbits with it.
    #expect(try paired.orbits(9, steps: 4, seed: 7)[0].elements != orbits[0].elements)
    // Another image is other data, wherever it is among those that are streamed.
    let some = Tensor.uniform([100, 4, 4, 1], using: &random)
    let others = Tensor.concatenated([some.sliced(0..<99), some.sliced(0..<1)])
    func fingerprint(_ images: Tensor) -> String {
      let moved = MovedImages(images, by: Turns())
      return Dataset(stream: moved.stream(seed: 0), valid: data.valid).fingerprint
    }
    #expect(fingerprint(some) == fingerprint(some) && fingerprint(some) != fingerprint(others))
    // Of one color is of one value too.
    let red = Tensor((0..<12).map { $0 % 3 == 0 ? Float(1) : 0 }, shape: [2, 2, 3])
    #expect(red.isConstant && !Tensor([0, 1, 1, 1], shape: [2, 2, 1]).isConstant)
  }

  @Test("Digits in steps are turned by them, training ones by few") func steppedDigits() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent().path
    let settings = try RunConfiguration(
      text: """
        data: {kind: stepped-mnist, path: \(root)/Benchmarks/Data, order: 4, tested: 16}
        model: transport
        """, source: "test")
    let test = try #require(try settings.data.test(seed: 0))
    #expect(test.count == 64 && test.labels[0] == test.labels[3])
    let pose = try #require(test["pose"]).elements
    #expect(Array(pose[0..<4]) == [0, 1, 2, 3])
    // Quarter turns move pixels.
    let upright = test.inputs.sliced(0..<1)
    for step in 1..<4 {
      let turned = ImageAction(SO2()).act([PlanarIsometry(quarterTurns: step)], on: upright)
      #expect(turned.elements == test.inputs[step].elements)
    }
    let train = try settings.loadData().train
    let (a, b) = (
      try #require(train["pose"]).elements, try #require(train["partnerPose"]).elements
    )
    #expect(zip(a, b).allSatisfy { abs($0) <= 1 && abs($1) <= 1 && $0 != $1 })
    #expect(Set(a).count == 3)
    // Steps of a generator that was found are those parts of once around, about its own center.
    func stepped(_ generator: String) throws -> RunConfiguration {
      try RunConfiguration(
        text: """
          data: {kind: stepped-mnist, path: \(root)/Benchmarks/Data, order: 4, tested: 16, generators: [\(generator)]}
          model: transport
          """, source: "test")
    }
    let own = try #require(try stepped("0, 0.5, 0.05, -0.5, 0, 0").data.test(seed: 0))
    #expect(own.inputs[0].elements == test.inputs[0].elements)
    let about = PlanarAffine([.found([0, 0.5, 0.05, -0.5, 0, 0])])
    // A speed of 0.5 goes around in 4π, a quarter of that is π.
    for (step, time) in [(1, Double.pi), (2, 2 * .pi), (3, -.pi)] {
      let turned = AffineImageAction(about).act([about.exp([time])], on: upright)
      #expect(turned.largestDifference(from: own.inputs.sliced(step..<step + 1)) < 1e-4)
    }
    #expect(throws: SettingsError.self) { try stepped("0, 0, 1, 0, 0, 0") }
    #expect(throws: SettingsError.self) { try stepped("1, 1, 0, -1, 1, 0") }
  }
}

@Suite struct AlongGeneratorTests {
  @Test("Images move along a generator as an action does, and one that turns goes around")
  func action() throws {
    var random = RandomStream(seed: 1, name: "images")
    let x = Tensor.uniform([2, 12, 12, 1], from: 0, to: 1, using: &random)
    // Length 1, as a generator that was found: half around is π √2.
    let turn = AlongGenerator(.found([0, 0.5.squareRoot(), 0, -0.5.squareRoot(), 0, 0]))
    #expect(turn.group.name == "SO2")
    func along(_ angle: Double) -> Tensor {
      turn.act([turn.group.exp([angle]), turn.group.exp([angle])], on: x, border: .zero)
    }
    let quarter = ImageAction(SO2()).act(
      [PlanarIsometry(quarterTurns: 1), PlanarIsometry(quarterTurns: 1)], on: x)
    #expect(largestDifference(along(.pi / 2), quarter) < 1e-4)
    let shift = AlongGenerator(.found([0, 0, 0.6, 0, 0, 0.8]))
    #expect(shift.group.name == "R1")
    let drawn = (0..<100).map { _ in abs(shift.sample(using: &random).numbers[0]) }
    #expect((drawn.max() ?? 1) <= 0.3 && (drawn.max() ?? 0) > 0.2)
    #expect(throws: SettingsError.self) {
      try RunConfiguration(
        text:
          "data: {kind: moved-images, by: generator, generators: [1, 2]}\nmodel: {kind: class-pose}",
        source: "test")
    }
  }
}
