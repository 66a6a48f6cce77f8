import Glibc
import Testing

@testable import Disentanglement

@Suite struct MutualInformationGapTests {
  @Test("Informations and entropies are those of the counts") func counts() {
    // p(a=0, b=0) = 2/6, p(1, 0) = 1/6, p(1, 1) = 3/6:
    // 1/3 log 2 + 1/6 log 1/2 + 1/2 log 3/2.
    let information = mutualInformation([0, 0, 1, 1, 1, 1], of: 2, [0, 0, 0, 1, 1, 1], of: 2)
    #expect(abs(information - (log(2) / 6 + log(1.5) / 2)) < 1e-12)
    #expect(abs(entropy([0, 1, 2, 2], of: 3) - 1.5 * log(2)) < 1e-12)
    #expect(mutualInformation([0, 1, 0, 1], of: 2, [0, 0, 1, 1], of: 2) == 0)
  }

  @Test("A number on an edge is in the piece above it, and the largest in the last one")
  func edges() {
    #expect(Histogram([0, 1, 2, 3, 4], bins: 4).places == [0, 1, 2, 3, 3])
    #expect(Histogram([0, 0.3, 0.6, 0.9], bins: 3).places == [0, 1, 2, 2])
    #expect(Histogram([5, 5], bins: 3).places == [0, 0])
  }

  @Test("The figures are those of numpy and scikit-learn") func reference() throws {
    // disc = lambda x: np.digitize(x, np.histogram(x, 20)[1][:-1])
    // I = [[mutual_info_score(disc(Z[:,d]), F[:,k]) for k in range(3)] for d in range(4)]
    // S = np.sort(I, 0)[::-1]; gaps = (S[0] - S[1]) / H; score = gaps.mean()      scikit-learn 1.9.1
    let result = try MutualInformationGap().measure(Reference.table())
    #expect(abs(result.score - 0.404_730_341_386_157_5) < 1e-9)
    let expected = [
      [1.375126789672357, 0.046119201189791376, 0.10963513785377477],
      [0.07900448322677908, 0.3108852363393284, 0.11186755718486674],
      [0.25016722055727697, 0.052590604478885805, 0.3966301060155758],
      [0.06775106691324786, 0.03367630987775439, 0.12689744958721727],
    ]
    for (row, wanted) in zip(result.information, expected) {
      for (a, b) in zip(row, wanted) { #expect(abs(a - b) < 1e-9) }
    }
  }

  @Test("Codes that are the factors have 1, in any order, and turned by 45° those two have 0")
  func laws() throws {
    let codes = standardized(grid(1))
    #expect(abs(try MutualInformationGap().measure(labeled(codes, grid(1))).score - 1) < 1e-12)
    let permuted = codes.map { [$0[2], $0[0], $0[1]] }
    #expect(abs(try MutualInformationGap().measure(labeled(permuted, grid(1))).score - 1) < 1e-12)
    let gaps = try MutualInformationGap().measure(labeled(rotated(codes), grid(1))).gaps
    #expect(abs(gaps[0]) < 1e-9 && abs(gaps[1]) < 1e-9 && abs(gaps[2] - 1) < 1e-12)
  }

  @Test("Codes without meaning have none, up to the excess of few rows") func noise() throws {
    let rows = 6_000
    let result = try MutualInformationGap().measure(labeled(meaningless(rows, 5), grid(100)))
    // Each information is (bins − 1)(values − 1) / (2 rows) too large: 0.006 at most.
    #expect(result.information.allSatisfy { $0.allSatisfy { $0 < 0.012 } })
    #expect(result.score < 0.005)
  }
}
