import Autodiff
import Canonicalization
import Layers
import Symmetry
import TensorCore
import TestSupport
import Testing

/// Strokes without symmetry, as a digit has them.
func picture(_ side: Int, seed: UInt64, channels: Int = 1) -> Tensor {
  var random = RandomStream(seed: seed, name: "strokes")
  let middle = Float(side - 1) / 2
  let blobs = (0..<5).map { i in
    (
      x: middle + (random.uniform() - 0.4) * Float(side) / 2,
      y: middle + (random.uniform() - 0.6) * Float(side) / 3,
      width: 1 + Float(i) / 2, height: 0.4 + random.uniform()
    )
  }
  let pixels = (0..<side * side).flatMap { i -> [Float] in
    let value = blobs.reduce(Float(0)) { sum, b in
      let (dx, dy) = (Float(i % side) - b.x, Float(i / side) - b.y)
      return sum + b.height / (1 + (dx * dx + dy * dy) / (b.width * b.width))
    }
    return (0..<channels).map { min(value / 2, 1) * (1 - 0.2 * Float($0)) }
  }
  return Tensor(pixels, shape: [1, side, side, channels])
}

private func learned<G: FiniteGroup & PlanarGroup>(
  _ group: G, _ architecture: GroupConvolutionCanonicalizer<G>.Architecture,
  _ gradient: PoseGradient = .straightThrough
) -> GroupConvolutionCanonicalizer<G> {
  var random = RandomStream(seed: 4, name: "canonicalizer")
  return GroupConvolutionCanonicalizer(group, architecture, gradient: gradient, using: &random)
}

/// The principal axis, the direction of which a network chooses.
private func chosenAxis(side: Int) -> ChosenTie<PrincipalAxis> {
  var random = RandomStream(seed: 7, name: "scorer")
  return ChosenTie(
    PrincipalAxis(usesThirdMoment: false),
    network: Backbone.scorer(size: side, width: 3, features: 1, using: &random))
}

/// The laws of a canonicalizer of images for all elements that act bit for bit: they then hold bit
/// for bit.
private func checkExactLaws<C: ImageCanonicalizer>(_ canonicalizer: C, side: Int, channels: Int = 1)
{
  let (action, group) = (canonicalizer.action, canonicalizer.action.group)
  for seed in UInt64(0)..<6 {
    let x = picture(side, seed: seed, channels: channels)
    let plain = canonicalizer.canonicalize(x)
    for g in group.exactElements {
      let moved = canonicalizer.canonicalize(action.act([g], on: x))
      #expect(moved.form == plain.form)
      #expect(moved.poses[0].margin == plain.poses[0].margin)
      let expected = ([plain.poses[0].element] + plain.poses[0].ties).map { group.compose(g, $0) }
      #expect(expected.contains { group.distance($0, moved.poses[0].element) < 1e-9 })
      if group.isometry(plain.poses[0].element).isExact {
        #expect(canonicalizer.restore(plain.form, with: action, by: plain.poses) == x)
      }
    }
  }
}

@Suite struct CanonicalizerTests {
  @Test("A pose, and its margin, do not depend on the images beside it, bit for bit")
  func neighbors() {
    func check<G: FiniteGroup & PlanarGroup>(_ group: G, channels: Int, kernel: Int) {
      let canonicalizer = learned(
        group, .init(size: 15, kernel: kernel, channels: channels, layers: kernel == 15 ? 1 : 3))
      let batch = Tensor.concatenated((0..<11).map { picture(15, seed: $0, channels: 1) })
      let all = canonicalizer.poses(of: batch)
      for n in 0..<11 {
        #expect(canonicalizer.poses(of: batch.sliced(n..<n + 1))[0].margin == all[n].margin)
      }
    }
    check(Cyclic(8), channels: 16, kernel: 5)
    check(Cyclic(16), channels: 32, kernel: 5)
    check(Cyclic(18), channels: 8, kernel: 5)
    check(Dihedral(4), channels: 1, kernel: 15)
  }

  @Test("A picture darker than the threshold all over has an axis, that of its intensities")
  func darkPictures() {
    // A bar to the right, heavier at its end.
    let bright = Tensor(
      (0..<144).map { i -> Float in
        (4...7).contains(i / 12) && (2...10).contains(i % 12) ? (i % 12 > 7 ? 1 : 0.7) : 0
      }, shape: [1, 12, 12, 1])
    let heuristic = PrincipalAxis(threshold: 0.5)
    let dark = heuristic.poses(of: bright * 0.4)[0]
    #expect(dark.margin > 0.01)
    #expect(O2().distance(dark.element, PrincipalAxis().poses(of: bright * 0.4)[0].element) == 0)
    // Where some pixel is above it the threshold holds.
    #expect(heuristic.poses(of: bright)[0] != PrincipalAxis().poses(of: bright)[0])
  }

