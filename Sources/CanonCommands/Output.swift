import ArgumentParser
import Datasets
import Foundation
import Images
import Synchronization
import TensorCore

/// Prints results to standard output.
///
/// - Throws: `CommandError` where nobody can read them any more: a full disk, a pipe that is closed.
func emit(_ text: String) throws {
  do { try FileHandle.standardOutput.write(contentsOf: Data((text + "\n").utf8)) } catch {
    throw CommandError("Standard output cannot be written; check the free space, or who reads it.")
  }
}

/// Prints to the standard error stream, where it is not mixed with results.
func note(_ text: String) {
  let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(\.visible)
  try? FileHandle.standardError.write(contentsOf: Data((lines.joined(separator: "\n") + "\n").utf8))
}

extension StringProtocol {
  /// The text with control characters spelled out: a file's name must not command the terminal.
  var visible: String {
    unicodeScalars.reduce(into: "") { text, scalar in
      if let spelled = scalar.spelledOut {
        text += spelled
      } else {
        text.unicodeScalars.append(scalar)
      }
    }
  }
}

extension Unicode.Scalar {
  /// A control character in letters, as YAML and terminals' users read it; `nil` for others.
  var spelledOut: String? {
    guard value < 0x20 || (0x7F...0x9F).contains(value) else { return nil }
    return "\\x" + (value < 16 ? "0" : "") + String(value, radix: 16)
  }
}

/// Where a path leads, links followed; what is not there yet lies where its folder leads.
///
/// Folders are compared as the system knows them, whatever way leads there (a bind mount, a working folder whose name is no UTF-8),
/// and names by their bytes: two that only look alike are two files.
struct Place: Hashable {
  /// The folder that is there, as device and inode, behind those that it lies in.
  private let folders: [[UInt64]]
  /// What is below it: a file, or what is not there yet.
  private let rest: [[UInt8]]
  private let path: String

  init(_ path: String) {
    self.path = path
    var (known, rest) = (path.isEmpty ? "." : path, [[UInt8]]())
    var status = stat()
    while true {
      let isThere = unsafe stat(known, &status) == 0
      if isThere && status.st_mode & S_IFMT == S_IFDIR || known == "/" || known == "." { break }
      // A link to a file lies where that is.
      if isThere, rest.isEmpty, let real = Files.real(known), unsafe access(real, F_OK) == 0 {
        known = real
      }
      rest.insert(Array(Files.name(of: known).utf8), at: 0)
      known = Files.parent(of: known)
    }
    var below: [[UInt8]] = []
    for part in rest where !part.isEmpty && part != Array(".".utf8) {
      if part == Array("..".utf8) { _ = below.popLast() } else { below.append(part) }
    }
    // From the folder itself, whose path may be as long as a path can be.
    let folder = unsafe open(known, __O_PATH | O_DIRECTORY | O_CLOEXEC)
    defer { if folder >= 0 { close(folder) } }
    var (folders, above): ([[UInt64]], String) = ([], ".")
    while folder >= 0, unsafe fstatat(folder, above, &status, 0) == 0 {
      let id = [UInt64(status.st_dev), UInt64(status.st_ino)]
      if folders.last == id { break }
      folders.append(id)
      above += "/.."
    }
    (self.folders, self.rest) = (folders.reversed(), below)
  }

  static func == (one: Place, other: Place) -> Bool {
    one.folders.last == other.folders.last && one.rest == other.rest
  }

  func hash(into hasher: inout Hasher) {
    hasher.combine(folders.last)
    hasher.combine(rest)
  }

  /// The last part of it.
  var name: String? {
    if let last = rest.last { return String(decoding: last, as: UTF8.self) }
    return Files.real(path).map(Files.name).flatMap { $0.isEmpty ? nil : $0 }
  }

