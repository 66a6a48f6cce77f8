import TensorCore
import Testing

@testable import Disentanglement

@Suite struct RefusalTests {
  private func sentence(_ body: () throws -> Void) -> String {
    do { try body() } catch { return "\(error)" }
    return "nothing is wrong"
  }

  @Test("Numbers that are none are refused, with the row") func numbers() {
    for bad in [Double.nan, .infinity, 1e31] {
      #expect(sentence { _ = try Codes([[0, 1], [2, bad]]) }.contains("z1 is \(bad) in row 2"))
      #expect(
        sentence { _ = try Factors(binning: [[0], [bad]], bins: 3) }.contains("in row 2"))
    }
    #expect(sentence { _ = try Codes(Tensor([.nan, 1], shape: [2, 1])) }.contains("row 1"))
  }

  @Test("Shapes that are none are refused") func shapes() {
    #expect(sentence { _ = try Codes([[1]]) }.contains("1 rows"))
    #expect(sentence { _ = try Codes([[], []]) }.contains("0 numbers"))
    #expect(sentence { _ = try Codes([]) }.contains("0 rows"))
    #expect(sentence { _ = try Codes([[1, 2], [1]]) }.contains("Row 2"))
    #expect(sentence { _ = try Codes(.zeros([2, 2, 2])) }.contains("[count, dimensions]"))
    #expect(sentence { _ = try Codes([[1], [2]], names: ["a", "b"]) }.contains("2 names"))
    #expect(sentence { _ = try Factors([[Int]]()) }.contains("0 factors"))
    #expect(sentence { _ = try Factors([[0, 1], [1]]) }.contains("Row 2"))
    #expect(sentence { _ = try Factors(binning: [[0], [1]], bins: 1) }.contains("bins"))
    #expect(sentence { _ = try labeled([[0], [1]], [[0], [1], [1]]) }.contains("3 of factors"))
  }

  @Test("What cannot be told is said: nothing varies, one value, one factor, one dimension")
  func nothing() throws {
    #expect(
      sentence { _ = try labeled([[1, 2], [1, 2]], [[0], [1]]) }.contains("have collapsed"))
    #expect(
      sentence { _ = try Factors([[0, 3], [1, 3]], names: ["a", "b"]) }
        .contains("The factor b has one value only"))
    let small = try labeled(meaningless(60, 3).map { $0.map { $0 * 1e-3 } }, grid(1))
    #expect(sentence { _ = try FactorVAEMetric().measure(small) }.contains("below 0.05"))
    #expect(
      sentence { _ = try MultiFactorVAEMetric(fixed: 2).measure(small) }.contains("below 0.06"))
    let one = try labeled(meaningless(60, 3), grid(1).map { [$0[0]] })
    for metric: any DisentanglementMetric in [BetaVAEMetric(), FactorVAEMetric(), DCI()] {
      #expect(sentence { _ = try metric.measure(one) }.contains("tells factors apart"))
    }
    let narrow = try labeled(meaningless(60, 1), grid(1))
    for metric: any DisentanglementMetric in [MutualInformationGap(), SAP(), DCI()] {
      #expect(sentence { _ = try metric.measure(narrow) }.contains("compares dimensions"))
    }
  }

  @Test("More factors than there are, or than dimensions are active, cannot be fixed")
  func fixed() throws {
    let table = try labeled(meaningless(600, 2), grid(10))
    #expect(
      sentence { _ = try MultiFactorVAEMetric(fixed: 4).measure(table) }.contains("from 1 to 3"))
    #expect(
      sentence { _ = try MultiFactorVAEMetric(fixed: 0).measure(table) }.contains("from 1 to 3"))
    #expect(
      sentence { _ = try MultiFactorVAEMetric(fixed: 3).measure(table) }.contains(
        "2 of 2 are active"))
    // Each combination stands once: with all fixed nothing varies.
    let once = try labeled(meaningless(60, 4), grid(1))
    #expect(
      sentence { _ = try MultiFactorVAEMetric(fixed: 3).measure(once) }
        .contains("No two rows have the same factor1, factor2, factor3"))
  }

  @Test("A continuous factor needs bins, and the need is said") func continuous() throws {
    let values = (0..<60).map { [Double($0) / 60, Double($0 % 2)] }
    let codes = try Codes(meaningless(60, 3))
    let plain = try LabeledCodes(codes, Factors(binning: values, bins: .max))
    for metric: any DisentanglementMetric in [MutualInformationGap(), SAP(), DCI()] {
      #expect(sentence { _ = try metric.measure(plain) }.contains("180 for the 60 values"))
    }
    #expect(sentence { _ = try FactorVAEMetric().measure(plain) }.contains("fewer bins"))
    let binned = try Factors(binning: values, bins: 5)
    #expect(binned.valueCounts == [5, 2])
    #expect(binned.columns[0] == (0..<60).map { min(4, $0 * 5 / 59) })
    #expect(binned.columns[1] == (0..<60).map { $0 % 2 })
    let table = try LabeledCodes(codes, binned)
    #expect(try MutualInformationGap().measure(table).score.isFinite)
  }

  @Test("Rows to learn from have two values of each factor") func split() throws {
    let table = try Reference.table()
    let (train, test) = try table.split(testShare: 1.0 / 3, seed: 0)
    #expect(train.count == 240 && Set(train + test).count == 360)
    #expect(try table.split(testShare: 1.0 / 3, seed: 0).test == test)
    #expect(try table.split(testShare: 1.0 / 3, seed: 1).test != test)
    #expect(
      sentence { _ = try table.split(testShare: 0.999, seed: 0) }.contains("all have the same a"))
  }

  @Test("Settings that say nothing are refused") func settings() throws {
    let table = try Reference.table()
    var metrics: [any DisentanglementMetric] = []
    var (z, votes, gap, sap, dci) = (
      BetaVAEMetric(), FactorVAEMetric(), MutualInformationGap(), SAP(), DCI()
    )
    (z.batch, votes.batch, gap.bins, sap.penalty, dci.depth) = (0, 1, 1, .nan, 99)
    metrics += [z, votes, gap, sap, dci] as [any DisentanglementMetric]
    (z.batch, votes.batch, sap.penalty) = (64, 64, 0.01)
    (z.inversePenalty, votes.threshold, sap.testShare) = (.nan, .nan, 1)
    metrics += [z, votes, sap] as [any DisentanglementMetric]
    for metric in metrics {
      #expect(throws: DisentanglementError.self) { _ = try metric.measure(table) }
    }
  }
}
