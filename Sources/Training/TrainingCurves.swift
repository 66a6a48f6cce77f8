import Charts
import Foundation

/// What a training run's folder shows of its epochs besides metrics.jsonl: curves.svg, and a file of events for TensorBoard
/// (`tensorboard --logdir runs`).
struct TrainingCurves {
  private let folder: String
  /// A run that goes on has a file of its own: TensorBoard joins those of a folder.
  private let events: EventFile
  private var lines: [TrainingRun.Line]
  /// How many lines there were when the picture was drawn.
  private var drawn = 0

  /// - Parameter lines: Those of a run that goes on.
  init(folder: String, lines: [TrainingRun.Line]) {
    (self.folder, self.lines, events) = (folder, lines, EventFile(folder: folder))
  }

  /// Adds an epoch.
  ///
  /// - Throws: `TrainingError` where a file cannot be written.
  mutating func append(_ line: TrainingRun.Line, step: Int) throws(TrainingError) {
    lines.append(line)
    var values = [("loss/train", line.loss)]
    if let valid = line.valid {
      values.append(("loss/valid", valid.loss))
      if let error = valid.error { values.append(("error/valid", error)) }
      if let error = valid.calibrationError { values.append(("calibration error/valid", error)) }
    }
    try events.append(values, step: step)
    // Of many epochs one more is not to be seen.
    if lines.count - drawn > drawn / 50 { try draw() }
  }

  /// Draws curves.svg.
  mutating func draw() throws(TrainingError) {
    guard lines.count > drawn else { return }
    drawn = lines.count
    func series(_ name: String, _ value: (TrainingRun.Line) -> Double?) -> Chart.Series {
      Chart.Series(
        name: name,
        points: lines.enumerated().compactMap { place, line in
          value(line).map { (x: Double(place + 1), mean: $0, deviation: 0) }
        })
    }
    let losses = [series("training", \.loss), series("validation") { $0.valid?.loss }]
    var charts = [
      Chart(
        id: "loss", title: "Loss", xLabel: "epoch", yLabel: "loss",
        content: .lines(losses.filter { !$0.points.isEmpty }, isLogarithmic: false))
    ]
    let errors = series("validation") { $0.valid?.error.map { 100 * $0 } }
    if let best = errors.points.min(by: { $0.mean < $1.mean }) {
      let least = String(format: "%.4g", best.mean)
      charts.append(
        Chart(
          id: "error", title: "Error, at best \(least) % (epoch \(Int(best.x)))", xLabel: "epoch",
          yLabel: "%",
          content: .lines([errors], isLogarithmic: false)))
    }
    try TrainingRun.write(Chart.column(charts, .paper), to: "\(folder)/curves.svg")
  }
}

/// A file of events as TensorBoard reads it: records of TensorFlow's `TFRecord` format, each a message `Event` of
/// `tensorflow/core/util/event.proto` (of which three fields are used here: too few for a library).
struct EventFile {
  let path: String

  init(folder: String) {
    let now = Date().timeIntervalSince1970
    let process = ProcessInfo.processInfo.processIdentifier
    path = String(format: "%@/events.out.tfevents.%010.0f.canon.%d", folder, now, process)
  }

  /// Adds scalars, by name.
  ///
  /// - Throws: `TrainingError` where the file cannot be written.
  func append(_ values: [(name: String, value: Double)], step: Int) throws(TrainingError) {
    var records: [UInt8] = []
    if !FileManager.default.fileExists(atPath: path) {
      records += EventFile.record(
        EventFile.event(step: 0) + EventFile.text(3, "brain.Event:2"))
    }
    let summary = values.flatMap { name, value in
      EventFile.bytes(
        1, EventFile.text(1, name) + [0x15] + EventFile.little(Float(value).bitPattern))
    }
    records += EventFile.record(EventFile.event(step: step) + EventFile.bytes(5, summary))
    guard let file = unsafe fopen(path, "ab") else { throw .unwritable(path) }
    let count = unsafe fwrite(records, 1, records.count, file)
    guard unsafe fclose(file) == 0, count == records.count else { throw .unwritable(path) }
  }

  /// What every event begins with: the time, and the step.
  private static func event(step: Int) -> [UInt8] {
    [0x09] + little(Date().timeIntervalSince1970.bitPattern) + [0x10] + varint(step)
  }

  private static func text(_ field: UInt8, _ text: String) -> [UInt8] {
    bytes(field, Array(text.utf8))
  }

  /// A field of bytes, in the wire format of protocol buffers.
  private static func bytes(_ field: UInt8, _ content: [UInt8]) -> [UInt8] {
    [field << 3 | 2] + varint(content.count) + content
  }

  private static func varint(_ value: Int) -> [UInt8] {
    var (rest, result): (Int, [UInt8]) = (value, [])
    while rest >= 0x80 {
      result.append(UInt8(rest & 0x7F) | 0x80)
      rest >>= 7
    }
    return result + [UInt8(rest)]
  }

  private static func little<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
    (0..<Value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> Value($0 * 8)) }
  }

  /// A record: its length, and its content, each with a checksum.
  static func record(_ content: [UInt8]) -> [UInt8] {
    let length = little(UInt64(content.count))
    return length + little(masked(length)) + content + little(masked(content))
  }

  /// As `TFRecord` keeps checksums.
  private static func masked(_ bytes: [UInt8]) -> UInt32 {
    let sum = crc32c(bytes)
    return (sum >> 15 | sum << 17) &+ 0xA282_EAD8
  }

  /// The cyclic redundancy check with Castagnoli's polynomial (RFC 3720, appendix B.4).
  static func crc32c(_ bytes: [UInt8]) -> UInt32 {
    ~bytes.reduce(~UInt32(0)) { sum, byte in
      (0..<8).reduce(sum ^ UInt32(byte)) { sum, _ in
        let half: UInt32 = sum >> 1
        return sum & 1 == 1 ? half ^ 0x82F6_3B78 : half
      }
    }
  }
}
