import Autodiff
import Canonicalization
import Glibc
import Layers
import Symmetry
import TensorCore
import Testing

/// A page with lines of words that run at an angle, in degrees counterclockwise; dark on light, with some noise.
private func page(_ degrees: Double, side: Int = 400, seed: UInt64 = 0) -> Tensor {
  var random = RandomStream(seed: seed, name: "page")
  let (c, s) = (cos(degrees * .pi / 180), sin(degrees * .pi / 180))
  // Words by line: where each begins and ends.
  let words = (0..<200).map { _ in
    (0..<40).map { _ in Double.random(in: 3...12, using: &random) }
  }
  let middle = Double(side - 1) / 2
  let pixels = (0..<side * side).map { i -> Float in
    let (x, y) = (Double(i % side) - middle, middle - Double(i / side))
    let (u, v) = (x * c + y * s, -x * s + y * c)
    let line = Int((v + 1000) / 12)
    let within = v + 1000 - 12 * Double(line)
    let noise = random.uniform() * 0.1
    guard within < 5, abs(v) < middle * 0.9 else { return 0.9 - noise }
    var (at, isWord) = (-middle, true)
    for width in words[line % 200] where at < u {
      at += width
      isWord.toggle()
    }
    return (isWord ? 0.2 : 0.9) - noise
  }
  return Tensor(pixels, shape: [1, side, side, 1])
}

@Suite struct PageTests {
  @Test(
    "The direction of lines is found to a fifth of a degree, all four quarter turns as ties",
    arguments: [-40, -15, -3.3, 0, 0.4, 7.77, 21, 44])
  func lines(degrees: Double) {
    for seed in UInt64(0)..<3 {
      let pose = TextLines().poses(of: page(degrees, seed: seed))[0]
      let turns = pose.candidates.map { $0.angle * 180 / .pi }
      let off = turns.map { abs(($0 - degrees).remainder(dividingBy: 360)) }
      #expect((off.min() ?? 360) < 0.2, "\(turns)")
      #expect(pose.margin == .infinity && pose.ties.count == 3)
    }
  }

  @Test("Lines further from an axis than the reach are not looked for") func reach() {
    let lines = TextLines(reach: 10 * .pi / 180)
    let near = lines.poses(of: page(7))[0].candidates.map { $0.angle * 180 / .pi }
    #expect(near.contains { abs($0 - 7) < 0.2 })
    for degrees in [11.5, 30, -14] {
      let pose = lines.poses(of: page(degrees))[0]
      #expect(pose.candidates.allSatisfy { abs($0.residual) <= 10 * .pi / 180 + 1e-9 })
      #expect(pose.margin == 0, "\(degrees)°")
    }
  }

  @Test("Nothing, noise, and what is no number have no lines") func blank() {
    var random = RandomStream(seed: 1, name: "noise")
    for image in [
      Tensor(repeating: 0.9, shape: [1, 200, 200, 1]), Tensor.zeros([1, 200, 200, 1]),
      .uniform([1, 200, 200, 1], using: &random), Tensor(repeating: .nan, shape: [1, 200, 200, 1]),
    ] {
      let pose = TextLines().poses(of: image)[0]
      #expect(pose.margin == 0 && pose.candidates.contains(PlanarIsometry()))
    }
  }

  @Test("Poses of quarter turns are those of the page, turned, bit for bit") func quarterTurns() {
    let lines = TextLines()
    let image = page(4.2)
    let plain = lines.poses(of: image)[0]
    for turns in 1..<4 {
      let g = PlanarIsometry(quarterTurns: turns)
      let moved = lines.poses(of: lines.action.act([g], on: image))[0]
      #expect(moved.candidates.contains(lines.action.group.compose(g, plain.element)))
      #expect(moved.margin == plain.margin)
    }
  }

  @Test("Parts of a turned image are its parts, turned; each is normalized") func parts() {
    var random = RandomStream(seed: 2, name: "parts")
    let image = Tensor.uniform([1, 80, 80, 1], using: &random) * page(0, side: 80)
    let parts = Parts(Function { $0 }, size: 16, counts: [6, 3])
    let plain = parts.parts(of: image)
    #expect(plain.shape == [9, 16, 16, 1])
    for n in 0..<9 {
      #expect(abs(plain[n].mean().scalar) < 1e-4)
      #expect(abs(plain[n].squared().mean().scalar - 1) < 1e-3)
    }
    let action = ImageAction(Cyclic(4))
    let g = Cyclic.Element(steps: 1)
    let turned = parts.parts(of: action.act([g], on: image))
    let expected = action.act([Cyclic.Element](repeating: g, count: 9), on: plain)
    for n in 0..<9 {
      let isThere = (0..<9).contains { m in
        (turned[n] - expected[m]).absolute().elements.allSatisfy { $0 < 1e-4 }
      }
      #expect(isThere, "part \(n)")
    }
  }

  @Test("What the network says of the parts is averaged; a small image is its only part")
  func averaged() {
    var random = RandomStream(seed: 3, name: "parts")
    let network = Backbone.letterCNN(width: 2, outputs: 3, using: &random)
    let parts = Parts(network, size: 16, counts: [4, 2])
    let images = Tensor.uniform([3, 64, 48, 1], using: &random)
    let tiles = parts.parts(of: images)
    let each = network.predict(tiles).reshaped([3, 6, 3]).mean([1])
    #expect((parts.predict(images) - each).absolute().elements.allSatisfy { $0 < 1e-6 })
    #expect(parts.parts(of: images.sliced(0..<16, axis: 1).sliced(0..<16, axis: 2)).shape[0] == 3)
  }

  @Test(
    "The prior is the cross entropy of the tie that is upright, and its gradient reaches the network"
  )
  func prior() throws {
    var random = RandomStream(seed: 4, name: "prior")
    let network = Parts(
      Backbone.letterCNN(width: 2, outputs: 1, using: &random), size: 16, counts: [1])
    let chosen = ChosenTie(QuarterTurns(), network: network)
    let images = Tensor.uniform([5, 16, 16, 1], using: &random)
    let tape = Tape.inference()
    let loss = try #require(chosen.trainingForms(Variable(images), on: tape).priorLoss)
    let action = ImageAction(SO2())
    let scores = (0..<4).map { turns in
      network.predict(
        action.act(
          [PlanarIsometry](repeating: PlanarIsometry(quarterTurns: -turns), count: 5), on: images))
    }
    let expected = Tensor.concatenated(scores, axis: 1).softmax(logarithm: true)
    for n in 0..<5 { #expect(abs(loss.value[n].scalar + expected[n][0].scalar) < 1e-5) }
  }

  @Test("Of the four turns that is chosen whose form the network likes best, exactly equivariantly")
  func choice() {
    var random = RandomStream(seed: 5, name: "choice")
    let network = Parts(
      Backbone.letterCNN(width: 2, outputs: 1, using: &random), size: 64, counts: [3, 1])
    let chosen = ChosenTie(TextLines(), network: network)
    let image = page(3, side: 200)
    let plain = chosen.canonicalize(image)
    for turns in 1..<4 {
      let g = PlanarIsometry(quarterTurns: turns)
      let moved = chosen.canonicalize(chosen.action.act([g], on: image))
      #expect(moved.form == plain.form)
      #expect(moved.poses[0].margin == plain.poses[0].margin)
    }
  }
}
