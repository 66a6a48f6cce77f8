import ArgumentParser
import Datasets
import Foundation
import Glibc
import Images
import Settings
import Symmetry
import TensorCore
import Training

/// Says which pictures of a folder are left out because of their format.
func noteUnread(_ source: any InputSource, in path: String) {
  func leave(_ names: [String], _ noun: String, _ why: String) {
    guard !names.isEmpty else { return }
    let more = names.count > 20 ? ["and \(names.count - 20) more"] : []
    let nouns = names.count == 1 ? noun : noun + "s"
    let head = "Note: \(names.count) \(nouns) in \(path) left out: \(why):"
    note(([head] + names.prefix(20).map(\.visible) + more).joined(separator: "\n  "))
  }
  func isArchive(_ name: String) -> Bool { name.lowercased().hasSuffix(".tar") }
  let endings = ImageCodecs.all.flatMap { $0.endings }.joined(separator: ", ")
  leave(
    source.unread.filter { !isArchive($0) }, "picture",
    "of a format that is not read (\(endings) is)")
  leave(
    source.unread.filter(isArchive), "tar archive",
    "beside pictures; name one, or a folder that holds archives alone")
}

/// Whether a path stands for a list on standard input that names no file, which is no error, and said.
func namesNothing(_ path: String) -> Bool {
  guard path == "-" && ImageFolder.isStandardInputEmpty else { return false }
  note("Standard input names no file: there is nothing to do.")
  return true
}

/// Flags that every command has.
struct CommonOptions: ParsableArguments {
  @Option(help: "How many threads to use; results do not depend on it.")
  var threads: Int?

  @Option(
    help: ArgumentHelp(
      "How much memory one input may take, in MiB; one that declares more is refused.",
      valueName: "mib"))
  var memory: Int?

  @Flag(help: "Print results only: no progress, no notes.")
  var quiet = false

  func validate() throws {
    func variable(_ name: String) -> String? {
      unsafe getenv(name).map { unsafe String(cString: $0) }
    }
    if let text = variable("CANON_CPU"), !["", "avx512", "avx2", "portable"].contains(text) {
      throw ValidationError("CANON_CPU must be avx512, avx2 or portable, not '\(text)'.")
    }
    if let text = variable("CANON_THREADS"), !text.isEmpty,
      !(1...1024).contains(Int(text) ?? 0)
    {
      throw ValidationError("CANON_THREADS must be from 1 to 1024, not '\(text)'.")
    }
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads must be from 1 to 1024, not \(threads).")
    }
    if let memory, !(1...16_777_216).contains(memory) {
      throw ValidationError("--memory must be from 1 to 16777216 MiB, not \(memory).")
    }
  }

  /// Applies the flags; every command begins with it.
  func apply() {
    if let threads { Parallel.threadCount = threads }
    AddressSpace.require(threads: Parallel.threadCount)
    guard let memory else { return }
    MemoryLimit.bytes = memory << 20
    Keys.weightLimit = MemoryLimit.bytes / 16
  }
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

/// Counts inputs that could not be read, and says so at the end.
struct Failures {
  private(set) var count = 0
  private let noun: (one: String, many: String, name: String)

  init(_ noun: (one: String, many: String, name: String)) { self.noun = noun }

  mutating func report(_ errors: [any Error]) {
    for error in errors { note("Error: \("\(error)".visible)") }
    count += errors.count
  }

  /// Counts those of another count, which were named.
  mutating func add(_ others: Failures) { count += others.count }

  /// Counts what an earlier run has named.
  mutating func add(_ count: Int, in folder: String) {
    guard count > 0 else { return }
    note(
      "\(folder): \(count) \(count == 1 ? noun.one : noun.many) of what is done could not be used.")
    self.count += count
  }

  /// Says what could not be written of inputs that were used, before others are counted.
  ///
  /// - Throws: Exit status 2 where these were all.
  func finish(beside others: Failures) throws {
    guard count > 0 else { return }
    note("\(count) \(count == 1 ? noun.one : noun.many) could not be written; all others are.")
    if others.count == 0 { throw ExitCode(2) }
  }

  /// - Throws: Exit status 2 if there were any.
  func finish() throws {
    guard count > 0 else { return }
    note("\(count) \(count == 1 ? noun.one : noun.many) could not be used; all others are done.")
    throw ExitCode(2)
  }
}

extension Encodable {
  /// One line of JSON.
  var jsonLine: String { jsonLines([self])[0] }
}

/// Figures by name, as a table.
func figureTable(_ figures: [(String, Double)]) -> String {
  table(
    ["figure", "value"],
    figures.map { name, value in
      if let whole = Int(exactly: value), abs(whole) > 1 || name.hasSuffix("examples") {
        return [name, "\(whole)"]
      }
      return [name, value.formatted(abs(value) < 0.01 ? 6 : 4)]
    })
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
    cells.map(\.visible).enumerated().map { column, cell in
      let pad = String(repeating: " ", count: max(0, widths[column] - cell.count))
      return column == 0 ? cell + pad : pad + cell
    }.joined(separator: "  ")
  }
}

/// A table of all its rows at once.
func table(_ header: [String], _ rows: [[String]]) -> String {
  let widths = header.indices.map { column in rows.map { $0[column].visible.count }.max() ?? 0 }
  let columns = Columns(widths: widths, header: header)
  return ([header] + rows).map(columns.line).joined(separator: "\n")
}
