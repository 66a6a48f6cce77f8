import ArgumentParser
import Canonicalization
import Datasets
import Foundation
import Symmetry
import Training

struct Canonicalize: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "canonicalize",
    abstract: "Writes each image in its canonical pose, with a manifest of the poses.",
    discussion: """
      The pose is found at the model's input size and applied to the original, once. Channels, bit depth, color \
      profile, resolution, texts and EXIF stay (its orientation is honored, then reset). By a quarter turn or flip \
      pixels are only moved, in a JPEG file without decoding it; by other angles the canvas grows (see --canvas). `canon restore` undoes it: bit for bit \
      where the pose is a quarter turn or flip.

      EXAMPLES
        canon canonicalize pages scans upright
        canon canonicalize pages scans upright --quarter-turns   # pixels only move
        canon canonicalize pages scans upright --jpeg 90         # JPEG stays JPEG
        canon canonicalize photos pictures.tar upright.tar
        find scans -newer last -print0 | canon canonicalize pages - upright
        canon canonicalize runs/c8 my-images canonical
        canon canonicalize identity my-photos upright            # as EXIF says
        canon canonicalize pca-sign my-photos turned --group C4
        canon canonicalize pca-sign my-images canonical --canvas crop
        canon canonicalize '{kind: pca-sign, threshold: 0}' my-images canonical
      """)

  @Argument(
    help:
      "A model (a file, a folder of `canon train`, or pages or photos, which come with canon), or a canonicalizer that needs no training: a name or {kind: …} (see `canon components`)."
  )
  var canonicalizer: String

  @Argument(
    help:
      "A folder of images, a tar archive, or one file; or - for a list of files on standard input.")
  var folder: String

  @Argument(help: "The folder, or tar archive, to write to.")
  var out: String

  @Option(
    help:
      "Keep the poses of pca, pca-sign and gradient to a group of rotations, like C4 for quarter turns."
  )
  var group: String?

  @Option(
    help:
      "Leave images alone, and list them, whose margin is smaller; by default what the model was calibrated to (see `canon calibrate`)."
  )
  var minMargin: Double?

  @Flag(
    help:
      "Turn by the nearest quarter turn alone, whatever angle is found: pixels are only moved, JPEG files turned without loss."
  )
  var quarterTurns = false

  @OptionGroup var pictures: PictureOptions

  @Flag(help: "Print the manifest's lines as JSON instead of a summary.")
  var json = false

  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard minMargin?.isNaN != true else { throw ValidationError("--min-margin must be a number.") }
  }

  func run() throws {
    common.apply()
    let choice = try CanonicalizerChoice(canonicalizer, group: group)
    let least = minMargin ?? choice.minMargin
    let source = try choice.domain.open(folder)
    guard let from = source.folder else {
      throw CommandError(
        "\(folder) holds \(choice.domain.noun.many), which have no files of their own: "
          + "`canon predict` writes their canonical forms with --canonical.")
    }
    let place = try OutputFolder(out, apartFrom: folder, source)
    let manifest = try ManifestWriter(
      place, Manifest.Header(canonicalizer: choice.name, pictures, minMargin: least),
      of: source.names)
    noteUnread(source, in: folder)
    Interruption.watch()
    var failures = Failures(choice.domain.noun)
    var (converted, trimmed, lossy) = (0, 0, 0)
    var unsure: [String] = []
    var progress = Progress(
      total: source.names.count, unit: choice.domain.noun.many, isQuiet: common.quiet)
    try source.forEachLot { [pictures, quarterTurns] lot in
      let found = lot.names.isEmpty ? [] : choice.poses(lot.inputs)
      let poses = quarterTurns ? found.map(\.ofQuarterTurns) : found
      let written = try lot.writeCanonical(poses, pictures, least: least, from: from, to: place)
      let names = Set(lot.names)
      return (
        entries: written.entries, converted: written.entries.count { !names.contains($0.file) },
        trimmed: written.trimmed, lossy: written.lossy,
        unsure: written.entries.filter { $0.isUnsure == true }.map(\.file),
        errors: lot.errors + written.errors
      )
    } use: { lot in
      failures.report(lot.errors)
      try manifest.append(lot.entries)
      converted += lot.converted
      trimmed += lot.trimmed
      lossy += lot.lossy
      unsure += lot.unsure
      if json && !lot.entries.isEmpty {
        try emit(jsonLines(lot.entries).joined(separator: "\n"))
      }
      progress.update(manifest.count + failures.count)
      try Interruption.check(
        "\(manifest.count) of \(source.names.count) images are done, without a manifest; run it again for all."
      )
    }
    try manifest.finish()
    try place.finish()
    if !json {
      try emit(
        "\(manifest.count - unsure.count) \(manifest.count - unsure.count == 1 ? "image" : "images") in canonical pose in \(out), \(manifest.ambiguous) with ties"
          + (unsure.isEmpty ? "." : ", and \(unsure.count) as they were."))
    }
    if !unsure.isEmpty && !common.quiet {
      let (are, they) = unsure.count == 1 ? ("image is", "it was") : ("images are", "they were")
      let more =
        unsure.count > 20 ? ["and \(unsure.count - 20) more; the manifest has all margins"] : []
      note(
        ([
          "\(unsure.count) \(are) left as \(they), since the pose is unsure (margin below \(String(format: "%.3g", least ?? 0)); --min-margin):"
        ] + unsure.prefix(20).map(\.visible) + more).joined(separator: "\n  "))
    }
    if !manifest.others.isEmpty && !common.quiet {
      note("Note: the manifest has \(manifest.others.count) more, of earlier commands.")
    }
    if converted > 0 && !common.quiet {
      note(
        "Note: \(converted) \(converted == 1 ? "picture is" : "pictures are") written as PNG: WebP files are not written, and a JPEG file is kept only by quarter "
          + "turns and flips (see --quarter-turns) of whole blocks"
          + (pictures.trim ? "" : " (see --trim)") + ", or with loss by --jpeg."
      )
    }
    if lossy > 0 && !common.quiet {
      note(
        "Note: \(lossy) JPEG \(lossy == 1 ? "file is" : "files are") written anew, with the loss of quality \(pictures.jpeg ?? 0) (--jpeg)."
      )
    }
    if trimmed > 0 && !common.quiet {
      note(
        "Note: of \(trimmed) \(trimmed == 1 ? "picture" : "pictures") some pixels at the sides are cut off, less than a block, and `canon restore` "
          + "brings back what is left.")
    }
    try failures.finish()
  }
}

extension Pose {
  /// Whether it is ahead of other poses far enough to be acted on; a margin that is no number never is.
  func isSure(_ least: Double?) -> Bool {
    guard let least else { return true }
    return Double(margin) >= least
  }
}

extension Pose<Motion> {
  /// The same without what its angle is beside quarter turns, and without shifts and scalings.
  fileprivate var ofQuarterTurns: Pose {
    func nearest(_ motion: Motion) -> Motion {
      let g = motion.planarIsometry
      return Motion(
        isometry: PlanarIsometry(quarterTurns: g.quarterTurns, isReflected: g.isReflected))
    }
    return Pose(nearest(element), margin: margin, ties: ties.map(nearest))
  }
}