  /// Whether another place is this one or lies below it.
  func contains(_ other: Place) -> Bool {
    guard let folder = folders.last else { return false }
    return rest.isEmpty
      ? other.folders.contains(folder)
      : other.folders.last == folder && other.rest.starts(with: rest)
  }

  /// Whether one of two places is the other, or lies below it.
  func overlaps(_ other: Place) -> Bool { contains(other) || other.contains(self) }
}

/// Refuses an output that would take the place of an input, a model or another output.
func refuse(_ path: String, overwriting inputs: String...) throws {
  let place = Place(path)
  for input in inputs
  where [Place(input), Place(input + "/model.safetensors")].contains(place)
    || isListed(place, input)
  {
    throw CommandError("\(path) is used already, as \(input); name another place for the output.")
  }
}

/// Whether a place is that of a file which standard input names, where that is the input.
private func isListed(_ place: Place, _ input: String) -> Bool {
  guard input == "-", let list = try? ImageFolder(path: input) else { return false }
  return list.files.contains { Place("\(list.path)/\($0)") == place }
}

/// Refuses an output file among the inputs of a folder: it would be one of them, or take the place of one.
func refuse(_ path: String, amongInputs data: String) throws {
  let place = Place(path)
  if Files.isFolder(data)
    ? Place(data).contains(place) : Place(data) == place || isListed(place, data)
  {
    throw CommandError("\(path) lies among the inputs, \(data); name another place for the output.")
  }
}

/// Creates a folder for output.
///
/// - Throws: `CommandError` where it cannot be.
func prepareFolder(_ path: String) throws {
  do {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  } catch {
    throw CommandError("\(path) cannot be made a folder; check the path and its permission.")
  }
}

/// Replaces a file as a whole.
///
/// - Throws: `CommandError` where it cannot be written.
func writeFile(_ text: String, to path: String) throws {
  try Files.replace(path, by: Array(text.utf8)) {
    CommandError("\(path) cannot be written (\($0)); check the permission and the free space.")
  }
}

/// Replaces a file of lines as a whole, which are written as they come.
func writeLines(
  to path: String, _ lines: (_ put: ([String]) throws -> Void) throws -> Void
) throws {
  try Files.replace(path, { CommandError("\(path) cannot be written (\($0)).") as any Error }) {
    temporary in
    guard Files.write([], to: temporary),
      let handle = FileHandle(forWritingAtPath: temporary)
    else { throw CommandError("\(path) cannot be written; check the folder's permission.") }
    var text = ""
    func flush() throws {
      do { try handle.write(contentsOf: Data(text.utf8)) } catch {
        throw CommandError("\(path) cannot be written; check the free space.")
      }
      text = ""
    }
    try lines { lines in
      for line in lines { text += line + "\n" }
      if text.utf8.count > 1 << 16 { try flush() }
    }
    try flush()
    guard (try? handle.close()) != nil else {
      throw CommandError("\(path) cannot be written; check the free space.")
    }
  }
}

/// Ctrl-C and a request to end, which commands answer between two images.
enum Interruption {
  private static let signal = Atomic<Int32>(0)

  /// The signal that has come, 0 for none.
  static var caught: Int32 { signal.load(ordering: .relaxed) }

  /// From now on the first signal is noted; a second one ends the program at once.
  static func watch() {
    // A parent with several threads may have left the signals blocked.
    var signals = sigset_t()
    unsafe sigemptyset(&signals)
    for number in [SIGINT, SIGTERM] {
      unsafe sigaddset(&signals, number)
      Foundation.signal(number) { number in
        Foundation.signal(number, SIG_DFL)
        Interruption.signal.store(number, ordering: .relaxed)
      }
    }
    unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil)
  }

  /// - Throws: Exit status 130 for Ctrl-C, 143 for a request to end, after a sentence.
  static func check(_ sentence: @autoclosure () -> String) throws {
    guard caught != 0 else { return }
    note("\n" + sentence())
    throw ExitCode(128 + caught)
  }
}
