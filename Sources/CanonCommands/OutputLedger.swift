import Foundation
import Images
import Synchronization
import TensorCore

/// What canon has written in a folder, so that a job that was stopped is done again, and what others put there stays theirs:
/// the file `.canon` there, with a name on each line, in JSON.
///
/// A name is added before its file is written, and `finish` puts them in order.
final class OutputLedger: Sendable {
  private static let mark = "The files that are listed here are written, and replaced, by canon.\n"
  /// Of versions before, which listed nothing.
  private static let markOfAll = "Images here are written, and replaced, by canon.\n"

  private let folder: String
  private let path: String
  /// The names that earlier commands have written.
  let earlier: Set<[UInt8]>
  /// Of these, the ones that this ledger lists, and not that of another part of the job.
  private let own: Set<[UInt8]>
  /// Whether an earlier version wrote here, which did not say what.
  private let ownsAll: Bool
  private let added = Mutex<(names: Set<[UInt8]>, order: [String], file: Int32)>(([], [], -1))

  /// Whether a file is one of these.
  static func isOne(_ bytes: [UInt8]?) -> Bool {
    guard let bytes else { return false }
    return bytes.starts(with: mark.utf8) || bytes.elementsEqual(markOfAll.utf8)
  }

  init(folder: String, _ shard: Shard? = nil) {
    (self.folder, path) = (folder, OwnFile.ledger.path(in: folder, shard))
    // Whoever holds a folder alone has no parts beside.
    let parts = shard == nil ? [] : OwnFile.shards(in: folder)
    let paths = ([nil] + parts.map { $0 as Shard? }).map { OwnFile.ledger.path(in: folder, $0) }
    let listed = paths.map { path -> Set<[UInt8]>? in
      let bytes = Files.isRegular(path) ? Files.bytes(of: path) : nil
      return bytes.flatMap { $0.starts(with: Self.mark.utf8) ? Set(Self.names(in: $0)) : nil }
    }
    let whole = paths.firstIndex(of: path).flatMap { listed[$0] }
    let all = listed.compactMap { $0 }
    if all.isEmpty {
      earlier = Set(Manifest.files(in: folder).map { Array($0.utf8) })
      ownsAll =
        !earlier.isEmpty || Files.bytes(of: paths[0])?.elementsEqual(Self.markOfAll.utf8) == true
    } else {
      (earlier, ownsAll) = (all.reduce(into: []) { $0.formUnion($1) }, false)
    }
    own = whole ?? (shard == nil ? earlier : [])
  }

  /// Whether nothing is listed.
  var isEmpty: Bool { earlier.isEmpty && added.withLock { $0.names.isEmpty } }

  deinit { added.withLock { if $0.file >= 0 { close($0.file) } } }

  private static func names(in bytes: [UInt8]) -> [[UInt8]] {
    bytes.split(separator: 0x0A).dropFirst().compactMap { name(in: Array($0)) }
  }

  /// A name in JSON: as it is where nothing in it is spelled otherwise.
  private static func line(_ name: String) -> String {
    let isPlain = name.utf8.allSatisfy { 0x20..<0x7F ~= $0 && $0 != 0x22 && $0 != 0x5C }
    return isPlain ? "\"\(name)\"" : name.jsonLine
  }

  /// The name that a line lists; `nil` of the line that says of which job it is.
  static func name(in line: [UInt8]) -> [UInt8]? {
    (try? JSONDecoder().decode(String.self, from: Data(line))).map { Array($0.utf8) }
  }

  /// The part of a job whose list is at a path; `nil` where it is not at its end.
  static func part(at path: String) -> JobPart? {
    guard Files.isRegular(path), let lines = Lines(of: path), lines.next() != nil,
      let line = lines.next()
    else { return nil }
    return try? JSONDecoder().decode(JobPart.self, from: Data(line))
  }

  /// Whether a file of this name may be replaced.
  func owns(_ name: String) -> Bool { ownsAll || earlier.contains(Array(name.utf8)) }

  /// Begins to list what is written; where that cannot be, the first image says why.
  func open() {
    added.withLock { state in
      let names = own.map { String(decoding: $0, as: UTF8.self) }.sortedByBytes()
      // What is added is not on the disk sooner either.
      guard write(names, isDurable: !names.isEmpty) else { return }
      state.file = unsafe Glibc.open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW)
    }
  }

  /// What was added.
  var names: Set<[UInt8]> { added.withLock(\.names) }

  /// Adds a name, once.
  ///
  /// - Throws: `ImageError.unwritable` where the list cannot be written: what it does not name would be somebody else's.
  func add(_ name: String) throws(ImageError) {
    let reason = added.withLock { state -> String? in
      let bytes = Array(name.utf8)
      guard !state.names.contains(bytes) else { return nil }
      if state.file >= 0, let reason = Self.append(name, to: state.file) { return reason }
      state.names.insert(bytes)
      state.order.append(name)
      return nil
    }
    if let reason { throw .unwritable(path: path, reason: reason) }
  }

  /// Adds a line to a file, whole or not at all.
  ///
  /// - Returns: Why it could not be, or `nil`.
  private static func append(_ name: String, to file: Int32) -> String? {
    let line = Array((line(name) + "\n").utf8)
    let count = unsafe Glibc.write(file, line, line.count)
    guard count < line.count else { return nil }
    let reason = unsafe String(cString: strerror(count < 0 ? errno : ENOSPC))
    if count > 0 { _ = ftruncate(file, lseek(file, 0, SEEK_END) - count) }
    return reason
  }

  /// Lists in order what is there, of some names alone or of all, and, of a part of a job, which one it is.
  ///
  /// - Throws: `CommandError` where it cannot be written, and `merge` would wait for it.
  func finish(_ part: JobPart?, only: Set<[UInt8]>? = nil) throws {
    try added.withLock { state in
      // In the order of writing they are sorted soon.
      let before = (only ?? own.subtracting(state.names)).map {
        String(decoding: $0, as: UTF8.self)
      }
      let names = (before + (only == nil ? state.order : [])).sortedByBytes()
      let there = names.filter { Files.isRegular("\(folder)/\($0)") }
      guard write(there, part) || part == nil else {
        throw CommandError("\(path) cannot be written; check the free space.")
      }
    }
  }

  private func write(_ names: [String], _ part: JobPart? = nil, isDurable: Bool = true) -> Bool {
    let text =
      Self.mark
      + ([part.map(\.jsonLine)].compactMap { $0 } + names.map(Self.line))
      .map { $0 + "\n" }.joined()
    return
      (try? Files.replace(path, by: Array(text.utf8), isDurable: isDurable) { CommandError($0) })
      != nil
  }
}
