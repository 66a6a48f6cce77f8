import Autodiff
import Canonicalization
import Foundation
import Layers
import Symmetry
import TensorCore
import TestSupport
import Testing
import Training

/// A model of random weights for 12 × 12 images of two classes.
private func model(_ canonicalizer: String, _ more: String = "") throws -> ImageModel {
  let configuration = try RunConfiguration(
    text: """
      name: tiny
      data: {kind: \(more.isEmpty ? "folder" : "pairs"), path: nowhere\(more)}
      input: {size: 12}
      canonicalizer: \(canonicalizer)
      backbone: {\(more.isEmpty ? "kind: mlp, width: 8" : "kind: unet, width: 2")}
      """, source: "test")
  return ImageModel(configuration, classNames: more.isEmpty ? ["a", "b"] : [])
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
      "{kind: learned, group: C8, kernel: 12, layers: 1, channels: 1, frame: 3}",
      "{kind: pca, frame: 2}", "{kind: adaptive, group: C4}",
      "{kind: orbit, group: C8, channels: 2, turn: 30}",
    ])
  func invariance(canonicalizer: String) throws {
    let model = try model(canonicalizer)
    let plain = model.predict(pictures)
    for turns in 1..<4 {
      let copies = [PlanarIsometry](repeating: PlanarIsometry(quarterTurns: turns), count: 3)
      let moved = model.predict(model.action.act(copies, on: pictures))
      #expect(largestDifference(moved.output, plain.output) < 1e-6)
      #expect(largestDifference(moved.forms, plain.forms) < 1e-6)
      for (a, b) in zip(moved.poses, plain.poses) {
        #expect(O2().distance(a.element, O2().compose(copies[0], b.element)) < 1e-6)
      }
    }
  }

  @Test("A frame's output is the mean over its poses") func frames() throws {
    let one = try model("{kind: pca}")
    let both = try model("{kind: pca, frame: 2}")
    let poses = one.poses(of: pictures)
    let outputs = [0, 2].map { turns -> Tensor in
      let half = PlanarIsometry(quarterTurns: turns)
      let forms = one.action.act(
        poses.map { O2().inverse(O2().compose($0.element, half)) }, on: pictures)
      return one.backbone.predict(forms).softmax()
    }
    let mean = (outputs[0] + outputs[1]) * 0.5
    #expect(largestDifference(both.predict(pictures).output, mean) < 1e-6)
    #expect(largestDifference(both.predict(pictures).output, one.predict(pictures).output) > 1e-4)
  }

  @Test("A center, a size and an angle make one map, that restores what it canonicalized")
  func similarity() throws {
    let model = try model("{kind: pca-sign, center: mass, scale: true}")
    let plain = model.predict(pictures)
    // A shift by a pixel each way and a quarter turn move pixels; the form stays.
    let motion = AffineMap(
      matrix: PlanarIsometry(quarterTurns: 1).matrix, translation: [1.0 / 6, -1.0 / 6])
    let affine = AffineImageAction(.all)
    let moved = model.predict(affine.act([motion, motion, motion], on: pictures))
    #expect(largestDifference(moved.forms, plain.forms) < 2e-3)
    #expect(largestDifference(moved.output, plain.output) < 2e-3)
    let back = model.action.restore(plain.forms, by: plain.poses)
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
    let model = try model("{kind: pca-sign, center: mass}", ", targets: nowhere")
    let plain = model.predict(pictures)
    let turn = [PlanarIsometry](repeating: PlanarIsometry(quarterTurns: 1), count: 3)
    let moved = model.predict(model.action.act(turn, on: pictures))
    #expect(largestDifference(moved.output, model.action.act(turn, on: plain.output)) < 1e-3)
  }

  @Test("Recentering turns what is shown, not what is predicted") func recentering() throws {
    let plain = try model("{kind: pca-sign}")
    let turned = try model("{kind: pca-sign, turn: 90}")
    let (a, b) = (plain.predict(pictures), turned.predict(pictures))
    #expect(a.output == b.output)
    let quarter = [PlanarIsometry](repeating: PlanarIsometry(quarterTurns: 1), count: 3)
    #expect(largestDifference(plain.action.act(quarter, on: a.forms), b.forms) < 1e-5)
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
    let data = try TrainingData(plain)
    var trainer = Trainer(plain, data: data)
    while !trainer.isFinished { try trainer.advance() }
    let file = folder + "/backbone.safetensors"
    try trainer.model.safetensors().write(to: file)
    let prior = "{kind: orbit, group: C8, channels: 2, prior: 1}"
    let settings = try RunConfiguration(
      text: text(prior, ", from: \(file), frozen: true"), source: "test")
    let model = ImageModel(settings, classNames: data.classNames)
    try model.loadBackbone()
    let before = model.backbone.parameters.map(\.parameter.value)
    #expect(before == trainer.model.backbone.parameters.map(\.parameter.value))
    var second = Trainer(model, data: data)
    var losses: [Float] = []
    while !second.isFinished { losses.append(try second.advance()) }
    #expect(model.backbone.parameters.map(\.parameter.value) == before)
    #expect(losses[losses.count - 1] < losses[0])
    #expect(throws: ConfigurationError.self) {
      try RunConfiguration(text: text("{kind: identity}", ", frozen: true"), source: "test")
    }
    let missing = try RunConfiguration(
      text: text(prior, ", from: nowhere, frozen: true"), source: "test")
    #expect(throws: WeightsError.self) {
      try ImageModel(missing, classNames: data.classNames).loadBackbone()
    }
  }
}
