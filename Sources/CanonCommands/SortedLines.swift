import Foundation
import TensorCore

extension Lines {
  /// - Throws: `CommandError` where reading has failed, and not come to the end.
  func check(_ path: String) throws(CommandError) {
    if hasFailed { throw CommandError("\(path) cannot be read to its end; check the disk.") }
  }

  /// How many lines there are from here on.
  ///
  /// - Throws: As `check`.
  func countRest(_ path: String) throws(CommandError) -> Int {
    let count = count { _ in true }
    try check(path)
    return count
  }
}

/// Joins files whose lines, behind the first one, stand in the order of their keys.
struct SortedLines<Key: Comparable> {
  /// The key of a line of a file; `nil` of one that is left out.
  let key: (_ line: [UInt8], _ path: String) throws -> Key?
  /// Called where a line has the key of the one before, which is of another file; it is left out.
  let refuse: () throws -> Void

  /// How many files are open at a time: a system lets a program open some hundreds.
  private var width: Int { 128 }

  /// Hands on the lines of several files, those of the smallest key first.
  ///
  /// - Parameter folder: Where many files are joined to fewer first.
  /// - Complexity: O(lines · files), at most 128 of them at a time, in memory for a line of each.
  func merge(
    _ paths: [String], in folder: String, _ use: (_ line: [UInt8]) throws -> Void
  ) throws {
    guard paths.count > width else { return try mergeFew(paths, use) }
    var joined: [String] = []
    defer { for path in joined { unsafe unlink(path) } }
    for start in stride(from: 0, to: paths.count, by: width) {
      let path = "\(folder)/\(Files.partialName("lines-\(paths.count)-\(start)"))"
      joined.append(path)
      try writeLines(to: path) { put in
        // In place of a first line.
        try put([""])
        try mergeFew(Array(paths[start..<min(paths.count, start + width)])) { line in
          try put([String(decoding: line, as: UTF8.self)])
        }
      }
    }
    try merge(joined, in: folder, use)
  }

  private func mergeFew(_ paths: [String], _ use: (_ line: [UInt8]) throws -> Void) throws {
    let files = try paths.map { path in
      guard let lines = Lines(of: path) else {
        throw CommandError("\(path) cannot be read (\(unsafe String(cString: strerror(errno)))).")
      }
      _ = lines.next()
      try lines.check(path)
      return lines
    }
    func next(_ n: Int) throws -> (key: Key, line: [UInt8])? {
      while let line = files[n].next() {
        if let key = try key(line, paths[n]) { return (key, line) }
      }
      try files[n].check(paths[n])
      return nil
    }
    var heads = try files.indices.map(next)
    var last: (key: Key, file: Int)?
    while true {
      var least: (key: Key, line: [UInt8], file: Int)?
      for (n, head) in heads.enumerated() {
        guard let head, least.map({ head.key < $0.key }) ?? true else { continue }
        least = (head.key, head.line, n)
      }
      guard let least else { return }
      if let last, last.key == least.key, last.file != least.file {
        try refuse()
      } else {
        try use(least.line)
        last = (least.key, least.file)
      }
      heads[least.file] = try next(least.file)
    }
  }
}
