import ArgumentParser
import Foundation
import TensorCore

struct Merge: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge",
    abstract: "Joins what the processes of one job wrote: one manifest of all.",
    discussion: """
      Several processes that were given --shard 1/8, 2/8, … each leave a manifest of their part in the folder. Here they become \
      one, in the order of the files' names, line by line: memory does not grow with their number. A part that is missing, or not \
      done, is named, and nothing is changed then. What `restore` and `predict --out` write has no manifest: its parts are only told to \
      be complete. Where the processes had no folder in common, copy what they wrote into one first.

      EXAMPLES
        for i in 1 2 3 4; do canon canonicalize pages scans upright --shard $i/4 & done; wait
        canon merge upright
      """)

  @Argument(help: "The folder that the processes wrote to.")
  var folder: String

  @Flag(help: "Print how many images and parts there were as JSON.")
  var json = false

  @OptionGroup var common: CommonOptions

  func run() throws {
    common.apply()
    guard Files.isFolder(folder) else {
      throw CommandError("\(folder) is no folder; name the one that the parts were written to.")
    }
    guard let lock = FolderLock(folder) else {
      throw CommandError("\(folder) is being written by another command; wait for it.")
    }
    defer { withExtendedLifetime(lock) {} }
    let shards = Shard.written(in: folder).sorted { $0.index < $1.index }
    let path = Manifest.path(in: folder)
    guard let count = shards.first?.count else {
      throw CommandError(
        FileManager.default.fileExists(atPath: path)
          ? "\(folder) has one manifest already."
          : "\(folder) holds no part of a job (--shard).")
    }
    // A merge that was stopped has its manifest, and only removes what is left.
    var images: Int?
    if !FileManager.default.fileExists(atPath: path) {
      images = try merge(shards, count, to: path)
      try mergeLedgers(shards)
    }
    for shard in shards {
      for path in [Manifest.path(in: folder, shard), OutputLedger.path(in: folder, shard)] {
        unsafe unlink(path)
      }
    }
    if json { return try emit(["images": images ?? 0, "parts": count].jsonLine) }
    try emit(
      images.map { "\($0) \($0 == 1 ? "image" : "images") of \(count) parts in \(path)." }
        ?? "\(folder) is complete, in \(count) \(count == 1 ? "part" : "parts").")
  }

  /// - Returns: How many images the parts' manifests have; `nil` where they have none.
  private func merge(_ shards: [Shard], _ count: Int, to path: String) throws -> Int? {
    func list(_ shards: [String]) -> String {
      shards.prefix(20).joined(separator: ", ") + (shards.count > 20 ? ", …" : "")
    }
    guard shards.allSatisfy({ $0.count == count }) else {
      throw CommandError("\(folder) holds parts of two jobs, in \(count) and in other numbers.")
    }
    let undone = shards.filter {
      FileManager.default.fileExists(atPath: Journal.path(in: folder, $0))
    }
    let withManifest = shards.filter { Files.isRegular(Manifest.path(in: folder, $0)) }
    let there = Set((withManifest.isEmpty ? shards : withManifest).map(\.index))
      .subtracting(undone.map(\.index))
    let missing = (1...count).filter { !there.contains($0) }
    guard missing.isEmpty else {
      throw CommandError(
        "\(folder): not done are the parts \(list(missing.map { "\($0)/\(count)" })); run the command again with --shard and each of them."
      )
    }
    guard !withManifest.isEmpty else { return nil }
    let parts = try shards.map { shard in
      try SortedLines(Manifest.path(in: folder, shard)) { line in
        Manifest.fileName(of: Data(line)).map { Array($0.utf8) }
      }
    }
    let headers = try parts.map { part in
      guard let first = part.first,
        let header = try? Manifest.decoder.decode(Manifest.Header.self, from: Data(first))
      else {
        throw CommandError("\(part.path), line 1: it begins no manifest; do that part again.")
      }
      return header
    }
    let head = headers[0].part(nil, of: 0)
    for (part, header) in zip(parts, headers) {
      guard header.inputs == headers[0].inputs else {
        throw CommandError(
          "\(part.path): of a job with other inputs (\(header.inputs ?? 0) of them, and \(headers[0].inputs ?? 0) of the first part); do the parts again on the same inputs."
        )
      }
      guard header.part(nil, of: 0).jsonLine == head.jsonLine else {
        throw CommandError(
          "\(part.path): made by another canonicalizer, or moved in another way, than the first part."
        )
      }
    }
    var images = 0
    try writeLines(to: path) { put in
      try put([head.jsonLine])
      var last: [UInt8]?
      try SortedLines.merge(parts) { line, name in
        guard name != last else {
          throw CommandError(
            "\(folder): \(String(decoding: name, as: UTF8.self)) is in two of the parts.")
        }
        try put([String(decoding: line, as: UTF8.self)])
        (last, images) = (name, images + 1)
      }
    }
    return images
  }

  private func mergeLedgers(_ shards: [Shard]) throws {
    let paths = ([nil] + shards.map { $0 as Shard? }).map { OutputLedger.path(in: folder, $0) }
    let parts = try paths.filter(Files.isRegular).map { path in
      try SortedLines(path) { line in
        (try? JSONDecoder().decode(String.self, from: Data(line))).map { Array($0.utf8) }
      }
    }
    try writeLines(to: paths[0]) { put in
      if let mark = parts.first?.first { try put([String(decoding: mark, as: UTF8.self)]) }
      try SortedLines.merge(parts) { line, _ in try put([String(decoding: line, as: UTF8.self)]) }
    }
  }
}

/// The lines of a file behind its first one, which stand in the order of their keys.
private final class SortedLines {
  let path: String
  let first: [UInt8]?
  private let lines: Lines
  private let key: ([UInt8]) -> [UInt8]?
  private var number = 1
  private var next: (line: [UInt8], key: [UInt8])?

  init(_ path: String, _ key: @escaping ([UInt8]) -> [UInt8]?) throws {
    guard let lines = Lines(of: path) else { throw CommandError("\(path) cannot be read.") }
    (self.path, self.lines, self.key) = (path, lines, key)
    first = lines.next()
    try advance()
  }

  private func advance() throws {
    number += 1
    next = try lines.next().map { line in
      guard let key = key(line) else {
        throw CommandError("\(path), line \(number): it is no entry; do that part again.")
      }
      return (line, key)
    }
  }

  /// Hands on the lines of several, those of the smallest key first.
  ///
  /// - Complexity: O(lines · files), in memory for a line of each.
  static func merge(
    _ parts: [SortedLines], _ use: (_ line: [UInt8], _ key: [UInt8]) throws -> Void
  ) throws {
    while true {
      var least: (part: SortedLines, line: [UInt8], key: [UInt8])?
      for part in parts {
        guard let (line, key) = part.next else { continue }
        if least.map({ key.lexicographicallyPrecedes($0.key) }) ?? true {
          least = (part, line, key)
        }
      }
      guard let least else { return }
      try use(least.line, least.key)
      try least.part.advance()
    }
  }
}
