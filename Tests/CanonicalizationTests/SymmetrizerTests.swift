import Autodiff
import Canonicalization
import Glibc
import Layers
import Symmetry
import TensorCore
import TestSupport
import Testing

private func images(_ side: Int, count: Int = 3) -> Tensor {
  var random = RandomStream(seed: 8, name: "images")
  return .uniform([count, side, side, 1], using: &random)
}

private func orbit<G: FiniteGroup & PlanarGroup>(
  _ group: G, side: Int, gradient: PoseGradient = .mixture(count: 2),
  alignment: ClassAlignment? = nil
) -> OrbitCanonicalizer<G> {
  var random = RandomStream(seed: 5, name: "orbit")
  return OrbitCanonicalizer(
    group, network: Backbone.scorer(size: side, width: 3, features: 4, using: &random), features: 4,
    gradient: gradient, alignment: alignment, using: &random)
}

/// A backbone that knows nothing of poses: `[batch, 2]`.
private let backbone: @Sendable (Tensor) -> Tensor = { images in
  let side = images.shape[1]
  let left = images.sliced(0..<side / 2, axis: 2).squared().mean([1, 2])
  return .concatenated([left, images.sliced(0..<1, axis: 1).mean([1, 2])], axis: 1)
}

@Suite struct SymmetrizerTests {
  @Test("The laws of a searched orbit, bit for bit where elements are") func orbitLaws() {
    for side in [11, 12] {
      #expect(orbit(Cyclic(4), side: side).deviations(on: images(side)) == LawDeviations())
      #expect(orbit(Dihedral(4), side: side).deviations(on: images(side)) == LawDeviations())
      let fine = orbit(Dihedral(8), side: side)
      let exact = fine.deviations(on: images(side), under: fine.action.group.exactElements)
      #expect(exact.form == 0 && exact.pose == 0)
    }
  }

  @Test("A searched orbit's score of r is the network's, at r⁻¹·x, along the reference")
  func orbitScores() {
    let canonicalizer = orbit(Cyclic(4), side: 12)
    let x = images(12) * discMask(height: 12, width: 12)
    let scores = canonicalizer.scores(Variable(x), on: .inference()).value
    let reference = canonicalizer.parameters[0].parameter.value
    #expect(abs(reference.squared().sum().scalar - 1) < 1e-5)
    for (r, element) in Cyclic(4).elements.enumerated() {
      let copies = [Cyclic.Element](repeating: Cyclic(4).inverse(element), count: 3)
      let turned = canonicalizer.action.act(copies, on: x)
      let expected = canonicalizer.network.predict(turned).matmul(reference)
      let found = scores.sliced(r..<r + 1, axis: 1)
      #expect(largestDifference(found, expected) < 1e-5)
    }
  }

