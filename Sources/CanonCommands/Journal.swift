import Datasets
import Foundation
import Synchronization
import TensorCore

/// What a job has done so far, kept beside its outputs: a job that was stopped, in whatever way, goes on where it was.
///
/// First a line that says what the job is, then one for each input that is done, written when its output has its name: of which
/// files, and, behind a tab, what is said of it, both in JSON. An input counts as done while it and its output are the files that
/// they were. The journal is removed when the job is at its end.
final class Journal: Sendable {
  /// An input that is done.
  private struct Line: Codable {
    /// The name of the input.
    let name: String
    /// Missing where it was gone when its output was there.
    let input: FileStamp?
    /// The name of what was made of it, below the folder of outputs.
    let file: String
    let output: FileStamp?
  }

  private struct State {
    /// Where the line of each input begins, in bytes; `nil` of what is not done.
    var places: [Int?]
    var doneCount = 0
    /// The input that may be done next: inputs are done in their order.
    var next = 0
    var length = 0
  }

  /// What each journal begins with.
  private static let mark = "canon journal 1: "
  /// What stands between the two parts of a line: within JSON it is spelled otherwise.
  private static let tab: UInt8 = 0x09

  private let path: String
  private let inputs: String
  private let outputs: String
  private let names: [String]
  private let handle: FileHandle
  private let state: Mutex<State>
  /// The outputs of what was done before, by the bytes of their names.
  let files: Set<[UInt8]>
  /// Whether the job goes on, and does not begin anew.
  let goesOn: Bool

