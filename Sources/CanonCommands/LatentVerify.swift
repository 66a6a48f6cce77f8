import ArgumentParser
import Datasets
import TensorCore
import Training

extension Verify {
  /// How far one thing is from equivariant.
  private struct LatentLine: Codable {
    var of: String
    var pairs: Int
    var mean, median, percentile95, largest: Double

    init(_ name: String, _ values: [Double]) {
      let sorted = values.map { $0.isNaN ? .infinity : $0 }.sorted()
      func quantile(_ q: Double) -> Double {
        sorted.isEmpty ? .nan : sorted[min(sorted.count - 1, Int(q * Double(sorted.count)))]
      }
      (of, pairs) = (name, values.count)
      mean = values.reduce(0, +) / Double(values.count)
      (median, percentile95, largest) = (quantile(0.5), quantile(0.95), quantile(1))
    }
  }

  /// Measures a latent space on pairs: how far codes of partners are from the moved codes.
  func verify(_ model: any MeasuredModel, _ file: ModelFile) throws {
    guard group == nil else {
      throw CommandError(
        "\(self.model) is measured on pairs, by the elements between them: leave --group away.")
    }
    guard tolerance == nil else {
      throw CommandError(
        "Codes of pictures agree only nearly: set --interpolated-tolerance, and leave --tolerance away."
      )
    }
    let all = try pairsOf(data, file, model)
    let examples = all.prefix(limit ?? 2048)
    let lines = try model.deviations(on: examples).map { LatentLine($0.name, $0.values) }
    if json {
      try lines.forEach { try emit($0.jsonLine) }
    } else {
      try emit(
        table(
          ["how far", "pairs", "mean", "median", "95 %", "largest"],
          lines.map { line in
            [line.of, "\(line.pairs)"]
              + [line.mean, line.median, line.percentile95, line.largest].map { $0.formatted(4) }
          }))
    }
    // How far apart orbits of a pair are depends on the temperature of their contrast: it is told, and not held to it; what is not moved is
    // there to compare with.
    let allowed = interpolatedTolerance ?? 0.2
    let judged = lines.filter { $0.of != "orbit" && !$0.of.hasPrefix("unmoved") }
    let failed = judged.filter { !($0.mean <= allowed) }
    guard failed.isEmpty else {
      note(
        "Not equivariant within the tolerance: the mean of \(failed.map(\.of).joined(separator: ", ")) is above "
          + "\(allowed).")
      throw ExitCode(1)
    }
    if !common.quiet {
      note(
        lines.contains { $0.of == "orbit" }
          ? "Poses of partners are within \(allowed) of the moved poses on average (angles in radians): measured, not proved. How far the "
            + "orbits' points on the sphere lie apart, 0 to 2, is not judged."
          : "Codes of partners are within \(allowed) of the moved codes on average: measured, not proved."
      )
    }
  }
}