  @Test("A soft frame of the best poses is exactly invariant, and all of it a weighted group mean")
  func topPoses() {
    let x = images(12)
    let base = orbit(Cyclic(8), side: 12)
    let turns = base.action.group.exactElements
    for count in [1, 3, 8] {
      let frames = TopPoses(base, count: count)
      for frame in frames.frames(of: x) {
        #expect(frame.count == count && abs(frame.reduce(0) { $0 + $1.weight } - 1) < 1e-5)
        #expect(zip(frame, frame.dropFirst()).allSatisfy { $0.weight >= $1.weight })
      }
      let model = Equivariant(
        backbone: backbone, symmetrizer: frames, outputAction: Trivial(Cyclic(8)))
      #expect(model.deviation(on: x, under: turns) == 0)
    }
    // One pose is the canonicalizer itself.
    let one = Equivariant(
      backbone: backbone, symmetrizer: TopPoses(base, count: 1), outputAction: Trivial(Cyclic(8)))
    let plain = Equivariant(
      backbone: backbone, symmetrizer: base, outputAction: Trivial(Cyclic(8)))
    #expect(one(x) == plain(x))
    #expect(
      largestDifference(
        backbone(x), backbone(base.action.act([turns[1], turns[1], turns[1]], on: x))) > 0.01)
  }

  @Test("A symmetric input's frame holds its copies, all alike") func symmetricInput() {
    let half = images(12, count: 1)
    let action = ImageAction(Cyclic(2))
    let x = half + action.act([Cyclic.Element(steps: 1)], on: half)
    let frame = TopPoses(orbit(Cyclic(4), side: 12), count: 1).frames(of: x)[0]
    #expect(frame.count == 2 && frame[0].weight == frame[1].weight)
    #expect((frame[0].element.steps - frame[1].element.steps + 4) % 4 == 2)
  }

  @Test("The best pose per class does not depend on the pose, bit for bit") func adaptive() {
    let action = ImageAction(Dihedral(4))
    let model = BestPosePerClass(action: action, backbone: backbone)
    let x = images(12)
    let plain = model(x)
    for g in action.group.elements {
      #expect(model(action.act([g, g, g], on: x)) == plain)
      let single = backbone(action.act([g, g, g], on: x))
      #expect(zip(single.elements, plain.elements).allSatisfy { $0 <= $1 })
    }
  }

  @Test("What a first step and a second want in training is added up, and targets move by both")
  func losses() {
    func forms(_ number: Float) -> TrainingForms {
      let constant = Variable(Tensor([number], shape: [1]))
      return TrainingForms(
        forms: constant, priorLoss: constant, alignmentLoss: { _ in constant },
        regularization: constant
      ) { $1 * 10 + constant }
    }
    for (first, second) in [(1, 2), (3, 4)] as [(Float, Float)] {
      let both = forms(second).after(forms(first))
      #expect(both.forms.value.elements == [second])
      #expect(both.priorLoss?.value.elements == [first + second])
      #expect(both.regularization?.value.elements == [first + second])
      #expect(both.alignmentLoss?(.zeros([1, 1])).value.elements == [first + second])
      #expect(
        both.move(Scores(), Variable(Tensor([1], shape: [1]))).value.elements == [
          100 + 10 * first + second
        ])
    }
    let silent = TrainingForms(forms: Variable(.zeros([1]))) { $1 }
    #expect(silent.after(silent).alignmentLoss == nil)
    #expect(silent.after(forms(5)).alignmentLoss?(.zeros([1, 1])).value.elements == [5])
  }

  @Test("Forms of forms multiply their weights, and their losses are means over the first step's")
  func formsOfForms() {
    func numbers(_ values: [Float], _ shape: [Int]) -> Variable {
      Variable(Tensor(values, shape: Shape(shape)))
    }
    // Two members, three forms of each, and of each of these two.
    let first = TrainingForms(
      forms: numbers([0, 1, 10, 11, 20, 21], [6]), count: 3,
      logWeights: numbers([1, 2, 3, 4, 5, 6], [2, 3])
    ) { $1 }
    let second = TrainingForms(
      forms: numbers((0..<12).map { Float($0) }, [12]), count: 2,
      logWeights: numbers((0..<12).map { Float($0) * 10 }, [6, 2]),
      priorLoss: numbers([0, 1, 2, 3, 4, 5], [6]),
      alignmentLoss: { classes in Variable(classes.reshaped([6])) }
    ) { $1 }
    let both = second.after(first)
    #expect(both.count == 6 && both.forms.shape == [12])
    let weights = both.logWeights?.value.elements ?? []
    for member in 0..<2 {
      for a in 0..<3 {
        for b in 0..<2 {
          // Of the form b · 6 + a · 2 + member in `forms`.
          let expected = Float(3 * member + a + 1) + 10 * Float(2 * (2 * a + member) + b)
          #expect(weights[member * 6 + b * 3 + a] == expected)
        }
      }
    }
    #expect(both.priorLoss?.value.elements == [2, 3])
    #expect(both.alignmentLoss?(Tensor([7, 9], shape: [2, 1])).value.elements == [7, 9])
  }

  @Test("The alignment's loss and gradients are those of its formula") func alignment() {
    var random = RandomStream(seed: 6, name: "alignment")
    let alignment = ClassAlignment(classes: 2, size: 12, sharpness: 0.5, using: &random)
    let canonicalizer = orbit(Cyclic(4), side: 12, alignment: alignment)
    let x = images(12)
    let labels = [0, 1, 1]
    let tape = Tape.training(random: RandomStream(seed: 0, name: "a"))
    let forms = canonicalizer.trainingForms(Variable(x), on: tape)
    let loss = forms.alignmentLoss?(.oneHot(labels, classes: 2))
    let scores = canonicalizer.scores(Variable(x), on: .inference()).value.softmax().elements
    let templates = alignment.templates.value.elements
    for (n, label) in labels.enumerated() {
      var likelihood = 0.0
      for (r, element) in Cyclic(4).elements.enumerated() {
        let form = canonicalizer.action.act(
          [Cyclic(4).inverse(element)], on: x.sliced(n..<n + 1)
        ).elements
        let square = form.indices.reduce(0.0) {
          let apart = Double(form[$1] - templates[2 * $1 + label])
          return $0 + apart * apart
        }
        likelihood += Double(scores[n * 4 + r]) * exp(-0.25 * square)
      }
      let expected = -log(likelihood)
      #expect(abs(Double(loss?.value.elements[n] ?? .nan) - expected) < 1e-3)
    }
    let gradients = loss.map { Gradients(of: $0.sum()) }
    // What adds the same to every score has no gradient.
    for (name, parameter) in canonicalizer.parameters where name != "network.5.bias" {
      let found = tape.leaf(of: parameter).flatMap { gradients?[$0] }
      #expect(found?.elements.contains { abs($0) > 1e-6 } == true, "\(name)")
    }
  }

  @Test("The contrastive loss is the mean magnitude of products of different poses' features")
  func contrast() {
    var random = RandomStream(seed: 5, name: "contrast")
    let canonicalizer = OrbitCanonicalizer(
      Cyclic(4), network: Backbone.scorer(size: 12, width: 3, features: 4, using: &random),
      features: 4, contrast: 0.5, using: &random)
    let x = Variable(images(12))
    let features = canonicalizer.features(x, on: .inference()).value
    let found =
      canonicalizer.trainingForms(x, on: .inference()).regularization?.value.elements ?? []
    for n in 0..<3 {
      let rows = (0..<4).map { features[n][$0].elements }
      var sum: Float = 0
      for i in 0..<4 {
        for j in 0..<4 where i != j {
          sum += abs(zip(rows[i], rows[j]).reduce(0) { $0 + $1.0 * $1.1 })
        }
      }
      #expect(abs(found[n] - 0.5 * sum / 12) < 1e-4 * max(1, sum))
    }
  }

  @Test("A refined pose is at the top of the parabola, between the elements") func refined() {
    /// Scores that are a cosine of the angle from a direction of the image's mass.
    struct Cosine: ScoringCanonicalizer {
      typealias PoseGroup = Cyclic
      let action = ImageAction(Cyclic(16))
      let gradient = PoseGradient.straightThrough
      let temperature: Float = 1
      let angle: Double
      func scores(_ batch: Variable, on tape: Tape) -> Variable {
        let row = (0..<16).map { Float(cos(2 * .pi * Double($0) / 16 - angle)) }
        return Variable(Tensor(row, shape: [1, 16]))
      }
    }
    for angle in [0.0, 0.05, -0.13, 1.234, 3.0, 6.2] {
      let canonicalizer = RefinedPoses(Cosine(angle: angle), in: SO2())
      // Symmetric under no quarter turn, and its own normal form: brightest in the middle row.
      var pixels = [Float](repeating: 0, count: 25)
      (pixels[12], pixels[13]) = (1, 0.5)
      let image = Tensor(pixels, shape: [1, 5, 5, 1])
      let found = canonicalizer.poses(of: image)[0].element
      // A cosine is a parabola up to the fourth order: off by less than a hundredth of a step.
      #expect(O2().distance(found, PlanarIsometry(residual: angle)) < 0.01 * 2 * .pi / 16)
    }
  }

  @Test("Refined poses claim rotations where the group has these alone, and quarter turns stay")
  func refinedGroup() {
    func refined<Group: FiniteGroup & PlanarGroup>(
      _ group: Group
    ) -> any TrainableCanonicalizer {
      var random = RandomStream(seed: 1, name: "refined")
      return GroupConvolutionCanonicalizer(
        group, .init(size: 12, kernel: 5), using: &random
      ).refined()
    }
    #expect(refined(Cyclic(8)) is RefinedPoses<GroupConvolutionCanonicalizer<Cyclic>, SO2>)
    #expect(refined(Dihedral(8)) is RefinedPoses<GroupConvolutionCanonicalizer<Dihedral>, O2>)
    #expect(refined(Cyclic(4)) is GroupConvolutionCanonicalizer<Cyclic>)
  }
}
