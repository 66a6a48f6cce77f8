import ArgumentParser
import CBLASReference
import Foundation
import Images
import TensorCore

/// Times this project beside the peer, in turn, and beside what the machine can do.
struct SpeedBenchmark: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Times training, inference, folders and kernels, beside the peer where it is there.",
    discussion:
      "Writes speed.md, speed.json and scaling-*.png. Run it on an idle machine: make bench-speed")

  @Argument(help: "The folder of MNIST's IDX files.")
  var data: String

  @Option(help: "The command canon, for whole processes; without it they are left out.")
  var canon: String?

  @Option(
    help: "A Python interpreter that has torch and equiadapt; without it the peer is left out.")
  var peer: String?

  @Option(help: "The script that times the peer.")
  var script = "Benchmarks/peer.py"

  @Option(help: "The folder to write to.")
  var out = "."

  @Option(help: "Runs per figure; at least 20 for figures that are quoted.")
  var runs = 30

  @Option(help: "Runs of the folder of 10,000 pictures.")
  var rounds = 3

  @Option(
    help:
      """
      Measure these only: models, latent, rotation, functions, product, processes, convolutions, groups, scaling.
      """
  )
  var only: [String] = []

  @Option(help: "Do ten training steps with the group of this order and nothing else.")
  var onlySteps: Int?

  @Option(
    help: "Measure the networks of this folder, .onnx files, beside onnxruntime, and nothing else.")
  var networks: String?

  @Option(help: "Load this network, give one answer and do nothing else.")
  var onlyNetwork: String?

  private struct Report: Codable {
    var date, machine, blasCore, instructionSet: String
    var threads: Int
    var roof: Roof
    var times, memory: [Row]
    var convolutions: [ConvolutionRow]
    var groups: [GroupRow] = []
    var curves: [Curve]
  }

  func run() throws {
    if let onlySteps {
      var trainer = try benchmarkTrainer(order: onlySteps)
      for _ in 0..<10 { try trainer.advance() }
      return
    }
    if let onlyNetwork { return try firstAnswer(onlyNetwork) }
    // Before anything is measured: an hour is not to end with a folder that is missing.
    try FileManager.default.createDirectory(atPath: out, withIntermediateDirectories: true)
    let threads = Parallel.threadCount
    if let networks {
      let rows = try NetworkRows(
        folder: networks, own: [CommandLine.arguments[0], data, "--only-network"], python: peer,
        script: script, runs: runs, threads: threads)
      return try write(
        Report(
          date: today, machine: machine, blasCore: String(cString: reference_blas_core()),
          instructionSet: TensorCoreStatistics.instructionSet, threads: threads, roof: Roof(),
          times: rows.times, memory: rows.memory, convolutions: [], curves: []), "networks")
    }
    let server = peer.flatMap { Peer(python: $0, script: script, threads: threads) }
    func wants(_ part: String) -> Bool { only.isEmpty || only.contains(part) }
    var times = wants("models") ? try modelRows(runs: runs, peer: server) : []
    times += wants("latent") ? try latentRows(runs: runs, peer: server) : []
    times += wants("rotation") ? rotationRows(runs: runs, peer: server) : []
    times += wants("functions") ? functionRows(runs: runs, peer: server) : []
    server?.stop()
    times += wants("product") ? [productRow(runs: runs)] : []
    var memory: [Row] = []
    if let canon, wants("processes") {
      let processes = try ProcessRows(
        canon: canon, data: data, python: peer, script: script,
        steps: [CommandLine.arguments[0], data, "--only-steps"], rounds: rounds, threads: threads)
      times += processes.times
      memory = processes.memory
    }
    let report = Report(
      date: today, machine: machine,
      blasCore: String(cString: reference_blas_core()),
      instructionSet: TensorCoreStatistics.instructionSet,
      threads: threads, roof: Roof(), times: times, memory: memory,
      convolutions: wants("convolutions") ? convolutionRows(runs: runs) : [],
      groups: wants("groups") ? groupRows(runs: runs) : [],
      curves: wants("scaling") ? try scalingCurves(runs: runs) : [])
    for curve in report.curves where curve.points.count > 1 {
      try curve.picture.write(to: "\(out)/scaling-\(curve.name).png")
    }
    try write(report, "speed")
  }

  private func write(_ report: Report, _ name: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try encoder.encode(report).write(to: URL(fileURLWithPath: "\(out)/\(name).json"))
    let text = markdown(report, isOfNetworks: name == "networks")
    try text.write(toFile: "\(out)/\(name).md", atomically: true, encoding: .utf8)
    print(text)
  }

  private var today: String { Date().formatted(.iso8601.year().month().day()) }

  /// The processor's name.
  private var machine: String {
    let lines = ((try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? "").split(
      separator: "\n")
    let name = lines.first { $0.hasPrefix("model name") }?.split(separator: ":").last
    return name.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown"
  }

  private static let speedPeer = """
    equiadapt 0.1.2 on PyTorch, the better
    of its memory formats (the last number of its command is 1 for channels last).
    """
  private static let networksPeer = """
    onnxruntime. Loading and a first answer
    are whole processes, the peer's with the start of Python.
    """

  private func markdown(_ report: Report, isOfNetworks: Bool) -> String {
    func table(_ header: [String], _ rows: [[String]]) -> String {
      ([header, header.map { _ in "---" }] + rows).map { "| " + $0.joined(separator: " | ") + " |" }
        .joined(separator: "\n")
    }
    func ratio(_ value: Double?) -> String { value.map { String(format: "%.2f", $0) } ?? "" }
    func giga(_ values: [Double]) -> String {
      values.map { String(format: "%.0f (%.0f %%)", $0 / 1e9, 100 * $0 / report.roof.arithmetic) }
        .joined(separator: ", ")
    }
    func bytes(_ times: Times?) -> String {
      times.map { String(format: "%.0f MB", $0.median / 1e6) } ?? ""
    }
    let timeRows = report.times.map { row in
      [row.name, row.canon.text, row.peer?.text ?? "", ratio(row.ratio), ratio(row.bar), row.note]
    }
    let memoryRows = report.memory.map { row in
      [row.name, bytes(row.canon), bytes(row.peer), ratio(row.ratio), ratio(row.bar)]
    }
    let convolutions = report.convolutions.map { row in
      [
        row.name, giga(row.direct), giga(row.winograd4), giga(row.winograd7),
        String(format: "%.0e", row.directError),
        row.winograd4.isEmpty ? "" : String(format: "%.0e", row.winograd4Error),
        row.winograd7.isEmpty ? "" : String(format: "%.0e", row.winograd7Error),
      ]
    }
    func milliseconds(_ row: GroupRow, _ n: Int) -> [String] {
      [row.plain[n], row.fourier[n]].map { String(format: "%.2f", $0) }
        + [ratio(row.plain[n] / row.fourier[n])]
    }
    let groups = report.groups.map { row in
      ["C\(row.order)", "\(row.channels)"] + milliseconds(row, 0) + milliseconds(row, 1)
    }
    let curves = report.curves.map { curve in
      [curve.axis, curve.unit]
        + [curve.points.map { String(format: "%g: %.3g", $0.x, $0.y) }.joined(separator: ", ")]
    }
    // Of what was not measured nothing is said.
    let sections = [
      (
        "Peak memory of the process", "", ["", "canon", "peer", "times less", "bar"], memoryRows
      ),
      (
        "Convolutions, batch 128",
        "GFLOP/s by the definition (share of the roof): forward, input gradient, weight gradient. The errors are of\n"
          + "the forward result against `Double`, relative to its root mean square.\n\n",
        [
          "", "direct", "Winograd F(4×4, 3×3)", "F(7×7, 3×3)", "error, direct", "F(4×4, 3×3)",
          "F(7×7, 3×3)",
        ], convolutions
      ),
      (
        "Convolutions on a group, 24 × 24 pixels",
        "Milliseconds an image of a layer of single pixels, by the plain kernel and by the group's Fourier transform.\n\n",
        [
          "group", "channels", "value, plain", "Fourier", "times faster", "with gradients, plain",
          "Fourier", "times faster",
        ], groups
      ),
      (
        "How the cost grows",
        "Inference of the C8 model, and a training step for the threads: scaling-*.png.\n\n",
        ["axis", "unit", ""], curves
      ),
    ].filter { !$0.3.isEmpty }
      .map { "## \($0.0)\n\n\($0.1)\(table($0.2, $0.3))\n" }.joined(separator: "\n")
    return """
      # Speed, measured \(report.date)

      \(report.machine), \(report.threads) threads, CPU path \(report.instructionSet), OpenBLAS's kernels \
      \(report.blasCore); the roof, measured on all threads: \(String(format: "%.0f", report.roof.arithmetic / 1e9)) \
      GFLOP/s of multiply-adds, \(String(format: "%.0f", report.roof.bandwidth / 1e9)) GB/s of copying. Made by

          \(isOfNetworks ? "make bench-networks NETWORKS=folder PEER=python" : "make bench-speed PEER=python")

      Times are medians (fastest … slowest), taken in turn with the peer: \(isOfNetworks ? Self.networksPeer : Self.speedPeer)

      \(table(["", "canon", "peer", "times faster", "bar", "note"], timeRows))

      \(sections)
      """
  }
}

SpeedBenchmark.main()
