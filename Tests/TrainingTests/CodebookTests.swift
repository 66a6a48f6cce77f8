import Autodiff
import Foundation
import Layers
import TensorCore
import TestSupport
import Testing

@testable import Training

private func random(_ shape: Shape, _ name: String, size: Float = 1) -> Tensor {
  var stream = RandomStream(seed: 31, name: name)
  return .uniform(shape, from: -size, to: size, using: &stream)
}

private func product(_ a: [Double], _ b: [Double], _ n: Int) -> [Double] {
  (0..<a.count / n).flatMap { i in
    (0..<n).map { j in (0..<n).reduce(0.0) { $0 + a[i * n + $1] * b[$1 * n + j] } }
  }
}

/// *z* − *z* exp(*g*) of all sections, elements and codes, by the plain series.
private func displacements(_ z: [Double], _ g: [Double], _ n: Int) -> [[Double]] {
  stride(from: 0, to: g.count, by: n * n).flatMap { start -> [[Double]] in
    let matrix = Array(g[start..<start + n * n])
    return stride(from: 0, to: z.count, by: n).map { first in
      let code = Array(z[first..<first + n])
      var (sum, term) = (code, code)
      for k in 1...30 {
        term = product(term, matrix, n).map { $0 / Double(k) }
        for i in 0..<n { sum[i] += term[i] }
      }
      return (0..<n).map { code[$0] - sum[$0] }
    }
  }
}

private func cosine(_ a: [Double], _ b: [Double]) -> Double {
  func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
  return dot(a, b) / (dot(a, a) * dot(b, b)).squareRoot()
}

@Suite struct CodebookTests {
  /// Two sections of three elements for codes of two numbers: more elements than sections.
  private let codes = random([4, 2], "codes")
  private let generators = random([2, 3, 2, 2], "generators")

  private func directions(_ inputs: [Variable]) -> Variable {
    SymmetryCodebook.directions(
      SymmetryCodebook.displacements(of: inputs[0], by: inputs[1]))
  }

  @Test("Each codebook loss and its gradient are those of its formula over all elements and codes")
  func losses() {
    let inputs = [codes, generators]
    let places = Array(0..<24)
    let parallel = OperationDeviation(of: inputs) {
      SymmetryCodebook.parallelLoss(directions($0), rows: Array(0..<12))
    } reference: { numbers in
      let d = displacements(numbers[0], numbers[1], 2)
      let pairs = places.flatMap { i in
        places.filter { $0 / 12 == i / 12 }.map { j in
          -log(pow(cosine(d[i], d[j]), 2) + 1e-9)
        }
      }
      return [pairs.reduce(0, +) / Double(pairs.count)]
    }
    #expect(parallel.value < 1e-5 && parallel.gradient < 1e-4)
    let perpendicular = OperationDeviation(of: inputs) {
      SymmetryCodebook.perpendicularLoss(directions($0))
    } reference: { numbers in
      let d = displacements(numbers[0], numbers[1], 2)
      let pairs = places.flatMap { i in
        places.filter { $0 / 12 != i / 12 }.map { j in pow(cosine(d[i], d[j]), 2) }
      }
      return [pairs.reduce(0, +) / Double(pairs.count)]
    }
    #expect(perpendicular.value < 1e-5 && perpendicular.gradient < 1e-5)
    let sparse = OperationDeviation(of: inputs) {
      SymmetryCodebook.sparsityLoss(
        SymmetryCodebook.displacements(of: $0[0], by: $0[1]))
    } reference: { numbers in
      let all = displacements(numbers[0], numbers[1], 2).map { d in
        let squares = d.map { $0 * $0 }
        return pow(squares.reduce(0, +) - (squares.max() ?? 0), 2)
      }
      return [all.reduce(0, +) / Double(all.count)]
    }
    #expect(sparse.value < 1e-5 && sparse.gradient < 1e-5)
    let commuting = OperationDeviation(of: [generators]) {
      SymmetryCodebook.commutatorLoss($0[0])
    } reference: { numbers in
      let all = stride(from: 0, to: 24, by: 4).map { Array(numbers[0][$0..<$0 + 4]) }
      var (sum, count) = (0.0, 0.0)
      for i in all.indices {
        for j in 0..<i {
          let (a, b) = (product(all[i], all[j], 2), product(all[j], all[i], 2))
          sum += zip(a, b).reduce(0) { $0 + pow($1.0 - $1.1, 2) } / 4
          count += 1
        }
      }
      return [sum / count]
    }
    #expect(commuting.value < 1e-5 && commuting.gradient < 1e-5)
  }

  @Test("A sample of rows says the same of parallel directions as all of them, in the mean")
  func sampledRows() {
    let all = directions([Variable(codes), Variable(generators)])
    let whole = SymmetryCodebook.parallelLoss(all, rows: Array(0..<12)).value.scalar
    let parts = (0..<6).map {
      SymmetryCodebook.parallelLoss(all, rows: [2 * $0, 2 * $0 + 1]).value.scalar
    }
    #expect(abs(parts.reduce(0, +) / 6 - whole) < 1e-5)
  }

