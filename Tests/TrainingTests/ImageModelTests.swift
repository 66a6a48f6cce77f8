import Autodiff
import Canonicalization
import Datasets
import Foundation
import Layers
import Settings
import Symmetry
import TensorCore
import TestSupport
import Testing
import Training

/// A model of random weights for 12 × 12 images of two classes, or for images.
private func model(_ canonicalizer: String, _ more: String = "") throws -> any Predictor {
  let configuration = try RunConfiguration(
    text: """
      name: tiny
      data: {kind: \(more.isEmpty ? "folder" : "pairs"), path: nowhere\(more)}
      input: {size: 12}
      \(canonicalizer.contains("adaptive") ? "model" : "canonicalizer"): \(canonicalizer)
      backbone: {\(more.isEmpty ? "kind: mlp, width: 8" : "kind: unet, width: 2")}
      """, source: "test")
  let made = try configuration.makeModel(classNames: more.isEmpty ? ["a", "b"] : [])
  return try #require(made as? any Predictor)
}

/// Images moved by a motion each, of the whole model's domain.
private func move(_ motion: Motion, _ images: Tensor) -> Tensor {
  Pixels().act([Motion](repeating: motion, count: images.shape[0]), on: images)
}

private func quarters(_ turns: Int) -> Motion {
  Motion(isometry: PlanarIsometry(quarterTurns: turns))
}

/// Smooth shapes off the center, of no symmetry, dark at the border.
private let pictures: Tensor = {
  let pixels = (0..<3).flatMap { n in
    (0..<144).map { i -> Float in
      let (x, y) = (Float(i % 12) - 6 - Float(n) / 3, Float(i / 12) - 4.7)
      let (u, v) = (x * 0.8 + y * 0.6, y * 0.8 - x * 0.6)
      return exp(-(u * u / 3 + v * v / 1.5)) + 0.5 * exp(-((u - 2) * (u - 2) + v * v) / 1.2)
    }
  }
  return Tensor(pixels, shape: [3, 12, 12, 1])
}()

@Suite struct ImageModelTests {
  @Test(
    "Outputs do not depend on quarter turns, bit for bit, for one pose, frames, and best poses a class",
    arguments: [
      "{kind: orbit, group: C8, channels: 2}",
      "{kind: orbit, group: C8, channels: 2, refine: true}",
      "{kind: learned, group: C8, kernel: 12, layers: 1, channels: 1, average: 3}",
      "{kind: pca, average: 2}", "{kind: adaptive, group: C4}",
      "{kind: orbit, group: C8, channels: 2}\nrecenter: 30",
    ])
  func invariance(canonicalizer: String) throws {
    let model = try model(canonicalizer)
    let plain = model.predict(pictures)
    for turns in 1..<4 {
      let moved = model.predict(move(quarters(turns), pictures))
      #expect(largestDifference(moved.output, plain.output) < 1e-6)
      #expect(largestDifference(moved.forms, plain.forms) < 1e-6)
      for (a, b) in zip(moved.poses, plain.poses) {
        #expect(model.claims.distance(a.element, quarters(turns).after(b.element)) < 1e-6)
      }
    }
  }

  @Test("A frame's output is the mean over its poses") func frames() throws {
    let one = try model("{kind: pca}")
    let both = try model("{kind: pca, average: 2}")
    let poses = one.poses(of: pictures)
    let backbone = try #require(one as? CanonicalizedModel).backbone
    let outputs = [0, 2].map { turns -> Tensor in
      let forms = Pixels().act(
        poses.map { $0.element.after(quarters(turns)).inverse }, on: pictures)
      return backbone.predict(forms).softmax()
    }
    let mean = (outputs[0] + outputs[1]) * 0.5
    #expect(largestDifference(both.predict(pictures).output, mean) < 1e-6)
    #expect(largestDifference(both.predict(pictures).output, one.predict(pictures).output) > 1e-4)
  }

  @Test("A center, a size and an angle make one map, that restores what it canonicalized")
  func similarity() throws {
    let model = try model("[center, scale, pca-sign]")
    let plain = model.predict(pictures)
    // A shift by a pixel each way and a quarter turn move pixels; the form stays.
    let motion = AffineMap(
      matrix: PlanarIsometry(quarterTurns: 1).matrix, translation: [1.0 / 6, -1.0 / 6])
    let affine = AffineImageAction(.all)
    let moved = model.predict(affine.act([motion, motion, motion], on: pictures))
    #expect(largestDifference(moved.forms, plain.forms) < 2e-3)
    #expect(largestDifference(moved.output, plain.output) < 2e-3)
    let back = Pixels().act(plain.poses.map(\.element), on: plain.forms)
    // Twice bilinear: half a second difference each, of these shapes about 0.1.
    #expect(largestDifference(back, pictures) < 0.2)
    let center = plain.forms.mean([0, 3]).elements.enumerated().reduce((0.0, 0.0)) { sum, pixel in
      let weight = Double(pixel.element)
      return (sum.0 + weight * (Double(pixel.offset % 12) - 5.5), sum.1 + weight)
    }
    #expect(abs(center.0 / center.1) < 0.1)
  }

  @Test("An image-valued output moves with the input, by an affine pose too") func restoring()
    throws
  {
    let model = try model("[center, pca-sign]", ", targets: nowhere")
    let plain = model.predict(pictures)
    let moved = model.predict(move(quarters(1), pictures))
    #expect(largestDifference(moved.output, move(quarters(1), plain.output)) < 1e-3)
  }