  @Test("All laws hold bit for bit for quarter turns and flips", arguments: [11, 12, 17])
  func exactLaws(side: Int) {
    checkExactLaws(IdentityCanonicalizer(), side: side)
    checkExactLaws(PrincipalAxis(), side: side)
    checkExactLaws(PrincipalAxis(usesThirdMoment: false), side: side)
    checkExactLaws(chosenAxis(side: side), side: side)
    checkExactLaws(GradientOrientation(), side: side, channels: 3)
    for n in [1, 2, 3, 4, 6, 8, 64] {
      checkExactLaws(learned(Cyclic(n), .init(size: side, kernel: side)), side: side)
    }
    checkExactLaws(
      learned(
        Cyclic(8),
        .init(size: side, inputChannels: 3, kernel: 5, groupKernel: 3, channels: 2, layers: 3)),
      side: side, channels: 3)
    checkExactLaws(
      learned(Dihedral(4), .init(size: side, kernel: 5, channels: 3, layers: 2)), side: side)
    checkExactLaws(learned(Dihedral(3), .init(size: side, kernel: side)), side: side)
  }

  @Test("The pose of a heuristic follows any angle, to the error of interpolation")
  func heuristicsFollow() {
    for seed in UInt64(0)..<4 {
      let x = picture(41, seed: seed) * discMask(height: 41, width: 41)
      for canonicalizer in [PrincipalAxis(), PrincipalAxis(usesThirdMoment: false)] {
        let plain = canonicalizer.poses(of: x)[0]
        for angle in [0.3, 1.1, 2.5, 4.0] {
          let g = PlanarIsometry(residual: angle)
          let moved = canonicalizer.poses(of: canonicalizer.action.act([g], on: x))[0]
          let expected = ([plain.element] + plain.ties).map { SO2().compose(g, $0) }
          // Moments of a smooth image of 41 pixels: a few degrees are lost at the disc's edge.
          #expect(expected.map { SO2().distance($0, moved.element) }.min() ?? 9 < 0.1)
        }
      }
    }
  }

  @Test("The scores of a turned image are the turned scores") func scores() {
    let group = Cyclic(4)
    let canonicalizer = learned(group, .init(size: 15, kernel: 5, channels: 4, layers: 2))
    let x = picture(15, seed: 3)
    let plain = canonicalizer.scores(Variable(x), on: .inference()).value.elements
    for g in group.elements {
      let moved = canonicalizer.scores(
        Variable(canonicalizer.action.act([g], on: x)), on: .inference()
      ).value.elements
      for h in group.elements {
        let source = group.index(of: group.compose(group.inverse(g), h))
        #expect(abs(moved[group.index(of: h)] - plain[source]) < 1e-5)
      }
    }
    #expect(Set(plain).count == 4)
  }

