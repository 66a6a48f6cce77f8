import Foundation
import Symmetry

/// The poses of a folder's images, written beside their canonical forms.
struct Manifest: Codable {
  /// One image.
  struct Entry: Codable {
    var file: String
    var quarterTurns: Int
    /// What remains of the angle, in radians, counterclockwise.
    var residual: Double
    var isReflected: Bool
    var degrees: Double
    var margin: Double
    var ties: Int
    /// Whether restoring gives the original back bit for bit.
    var isExact: Bool

    var isometry: PlanarIsometry {
      PlanarIsometry(quarterTurns: quarterTurns, residual: residual, isReflected: isReflected)
    }
  }

  var format = "canon manifest 1"
  var canonicalizer: String
  var interpolation: String
  var border: String
  var images: [Entry] = []

  static func path(in folder: String) -> String { "\(folder)/manifest.json" }

  /// - Throws: `CommandError`.
  init(folder: String) throws {
    let path = Manifest.path(in: folder)
    guard let data = FileManager.default.contents(atPath: path) else {
      throw CommandError("\(path) cannot be read; give the folder that `canon canonicalize` wrote.")
    }
    guard let manifest = try? JSONDecoder().decode(Manifest.self, from: data),
      manifest.format == "canon manifest 1",
      manifest.images.allSatisfy({
        !$0.file.split(separator: "/").contains("..") && $0.residual.isFinite
      })
    else {
      throw CommandError("\(path) is not a manifest of `canon canonicalize`; write it anew.")
    }
    self = manifest
  }

  init(canonicalizer: String, interpolation: String, border: String) {
    self.canonicalizer = canonicalizer
    self.interpolation = interpolation
    self.border = border
  }

  func write(to folder: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    let data = try encoder.encode(self)
    try writeText(String(decoding: data, as: UTF8.self) + "\n", to: Manifest.path(in: folder))
  }
}