  /// Opens the journal of a folder's job, or begins it anew where it is of another one.
  ///
  /// - Parameters:
  ///   - folder: The folder of outputs, held by this command.
  ///   - inputs: The folder of inputs.
  ///   - names: The inputs there.
  /// - Throws: `CommandError` where it cannot be written, another command does this part, or something else has its name.
  init(
    _ folder: String, _ job: JobDescription, inputs: String, names: [String], shard: Shard?
  ) throws {
    path = OwnFile.journal.path(in: folder, shard)
    (self.inputs, outputs, self.names) = (inputs, folder, names)
    // What a link leads to is not written, and a FIFO not waited for.
    let descriptor = unsafe open(
      path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0o644)
    guard descriptor >= 0 else {
      throw [ELOOP, EISDIR, ENXIO].contains(errno)
        ? OwnFile.foreign(path)
        : CommandError("\(path) cannot be written; check the folder's permission.")
    }
    handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw OwnFile.foreign(path)
    }
    let (mark, begin) = (Array(Journal.mark.utf8), Files.prefix(of: path, Journal.mark.utf8.count))
    guard mark.starts(with: begin) else { throw OwnFile.foreign(path) }
    // One that has ended meanwhile has removed it.
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK,
      unsafe fstat(descriptor, &status) == 0, status.st_nlink > 0
    else { throw OwnFile.held(folder) }
    do { try OwnFile.refuseOthers(in: folder, than: shard) } catch {
      // Begun at the same moment as another one.
      if status.st_size == 0 { unsafe unlink(path) }
      throw error
    }
    let head = Journal.mark + job.text
    let known =
      job.goesOn
      ? Journal.known(path, head, names: names, inputs: inputs, outputs: folder) : nil
    (files, goesOn) = (known?.files ?? [], known != nil)
    state = Mutex(known?.state ?? State(places: Array(repeating: nil, count: names.count)))
    guard ftruncate(descriptor, known?.state.length ?? 0) == 0, (try? handle.seekToEnd()) != nil
    else { throw failure }
    if !goesOn { try state.withLock { try write([head], &$0) } }
  }

  private var failure: CommandError {
    CommandError("\(path) cannot be written; check the free space.")
  }

  /// Reads what is done; `nil` where the journal is none of this job.
  private static func known(
    _ path: String, _ head: String, names: [String], inputs: String, outputs: String
  ) -> (state: State, files: Set<[UInt8]>)? {
    guard let lines = Lines(of: path), lines.next() == Array(head.utf8), lines.isWhole else {
      return nil
    }
    let numbers = Dictionary(
      names.enumerated().map { (Array($1.utf8), $0) }, uniquingKeysWith: { first, _ in first })
    var state = State(places: Array(repeating: nil, count: names.count), length: lines.offset)
    var files: [Int: String] = [:]
    while let bytes = lines.next(), lines.isWhole, let line = line(bytes) {
      defer { state.length = lines.offset }
      guard let n = numbers[Array(line.name.utf8)] else { continue }
      // Of several lines of one input the last one counts.
      let isDone =
        line.input != nil && line.input == FileStamp(of: "\(inputs)/\(line.name)")
        && line.output != nil && line.output == FileStamp(of: "\(outputs)/\(line.file)")
      state.places[n] = isDone ? state.length : nil
      files[n] = isDone ? line.file : nil
    }
    state.doneCount = files.count
    return (state, Set(files.values.map { Array($0.utf8) }))
  }

  private static func line(_ bytes: [UInt8]) -> Line? {
    bytes.firstIndex(of: tab).flatMap {
      try? JSONDecoder().decode(Line.self, from: Data(bytes[..<$0]))
    }
  }

  /// How many inputs are done.
  var doneCount: Int { state.withLock(\.doneCount) }

  /// The inputs that are not done, by their places.
  var left: [Int] { state.withLock { state in names.indices.filter { state.places[$0] == nil } } }

  /// Writes down that inputs are done, in their order: of each its name, what was made of it, and what is said of it, in a
  /// line of JSON.
  func append(_ items: [(name: String, file: String, entry: String)]) throws {
    let lines = jsonLines(
      items.map {
        Line(
          name: $0.name, input: FileStamp(of: "\(inputs)/\($0.name)"), file: $0.file,
          output: FileStamp(of: "\(outputs)/\($0.file)"))
      })
    try state.withLock { state in
      var length = state.length
      let texts = zip(lines, items).map { "\($0)\t\($1.entry)" }
      for (text, item) in zip(texts, items) {
        let place = (state.next..<names.count).first {
          state.places[$0] == nil && names[$0].isSameName(as: item.name)
        }
        guard let place else { preconditionFailure("\(item.name) is no input that comes next") }
        (state.next, state.places[place]) = (place, length)
        length += text.utf8.count + 1
      }
      state.doneCount += items.count
      try write(texts, &state)
    }
  }

  private func write(_ lines: [String], _ state: inout State) throws {
    let text = Data(lines.map { $0 + "\n" }.joined().utf8)
    do { try handle.write(contentsOf: text) } catch { throw failure }
    state.length += text.count
  }

  /// Looks at what is said of each input that is done, in their order; nothing of it is kept.
  func forEach(_ body: (_ input: Int, _ entry: [UInt8]) throws -> Void) throws {
    guard let lines = Lines(of: path) else { throw failure }
    for (n, place) in state.withLock(\.places).enumerated() {
      guard let place else { continue }
      lines.seek(to: place)
      guard let bytes = lines.next(), let tab = bytes.firstIndex(of: Journal.tab) else {
        throw failure
      }
      try body(n, Array(bytes[(tab + 1)...]))
    }
  }

  /// Joins the journals that parts have left to that of the whole: a job goes on from there.
  static func join(_ shards: [Shard], in folder: String) throws {
    let paths = shards.map { OwnFile.journal.path(in: folder, $0) }
    try writeLines(to: OwnFile.journal.path(in: folder)) { put in
      var isFirst = true
      for (path, lines) in paths.compactMap({ path in Lines(of: path).map { (path, $0) } }) {
        // All begin with the same line.
        if let head = lines.next(), isFirst { try put([String(decoding: head, as: UTF8.self)]) }
        isFirst = false
        for line in lines { try put([String(decoding: line, as: UTF8.self)]) }
        try lines.check(path)
      }
    }
  }

  /// Removes it: the job is at its end.
  func remove() { unsafe unlink(path) }
}
