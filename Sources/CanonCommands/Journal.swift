import Foundation
import TensorCore

/// What a job has done so far, kept beside its outputs: a job that was stopped, in whatever way, goes on where it was.
///
/// First a line that says what the job is, then one for each input that is done, written when its output has its name: of which
/// files, and, behind a tab, what is said of it, both in JSON. An input counts as done while it and its output are the files that
/// they were. The journal is removed when the job is at its end.
final class Journal {
  /// An input that is done.
  struct Line: Codable {
    /// The name of the input.
    let name: String
    /// Missing where it was gone when its output was there.
    let input: FileStamp?
    /// The name of what was made of it, below the folder of outputs.
    let file: String
    let output: FileStamp?
  }

  private let path: String
  private let inputs: String?
  private let outputs: String
  private let handle: FileHandle
  /// The inputs that were done before, by their bytes, with the places of their lines.
  private var lines: [[UInt8]: Int] = [:]
  /// The places of lines that no longer hold: of inputs, or outputs, that have changed since or are none any more.
  private var stale: Set<Int> = []

  static func path(in folder: String, _ shard: Shard?) -> String {
    "\(folder)/\(shard.fileName(".canon-journal", ".jsonl"))"
  }

  /// Opens the journal of a folder's job, or begins it anew where it is of another one.
  ///
  /// - Parameters:
  ///   - folder: The folder of outputs, held by this command.
  ///   - job: What outputs follow from, inputs aside; `nil` for a job that is always done from the beginning.
  ///   - inputs: The folder of inputs.
  ///   - names: The inputs there.
  /// - Throws: `CommandError` where it cannot be written, or another command does this shard.
  init(
    _ folder: String, _ job: [String: String]?, inputs: String?, names: [String], shard: Shard?
  ) throws {
    path = Journal.path(in: folder, shard)
    (self.inputs, outputs) = (inputs, folder)
    let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw CommandError("\(path) cannot be written; check the folder's permission.")
    }
    handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK else {
      throw CommandError(
        "\(folder): this part of it is being written by another command; wait, or name another.")
    }
    let head = job.map { Array($0.jsonLine.utf8) }
    let length = head.flatMap { known($0, names) } ?? 0
    guard ftruncate(descriptor, length) == 0, (try? handle.seekToEnd()) != nil else {
      throw failure
    }
    if length == 0 { try write([head.map { String(decoding: $0, as: UTF8.self) } ?? "{}"]) }
  }

  private var failure: CommandError {
    CommandError("\(path) cannot be written; check the free space.")
  }

  /// Reads what is done.
  ///
  /// - Returns: How much of the journal is whole; `nil` where it is none of this job.
  private func known(_ head: [UInt8], _ names: [String]) -> Int? {
    let names = Set(names.map { Array($0.utf8) })
    guard let lines = Lines(of: path), lines.next() == head, lines.isWhole else { return nil }
    var length = lines.offset
    while let bytes = lines.next(), lines.isWhole, let line = Journal.line(bytes) {
      let (place, name) = (length, Array(line.name.utf8))
      length = lines.offset
      // Of several lines of one input the last one counts.
      if let before = self.lines.removeValue(forKey: name) { stale.insert(before) }
      if names.contains(name), let input = line.input, input == stamp(line.name),
        let output = line.output, output == FileStamp(of: "\(outputs)/\(line.file)")
      {
        self.lines[name] = place
      } else {
        stale.insert(place)
      }
    }
    return length
  }

  /// How many inputs were done before.
  var doneCount: Int { lines.count }

  /// Whether an input was done before.
  func isDone(_ name: String) -> Bool { lines[Array(name.utf8)] != nil }

  private func stamp(_ name: String) -> FileStamp? { FileStamp(of: "\(inputs ?? ".")/\(name)") }

  private static func line(_ bytes: [UInt8]) -> Line? {
    bytes.firstIndex(of: tab).flatMap {
      try? JSONDecoder().decode(Line.self, from: Data(bytes[..<$0]))
    }
  }

  /// What stands between the two parts of a line: within JSON it is spelled otherwise.
  private static let tab: UInt8 = 0x09

  /// Writes down that inputs are done: of each its name, what was made of it, and what is said of it, in a line of JSON.
  func append(_ items: [(name: String, file: String, entry: String)]) throws {
    let lines = jsonLines(
      items.map {
        Line(
          name: $0.name, input: stamp($0.name), file: $0.file,
          output: FileStamp(of: "\(outputs)/\($0.file)"))
      })
    try write(zip(lines, items).map { "\($0)\t\($1.entry)" })
  }

  private func write(_ lines: [String]) throws {
    let text = lines.map { $0 + "\n" }.joined()
    do { try handle.write(contentsOf: Data(text.utf8)) } catch { throw failure }
  }

  /// Looks at what is said of each input that is done, in the order in which they were; nothing of it is kept.
  func forEach(_ body: ([UInt8]) throws -> Void) throws {
    guard let lines = Lines(of: path), lines.next() != nil else { throw failure }
    var place = lines.offset
    while let bytes = lines.next() {
      defer { place = lines.offset }
      guard !stale.contains(place) else { continue }
      guard let tab = bytes.firstIndex(of: Journal.tab) else { throw failure }
      try body(Array(bytes[(tab + 1)...]))
    }
  }

  /// Removes it: the job is at its end.
  func remove() { unsafe unlink(path) }
}
