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
      be complete. Where the processes had no folder in common, copy what they wrote into one first. Status 2 says that some inputs of \
      the parts could not be used.

      EXAMPLES
        for i in 1 2 3 4; do
          canon canonicalize pages scans upright --shard $i/4 &
        done; wait
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
    Files.removePartials(in: folder)
    let (path, merged) = (OwnFile.manifest.path(in: folder), "\(folder)/\(OwnFile.merged)")
    let shards = OwnFile.shards(in: folder)
    if !FileManager.default.fileExists(atPath: merged) {
      guard !shards.isEmpty else {
        let isOwn = OutputLedger.isOne(Files.bytes(of: OwnFile.ledger.path(in: folder)))
        guard isOwn || Manifest.isOne(path) && Files.isRegular(path) && !Files.isLink(path) else {
          throw CommandError("\(folder) holds no part of a job (--shard).")
        }
        let rows = Files.isRegular(path) ? try Lines(of: path)?.countRest(path) : nil
        guard rows != nil || !isLeft else {
          throw CommandError(
            "\(folder): the job is not at its end; its command given again goes on.")
        }
        return try tell(Summary(images: rows.map { max(0, $0 - 1) }, parts: 0, failed: nil), path)
      }
      guard !FileManager.default.fileExists(atPath: path) else {
        throw CommandError(
          "\(path) is there beside the parts, and is none of them; move it, or copy the parts into a folder of their own."
        )
      }
      try merge(shards, to: merged)
    }
    guard Files.isRegular(merged), !Files.isLink(merged),
      Manifest.isOne(merged) || Lines(of: merged)?.next() == Array(Self.noManifest.utf8)
    else { throw OwnFile.foreign(merged) }
    let left = shards.map { OutputLedger.part(at: OwnFile.ledger.path(in: folder, $0))?.left ?? 0 }
    // From here on nothing is lost, wherever it is stopped: what has been joined is there, and is only put in order.
    try mergeLedgers(shards)
    // Those of which something is left go last, so that a merge that was stopped knows it too.
    let order = zip(shards, left).filter { $1 == 0 } + zip(shards, left).filter { $1 > 0 }
    for path in order.flatMap({ shard, _ in OwnFile.allCases.map { $0.path(in: folder, shard) } }) {
      guard unsafe unlink(path) == 0 || errno == ENOENT else {
        throw CommandError(
          "\(path) cannot be removed; check the folder's permission, and merge again.")
      }
    }
    let summary = Summary(
      images: try end(merged, as: path), parts: shards.first?.count,
      failed: shards.isEmpty ? nil : left.reduce(0, +))
    try tell(summary, path)
  }

  /// Whether something of the whole job is left to do.
  private var isLeft: Bool {
    FileManager.default.fileExists(atPath: OwnFile.journal.path(in: folder))
  }

  /// Says what is there, and what is not.
  ///
  /// - Throws: Exit status 2 where some inputs are left out.
  private func tell(_ summary: Summary, _ manifest: String) throws {
    let failed = summary.failed ?? 0
    if isLeft {
      note(
        "The job is not at its end: some archives could not be read, or it was stopped; the command given again, without --shard, "
          + "does what is left."
      )
    } else if failed > 0 {
      note("\(failed) \(failed == 1 ? "input" : "inputs") of the parts could not be used.")
    }
    try emit(json ? summary.jsonLine : sentence(summary, manifest))
    if isLeft || failed > 0 { throw ExitCode(2) }
  }

  private func sentence(_ summary: Summary, _ manifest: String) -> String {
    let count = summary.parts ?? 0
    let parts = count == 0 ? "all parts" : "\(count) \(count == 1 ? "part" : "parts")"
    let end = summary.parts == 0 ? ": no part is left to join" : ""
    return summary.images.map {
      "\($0) \($0 == 1 ? "image" : "images") of \(parts) in \(manifest)\(end)."
    } ?? "\(folder) is complete, in \(parts)\(end)."
  }

  /// What stands in the place of a manifest where the parts have none.
  private static let noManifest = "parts without manifests, joined by canon"

  private struct Summary: Encodable {
    /// Missing where the parts have no manifests.
    let images: Int?
    /// Missing where an earlier merge was stopped at its end.
    let parts: Int?
    /// How many images, or archives, of the parts could not be used; missing as `parts`.
    let failed: Int?
  }

  /// Joins the parts' manifests.
  ///
  /// - Parameter merged: Where the manifest of all is written to; nothing where they have none.
  private func merge(_ shards: [Shard], to merged: String) throws {
    var parts: [(path: String, part: JobPart)] = []
    for path in shards.map({ OwnFile.ledger.path(in: folder, $0) }) {
      if let part = OutputLedger.part(at: path) { parts.append((path, part)) }
    }
    let count = shards[0].count
    guard shards.allSatisfy({ $0.count == count }) else {
      throw CommandError("\(folder) holds parts of two jobs, in \(count) and in other numbers.")
    }
    for (path, part) in parts {
      guard (part.job, part.inputs) == (parts[0].part.job, parts[0].part.inputs) else {
        throw CommandError(
          "\(path): of another job than \(parts[0].path): on other inputs, with another model, or other flags; do the parts again alike."
        )
      }
    }
    let there = Set(parts.map(\.part.shard.index))
    let missing = (1...count).filter { !there.contains($0) }.map { "\($0)/\(count)" }
    for part in missing.lazy.compactMap({ Shard($0) }) {
      let (list, rows) = (OwnFile.ledger.name(part), OwnFile.manifest.name(part))
      guard !Files.isRegular("\(folder)/\(list)"), Files.isRegular("\(folder)/\(rows)") else {
        continue
      }
      throw CommandError(
        "\(folder) holds \(rows), and not \(list): copy names that begin with a dot too.")
    }
    guard missing.isEmpty else {
      let list = missing.prefix(20).joined(separator: ", ") + (missing.count > 20 ? ", …" : "")
      throw CommandError(
        "\(folder): not done are the parts \(list); run the command again with --shard and each of them."
      )
    }
    // What was done has a manifest of each part, or of none.
    let paths = parts.map { OwnFile.manifest.path(in: folder, $0.part.shard) }
    let headers = try paths.filter(Files.isRegular).map { path in
      let line = Lines(of: path)?.next() ?? []
      guard let header = try? Manifest.decoder.decode(Manifest.Header.self, from: Data(line)),
        header.part?.job == parts[0].part.job
      else { throw CommandError("\(path), line 1: it begins no manifest of the job; do it again.") }
      guard PartRow.isWhole(path) else {
        throw CommandError(
          "\(path) is not whole, and nothing was joined; copy it again, or do that part again.")
      }
      return header.of(nil)
    }
    guard headers.isEmpty || headers.count == paths.count else {
      throw CommandError(
        "\(folder): \(paths.count - headers.count) of the parts have no manifest; do these again.")
    }
    // Of archives that could not be read the next command does these alone.
    let isOfArchives = shards.contains { Files.isRegular(OwnFile.journal.path(in: folder, $0)) }
    if isOfArchives && parts.contains(where: { $0.part.left > 0 }) {
      try Journal.join(shards, in: folder)
    }
    try writeLines(to: merged) { put in
      guard let header = headers.first else { return try put([Self.noManifest]) }
      try put([header.jsonLine])
      let rows = SortedLines<Int>(
        key: { line, _ in PartRow.row(of: line)?.place },
        refuse: {
          throw CommandError("\(folder): some images are in two of the parts; do these again.")
        })
      try rows.merge(paths, in: folder) { line in
        if let (_, row) = PartRow.row(of: line) { try put([String(decoding: row, as: UTF8.self)]) }
      }
    }
  }

  /// Joins the parts' lists of files with that of all, as often as it is done.
  private func mergeLedgers(_ shards: [Shard]) throws {
    let whole = OwnFile.ledger.path(in: folder)
    let paths = [whole] + shards.map { OwnFile.ledger.path(in: folder, $0) }
    let there = paths.filter(Files.isRegular)
    guard let first = there.first else { return }
    guard let mark = Lines(of: first)?.next() else {
      throw CommandError("\(first) cannot be read; check its permission, and the disk.")
    }
    let names = SortedLines<ByteName>(
      key: { line, _ in OutputLedger.name(in: line).map(ByteName.init) }, refuse: {})
    let merged = "\(folder)/\(Files.partialName("ledger"))"
    defer { unsafe unlink(merged) }
    var isEmpty = true
    try writeLines(to: merged) { put in
      try put([String(decoding: mark, as: UTF8.self)])
      try names.merge(there, in: folder) { line in
        isEmpty = false
        try put([String(decoding: line, as: UTF8.self)])
      }
    }
    // Of parts that list nothing one process would have left no list.
    guard !isEmpty || there.contains(whole) else { return }
    guard unsafe rename(merged, whole) == 0 else {
      throw CommandError("\(whole) cannot be written; check the folder's permission.")
    }
  }

  /// Gives the manifest of all its name.
  ///
  /// - Returns: How many images it has; `nil` where the parts had no manifests.
  private func end(_ merged: String, as path: String) throws -> Int? {
    guard let lines = Lines(of: merged) else {
      throw CommandError("\(merged) cannot be read; check its permission.")
    }
    guard lines.next() != Array(Self.noManifest.utf8) else {
      unsafe unlink(merged)
      return nil
    }
    let count = try lines.countRest(merged)
    guard unsafe rename(merged, path) == 0 else {
      throw CommandError("\(path) cannot be written; check the folder's permission.")
    }
    return count
  }
}

/// A name, in the order of names' bytes.
private struct ByteName: Comparable {
  let bytes: [UInt8]

  static func < (one: ByteName, other: ByteName) -> Bool {
    one.bytes.lexicographicallyPrecedes(other.bytes)
  }
}
