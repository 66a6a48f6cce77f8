import Datasets
import Foundation
import Images
import TensorCore

/// Writes a manifest when all is done, from the journal of what was.
///
/// Without `finish` there is none: a manifest never describes other images than those beside it. What an earlier one says of
/// images that are not written now stays.
final class ManifestWriter {
  /// One image that was written, and the input that it was made of.
  typealias Item = (name: String, entry: Manifest.Entry)

  private let folder: OutputFolder
  private let header: Manifest.Header
  /// Where the inputs of a part stand among those of the whole job.
  private let places: [Int]?
  private var path: String { OwnFile.manifest.path(in: folder.path, folder.part?.shard) }
  /// Of an earlier run.
  let others: [Manifest.Entry]

  /// - Parameters:
  ///   - names: Of the inputs whose images are written.
  ///   - places: Where they stand among those of the whole job, of which they are a part.
  /// - Throws: `CommandError`, also where an earlier manifest moves images in another way.
  init(
    _ folder: OutputFolder, _ header: Manifest.Header, of names: [String], _ places: [Int]?
  ) throws {
    (self.folder, self.header, self.places) = (folder, header, places)
    let path = OwnFile.manifest.path(in: folder.path, folder.part?.shard)
    let written = Set(names.flatMap(OutputFolder.fileNames).map { Array($0.utf8) })
    if folder.part == nil && !folder.isPacked {
      try Manifest.refuseOtherKind(in: folder.path, isOfArchives: false)
    }
    let joins = folder.part == nil && !folder.isPacked && Files.isRegular(path)
    let earlier = joins ? try? Manifest(folder: folder.path) : nil
    let others = (earlier?.images ?? []).filter { entry in
      let file = "\(folder.path)/\(entry.file)"
      return !written.contains(Array(entry.file.utf8))
        && (Files.isRegular(file) || entry.pages != nil && Files.isRegular(Files.parent(of: file)))
    }
    self.others = others
    if let earlier, !others.isEmpty, !earlier.header.moves(as: header) {
      throw CommandError(
        "\(folder.path) holds \(others.count) other \(others.count == 1 ? "image" : "images") of a command with another canvas, background or "
          + "interpolation, and one manifest has one of each; name another folder.")
    }
    try Manifest.remove(path)
    if let earlier, !others.isEmpty {
      try writeLines(to: path) { put in
        try put([earlier.header.jsonLine] + jsonLines(others))
      }
    }
  }

  /// Hands over what was done before, one by one.
  func takeDone(_ use: (Manifest.Entry) throws -> Void) throws {
    try folder.journal.forEach { _, bytes in
      guard let entry = try? Manifest.decoder.decode(Manifest.Entry.self, from: Data(bytes)) else {
        return
      }
      try use(entry)
    }
  }

  /// Writes down some images, which are there.
  func append(_ items: [Item]) throws {
    let lines = jsonLines(items.map(\.entry))
    try folder.journal.append(zip(items, lines).map { ($0.name, $0.entry.file, $1) })
  }

  /// Writes the manifest.
  func finish() throws {
    try Manifest.write(header, of: folder.part, to: path) { [self] put in
      try folder.journal.forEach { n, row in
        try put(String(decoding: row, as: UTF8.self), places?[n])
      }
      for line in jsonLines(others) { try put(line, nil) }
    }
  }
}

/// The rows of a part's manifest begin with the places of their inputs among those of the whole job, `{"place":12,…`, by which `merge`
/// puts them in order.
enum PartRow {
  private static let key = "{\"place\":"

  /// The last line of a part's manifest: one that was copied in half has none, or another number of rows.
  static func end(of count: Int) -> String { "{\"rows\":\(count)}" }

  /// Whether a part's manifest is whole.
  static func isWhole(_ path: String) -> Bool {
    guard let lines = Lines(of: path), lines.next() != nil else { return false }
    var (count, isEnded) = (0, false)
    while let line = lines.next() {
      guard !isEnded, lines.isWhole else { return false }
      if row(of: line) != nil { count += 1 } else { isEnded = true }
      guard !isEnded || line == Array(end(of: count).utf8) else { return false }
    }
    return isEnded && !lines.hasFailed
  }

  /// A row of a part; the row itself where there is no place.
  static func line(of row: String, at place: Int?) -> String {
    place.map { "\(key)\($0),\(row.dropFirst())" } ?? row
  }

  /// A row without its place, and that; `nil` for what is none.
  static func row(of line: [UInt8]) -> (place: Int, row: [UInt8])? {
    guard line.starts(with: key.utf8), let comma = line.firstIndex(of: UInt8(ascii: ",")),
      let place = Int(String(decoding: line[key.utf8.count..<comma], as: UTF8.self))
    else { return nil }
    return (place, [UInt8(ascii: "{")] + line[(comma + 1)...])
  }
}

extension Manifest {
  /// Writes a manifest: a header, rows, and, of a part of a job, how many these are.
  ///
  /// - Parameter rows: Hands over each row, and, of a part, the place of its input among those of the whole job.
  static func write(
    _ header: Header, of part: JobPart?, to path: String,
    _ rows: @escaping (_ put: (_ row: String, _ place: Int?) throws -> Void) throws -> Void
  ) throws {
    try writeLines(to: path) { put in
      var count = 0
      try put([header.of(part).jsonLine])
      try rows { row, place in
        try put([PartRow.line(of: row, at: place)])
        count += 1
      }
      if part != nil { try put([PartRow.end(of: count)]) }
    }
  }

  /// Removes the manifest of an earlier run, if one is there.
  static func remove(_ path: String) throws(CommandError) {
    guard unsafe unlink(path) == 0 || errno == ENOENT else {
      throw CommandError("\(path), of an earlier run, cannot be removed; check its permission.")
    }
  }

  /// Hands on the lines of an archive's manifest, with the archive's name before each file's.
  static func forEach(
    inArchive path: String, named name: String, _ put: (String) throws -> Void
  ) throws {
    guard let bytes = (try? TarArchive(path: path))?.bytes(of: OwnFile.manifest.name()) else {
      throw CommandError("\(path) has no manifest that can be read; remove it, and run it again.")
    }
    // Within a text of JSON quotes are spelled otherwise.
    let (key, above) = (
      Array("\"file\":\"".utf8), Array("\(name)/".jsonLine.utf8.dropFirst().dropLast())
    )
    for line in bytes.split(separator: 0x0A).dropFirst() {
      guard let place = line.firstRange(of: key)?.upperBound else {
        throw CommandError(
          "\(path): its manifest has a line without a file; remove it, and run it again.")
      }
      try put(String(decoding: line[..<place] + above + line[place...], as: UTF8.self))
    }
  }
}