  @Test("Recentering turns what is shown, not what is predicted") func recentering() throws {
    let plain = try model("{kind: pca-sign}")
    let turned = try model("pca-sign\nrecenter: 90")
    let (a, b) = (plain.predict(pictures), turned.predict(pictures))
    #expect(a.output == b.output)
    #expect(largestDifference(move(quarters(1), a.forms), b.forms) < 1e-5)
    let mean = PlanarIsometry(residual: 0.3)
    let poses = [-0.1, 0, 0.1].map { PlanarIsometry(residual: 0.3 + $0) }
    let spread = PoseSpread(poses)
    #expect(O2().distance(spread.mean, mean) < 1e-9)
    let resultant = (1 + 2 * cos(0.1)) / 3
    #expect(abs(spread.deviation - (-2 * log(resultant)).squareRoot()) < 1e-9)
  }

  @Test("A frozen backbone stays as it was loaded, and the prior teaches the canonicalizer")
  func frozen() throws {
    let folder = try makeFolder("frozen")
    func text(_ canonicalizer: String, _ backbone: String) -> String {
      """
      data: {kind: folder, path: \(folder), valid: 0.2}
      input: {size: 12}
      canonicalizer: \(canonicalizer)
      backbone: {kind: small-cnn, width: 4\(backbone)}
      training: {epochs: 3, batch: 8, rate: 0.01}
      """
    }
    let plain = try RunConfiguration(text: text("{kind: identity}", ""), source: "test")
    let data = try plain.loadData()
    var trainer = try Trainer(plain, data: data)
    while !trainer.isFinished { try trainer.advance() }
    let file = folder + "/backbone.safetensors"
    try trainer.model.safetensors(plain, classNames: data.classNames).write(to: file)
    func backbone(_ model: any TrainableModel) -> [Tensor] {
      model.parameters.filter { $0.name.hasPrefix("backbone.") }.map(\.parameter.value)
    }
    // With a prior the canonicalizer teaches itself; without one the task's gradient passes through the backbone.
    for canonicalizer in [
      "{kind: orbit, group: C8, channels: 2, prior: 1}", "{kind: learned, group: C4, channels: 2}",
      "{kind: pca-learned, channels: 2}", "{kind: energy, channels: 2, descents: 2, steps: 2}",
    ] {
      let settings = try RunConfiguration(
        text: text(canonicalizer, ", from: \(file), frozen: true"), source: "test")
      var second = try Trainer(settings, data: data)
      let before = second.model.tensors
      #expect(backbone(second.model) == backbone(trainer.model))
      var losses: [Float] = []
      while !second.isFinished { losses.append(try second.advance()) }
      #expect(backbone(second.model) == backbone(trainer.model), "\(canonicalizer)")
      #expect(second.model.tensors != before, "\(canonicalizer) has learned nothing")
      if canonicalizer.contains("prior") { #expect(losses[losses.count - 1] < losses[0]) }
    }
    for nothing in ["{kind: identity}", "{kind: learned, frozen: true}"] {
      #expect(throws: SettingsError.self) {
        try RunConfiguration(text: text(nothing, ", from: \(file), frozen: true"), source: "test")
      }
    }
    let missing = try RunConfiguration(
      text: text("{kind: orbit}", ", from: nowhere, frozen: true"), source: "test")
    #expect(throws: WeightsError.self) { try missing.makeModel(classNames: data.classNames) }
  }

  @Test("A gradient flows through a network in inference as central differences say") func through()
  {
    var random = RandomStream(seed: 4, name: "through")
    let network = Backbone.smallCNN(width: 2, classes: 2, using: &random)
    let x = Tensor.uniform([1, 8, 8, 1], using: &random)
    func value(_ x: Tensor) -> Double { Double(network.predict(x).elements[0]) }
    let input = Variable(x, requiresGradient: true)
    let output = network(input, on: .inference())
    #expect(largestDifference(output.value, network.predict(x)) < 1e-5)
    let gradient = Gradients(of: output.reshaped([2]).gathered([0]).sum())[input]
    let step: Float = 1e-2
    for pixel in [9, 27, 36] {
      var (up, down) = (x.elements, x.elements)
      (up[pixel], down[pixel]) = (up[pixel] + step, down[pixel] - step)
      let slope =
        (value(Tensor(up, shape: x.shape)) - value(Tensor(down, shape: x.shape))) / Double(2 * step)
      // Single precision and the kinks of rectifiers leave a few percent.
      #expect(abs(Double(gradient?.elements[pixel] ?? 0) - slope) < 0.05 * abs(slope) + 2e-3)
    }
  }

  @Test(
    "A frozen canonicalizer stays as it was, whatever its kind",
    arguments: [
      "{kind: learned, channels: 2, frozen: true}",
      "{kind: pca-learned, channels: 2, frozen: true}",
      "{kind: energy, channels: 2, descents: 2, steps: 2, frozen: true}",
      "[{kind: learned-center, frozen: true}, pca]",
    ])
  func frozenCanonicalizer(canonicalizer: String) throws {
    let folder = try makeFolder("frozen-\(canonicalizer.count)")
    let settings = try RunConfiguration(
      text: """
        data: {kind: folder, path: \(folder), valid: 0.2}
        input: {size: 12}
        canonicalizer: \(canonicalizer)
        backbone: {kind: small-cnn, width: 4}
        training: {epochs: 1, batch: 8}
        """, source: "test")
    var trainer = try Trainer(settings, data: try settings.loadData())
    let before = trainer.model.tensors
    while !trainer.isFinished { try trainer.advance() }
    for (name, tensor) in trainer.model.tensors {
      #expect((tensor == before[name]) == name.hasPrefix("canonicalizer."), "\(name)")
    }
  }
}
