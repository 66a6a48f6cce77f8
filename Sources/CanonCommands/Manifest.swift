import Canonicalization
import Foundation
import Images
import Symmetry
import TensorCore

/// The poses of a folder's images, written beside their canonical forms: JSON lines, the first of
/// them the header, each written as its image is done.
struct Manifest {
  /// What holds for all images.
  struct Header: Codable {
    var format = "canon manifest 2"
    var canonicalizer: String
    var interpolation: String
    /// Missing in format 1, which kept sizes.
    var canvas: String?
    var background: String?
    /// Below which margin images were left as they were.
    var minMargin: Double?
    /// Which part of a job it is of, and how many inputs the whole has, until `canon merge`.
    var shard: Shard?
    var inputs: Int?

    init(canonicalizer: String, _ options: PictureOptions, minMargin: Double? = nil) {
      (self.canonicalizer, self.minMargin) = (canonicalizer, minMargin)
      interpolation = options.interpolation.rawValue
      canvas = options.canvas.rawValue
      background = options.background
    }

    /// The same of a part of a job on so many inputs; as it is where the job is in one part.
    func part(_ shard: Shard?, of inputs: Int) -> Header {
      var header = self
      (header.shard, header.inputs) = (shard, shard == nil ? nil : inputs)
      return header
    }

    /// Whether images are moved in the same way.
    func moves(as other: Header) -> Bool {
      (interpolation, canvas, background) == (other.interpolation, other.canvas, other.background)
    }
  }

  /// One image.
  struct Entry: Codable {
    var file: String
    /// The size of the original.
    var width, height: Int
    /// Of the canonical image beside the manifest; missing in format 1.
    var checksum: String?
    var quarterTurns: Int
    /// What remains of the angle, in radians, counterclockwise.
    var residual: Double
    var isReflected: Bool
    /// The whole pose where it is more than that: matrix and translation, in halves of the smaller side.
    var map: [Double]?
    var degrees: Double
    var margin: Double
    var ties: Int
    /// Whether restoring gives the original back bit for bit.
    var isExact: Bool
    /// The color beside the image, a number in 0…1 a channel.
    var background: [Double]?
    /// Of how many pages the file is, where the image is one of several.
    var pages: Int?
    /// Whether the image was left as it was, since its margin is below the smallest that is acted on.
    var isUnsure: Bool?

    var isometry: PlanarIsometry {
      PlanarIsometry(quarterTurns: quarterTurns, residual: residual, isReflected: isReflected)
    }

    /// What is wrong with it, if anything is: a foreign file may hold anything.
    var fault: String? {
      let parts = file.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
      if parts.contains(where: {
        $0.isEmpty || $0.elementsEqual(".".utf8) || $0.elementsEqual("..".utf8) || $0.contains(0)
      }) {
        return "its 'file' leads out of the folder"
      }
      guard (1...1_000_000).contains(width), (1...1_000_000).contains(height) else {
        return "its size is \(width) × \(height)"
      }
      guard (0..<4).contains(quarterTurns), abs(residual) <= .pi / 4 + 1e-9 else {
        return "its angle is no rest of quarter turns"
      }
      guard let m = map else { return nil }
      let isSane = m.count == 6 && m.allSatisfy { abs($0) <= 1e6 }
      guard isSane, abs(m[0] * m[3] - m[1] * m[2]) > 1e-12 else {
        return "its 'map' cannot be undone"
      }
      return nil
    }

    /// From the canonical image to the original.
    var motion: Motion {
      map.map {
        Motion(map: AffineMap(matrix: Array($0[..<4]), translation: Array($0[4...])))
      } ?? Motion(isometry: isometry)
    }
  }

  let header: Header
  let images: [Entry]

  static func path(in folder: String, _ shard: Shard? = nil) -> String {
    "\(folder)/\(shard.fileName("manifest", ".jsonl"))"
  }

  /// Reads its lines, and those of journals, in which numbers need not be finite.
  static let decoder = {
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return decoder
  }()

  /// The files that the manifest of a folder lists, whatever else is wrong with it.
  static func files(in folder: String) -> [String] {
    guard Files.isRegular(path(in: folder)),
      let data = FileManager.default.contents(atPath: path(in: folder))
    else { return [] }
    return data.split(separator: 0x0A).compactMap(fileName)
  }

  /// The file that a line is about, whatever else is wrong with it.
  static func fileName(of line: Data) -> String? {
    struct Line: Decodable { var file: String }
    return try? JSONDecoder().decode(Line.self, from: line).file
  }

