import Canonicalization
import Datasets
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
    /// Which part of which job it is of, until `canon merge`.
    var part: JobPart?

    init(canonicalizer: String, _ options: PictureOptions, minMargin: Double? = nil) {
      (self.canonicalizer, self.minMargin) = (canonicalizer, minMargin)
      interpolation = options.interpolation.rawValue
      canvas = options.canvas.rawValue
      background = options.background
    }

    /// The same of a part of a job; of a whole where there is none.
    func of(_ part: JobPart?) -> Header {
      var header = self
      header.part = part
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
  /// Of what it was read from.
  let fingerprint: String

  /// Reads its lines, and those of journals, in which numbers need not be finite.
  static let decoder = {
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return decoder
  }()

  /// The files that the manifest of a folder lists, whatever else is wrong with it.
  static func files(in folder: String) -> [String] {
    let path = OwnFile.manifest.path(in: folder)
    guard Files.isRegular(path), let data = FileManager.default.contents(atPath: path) else {
      return []
    }
    struct Line: Decodable { var file: String }
    return data.split(separator: 0x0A).compactMap {
      try? JSONDecoder().decode(Line.self, from: $0).file
    }
  }

  /// The archive that a file of a manifest is in, where one manifest is that of many archives.
  static func archive(of file: String) -> String? {
    let first = String(file.prefix { $0 != "/" })
    return first.lowercased().hasSuffix(".tar") && first.utf8.count < file.utf8.count ? first : nil
  }

  /// The files that a folder's manifest tells of, one by one, whatever else is wrong with it.
  static func forEachFile(in folder: String, _ body: (_ file: String) -> Bool) {
    struct Row: Decodable { var file: String }
    guard let lines = Lines(of: OwnFile.manifest.path(in: folder)), lines.next() != nil else {
      return
    }
    for line in lines {
      guard let row = try? decoder.decode(Row.self, from: Data(line)), body(row.file) else {
        return
      }
    }
  }

  /// - Throws: `CommandError` where a folder's manifest is that of images in archives, and a job is on images in none, or the other way
  ///   round: one would take the place of the other.
  static func refuseOtherKind(in folder: String, isOfArchives: Bool) throws(CommandError) {
    var isOther = false
    forEachFile(in: folder) { file in
      isOther =
        (archive(of: file).map { Files.isRegular("\(folder)/\($0)") } == true) != isOfArchives
      return false
    }
    guard isOther else { return }
    let (there, own) = ("images in archives", "images in none")
    throw CommandError(
      "\(folder) has the manifest of \(isOfArchives ? own : there), and this job is on \(isOfArchives ? there : own); name another folder."
    )
  }

  /// Whether canon has written what is at a path, or nothing is there.
  static func isOne(_ path: String) -> Bool {
    guard Files.isRegular(path) else { return !FileManager.default.fileExists(atPath: path) }
    struct Line: Decodable { var format: String }
    let line = Lines(of: path)?.next().flatMap {
      try? JSONDecoder().decode(Line.self, from: Data($0))
    }
    return line?.format.hasPrefix("canon manifest") == true
  }

  /// Reads a manifest.
  ///
  /// - Throws: `DatasetError`, naming the line.
  init(folder: String) throws(DatasetError) {
    let path = OwnFile.manifest.path(in: folder)
    var content = Files.isRegular(path) ? FileManager.default.contents(atPath: path) : nil
    if TarArchive.isArchive(folder) {
      do throws(ArchiveError) {
        content = try TarArchive(path: folder).bytes(of: OwnFile.manifest.name()).map { Data($0) }
      } catch { throw .unreadable(path: folder, reason: error.reason) }
    }
    guard let data = content else {
      throw .unreadable(
        path: path,
        reason: !OwnFile.shards(in: folder).isEmpty
          ? "the parts of a job are there: `canon merge \(folder)` joins them"
          : Files.isRegular(OwnFile.journal.path(in: folder))
            ? "the job there was stopped: the command that began it, given again, brings it to its end"
            : "a folder, or archive, that `canon canonicalize` has written to its end has one")
    }
    func failure(_ line: Int, _ reason: String) -> DatasetError {
      .malformed(
        path: "\(path), line \(line),",
        reason: "\(reason); write it anew with `canon canonicalize`")
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
    var print = Fingerprint()
    print.add(data)
    (self.header, images, fingerprint) = (header, entries, print.text)
  }
}
