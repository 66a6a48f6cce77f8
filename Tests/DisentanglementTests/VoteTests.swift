import TensorCore
import Testing

@testable import Disentanglement

/// z-diff, FactorVAE and m-FVM, which draw batches.
@Suite struct VoteTests {
  @Test("The null of random votes is that of the simulation in Python, and of counting")
  func null() {
    let metric = MultiFactorVAEMetric(fixed: 2)
    func mean(_ sizes: [Int], _ active: Int, _ fixed: Int) -> Double {
      let scores = metric.nullScores(of: sizes, among: binomial(active, fixed))
      return scores.reduce(0, +) / Double(scores.count)
    }
    // 800 votes for the 6 pairs or the 4 triples of 4 factors; a mean of 1,000 draws is exact to 0.001.
    let (pairs, triples) = ([Int](repeating: 133, count: 6), [Int](repeating: 200, count: 4))
    for (active, expected) in [(3, 0.37), (5, 0.15), (6, 0.11), (10, 0.055)] {
      #expect(abs(mean(pairs, active, 2) - expected) < 0.006, "\(active) active")
    }
    for (active, expected) in [(3, 1.0), (5, 0.13), (6, 0.08), (10, 0.03)] {
      #expect(abs(mean(triples, active, 3) - expected) < 0.006, "\(active) active")
    }
    // Of two votes for two sets: the same with 1/2, so 3/4, with a deviation of 1/4.
    #expect(abs(mean([2], 2, 1) - 0.75) < 0.03)
    #expect(binomial(10, 3) == 120 && binomial(5, 5) == 1 && binomial(1000, 500) == .max)
  }

  @Test("Codes that are the factors have 1, in any order") func perfect() throws {
    let codes = standardized(grid(6)).map { $0 + [0] }
    for codes in [codes, codes.map { [$0[1], $0[3], $0[2], $0[0]] }] {
      let table = try labeled(codes, grid(6))
      let factor = try FactorVAEMetric().measure(table)
      #expect(factor.score == 1 && factor.active.count == 3 && factor.varianceRows == 360)
      #expect(try BetaVAEMetric().measure(table).score == 1)
      let votes = try MultiFactorVAEMetric(fixed: 2).measure(table)
      #expect(votes.score == 1 && votes.adjusted == 1 && votes.sets == 3)
      #expect(abs(votes.null - 0.36) < 0.02)
    }
  }

  @Test("The figures are those of Python on the same table") func reference() throws {
    // Means over three seeds (m-FVM: 20) of disentanglement_lib's procedures on the reference table, rows of a group
    // drawn with replacement: FactorVAE 0.9666 ± 0.0038, z-diff 0.9810 ± 0.0024, m-FVM2 0.775 ± 0.0091;
    // z-diff of the standardized factors, of which two are turned, 0.6964 ± 0.0032. Both sides draw: four deviations.
    let table = try Reference.table()
    #expect(abs(try FactorVAEMetric().measure(table).score - 0.9666) < 0.015)
    #expect(abs(try BetaVAEMetric().measure(table).score - 0.9810) < 0.01)
    let turned = try labeled(rotated(standardized(grid(6))), grid(6))
    #expect(abs(try BetaVAEMetric().measure(turned).score - 0.6964) < 0.02)
    #expect(abs(try MultiFactorVAEMetric(fixed: 2).measure(table).score - 0.775) < 0.037)
  }

  @Test("Two factors turned into each other by 45° vote evenly") func turned() throws {
    let codes = rotated(standardized(grid(6)))
    // With either fixed both dimensions vary as the other factor does: 1/3 is the third factor's, and of the rest half is
    // right. The coin's 5,000 throws deviate by 0.005.
    for codes in [codes, codes.map { $0.map { Double(Float($0)) } }] {
      let table = try labeled(codes, grid(6))
      #expect(abs(try FactorVAEMetric().measure(table).score - 2.0 / 3) < 0.025)
      // Sets of both have 1; the other two 1/2 + √(1 / 2πn), of n = 267 votes.
      let votes = try MultiFactorVAEMetric(fixed: 2).measure(table)
      #expect(abs(votes.score - (1 + 2 * (0.5 + 0.0244)) / 3) < 0.04)
    }
  }

  @Test("Codes without meaning vote at random") func noise() throws {
    let table = try labeled(meaningless(6_000, 5), grid(100))
    let votes = try MultiFactorVAEMetric(fixed: 1).measure(table)
    // The share of the largest of five, of 267 votes a factor; groups of 1,200 rows have variances of
    // their own, which add to it.
    #expect(abs(votes.score - votes.null) < 0.05 && abs(votes.null - 0.24) < 0.01)
    #expect(abs(try FactorVAEMetric().measure(table).score - 1 / 3) < 0.06)
    #expect(abs(try BetaVAEMetric().measure(table).score - 1 / 3) < 0.06)
  }

  @Test("As many active dimensions as fixed factors: 1 by construction, and said") func trap()
    throws
  {
    let table = try labeled(meaningless(600, 2).map { $0 + [0] }, grid(10))
    let result = try MultiFactorVAEMetric(fixed: 2).measure(table)
    #expect(result.score == 1 && result.null == 1 && result.adjusted == nil)
    #expect(result.notes.count == 1 && result.notes[0].contains("1 by construction"))
    let few = try MultiFactorVAEMetric(fixed: 2).measure(Reference.table())
    #expect(few.smallestGroup == 18 && few.notes.isEmpty)
    let fewer = try MultiFactorVAEMetric(fixed: 3).measure(Reference.table())
    #expect(fewer.smallestGroup == 6 && fewer.notes.count == 1 && fewer.notes[0].contains("6 rows"))
  }

  @Test("The same seed gives the same figures, another one others") func seeds() throws {
    var metric = FactorVAEMetric()
    (metric.trainVotes, metric.testVotes) = (500, 500)
    let first = try metric.measure(Reference.table())
    #expect(try metric.measure(Reference.table()).score == first.score)
    metric.seed = 1
    #expect(try metric.measure(Reference.table()).score != first.score)
  }

  @Test("Batches have one group, and rows without a partner are left out") func groups() throws {
    let factors = try Factors([[0, 0], [0, 0], [0, 1], [1, 0], [1, 0], [1, 1]])
    let groups = try RowGroups(factors, fixing: [0, 1])
    #expect(groups.count == 4 && groups.smallest == 2)
    var random = RandomStream(seed: 0, name: "groups")
    var seen: Set<Int> = []
    for _ in 0..<50 {
      let batch = Set(groups.batch(6, using: &random))
      #expect(batch.isSubset(of: [0, 1]) || batch.isSubset(of: [3, 4]))
      seen.formUnion(batch)
      let (a, b) = groups.pair(using: &random)
      #expect(a / 3 == b / 3)
    }
    #expect(seen == [0, 1, 3, 4])
  }

  @Test("Which of equal variances votes is drawn") func ties() {
    var random = RandomStream(seed: 0, name: "ties")
    let firsts = (0..<100).map { _ in leastVaried(1, of: [2, 0, 1e-9], using: &random)[0] }
    #expect(Set(firsts) == [1, 2])
    #expect(leastVaried(2, of: [3, 1, 2], using: &random) == [1, 2])
    #expect(variance(of: [0.1, 0.1, 0.1]) == 0)
    #expect(variance(of: [1.0, 2, 4]) == 7.0 / 3)
  }
}
