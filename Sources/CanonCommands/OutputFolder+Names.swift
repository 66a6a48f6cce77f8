import Datasets
import Images
import TensorCore

/// The names of outputs.
extension OutputFolder {
  /// Whether nobody would give a name to a folder.
  static func isFileName(_ name: String) -> Bool {
    let others = [
      "zip", "gz", "tgz", "bz2", "xz", "zst", "7z", "rar", "pdf", "json", "jsonl", "csv", "html",
      "safetensors", "gif", "bmp", "jp2", "heic", "avif", "svg", "txt",
    ]
    let parts = Files.name(of: name).split(separator: ".")
    let ending = name.hasSuffix("/") || parts.count < 2 ? nil : parts.last
    return ImageCodecs.isImage(name) || ending.map { others.contains($0.lowercased()) } == true
  }

  /// The name under which what is made of an input is written: samples stay as they are, so that `photo.jpg` becomes
  /// `photo.jpg.png`.
  static func fileName(_ name: String) -> String { ImageCodecs.losslessName(name) }

  /// The names that what is made of an input can have: its own too where a file is turned without loss.
  static func fileNames(_ name: String) -> [String] {
    fileName(name) == name ? [name] : [fileName(name), name]
  }

  /// The names that it must not have in a folder of others: restored, `photo.jpg.png` would lie beside `photo.jpg`.
  static func takenNames(_ name: String) -> [String] {
    let plain = name.hasSuffix(".png") ? String(name.dropLast(4)) : ""
    return fileNames(name) + (fileName(plain) != plain ? [plain] : [])
  }
}
