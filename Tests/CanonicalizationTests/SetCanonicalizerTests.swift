import Autodiff
import Canonicalization
import Layers
import Symmetry
import TensorCore
import TestSupport
import Testing

/// Random sets; the second has equal members, the third members equal in the first feature.
private func sets(members: Int = 9, features: Int = 3) -> Tensor {
  var random = RandomStream(seed: 1, name: "sets")
  var numbers = Tensor.normal([3, members, features], using: &random).elements
  let set = members * features
  for i in 0..<features { numbers[set + 2 * features + i] = numbers[set + i] }
  for m in 0..<members { numbers[2 * set + m * features] = 1 }
  return Tensor(numbers, shape: [3, members, features])
}

@Suite struct SetCanonicalizerTests {
  /// The form is the same bit for bit for every order; poses differ by symmetries of equal members.
  private func check<C: SetCanonicalizer>(_ canonicalizer: C, _ x: Tensor) {
    let found = canonicalizer.deviations(on: x, under: canonicalizer.sampledElements(30))
    #expect(found.form == 0 && found.restoration == 0)
    // Without equal members the pose itself is equivariant.
    let first = canonicalizer.deviations(
      on: x.sliced(0..<1), under: canonicalizer.sampledElements(30))
    #expect(first == LawDeviations())
    // Outputs per member, by any backbone, come back in the order of the input.
    let model = Equivariant(
      backbone: { $0 * Tensor.uniform($0.shape) }, symmetrizer: canonicalizer,
      outputAction: canonicalizer.action)
    #expect(model.deviation(on: x.sliced(0..<1), under: canonicalizer.sampledElements(30)) == 0)
  }

  @Test("The laws of sorting rules, bit for bit", arguments: SortingRule.allCases)
  func rules(rule: SortingRule) {
    check(SortedSet(Symmetric(9), rule: rule, coordinates: 2), sets())
  }

  @Test(
    "The laws of learned orders, bit for bit",
    arguments: [OrderingHead.sort(), .assignment(regularization: 0.5)])
  func learned(head: OrderingHead) {
    var random = RandomStream(seed: 2, name: "order")
    let canonicalizer = LearnedPermutation(
      Symmetric(9), features: 3, head: head, width: 8, using: &random)
    check(canonicalizer, sets())
    let x = Variable(sets())
    let tape = Tape.training(random: RandomStream(seed: 0, name: "t"))
    let forms = canonicalizer.trainingForms(x, on: tape)
    #expect(forms.forms.value == canonicalizer.canonicalize(x.value).form)
    #expect(forms.move(Members([.scalars(3)], dimension: 1), x).value == forms.forms.value)
    let gradients = Gradients(of: (forms.forms * Variable(.uniform(forms.forms.shape))).sum())
    // What adds the same to every member's score changes no order, and has no gradient.
    for (name, parameter) in canonicalizer.parameters where name.hasPrefix("own") {
      if name == "own.2.bias" { continue }
      let found = tape.leaf(of: parameter).flatMap { gradients[$0] }
      #expect(found?.elements.contains { abs($0) > 1e-7 } == true, "\(name)")
    }
  }

  @Test("A frame, then an order: the laws of E(d) × Sₙ, to rounding") func composed() {
    var random = RandomStream(seed: 3, name: "composed")
    let action = PointAction(.e(3), columns: [.point, .scalars(1)])
    let x = Tensor.normal([3, 9, 4], using: &random)
    let canonicalizer = Steps(
      [
        Step(LearnedFrame(action, width: 6, layers: 2, using: &random)),
        Step(
          LearnedPermutation(Symmetric(9), features: 4, head: .sort(), width: 8, using: &random)),
      ], of: SetDomain(members: 9, dimension: 3, columns: [.point, .scalars(1)]))
    let found = canonicalizer.deviations(on: x, under: canonicalizer.sampledElements(10))
    #expect(found.pose < 1e-3 && found.form < 1e-3 && found.restoration < 1e-5)
    // The gradient passes through the second's form to the first.
    let tape = Tape.training(random: RandomStream(seed: 0, name: "t"))
    let forms = canonicalizer.trainingForms(Variable(x), on: tape)
    let gradients = Gradients(of: forms.forms.squared().squared().sum())
    for (name, parameter) in canonicalizer.parameters where name.hasPrefix("0.own") {
      let found = tape.leaf(of: parameter).flatMap { gradients[$0] }
      #expect(found?.elements.contains { abs($0) > 1e-7 } == true, "\(name)")
    }
  }
}

extension Tensor {
  /// Fixed numbers without a pattern, to weigh things with.
  fileprivate static func uniform(_ shape: Shape) -> Tensor {
    var random = RandomStream(seed: 11, name: "weights")
    return .uniform(shape, from: -1, using: &random)
  }
}