  /// Reads a manifest.
  ///
  /// - Throws: `CommandError`, naming the line.
  init(folder: String) throws {
    let path = Manifest.path(in: folder)
    let content =
      TarArchive.isArchive(folder)
      ? (try? TarArchive(path: folder))?.bytes(of: "manifest.jsonl").map { Data($0) }
      : Files.isRegular(path) ? FileManager.default.contents(atPath: path) : nil
    guard let data = content else {
      throw CommandError(
        "\(path) cannot be read; give a folder or archive that `canon canonicalize` has written to its end."
      )
    }
    func failure(_ line: Int, _ reason: String) -> CommandError {
      CommandError("\(path), line \(line): \(reason); write it anew with `canon canonicalize`.")
    }
    func decode<Value: Decodable>(_ line: Data, _ type: Value.Type) -> Value? {
      try? Manifest.decoder.decode(type, from: line.last == 0x0D ? line.dropLast() : line)
    }
    let lines = data.split(separator: 0x0A)
    guard let header = lines.first.flatMap({ decode($0, Header.self) }),
      ["canon manifest 1", "canon manifest 2"].contains(header.format)
    else { throw failure(1, "it is not a manifest of `canon canonicalize`") }
    guard Interpolation(rawValue: header.interpolation) != nil,
      header.canvas.map({ Canvas(rawValue: $0) != nil }) ?? true,
      header.background.map({ (try? PictureOptions.background($0, of: nil)) != nil }) ?? true
    else { throw failure(1, "it names an interpolation, canvas or background that is not known") }
    var entries: [Entry] = []
    var seen: Set<[UInt8]> = []
    for (n, line) in lines.enumerated().dropFirst() {
      guard let entry = decode(line, Entry.self) else { throw failure(n + 1, "it is no entry") }
      if let fault = entry.fault { throw failure(n + 1, fault) }
      // By bytes: two names that only look alike are two files.
      guard seen.insert(Array(entry.file.utf8)).inserted else {
        throw failure(n + 1, "\(entry.file) stands there a second time")
      }
      entries.append(entry)
    }
    guard !entries.isEmpty else { throw failure(1, "it names no image") }
    self.header = header
    images = entries
  }
}

/// Writes a manifest when all is done, from the journal of what was.
///
/// Without `finish` there is none: a manifest never describes other images than those beside it. What an earlier one says of
/// images that are not written now stays.
final class ManifestWriter {
  /// One image that was written, and the input that it was made of.
  typealias Item = (name: String, entry: Manifest.Entry)

  private let path: String
  private let header: Manifest.Header
  private let journal: Journal
  /// Of an earlier run.
  let others: [Manifest.Entry]

  /// - Parameters:
  ///   - names: Of the inputs whose images are written.
  ///   - inputs: Their folder.
  ///   - job: What, beside the header, images follow from; `nil` where all is done from the beginning, whatever was done before.
  /// - Throws: `CommandError`, also where an earlier manifest moves images in another way.
  init(
    _ folder: OutputFolder, _ header: Manifest.Header, of names: [String], in inputs: String,
    job: [String: String]? = nil
  ) throws {
    let path = Manifest.path(in: folder.path, folder.shard)
    (self.path, self.header) = (path, header)
    let written = Set(names.flatMap(OutputFolder.fileNames).map { Array($0.utf8) })
    let earlier =
      folder.shard == nil && Files.isRegular(path) ? try? Manifest(folder: folder.path) : nil
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
    let about = job.map { $0.merging(["manifest": header.jsonLine]) { $1 } }
    journal = try Journal(folder.path, about, inputs: inputs, names: names, shard: folder.shard)
  }

  /// Which of the inputs are still to be done, by their places.
  func left(of names: [String]) -> [Int] {
    names.indices.filter { !journal.isDone(names[$0]) }
  }

  /// Hands over what was done before, one by one.
  func takeDone(_ use: (Manifest.Entry) throws -> Void) throws {
    try journal.forEach { bytes in
      guard let entry = try? Manifest.decoder.decode(Manifest.Entry.self, from: Data(bytes)) else {
        return
      }
      try use(entry)
    }
  }

  /// Writes down some images, which are there.
  func append(_ items: [Item]) throws {
    let lines = jsonLines(items.map(\.entry))
    try journal.append(zip(items, lines).map { ($0.name, $0.entry.file, $1) })
  }

  /// Writes the manifest.
  func finish() throws {
    try writeLines(to: path) { put in
      try put([header.jsonLine])
      try journal.forEach { try put([String(decoding: $0, as: UTF8.self)]) }
      try put(jsonLines(others))
    }
  }

  /// Forgets how far the job came: all that it makes is at its place.
  func close() { journal.remove() }
}

extension Manifest {
  /// Removes the manifest of an earlier run, if one is there.
  static func remove(_ path: String) throws(CommandError) {
    guard unsafe unlink(path) == 0 || errno == ENOENT else {
      throw CommandError("\(path), of an earlier run, cannot be removed; check its permission.")
    }
  }

  /// Hands on the lines of an archive's manifest, with the archive's name before each file's.
  static func forEach(
    inArchive path: String, named name: String, _ put: ([String]) throws -> Void
  ) throws {
    // What could not be read has none.
    guard let bytes = (try? TarArchive(path: path))?.bytes(of: "manifest.jsonl") else { return }
    // Within a text of JSON quotes are spelled otherwise.
    let (key, above) = (
      Array("\"file\":\"".utf8), Array("\(name)/".jsonLine.utf8.dropFirst().dropLast())
    )
    for line in bytes.split(separator: 0x0A).dropFirst() {
      guard let place = line.firstRange(of: key)?.upperBound else {
        throw CommandError(
          "\(path): its manifest has a line without a file; remove it, and run it again.")
      }
      try put([String(decoding: line[..<place] + above + line[place...], as: UTF8.self)])
    }
  }
}