  @Test(
    "The scores are the mean of the network's features, however it is computed",
    arguments: [(1, true), (1, false), (3, true), (3, false)])
  func scoresByDefinition(groupKernel: Int, hasBatchNorm: Bool) {
    let group = Cyclic(4)
    let canonicalizer = learned(
      group,
      .init(
        size: 13, kernel: 5, groupKernel: groupKernel, channels: 3, layers: 3,
        hasBatchNorm: hasBatchNorm))
    var random = RandomStream(seed: 4, name: "canonicalizer")
    var layers: [any Layer] = [
      LiftingConvolution(group, 1, 3, kernel: 5, using: &random)
    ]
    for _ in 0..<2 {
      layers.append(hasBatchNorm ? GroupBatchNorm(3, relu: true) : Function.relu)
      layers.append(GroupConvolution(group, 3, 3, kernel: groupKernel, using: &random))
    }
    let network = Sequential(layers)
    #expect(
      zip(network.parameters, canonicalizer.parameters).allSatisfy {
        $0.name == $1.name && $0.parameter.value == $1.parameter.value
      })
    let images = Tensor.concatenated((0..<40).map { picture(13, seed: $0) })
    let masked = images * discMask(height: 13, width: 13)
    func byDefinition(_ tape: Tape) -> Variable {
      let features = network(Variable(masked), on: tape)
      let s = features.shape
      return features.reshaped([s[0], s[1] * s[2], 4, 3]).mean([1, 3])
    }
    let (a, b) = (Tape.training(random: random), Tape.training(random: random))
    let (found, expected) = (canonicalizer.scores(Variable(images), on: a), byDefinition(b))
    #expect(largestDifference(found.value, expected.value) < 1e-5)
    let gradients = (
      Gradients(of: found.squared().sum()), Gradients(of: expected.squared().sum())
    )
    for (mine, plain) in zip(canonicalizer.parameters, network.parameters)
    where mine.parameter.isTrainable {
      let pair = (
        a.leaf(of: mine.parameter).flatMap { gradients.0[$0] },
        b.leaf(of: plain.parameter).flatMap { gradients.1[$0] }
      )
      guard let x = pair.0, let y = pair.1 else {
        Issue.record("\(mine.name) has no gradient")
        continue
      }
      let scale = max(1, largestDifference(y, .zeros(y.shape)))
      #expect(largestDifference(x, y) < 1e-4 * scale)
    }
    // In inference the running moments are folded into the filters.
    let inference = canonicalizer.scores(Variable(images), on: .inference()).value
    #expect(largestDifference(inference, byDefinition(.inference()).value) < 1e-5)
  }

  @Test("A symmetric image has its symmetries as ties, and a pose all the same") func ties() {
    var x = Tensor.zeros([1, 9, 9, 1])
    for at in [[0, 1, 4, 0], [0, 7, 4, 0]] { x.assign(.ones([1, 1, 1, 1]), at: at) }
    let canonicalizer = learned(Cyclic(8), .init(size: 9, kernel: 9))
    let pose = canonicalizer.poses(of: x)[0]
    // Half a turn leaves the image alone.
    let half = Cyclic(8).compose(pose.element, .init(steps: 4))
    #expect(pose.ties.contains(half))
    let blank = canonicalizer.poses(of: .zeros([1, 9, 9, 1]))[0]
    #expect(blank.ties.count == 7 && blank.margin == 0)
    for canonicalizer in [PrincipalAxis(), PrincipalAxis(usesThirdMoment: false)] {
      #expect(canonicalizer.poses(of: .zeros([1, 9, 9, 1]))[0].margin == 0)
    }
  }

  @Test("PCA finds the direction that an image was drawn in") func principalAxis() {
    // A bar with a heavy end, 30° from the horizontal: the tail is the light side.
    let side = 31
    let (c, s) = (Float(0.866_025_4), Float(0.5))
    let x = Tensor(
      (0..<side * side).map { i -> Float in
        let (dx, dy) = (Float(i % side) - 15, 15 - Float(i / side))
        let (u, v) = (dx * c + dy * s, -dx * s + dy * c)
        return abs(u) < 11 && abs(v) < (u < -6 ? 4 : 1.5) ? 1 : 0
      }, shape: [1, side, side, 1])
    let pose = PrincipalAxis().poses(of: x)[0]
    #expect(abs(pose.element.angle * 180 / .pi - 30) < 2)
    #expect(pose.margin > 0.01 && pose.ties.isEmpty)
  }

  @Test("A mixture's loss is the likelihood of the mixture, and a single form's its own")
  func mixture() {
    let canonicalizer = learned(Cyclic(8), .init(size: 9, kernel: 9), .mixture(count: 3))
    let x = Variable(.concatenated([picture(9, seed: 1), picture(9, seed: 2)]))
    let forms = canonicalizer.trainingForms(
      x, on: .training(random: RandomStream(seed: 0, name: "m")))
    #expect(forms.count == 3 && forms.forms.shape == [6, 9, 9, 1])
    #expect(forms.move(Pixels(), x).value == forms.forms.value)
    let losses = Tensor([0.5, 1, 2, 0.1, 0.3, 3])
    let found = forms.mixture(Variable(losses)).value.elements
    let weights = forms.logWeights?.value.exponential().elements ?? []
    for n in 0..<2 {
      let likelihood = (0..<3).map {
        weights[n * 3 + $0] * Tensor(-losses.elements[$0 * 2 + n]).exponential().scalar
      }
      #expect(abs(found[n] + Tensor(likelihood.reduce(0, +)).logarithm().scalar) < 1e-5)
    }
    let single = TrainingForms(forms: x) { $1 }
    #expect(single.mixture(Variable(losses)).value == losses)
  }

  @Test("The straight-through gradient is that of the expected matrix") func straightThrough() {
    let group = Cyclic(4)
    let canonicalizer = learned(group, .init(size: 9, kernel: 9))
    let tape = Tape.training(random: RandomStream(seed: 0, name: "s"))
    let x = Variable(picture(9, seed: 1))
    let forms = canonicalizer.trainingForms(x, on: tape)
    #expect(forms.forms.value == canonicalizer.canonicalize(x.value).form)
    let weight = canonicalizer.parameters[0].parameter
    let gradient = tape.leaf(of: weight).flatMap {
      Gradients(of: (forms.forms * forms.forms * Variable(picture(9, seed: 2))).sum())[$0]
    }
    #expect(gradient?.elements.contains { abs($0) > 1e-6 } == true)
  }

  @Test("The prior's loss falls to zero as the identity becomes certain") func prior() {
    let canonicalizer = FixedScores(rows: Tensor([30, 0, -1, -1], shape: [2, 2]))
    let forms = canonicalizer.trainingForms(
      Variable(.zeros([2, 4, 4, 1])), on: .training(random: RandomStream(seed: 0, name: "p")))
    let found = forms.priorLoss?.value.elements ?? []
    #expect(zip(found, [0, Float(0.693_147)]).allSatisfy { abs($0 - $1) < 1e-5 })
  }
}

