import Autodiff
import Canonicalization
import Layers
import Symmetry
import TensorCore
import TestSupport
import Testing

/// Sets of points with a vector and a number each, without symmetry.
private func sets(_ group: Euclidean, members: Int = 12, seed: UInt64 = 1) -> Tensor {
  var random = RandomStream(seed: seed, name: "sets")
  return .normal([4, members, 2 * group.spaceDimension + 1], using: &random)
}

private func action(_ group: Euclidean) -> PointAction {
  PointAction(group, columns: [.point, .vector, .scalars(1)])
}

private let groups = [Euclidean.so(2), .o(2), .se(2), .e(2), .so(3), .o(3), .se(3), .e(3)]

/// Forms are products of `Float` matrices of unit scale: a few roundings of 2⁻²⁴ times numbers up to 4,
/// and the frame's own error, which the network's depth multiplies.
private let tolerance = 1e-4

@Suite struct PointCanonicalizerTests {
  @Test("The laws of frames of principal axes, to rounding", arguments: groups)
  func principal(group: Euclidean) {
    for usesThirdMoment in [true, false] {
      let canonicalizer = PrincipalFrame(action(group), usesThirdMoment: usesThirdMoment)
      let found = canonicalizer.deviations(
        on: sets(group), under: canonicalizer.sampledElements(8))
      #expect(found.pose < tolerance && found.restoration < tolerance)
      // Without signs the form is one of several; frames over all of them are below.
      if usesThirdMoment { #expect(found.form < tolerance) }
    }
  }

  @Test(
    "The laws of learned frames, to rounding", arguments: groups, Orthonormalization.allCases)
  func learned(group: Euclidean, method: Orthonormalization) {
    for neighbors in [0, 3] {
      var random = RandomStream(seed: 3, name: "frame")
      let canonicalizer = LearnedFrame(
        action(group), orthonormalization: method, neighbors: neighbors, width: 6, layers: 2,
        using: &random)
      let x = sets(group)
      let found = canonicalizer.deviations(on: x, under: canonicalizer.sampledElements(8))
      #expect(found.pose < 10 * tolerance && found.form < 10 * tolerance, "\(found)")
      #expect(found.restoration < tolerance)
      for pose in canonicalizer.poses(of: x) {
        #expect(pose.margin > 0)
        #expect(group.hasReflections || pose.element.determinant > 0)
      }
    }
  }

  @Test(
    "Of a frame's ties the network's favorite is the pose, and the laws hold", arguments: groups)
  func chosenTies(group: Euclidean) {
    var random = RandomStream(seed: 5, name: "scorer")
    let base = PrincipalFrame(action(group), usesThirdMoment: false)
    let network = PointNet(base.action.width, outputs: 1, widths: [8], hidden: 8, using: &random)
    let canonicalizer = ChosenTie(base, network: network)
    let x = sets(group)
    let found = canonicalizer.deviations(on: x, under: canonicalizer.sampledElements(8))
    #expect(found.pose < tolerance && found.form < tolerance && found.restoration < tolerance)
    for (n, pose) in canonicalizer.poses(of: x).enumerated() {
      let set = x.sliced(n..<n + 1)
      let before = base.poses(of: set)[0]
      let scores = ([before.element] + before.ties).map {
        network.predict(base.action.act([group.inverse($0)], on: set)).scalar
      }
      let best = network.predict(base.action.act([group.inverse(pose.element)], on: set)).scalar
      #expect(abs(best - (scores.max() ?? .infinity)) < 1e-5 && scores.count > 1)
      let second = scores.sorted().dropLast().last ?? 0
      #expect(abs(pose.margin - min(before.margin, best - second)) < 1e-5)
    }
  }

  @Test("The mixture of a frame's ties is weighted by the network's scores")
  func tieWeights() {
    var random = RandomStream(seed: 5, name: "scorer")
    let base = PrincipalFrame(action(.e(2)), usesThirdMoment: false)
    let network = DeepSets(5, widths: [1], using: &random)
    let scorer = Sequential([network, Function.flatten, Linear(12, 1, using: &random)])
    let canonicalizer = ChosenTie(base, network: scorer)
    let x = sets(.e(2))
    let tape = Tape.training(random: random)
    let forms = canonicalizer.trainingForms(Variable(x), on: tape)
    #expect(forms.count == 4 && forms.forms.shape == [16, 12, 5])
    let weights = forms.logWeights?.value ?? .zeros([1])
    let scores = scorer.predict(forms.forms.value).reshaped([4, 4]).permuted([1, 0])
    #expect(largestDifference(weights, Variable(scores).logSoftmax().value) < 1e-5)
    let gradients = Gradients(of: (forms.logWeights ?? Variable(.zeros([1]))).squared().sum())
    // What is added to all scores changes nothing.
    for (name, parameter) in canonicalizer.parameters where !name.hasSuffix("bias") {
      let found = tape.leaf(of: parameter).flatMap { gradients[$0] }
      #expect(found?.elements.contains { abs($0) > 1e-6 } == true, "\(name)")
    }
  }

  @Test("In training, forms and moved targets are those of inference")
  func trainingForms() {
    for group in [Euclidean.se(2), .e(3)] {
      var random = RandomStream(seed: 3, name: "frame")
      let canonicalizer = LearnedFrame(
        action(group), width: 6, layers: 2, hasBatchNorm: false,
        using: &random)
      let x = sets(group)
      let tape = Tape.training(random: RandomStream(seed: 0, name: "t"))
      let forms = canonicalizer.trainingForms(Variable(x), on: tape)
      #expect(largestDifference(forms.forms.value, canonicalizer.canonicalize(x).form) < 1e-5)
      let members = Members(action(group).columns, dimension: group.spaceDimension)
      #expect(forms.move(members, Variable(x)).value == forms.forms.value)
      let loss = forms.forms.squared().squared().sum()
      let gradients = Gradients(of: loss)
      for (name, parameter) in canonicalizer.parameters where parameter.isTrainable {
        let found = tape.leaf(of: parameter).flatMap { gradients[$0] }
        #expect(found?.elements.contains { abs($0) > 1e-6 } == true, "\(name)")
      }
    }
  }

  @Test("Frame averaging over all signs of the principal axes is exactly equivariant")
  func frameAveraging() {
    for group in [Euclidean.so(3), .o(3), .e(2)] {
      let frames = TiesAveraged(PrincipalFrame(action(group), usesThirdMoment: false))
      let x = sets(group)
      let count = 1 << (group.spaceDimension - (group.hasReflections ? 0 : 1))
      for frame in frames.frames(of: x) {
        #expect(frame.count == count && abs(frame.reduce(0) { $0 + $1.weight } - 1) < 1e-6)
      }
      // A backbone that knows nothing of the group, with outputs that move.
      let model = Equivariant(
        backbone: { ($0 * $0 + $0).sliced(0..<group.spaceDimension, axis: 2) }, symmetrizer: frames,
        outputAction: PointAction(group, columns: [.vector]))
      let elements = PrincipalFrame(action(group)).sampledElements(5)
      #expect(model.deviation(on: x, under: elements) < 10 * tolerance)
      let plain = PointAction(group, columns: [.vector])
      let bare = plain.act([elements[0]], on: model.backbone(x.sliced(0..<1)))
      let moved = model.backbone(action(group).act([elements[0]], on: x.sliced(0..<1)))
      #expect(largestDifference(bare, moved) > 0.1)
    }
  }

  @Test("Vectors that span too little have a frame and finite gradients all the same")
  func degenerateVectors() {
    let line: [Float] = [1, 2, 3, 2, 4, 6, 3, 6, 9]
    let plane: [Float] = [1, 0, 1, 0, 1, 1, 0, 0, 0]
    let vectors = Tensor([Float](repeating: 0, count: 9) + line + plane, shape: [3, 3, 3])
    for method in Orthonormalization.allCases {
      let tape = Tape.training(random: RandomStream(seed: 0, name: "t"))
      let leaf = tape(Parameter(vectors))
      let frames = leaf.orthonormalized(by: method)
      let gradient = Gradients(of: (frames * Variable(vectors + 1)).sum())[leaf]
      #expect(frames.value.elements.allSatisfy { $0.isFinite }, "\(method)")
      #expect(gradient?.elements.allSatisfy { $0.isFinite } == true, "\(method)")
    }
  }

  @Test("Orthonormal frames, and their gradients, for both methods") func orthonormal() {
    var random = RandomStream(seed: 4, name: "frames")
    for d in 2...3 {
      for count in d - 1...d {
        let vectors = Tensor.normal([3, d, count], using: &random)
        for method in Orthonormalization.allCases {
          let found = OperationDeviation(of: [vectors]) {
            $0[0].orthonormalized(by: method)
          } reference: { numbers in
            (0..<3).flatMap { n in
              reference(
                Array(numbers[0][n * d * count..<(n + 1) * d * count]), d, count, method)
            }
          }
          #expect(found.value < 1e-5 && found.gradient < 1e-4, "\(d) \(count) \(method) \(found)")
        }
      }
    }
  }
}

/// Orthonormal frames in `Double`; for `svd` by many steps of Newton–Schulz, which needs no inverse.
private func reference(
  _ numbers: [Double], _ d: Int, _ count: Int, _ method: Orthonormalization
) -> [Double] {
  var columns: [[Double]] = (0..<count).map { c in (0..<d).map { numbers[$0 * count + c] } }
  func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
  func added(_ a: [Double], _ b: [Double], times factor: Double) -> [Double] {
    zip(a, b).map { $0 + factor * $1 }
  }
  func completion(_ v: [[Double]]) -> [Double] {
    if d == 2 { return [-v[0][1], v[0][0]] }
    return (0..<3).map { i in
      let (j, k) = ((i + 1) % 3, (i + 2) % 3)
      return v[0][j] * v[1][k] - v[0][k] * v[1][j]
    }
  }
  if method == .gramSchmidt {
    for c in 0..<count {
      for b in 0..<c {
        columns[c] = added(columns[c], columns[b], times: -dot(columns[c], columns[b]))
      }
      let length = dot(columns[c], columns[c]).squareRoot()
      columns[c] = columns[c].map { $0 / length }
    }
  }
  if count < d { columns.append(completion(columns)) }
  if method == .svd {
    let norm = columns.reduce(0) { $0 + dot($1, $1) }.squareRoot()
    columns = columns.map { $0.map { $0 / norm } }
    for _ in 0..<200 {
      let old = columns
      columns = (0..<d).map { c in
        old.reduce(old[c].map { 1.5 * $0 }) { added($0, $1, times: -0.5 * dot($1, old[c])) }
      }
    }
  }
  return (0..<d * d).map { columns[$0 % d][$0 / d] }
}
