import Autodiff
import Foundation
import ONNX
import TensorCore

/// Networks of files beside onnxruntime, in turn: answers for one image and for sixteen, and as whole processes the
/// first answer after loading, with the memory that it takes.
struct NetworkRows {
  private(set) var times: [Row] = []
  private(set) var memory: [Row] = []

  /// - Parameters:
  ///   - own: This program as it gives a first answer, without the network's path.
  ///   - python: An interpreter that has onnxruntime.
  init(
    folder: String, own: [String], python: String?, script: String, runs: Int, threads: Int
  ) throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter {
      $0.hasSuffix(".onnx")
    }.sorted()
    for name in names {
      let (path, short) = ("\(folder)/\(name)", String(name.dropLast(5)))
      let peer = python.flatMap { Peer(python: $0, script: script, threads: threads) }
      let model = try ONNXModel(path: path)
      for batch in [1, 16] {
        let images = try inputs(model, batch)
        times.append(
          try compare(
            "\(short), batch \(batch)", runs: runs, bar: 0.8, peer: peer, ["run \(path) \(batch)"]
          ) { _ = try model.run([.floats(images)]) })
      }
      peer?.stop()
      try addProcesses(short, own + [path], python.map { [$0, script, "first", path] })
    }
  }

  /// Loading and a first answer, each in a process of its own, three times in turn.
  private mutating func addProcesses(
    _ name: String, _ own: [String], _ other: [String]?
  ) throws {
    var (mine, others): ([Finished], [Finished]) = ([], [])
    for _ in 0..<3 {
      mine.append(try run(own))
      if let other { others.append(try run(other)) }
    }
    func row(_ suffix: String, _ bar: Double, _ value: (Finished) -> Double) -> Row {
      var row = Row(name: name + suffix, canon: Times(mine.map(value)), bar: bar)
      if !others.isEmpty {
        let times = Times(others.map(value))
        (row.peer, row.ratio) = (times, times.median / row.canon.median)
      }
      return row
    }
    times.append(row(", load and first answer", 1 / 1.5, \.seconds))
    memory.append(row(", load and first answer", 1 / 1.2, \.peakBytes))
  }
}

/// Random images for a network, where its file fixes all but the batch.
private func inputs(_ model: ONNXModel, _ batch: Int) throws -> Variable {
  let shape = model.inputs.first?.shape ?? []
  let extents = shape.dropFirst().compactMap { $0 }
  guard model.inputs.count == 1, !extents.isEmpty, extents.count + 1 == shape.count else {
    throw BenchmarkError(description: "\(model.path) takes no single input of known size")
  }
  var random = RandomStream(seed: 0, name: "images")
  return Variable(.normal(Shape([batch] + extents), using: &random))
}

/// Loads a network and gives one answer.
func firstAnswer(_ path: String) throws {
  let model = try ONNXModel(path: path)
  _ = try model.run([.floats(try inputs(model, 1))])
}