// What a user adds from outside the package: a group, an action, a canonicalizer.

private struct Reversal: FiniteGroup {
  let order = 2
  let elements = [false, true]
  let identity = false
  func index(of g: Bool) -> Int { g ? 1 : 0 }
  func compose(_ g: Bool, _ h: Bool) -> Bool { g != h }
  func inverse(_ g: Bool) -> Bool { g }
  func distance(_ g: Bool, _ h: Bool) -> Double { g == h ? 0 : 1 }
}

private struct SequenceReversal: Action {
  let group = Reversal()
  func act(_ elements: [Bool], on batch: Tensor) -> Tensor {
    let count = batch.shape[1]
    return .concatenated(
      elements.enumerated().map { n, g in
        let row = batch[n].gathered(g ? Array((0..<count).reversed()) : Array(0..<count))
        return row.reshaped([1, count])
      })
  }
}

private struct RisingSequence: Canonicalizer {
  let action = SequenceReversal()
  func poses(of batch: Tensor) -> [Pose<Bool>] {
    (0..<batch.shape[0]).map { n in
      let row = batch[n].elements
      let rise = (row.last ?? 0) - (row.first ?? 0)
      return Pose(rise < 0, margin: abs(rise), ties: rise == 0 ? [true] : [])
    }
  }
}

/// Scores of one's own, the same whatever the images.
private struct FixedScores: ScoringCanonicalizer {
  typealias PoseGroup = Cyclic
  let rows: Tensor
  let action = ImageAction(Cyclic(2))
  let gradient = PoseGradient.straightThrough
  let temperature: Float = 1
  func scores(_ batch: Variable, on tape: Tape) -> Variable { Variable(rows) }
}

@Suite struct ScoreTests {
  @Test("Scores that are not numbers give a pose without a margin, and never end the program")
  func notNumbers() {
    let x = Tensor.zeros([1, 4, 4, 1])
    for row in [[Float.nan, .nan], [.infinity, .infinity], [1, .nan], [-.infinity, 3]] {
      let pose = FixedScores(rows: Tensor(row, shape: [1, 2])).poses(of: x)[0]
      #expect(pose.margin.isNaN, "\(row)")
      if row[0] == 1 { #expect(pose.element == Cyclic(2).identity) }
    }
    #expect(PlanarIsometry(residual: .nan) == PlanarIsometry())
    #expect(PlanarIsometry(residual: 1e300).residual.isFinite)
  }
}

@Suite struct ExtensionTests {
  @Test("A group, action and canonicalizer of one's own make any backbone equivariant") func own() {
    let model = Equivariant(
      backbone: { $0 * Tensor([1, 2, 3]) }, symmetrizer: RisingSequence(),
      outputAction: SequenceReversal())
    let x = Tensor([1, 5, 2, 9, 4, 3], shape: [2, 3])
    let output = model(x)
    #expect(RisingSequence().canonicalize(x).form.elements == [1, 5, 2, 3, 4, 9])
    #expect(RisingSequence().deviations(on: x, under: [false, true]) == LawDeviations())
    #expect(output.elements == [1, 10, 6, 27, 8, 3])
    let reversed = SequenceReversal().act([true, true], on: x)
    #expect(model(reversed) == SequenceReversal().act([true, true], on: output))
  }
}

@Suite struct RestrictedPoseTests {
  @Test(
    "Poses kept to a group are its nearest elements, and equivariant under it, bit for bit",
    arguments: [4, 8, 12])
  func restricted(order: Int) {
    var random = RandomStream(seed: 4, name: "restricted")
    let batch = Tensor((0..<4800).map { _ in random.uniform() }, shape: [12, 20, 20, 1])
    let base = PrincipalAxis()
    let canonicalizer = RestrictedPoses(base, to: Cyclic(order))
    let free = base.poses(of: batch)
    for (kept, own) in zip(canonicalizer.poses(of: batch), free) {
      let place = own.element.angle / (2 * .pi) * Double(order)
      let distance = (place - Double(kept.element.steps)).remainder(dividingBy: Double(order))
      #expect(abs(distance) <= 0.5 + 1e-9 && kept.margin <= own.margin)
    }
    for g in canonicalizer.action.group.exactElements {
      let moved = canonicalizer.poses(
        of: canonicalizer.action.act(
          [Cyclic.Element](repeating: g, count: 12), on: batch))
      for (a, b) in zip(moved, canonicalizer.poses(of: batch)) {
        #expect(a.element == canonicalizer.action.group.compose(g, b.element))
      }
    }
  }
}
