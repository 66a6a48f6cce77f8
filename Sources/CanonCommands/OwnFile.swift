import Foundation
import TensorCore

/// The files of its own that canon puts into a folder of outputs: one of a kind, or one for each part of a job.
enum OwnFile: CaseIterable {
  /// The poses of the images there.
  case manifest
  /// What canon has written there.
  case ledger
  /// How far a job came that is not at its end.
  case journal

  /// The manifest of all parts, while `merge` removes what it is made of.
  static let merged = ".canon-merged.jsonl"

  private var spelling: (name: String, ending: String) {
    switch self {
    case .manifest: ("manifest", ".jsonl")
    case .ledger: (".canon", "")
    case .journal: (".canon-journal", ".jsonl")
    }
  }

  /// Its name, as `manifest.jsonl`, or, of a part of a job, `manifest-2-of-8.jsonl`.
  func name(_ shard: Shard? = nil) -> String {
    spelling.name + (shard.map { "-\($0.index)-of-\($0.count)" } ?? "") + spelling.ending
  }

  func path(in folder: String, _ shard: Shard? = nil) -> String { "\(folder)/\(name(shard))" }

  /// Whether an input's name is, or begins with, one that canon gives to a file of its own.
  static func isReserved(_ name: String) -> Bool {
    let first = String(name.prefix { $0 != "/" })
    return first == merged
      || allCases.contains { $0.name() == first || $0.shard(of: first) != nil }
  }

  /// Whether a name in a folder of outputs is one that only canon gives, be it to what is half-written.
  static func isOwn(_ name: String) -> Bool { isReserved(name) || Files.isPartial(name) }

  /// The part of a job that has a file of this name.
  private func shard(of name: String) -> Shard? {
    let (start, ending) = (spelling.name + "-", spelling.ending)
    guard name.hasPrefix(start), name.hasSuffix(ending),
      name.utf8.count > start.utf8.count + ending.utf8.count
    else { return nil }
    let words = name.dropFirst(start.count).dropLast(ending.count).split(separator: "-")
    guard words.count == 3, words[1] == "of" else { return nil }
    return Shard("\(words[0])/\(words[2])").flatMap { self.name($0) == name ? $0 : nil }
  }

  /// The parts of jobs of which something is in a folder.
  static func shards(in folder: String) -> [Shard] {
    var found: Set<Shard> = []
    for name in Files.names(in: folder) ?? [] {
      for file in allCases {
        if let shard = file.shard(of: name) { found.insert(shard) }
      }
    }
    return found.sorted { ($0.count, $0.index) < ($1.count, $1.index) }
  }

  /// Takes hold of a folder: alone, or beside the processes that do the other parts of the same job.
  ///
  /// - Throws: `CommandError` where somebody else does, parts of another job are there, or a manifest of somebody else's.
  static func hold(_ folder: String, _ shard: Shard?) throws -> FolderLock {
    guard let lock = FolderLock(folder, isShared: shard != nil) else {
      throw CommandError(
        "\(folder) is being written by another command; wait, or name another folder.")
    }
    if FileManager.default.fileExists(atPath: "\(folder)/\(merged)") {
      throw CommandError(
        "\(folder) holds parts of a job that were being joined; run `canon merge \(folder)`, or name another folder."
      )
    }
    try refuseHeld(journal.path(in: folder, shard), in: folder)
    try refuseOthers(in: folder, than: shard)
    let (rows, list) = (manifest.path(in: folder, shard), ledger.path(in: folder, shard))
    guard Manifest.isOne(rows) else { throw foreign(rows) }
    let isListed = FileManager.default.fileExists(atPath: list)
    guard !isListed || Files.isRegular(list) && OutputLedger.isOne(Files.bytes(of: list)) else {
      throw foreign(list)
    }
    return lock
  }

  /// - Throws: `CommandError` where another command does this part: what is in the folder then is its own, and not at its end.
  private static func refuseHeld(_ journal: String, in folder: String) throws {
    let descriptor = unsafe open(journal, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    guard flock(descriptor, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK else {
      throw held(folder)
    }
  }

  static func held(_ folder: String) -> CommandError {
    CommandError(
      "\(folder): this part of it is being written by another command; wait, or name another.")
  }

  static func foreign(_ path: String) -> CommandError {
    CommandError("\(path) is there, and canon did not write it; name another folder, or remove it.")
  }

  /// - Throws: `CommandError` where a folder holds parts of a job in another number, or, for a part, a whole job.
  static func refuseOthers(in folder: String, than shard: Shard?) throws {
    if let other = shards(in: folder).first(where: { $0.count != shard?.count }) {
      throw CommandError(
        "\(folder) holds parts of a job in \(other.count) (--shard), which are not joined; when all are done run `canon merge \(folder)`, or name another folder; to begin anew remove this one."
      )
    }
    guard shard != nil else { return }
    for whole in [manifest.path(in: folder), journal.path(in: folder)]
    where FileManager.default.fileExists(atPath: whole) {
      throw CommandError(
        "\(folder) holds a whole job, of one command or joined by `canon merge`, which parts (--shard) cannot join; name another folder."
      )
    }
  }
}
