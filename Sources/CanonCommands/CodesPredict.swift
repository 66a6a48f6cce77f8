import Datasets
import Foundation
import TensorCore
import Training

/// The code of an input.
private struct CodeRow: Encodable {
  let file: String
  /// Posterior means.
  let code: [Float]

  /// In CSV.
  var csv: String {
    ([Cell.text(file)] + code.map { Cell.number(Double($0), 6) }).map(\.csv).joined(separator: ",")
  }
}

extension Predict {
  /// Tells the code of each input, its posterior means; with --out in a file that `canon disentanglement` reads.
  func predict(_ model: VariationalModel, _ file: ModelFile) throws {
    guard canonical == nil else {
      throw CommandError("\(self.model) has codes and no poses: leave --canonical away.")
    }
    guard try shards.shard() == nil else {
      throw CommandError("Codes of \(self.model) are told in one run: leave --shard away.")
    }
    if let out {
      guard out.hasSuffix(".safetensors") else {
        throw CommandError("--out must name a .safetensors file for codes, not \(out).")
      }
      try refuse(out, overwriting: data, self.model)
      try refuse(out, amongInputs: data)
      try prepareFolder(Files.parent(of: out))
    }
    let domain = try readable(model.domain)
    var failures = Failures(domain.noun)
    let examples: Examples
    let names: [String]
    if data == "test" {
      examples = try pairsOf(data, file, model)
      names = (0..<examples.count).map { "\($0)" }
    } else {
      let (found, named, errors) = try domain.examples(at: data, classNames: [])
      failures.report(errors)
      // One input has a code too.
      (examples, names) = (found.count > 1 ? try model.prepared(found) : found, named)
    }
    let codes =
      examples.count > 0 ? model.codes(of: examples.inputs) : .zeros([0, model.dimension])
    guard codes.isFinite else {
      throw CommandError("The codes of \(data) are no numbers: weights, or inputs, are not usable.")
    }
    try tell(codes, names, factors: examples["factors"], file.configuration.data.factorNames)
    try failures.finish()
  }

  private func tell(
    _ codes: Tensor, _ names: [String], factors: Tensor?, _ factorNames: [String]
  ) throws {
    let (count, width) = (names.count, codes.shape[1])
    if let out {
      var (tensors, metadata) = (["codes": codes], ["names": names.jsonLine])
      if let factors {
        tensors["factors"] = factors
        if factorNames.count == factors.shape[1] {
          metadata["factors"] = factorNames.joined(separator: ",")
        }
      }
      try Safetensors(tensors: tensors, metadata: metadata).write(to: out)
      note(
        "The codes of \(count) inputs"
          + (factors == nil ? "" : ", with their factors for `canon disentanglement`") + ": \(out)")
      return
    }
    let format = printed
    let columns = Columns(
      widths: [names.map(\.count).max() ?? 0] + [Int](repeating: 7, count: width),
      header: ["file"] + (0..<width).map { "z\($0)" })
    switch format {
    case .table: try emit(columns.line(columns.header))
    case .csv: try emit(columns.header.joined(separator: ","))
    case .json: break
    }
    let numbers = codes.elements
    for (n, name) in names.enumerated() {
      let row = CodeRow(file: name, code: Array(numbers[n * width..<(n + 1) * width]))
      switch format {
      case .table: try emit(columns.line([name] + row.code.map { Double($0).formatted(3) }))
      case .csv: try emit(row.csv)
      case .json: try emit(row.jsonLine)
      }
    }
  }
}
