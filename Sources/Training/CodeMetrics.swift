import Datasets
import Disentanglement
import TensorCore

/// Metrics of disentanglement of codes whose factors are known: as figures, and why others cannot be told.
struct CodeMetrics {
  private(set) var figures: [(name: String, value: Double)] = []
  /// In sentences.
  private(set) var untold: [String] = []

  /// - Parameters:
  ///   - codes: Posterior means, `[count, numbers]`.
  ///   - factors: `[count, factors]`, whole numbers.
  ///   - active: How many numbers of codes say anything.
  init(of codes: Tensor, _ factors: Tensor, active: Int) {
    guard active > 0 else {
      untold.append(
        "No number of the codes is active: they say nothing of the inputs, and no metric anything of them."
      )
      return
    }
    guard factors.shape.rank == 2, factors.shape[1] > 0 else {
      untold.append("'factors' has shape \(factors.shape), and metrics take [count, factors].")
      return
    }
    do {
      let width = factors.shape[1]
      let numbers = factors.elements
      guard numbers.allSatisfy({ $0 == $0.rounded() && abs($0) < 1e6 }) else {
        untold.append("'factors' holds numbers that are not whole: disentanglement is not told.")
        return
      }
      let rows = (0..<factors.shape[0]).map { n in (0..<width).map { Int(numbers[n * width + $0]) }
      }
      let table = try LabeledCodes(try Codes(codes), try Factors(rows))
      add { try BetaVAEMetric().measure(table).figures.prefix(1).map { ("z-diff", $0.value) } }
      add { try FactorVAEMetric().measure(table).figures.prefix(1).map { ("FactorVAE", $0.value) } }
      add { try MutualInformationGap().measure(table).figures.prefix(1).map { ("MIG", $0.value) } }
      add { try SAP().measure(table).figures.prefix(1).map { ("SAP", $0.value) } }
      add {
        let result = try DCI().measure(table)
        return [
          ("DCI, disentanglement", result.disentanglement),
          ("DCI, completeness", result.completeness),
        ]
      }
      for fixed in 2..<max(2, width) {
        add {
          let result = try MultiFactorVAEMetric(fixed: fixed).measure(table)
          let name = "m-FVM\(fixed)"
          return [
            (name, result.score), ("\(name), null", result.null),
          ] + (result.adjusted.map { [("\(name), above the null", $0)] } ?? [])
        }
      }
    } catch {
      untold.append("Disentanglement is not told: \(error)")
    }
  }

  private mutating func add(_ measure: () throws -> [(String, Double)]) {
    do { figures += try measure() } catch {
      let sentence = "\(error)"
      if !untold.contains(sentence) { untold.append(sentence) }
    }
  }
}