  @Test("Every matrix of the codebook is learned by the terms between elements, the last one too")
  func everyElement() {
    for shape in [Shape([2, 5, 2, 2]), [4, 2, 4, 4]] {
      let matrices = Variable(random(shape, "all"), requiresGradient: true)
      let z = Variable(random([6, shape[2]], "z"))
      for term in 0..<2 {
        let loss =
          term == 0
          ? SymmetryCodebook.commutatorLoss(matrices)
          : SymmetryCodebook.perpendicularLoss(directions([z, matrices]))
        let gradient = Gradients(of: loss)[matrices] ?? .zeros(shape)
        let sizes = gradient.reshaped([shape[0] * shape[1], -1]).absolute().sum([1]).elements
        #expect(sizes.allSatisfy { $0 > 0 }, "\(shape) \(term)")
      }
    }
  }

  @Test("Switches are judged by the cross entropy of logits, not of a softmax of them")
  func prediction() {
    let d = OperationDeviation(of: [Tensor([0, 3, 1, -1, 0.5, 0.5, 2, 0], shape: [2, 2, 2])]) {
      SymmetryCodebook.predictionLoss($0[0], hasChanged: Tensor([1, 0, 1, 0], shape: [2, 2]))
    } reference: {
      // −log softmax: log(1 + exp(other − own)), a sum over sections and a mean over pairs.
      let x = $0[0]
      func loss(_ own: Int, _ other: Int) -> Double { log(1 + exp(x[other] - x[own])) }
      return [(loss(1, 0) + loss(2, 3) + loss(5, 4) + loss(6, 7)) / 2]
    }
    #expect(d.value < 2e-6 && d.gradient < 2e-6)
    let changes = SymmetryCodebook.changes(
      Tensor([0, 1, -0.3], shape: [1, 3]), Tensor([0.1, 1, 0], shape: [1, 3]), threshold: 0.2)
    #expect(changes.elements == [0, 0, 1])
  }

  @Test("Attention sees both means and both deviations, the second one's from its own variance")
  func attention() {
    var stream = RandomStream(seed: 1, name: "codebook")
    let codebook = SymmetryCodebook(dimension: 3, elements: 4, using: &stream)
    // The first four outputs are the first numbers of what is seen.
    var weight = [Float](repeating: 0, count: 12 * 18)
    for block in 0..<4 { weight[block * 3 * 18 + block] = 1 }
    codebook.attention.weight.value = Tensor(weight, shape: [12, 18])
    codebook.attention.bias.value = .zeros([18])
    func posterior(_ name: String) -> Posterior {
      Posterior(
        mean: Variable(random([2, 3], name + "mean")),
        logVariance: Variable(random([2, 3], name + "variance")))
    }
    let (one, two) = (posterior("one"), posterior("two"))
    let selection = codebook.selection(one, two, on: .inference())
    let first = { (tensor: Variable) in tensor.value.elements[0] }
    #expect(selection.logits.shape == [2, 3, 2] && selection.weights.shape == [2, 3, 4])
    #expect(selection.logits.value.elements[0] == first(one.mean))
    #expect(abs(selection.logits.value.elements[1] - exp(first(one.logVariance) / 2)) < 1e-6)
    let expected = [first(two.mean), exp(first(two.logVariance) / 2), 0, 0].map { exp(Double($0)) }
    let share = expected[1] / expected.reduce(0, +)
    #expect(abs(Double(selection.weights.value.elements[1]) - share) < 1e-6)
  }

  @Test("Switches are 0 or 1, with the gradient of the soft ones, and noise in training alone")
  func switches() {
    var stream = RandomStream(seed: 2, name: "codebook")
    let codebook = SymmetryCodebook(dimension: 3, elements: 2, using: &stream)
    let still = Posterior(
      mean: Variable(random([40, 3], "still")), logVariance: Variable(.zeros([40, 3])))
    let tape = Tape.training(random: RandomStream(seed: 3, name: "tape"))
    let drawn = codebook.selection(still, still, on: tape)
    #expect(drawn.switches.value.elements.allSatisfy { abs($0) < 1e-6 || abs($0 - 1) < 1e-6 })
    let again = codebook.selection(still, still, on: tape)
    #expect(again.switches.value != drawn.switches.value)
    let gradient = Gradients(of: drawn.switches.sum())
    let leaf = tape.leaf(of: codebook.attention.weight)
    #expect(leaf.flatMap { gradient[$0] }?.absolute().sum().scalar ?? 0 > 0)
    let sure = codebook.selection(still, still, on: .inference())
    #expect(
      sure.switches.value
        == codebook.selection(still, still, on: .inference()).switches.value)
  }

  @Test("The composite is the sum of what is switched on, by weights") func composite() {
    var stream = RandomStream(seed: 4, name: "codebook")
    let codebook = SymmetryCodebook(dimension: 2, elements: 2, using: &stream)
    let selection = SymmetryCodebook.Selection(
      weights: Variable(Tensor([0.25, 0.75, 1, 0], shape: [1, 2, 2])),
      logits: Variable(.zeros([1, 2, 2])), switches: Variable(Tensor([1, 0], shape: [1, 2])))
    let g = codebook.generators.value.elements
    let expected = (0..<4).map { 0.25 * g[$0] + 0.75 * g[4 + $0] }
    let found = codebook.composite(selection, on: .inference()).value.elements
    #expect(zip(found, expected).allSatisfy { abs($0 - $1) < 1e-7 })
    let factors = codebook.factors(selection, on: .inference()).value.elements
    #expect(Array(factors[4...]) == Array(g[8..<12]))
    #expect(g.allSatisfy { abs($0) <= 0.2 })
  }
}
