import Autodiff
import Foundation
import Symmetry
import TensorCore
import TestSupport
import Testing

@testable import Canonicalization

@Suite struct TransportTests {
  @Test("The best assignment is the best of all permutations", arguments: [1, 2, 3, 4, 5, 6])
  func assignment(n: Int) {
    var random = RandomStream(seed: 1, name: "assignment/\(n)")
    for _ in 0..<20 {
      let scores = (0..<n * n).map { _ in random.normal() }
      func total(_ columns: [Int]) -> Double {
        columns.enumerated().reduce(0) { $0 + scores[$1.offset * n + $1.element] }
      }
      let best = permutations(n).map(total).max() ?? 0
      #expect(abs(total(bestAssignment(scores, count: n)) - best) < 1e-12)
    }
  }

  @Test("Points on a line are assigned to places on it in their order")
  func line() {
    var random = RandomStream(seed: 3, name: "line")
    let n = 100
    let (points, places) = (
      (0..<n).map { _ in random.normal() }, (0..<n).map { _ in random.normal() }.sorted()
    )
    let scores = (0..<n * n).map {
      -(points[$0 / n] - places[$0 % n]) * (points[$0 / n] - places[$0 % n])
    }
    let order = points.indices.sorted { points[$0] < points[$1] }
    #expect(Permutation(bestAssignment(scores, count: n)).inverse.places == order)
  }

  @Test("Equal and impossible scores, and those that are no numbers, end in an assignment")
  func degenerate() {
    let n = 9
    for score in [0, 7, -Double.infinity, .infinity, .nan] {
      for every in 1...3 {
        let scores = (0..<n * n).map { $0 % every == 0 ? score : Double($0 % 5) }
        #expect(bestAssignment(scores, count: n).sorted() == Array(0..<n))
      }
    }
  }

  private func permutations(_ n: Int) -> [[Int]] {
    n == 0
      ? [[]] : permutations(n - 1).flatMap { p in (0..<n).map { p[..<$0] + [n - 1] + p[$0...] } }
  }

  @Test("Transport plans are doubly stochastic, near the best assignment, and differentiate")
  func transport() {
    var random = RandomStream(seed: 2, name: "transport")
    let scores = Tensor.normal([2, 4, 4], using: &random)
    let plan = Variable(scores).transportPlan(regularization: 0.5).value
    for axis in 1...2 {
      #expect(plan.sum([axis]).elements.allSatisfy { abs($0 - 1) < 1e-6 })
    }
    let sharp = Variable(scores).transportPlan(regularization: 0.01).value
    let best = bestAssignment(scores[0].elements.map { Double($0) }, count: 4)
    for (row, column) in best.enumerated() {
      #expect(sharp[0][row].elements[column] > 0.99)
    }
    let found = OperationDeviation(of: [scores]) {
      $0[0].transportPlan(regularization: 0.5)
    } reference: { numbers in
      // Potentials by many rounds, in the logarithm.
      (0..<2).flatMap { set -> [Double] in
        let s = numbers[0][set * 16..<(set + 1) * 16].map { $0 / 0.5 }
        var (f, g) = ([Double](repeating: 0, count: 4), [Double](repeating: 0, count: 4))
        for _ in 0..<500 {
          for i in 0..<4 { f[i] = -log((0..<4).reduce(0) { $0 + exp(s[i * 4 + $1] + g[$1]) }) }
          for j in 0..<4 { g[j] = -log((0..<4).reduce(0) { $0 + exp(s[$1 * 4 + j] + f[$1]) }) }
        }
        return (0..<16).map { exp(s[$0] + f[$0 / 4] + g[$0 % 4]) }
      }
    }
    #expect(found.value < 1e-5 && found.gradient < 1e-4, "\(found)")
  }

  @Test("The Hilbert curve visits every cell once, each next to the one before", arguments: [2, 3])
  func hilbert(d: Int) {
    let bits = 3
    let side = 1 << bits
    let count = Int(pow(Double(side), Double(d)))
    var cells = [[Int]?](repeating: nil, count: count)
    for i in 0..<count {
      let cell = (0..<d).map { i / Int(pow(Double(side), Double($0))) % side }
      // The middle of a cell, in −2…2.
      let place = cell.map { (Double($0) + 0.5) / Double(side - 1) * 4 - 2 }
      cells[Int(hilbertIndex(place, bits: bits))] = cell
    }
    let way = cells.compactMap { $0 }
    #expect(way.count == count)
    for (a, b) in zip(way, way.dropFirst()) {
      #expect(zip(a, b).reduce(0) { $0 + abs($1.0 - $1.1) } == 1)
    }
  }
}
