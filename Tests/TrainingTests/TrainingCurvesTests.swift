import Foundation
import TensorCore
import Testing

@testable import Training

@Suite struct TrainingCurvesTests {
  /// RFC 3720, appendix B.4: 32 bytes of zeros, of ones, and 0 to 31; and the check value of the algorithm.
  @Test("The checksum is Castagnoli's")
  func checksum() {
    #expect(EventFile.crc32c([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    #expect(EventFile.crc32c([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
    #expect(EventFile.crc32c((0..<32).map { UInt8($0) }) == 0x46DD_794E)
    #expect(EventFile.crc32c(Array("123456789".utf8)) == 0xE306_9283)
  }

  @Test("A run leaves its curves: a picture, and events that TensorBoard reads where Python has it")
  func curves() throws {
    let images = try makeFolder("curves")
    let folder = images + "-run"
    try? FileManager.default.removeItem(atPath: folder)
    let configuration = try RunConfiguration(
      text: """
        name: curves
        data: {kind: folder, path: \(images)}
        input: {size: 12}
        canonicalizer: pca-sign
        backbone: {kind: mlp, width: 4}
        training: {epochs: 3, batch: 8}
        """, source: "test")
    var run = try TrainingRun(configuration, folder: folder)
    var epochs = 0
    // Stopped after an epoch, and gone on with.
    try run.train(until: { epochs == 1 }) { _, line in epochs += line == nil ? 0 : 1 }
    run = try TrainingRun(configuration, folder: folder, resuming: true)
    try run.train()
    _ = try run.finish()
    let picture = try String(contentsOfFile: "\(folder)/curves.svg", encoding: .utf8)
    #expect(picture.components(separatedBy: "<svg").count == 1 + 3)
    #expect(picture.components(separatedBy: "<circle").count == 1 + 3 * 3)
    let lines = try String(contentsOfFile: "\(folder)/metrics.jsonl", encoding: .utf8)
      .split(separator: "\n").map {
        try JSONDecoder().decode(TrainingRun.Line.self, from: Data($0.utf8))
      }
    #expect(lines.count == 3)
    let script = """
      import sys
      try:
          from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
      except ImportError:
          print("none"); sys.exit()
      events = EventAccumulator(sys.argv[1]); events.Reload()
      print(",".join(sorted(events.Tags()["scalars"])))
      print(",".join(repr(e.value) for e in events.Scalars("loss/train")))
      print(",".join(str(e.step) for e in events.Scalars("loss/train")))
      """
    let python = ProcessInfo.processInfo.environment["CANON_PYTHON"] ?? "python3"
    let process = Process()
    let pipe = Pipe()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [python, "-W", "ignore", "-c", script, folder]
    process.standardOutput = pipe
    process.standardError = FileHandle.nullDevice
    try process.run()
    let read = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    let answers = read.split(separator: "\n")
    if answers.count == 3 {
      #expect(answers[0].contains("error/valid,loss/train,loss/valid"))
      #expect(
        answers[1].split(separator: ",").compactMap { Float($0) } == lines.map { Float($0.loss) })
      #expect(answers[2] == lines.map { "\($0.step)" }.joined(separator: ","))
    }
    // Without Python: what is in the files is what TFRecord asks for, to the last byte.
    let files = try FileManager.default.contentsOfDirectory(atPath: folder)
      .filter { $0.contains("tfevents") }
    #expect(!files.isEmpty)
    for file in files {
      var rest = [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(file)")))[...]
      var count = 0
      while !rest.isEmpty {
        let length = rest.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        let content = Array(rest.dropFirst(12).prefix(length))
        try #require(content.count == length)
        #expect(Array(rest.prefix(length + 16)) == EventFile.record(content))
        rest = rest.dropFirst(length + 16)
        count += 1
      }
      #expect(count >= 2)
    }
  }
}
