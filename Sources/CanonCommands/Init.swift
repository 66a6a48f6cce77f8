import ArgumentParser
import Datasets
import Foundation
import Images
import TensorCore

struct Init: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init",
    abstract: "Writes a configuration for a folder of images, to train with.",
    discussion: """
      FOLDER has one subfolder of images per class. What is written fits their number, sizes and colors, and says so \
      in comments; change it as you like.

      EXAMPLES
        canon init photos-by-class
        canon init photos-by-class --out my.yaml && canon train my.yaml
      """)

  @Argument(help: "A folder with one subfolder of images per class.")
  var folder: String

  @Option(help: "The file to write; by default the folder's name with .yaml.")
  var out: String?

  @Flag(help: "Write over a file that is there.")
  var force = false

  @OptionGroup var common: CommonOptions

  func validate() throws {
    if let out, !out.hasSuffix(".yaml") && !out.hasSuffix(".yml") {
      throw ValidationError("--out must name a file that ends in .yaml, not \(out).")
    }
  }

  func run() throws {
    common.apply()
    let images = try ImageFolder(path: folder)
    let counts = ImageFolder.classes(of: images.files)
    guard counts.count > 1 else {
      throw CommandError(
        "\(folder) has images in \(counts.count) subfolder\(counts.count == 1 ? "" : "s"): put them into one subfolder per "
          + "class, two classes at least.")
    }
    let name = String(
      (Place(folder).name ?? "model").map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "-" }
    ).trimmingCharacters(in: CharacterSet(charactersIn: "-"))
    let path = out ?? "\(name.isEmpty ? "model" : name).yaml"
    try refuse(path, amongInputs: folder)
    guard images.files.count >= 8 else {
      throw CommandError(
        "\(folder) holds \(images.files.count) images, too few to learn from; a dozen per class is a beginning."
      )
    }
    guard force || !FileManager.default.fileExists(atPath: path) else {
      throw CommandError("\(path) is there already; name another --out, or say --force.")
    }
    // What some of them, evenly from the whole, look like.
    let step = max(1, images.files.count / 64)
    let sample = stride(from: 0, to: images.files.count, by: step).compactMap {
      try? Image(path: "\(folder)/\(images.files[$0])")
    }
    guard !sample.isEmpty else {
      throw CommandError("None of the images in \(folder) can be read.")
    }
    let isColored = sample.contains(where: \.isColored)
    let sides = sample.map { min($0.width, $0.height) }.sorted()
    let size = min(32, max(8, sides[sides.count / 2]))
    let sizes = counts.map(\.count)
    let (least, most) = (sizes.min() ?? 1, sizes.max() ?? 1)
    try prepareFolder(Files.parent(of: path))
    let text = """
      # \(sizes.reduce(0, +)) images of \(counts.count) classes, \(least) to \(most) each, about \(sides[sides.count / 2]) pixels wide or high.
      name: \(name.isEmpty ? "model" : name)
      data:
        kind: folder
        path: \(folder.quoted)   # from where `canon train` is run
        valid: 0.1      # held out to choose the best epoch
        test: 0.1       # held out from everything: `canon train --test` measures on it
      input:
        size: \(size)        # larger sees finer details, and costs more
        channels: \(isColored ? 3 : 1)     # \(isColored ? "color" : "gray")
      # The poses: C4 for quarter turns, exactly and straight; C8 or C16 where images lie at any angle (their forms may lie
      # diagonally). `canon components` lists others.
      canonicalizer: {kind: learned, group: C4, kernel: 5, layers: 3, channels: 16, gradient: mixture}
      backbone: {kind: small-cnn}
      # Batch and epochs follow the number of images; give 'batch' and 'epochs' to choose them.
      training: {patience: 40\(most > 3 * least ? ", classWeights: balanced" : "")}

      """
    let failure = CommandError(
      "\(path) cannot be written; check its permission and the free space.")
    try Files.replace(path, by: Array(text.utf8)) { _ in failure }
    try emit(
      "\(path): \(sizes.reduce(0, +)) images, \(counts.count) classes (\(least) to \(most) images each)\(most > 3 * least ? ", weighed alike" : "")."
    )
    let names = counts.map(\.name)
    let nested = names.filter { name in
      images.files.contains { file in
        let parts = file.utf8.split(separator: UInt8(ascii: "/"))
        return parts.count > 2 && parts[0].elementsEqual(name.utf8)
      }
    }
    if !common.quiet {
      note("Classes: \(names.prefix(20).joined(separator: ", "))\(names.count > 20 ? ", …" : "").")
      if !nested.isEmpty {
        note(
          "Note: \(nested.prefix(5).joined(separator: ", ")) has subfolders of its own, all of one class."
        )
      }
    }
    if !common.quiet { note("Next: canon train \(path) --test") }
    var failures = Failures(("image", "images", "file"))
    failures.report(images.errors)
    try failures.finish()
  }
}

extension Image {
  /// Whether any pixel is not gray.
  fileprivate var isColored: Bool {
    guard channels >= 3 else { return false }
    return stride(from: 0, to: samples.count, by: channels).contains {
      let (r, g, b) = (Int(samples[$0]), Int(samples[$0 + 1]), Int(samples[$0 + 2]))
      // Scans of gray pages are never quite gray.
      return max(r, g, b) - min(r, g, b) > maximum / 8
    }
  }
}

extension String {
  /// As YAML, with quotes; by scalars, so that no accent hides a quote.
  var quoted: String {
    "\""
      + unicodeScalars.map { scalar in
        switch scalar {
        case "\"", "\\": "\\" + String(scalar)
        case "\u{2028}", "\u{2029}": "\\u" + String(scalar.value, radix: 16)
        default: scalar.spelledOut ?? String(scalar)
        }
      }.joined() + "\""
  }
}
