import Canonicalization
import Foundation
import Symmetry

/// The poses of a folder's images, written beside their canonical forms: JSON lines, the first of
/// them the header, each written as its image is done.
struct Manifest {
  /// What holds for all images.
  struct Header: Codable {
    var format = "canon manifest 1"
    var canonicalizer: String
    var interpolation: String
    var border: String
  }

  /// One image.
  struct Entry: Codable {
    var file: String
    /// The size of the original.
    var width, height: Int
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

    var isometry: PlanarIsometry {
      PlanarIsometry(quarterTurns: quarterTurns, residual: residual, isReflected: isReflected)
    }

    /// Whether the pose can be undone: a foreign file may hold anything.
    var isInvertible: Bool {
      guard let m = map else { return true }
      return m.count == 6 && m.allSatisfy(\.isFinite) && abs(m[0] * m[3] - m[1] * m[2]) > 1e-12
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

  static func path(in folder: String) -> String { "\(folder)/manifest.jsonl" }

  /// Reads a manifest.
  ///
  /// - Throws: `CommandError`.
  init(folder: String) throws {
    let path = Manifest.path(in: folder)
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw CommandError("\(path) cannot be read; give the folder that `canon canonicalize` wrote.")
    }
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    let lines = text.split(separator: "\n").map { Data($0.utf8) }
    let entries = lines.dropFirst().compactMap { try? decoder.decode(Entry.self, from: $0) }
    guard let header = lines.first.flatMap({ try? decoder.decode(Header.self, from: $0) }),
      header.format == "canon manifest 1", entries.count == lines.count - 1,
      entries.allSatisfy({
        !$0.file.hasPrefix("/") && !$0.file.split(separator: "/").contains("..")
          && $0.residual.isFinite && $0.width > 0 && $0.height > 0
          && $0.isInvertible
      })
    else {
      throw CommandError("\(path) is not a manifest of `canon canonicalize`; write it anew.")
    }
    self.header = header
    images = entries
  }
}

/// Writes a manifest line by line, beside its final name; `finish` renames it, and without it nothing
/// is left.
final class ManifestWriter {
  private let path: String
  private let handle: FileHandle
  private(set) var count = 0
  private(set) var ambiguous = 0

  /// - Throws: `CommandError`.
  init(folder: String, _ header: Manifest.Header) throws {
    path = Manifest.path(in: folder)
    let temporary = path + ".partial"
    guard FileManager.default.createFile(atPath: temporary, contents: nil),
      let handle = FileHandle(forWritingAtPath: temporary)
    else { throw CommandError("\(path) cannot be written; check the folder's permission.") }
    self.handle = handle
    try write([header.jsonLine])
  }

  deinit { unsafe unlink(path + ".partial") }

  /// Writes the lines of some images.
  func append(_ entries: [Manifest.Entry]) throws {
    count += entries.count
    ambiguous += entries.count { $0.ties > 0 }
    try write(jsonLines(entries))
  }

  func finish() throws {
    guard (try? handle.close()) != nil, unsafe rename(path + ".partial", path) == 0 else {
      throw CommandError("\(path) cannot be written; check the free space.")
    }
  }

  private func write(_ lines: [String]) throws {
    let text = lines.map { $0 + "\n" }.joined()
    do { try handle.write(contentsOf: Data(text.utf8)) } catch {
      throw CommandError("\(path) cannot be written; check the free space.")
    }
  }
}
