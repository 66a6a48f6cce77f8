import ArgumentParser
import Datasets
import Foundation
import Images
import Symmetry
import TensorCore
import Training

/// Flags that every command has.
struct CommonOptions: ParsableArguments {
  @Option(help: "How many threads to use; results do not depend on it.")
  var threads: Int?

  @Flag(help: "Print results only: no progress, no notes.")
  var quiet = false

  func validate() throws {
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads must be from 1 to 1024, not \(threads).")
    }
  }

  /// Applies the flags; every command begins with it.
  func apply() { if let threads { Parallel.threadCount = threads } }
}

/// Refuses a number that a flag cannot take.
///
/// - Throws: `ValidationError`, with which the command exits with 64.
func requireFlag(_ name: String, _ value: Int?, atLeast least: Int) throws {
  if let value, value < least {
    throw ValidationError("\(name) must be at least \(least), not \(value).")
  }
}

/// A failure that a command reports in a sentence, with exit status 1.
struct CommandError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// Prints to the standard error stream, where it is not mixed with results.
func note(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }

/// Counts inputs that could not be read, and says so at the end.
struct Failures {
  private(set) var count = 0
  private let noun: (one: String, many: String, name: String)

  init(_ noun: (one: String, many: String, name: String)) { self.noun = noun }

  mutating func report(_ errors: [some Error]) {
    for error in errors { note("Error: \(error)") }
    count += errors.count
  }

  /// - Throws: Exit status 2 if there were any.
  func finish() throws {
    guard count > 0 else { return }
    note("\(count) \(count == 1 ? noun.one : noun.many) could not be used; all others are done.")
    throw ExitCode(2)
  }
}

extension Double {
  /// The number with some decimals.
  func formatted(_ decimals: Int) -> String { String(format: "%.\(decimals)f", self) }
}

extension Encodable {
  /// One line of JSON.
  var jsonLine: String { jsonLines([self])[0] }
}

/// Values as JSON, a line each.
func jsonLines(_ values: [some Encodable]) -> [String] {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  encoder.nonConformingFloatEncodingStrategy = .convertToString(
    positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
  return values.map { value in
    (try? encoder.encode(value)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
  }
}

/// Columns of text, the first to the left and the others to the right.
struct Columns {
  let header: [String]
  private let widths: [Int]

  /// - Parameter widths: Of each column at least; a wider header widens its column.
  init(widths: [Int], header: [String]) {
    self.header = header
    self.widths = zip(widths, header).map { max($0, $1.count) }
  }

  func line(_ cells: [String]) -> String {
    cells.enumerated().map { column, cell in
      let pad = String(repeating: " ", count: max(0, widths[column] - cell.count))
      return column == 0 ? cell + pad : pad + cell
    }.joined(separator: "  ")
  }
}

/// A table of all its rows at once.
func table(_ header: [String], _ rows: [[String]]) -> String {
  let widths = header.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
  let columns = Columns(widths: widths, header: header)
  return ([header] + rows).map(columns.line).joined(separator: "\n")
}

/// Creates a folder for output.
///
/// - Throws: `CommandError` where it cannot be, or is the folder of the inputs.
func prepareFolder(_ path: String, apartFrom input: String? = nil) throws {
  let url = URL(fileURLWithPath: path).standardizedFileURL
  if let input, isSame(path, input) {
    throw CommandError("\(path) is the folder of the inputs; name another for the outputs.")
  }
  do {
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  } catch {
    throw CommandError("\(path) cannot be made a folder; check the path and its permission.")
  }
}

/// Whether two paths lead to one place, links followed; what is not there yet lies where its folder leads.
func isSame(_ a: String, _ b: String) -> Bool {
  func real(_ path: String) -> String? {
    guard let found = unsafe realpath(path, nil) else { return nil }
    defer { unsafe free(found) }
    return unsafe String(cString: found)
  }
  func resolved(_ path: String) -> [UInt8] {
    let url = URL(fileURLWithPath: path)
    let place =
      real(path) ?? (real(url.deletingLastPathComponent().path) ?? "") + "/" + url.lastPathComponent
    // Bytes: two names that only look alike are two files.
    return Array(place.utf8)
  }
  return resolved(a) == resolved(b)
}

/// Refuses an output that would take the place of an input, a model or another output.
func refuse(_ path: String, overwriting inputs: String...) throws {
  for input in inputs where isSame(path, input) || isSame(path, input + "/model.safetensors") {
    throw CommandError("\(path) is used already, as \(input); name another place for the output.")
  }
}

/// Creates the folders below a folder that some files will lie in, each once.
func prepareParents(of files: [String], in folder: String) throws {
  let parents = Set(files.map { $0.split(separator: "/").dropLast().joined(separator: "/") })
  for parent in parents { try prepareFolder("\(folder)/\(parent)") }
}

/// Writes a file beside its final name, then renames it.
func writeText(_ text: String, to path: String) throws {
  do { try text.write(toFile: path, atomically: true, encoding: .utf8) } catch {
    throw CommandError("\(path) cannot be written; check its permission and the free space.")
  }
}
