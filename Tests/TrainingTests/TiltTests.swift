import Autodiff
import Canonicalization
import Datasets
import Settings
import Symmetry
import TensorCore
import Testing

@testable import Training

@Suite struct TiltTests {
  @Test("Images are tilted by so many degrees at most, each anew, evenly to both sides")
  func angles() {
    let tape = Tape.training(random: RandomStream(seed: 3, name: "tape"))
    let tilt = Augmentation(factors: [], isTurnOfImages: false, tilt: 0.1)
    let angles = (tilt.tilts(2000, on: tape) ?? []).map(\.angle)
    #expect(angles.count == 2000 && Set(angles).count > 1900)
    #expect(angles.allSatisfy { abs($0.remainder(dividingBy: 2 * .pi)) <= 0.1 })
    let mean = angles.map { $0.remainder(dividingBy: 2 * .pi) }.reduce(0, +) / 2000
    // Of an even distribution on ±0.1, whose mean of 2,000 has a deviation of 0.0013.
    #expect(abs(mean) < 0.006)
    #expect(angles.contains { $0.remainder(dividingBy: 2 * .pi) > 0.09 })
    #expect(Augmentation.none.tilts(3, on: tape) == nil)
  }

  @Test(
    "A prior is told the turn, also behind other steps: it costs nothing where poses are right",
    arguments: [
      "{kind: learned, group: C8, layers: 1, kernel: 20, prior: 1}",
      "[{kind: center}, {kind: learned, group: C8, layers: 1, kernel: 20, prior: 1}]",
      "{kind: steerable, channels: 2, prior: 1}",
      "{kind: pca-learned, channels: 2}",
    ])
  func told(canonicalizer: String) throws {
    let settings = try RunConfiguration(
      text: """
        data: {kind: folder, path: nowhere}
        input: {size: 20, channels: 1}
        canonicalizer: \(canonicalizer)
        backbone: mlp
        """, source: "test")
    let model = try #require(
      try settings.makeModel(classNames: ["a", "b"]) as? CanonicalizedModel)
    var random = RandomStream(seed: 8, name: "images")
    let images = Tensor.uniform([6, 20, 20, 1], using: &random)
    func losses(_ turns: [PlanarIsometry]) throws -> (told: [Float], upright: [Float]) {
      let tape = Tape.training(random: RandomStream(seed: 5, name: "tape"))
      var forms = model.steps.steps[0].canonicalizer.trainingForms(Variable(images), on: tape)
      if model.steps.steps.count > 1 {
        forms = model.steps.trainingForms(Variable(images), on: tape)
      }
      let told = try #require(forms.priorLossOfTurned)
      return (told(turns).value.elements, try #require(forms.priorLoss).value.elements)
    }
    let upright = [PlanarIsometry](repeating: PlanarIsometry(), count: 6)
    let (told, plain) = try losses(upright)
    #expect(zip(told, plain).allSatisfy { abs($0 - $1) < 1e-4 }, "upright images need not be told")
    // Of the poses that are found a prior wants nothing more; of their opposites it does.
    let found = model.steps.poses(of: images).map { Motion(isometry: $0.element.planarIsometry) }
    let right = try losses(found.map(\.planarIsometry)).told
    let wrong = try losses(
      found.map { $0.after(Motion(isometry: PlanarIsometry(quarterTurns: 2))).planarIsometry }
    ).told
    #expect(right.reduce(0, +) < wrong.reduce(0, +))
  }

  @Test("A configuration says it, for images alone, and the loss is that of tilted examples")
  func configured() throws {
    let text = """
      data: {kind: folder, path: nowhere}
      input: {size: 24, channels: 1}
      canonicalizer: {kind: learned, group: C4, layers: 1, kernel: 3, prior: 1}
      backbone: {kind: small-cnn, width: 2}
      training: {tilt: TILT}
      """
    var random = RandomStream(seed: 1, name: "images")
    let images = Tensor.uniform([4, 24, 24, 1], using: &random)
    let losses = try ["0", "6", "6"].map { tilt in
      let settings = try RunConfiguration(
        text: text.replacing("TILT", with: tilt), source: "test")
      let model = try settings.makeModel(classNames: ["a", "b"])
      let examples = try model.prepared(Examples(inputs: images, labels: [0, 1, 0, 1]))
      let tape = Tape.training(random: RandomStream(seed: 5, name: "tape"))
      return model.loss(examples, on: tape).value.elements[0]
    }
    #expect(losses[0] != losses[1] && losses[1] == losses[2] && losses.allSatisfy(\.isFinite))
    let wrong = #expect(throws: SettingsError.self) {
      try RunConfiguration(text: "data: particles\ntraining: {tilt: 5}", source: "test")
    }
    #expect(wrong?.description.contains("unknown key 'tilt'") == true)
  }
}
