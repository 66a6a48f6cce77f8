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
      where the pose is a quarter turn or flip. A command that was stopped, or killed, goes on where it was when it is given again. Of a folder that holds \
      its images in tar archives alone an archive is made of each.

      EXAMPLES
        canon canonicalize pages scans upright
        canon canonicalize pages scans upright --quarter-turns   # pixels only move
        canon canonicalize pages scans upright --jpeg 90         # JPEG stays JPEG
        canon canonicalize photos pictures.tar upright.tar
        find . -type f -newer ../last | canon canonicalize pages - ../upright
        canon canonicalize pages shards upright          # archives of images
        canon canonicalize pages scans upright --shard 2/8   # of 8 processes one
        canon canonicalize runs/c8 my-images canonical
        canon canonicalize identity my-photos upright            # as EXIF says
        canon canonicalize pca-sign my-photos turned --group C4
        canon canonicalize pca-sign my-images canonical --canvas crop
        canon canonicalize '{kind: pca-sign, threshold: 0}' my-images canonical
        canon canonicalize '{kind: pca-sign, within: 30}' my-images level
      """)

  @Argument(
    help:
      "A model (a file, a folder of `canon train`, or pages or photos, which come with canon), or a canonicalizer that needs no training: a name or {kind: …} (see `canon components`)."
  )
  var canonicalizer: String

  @Argument(
    help:
      "A folder of images, or of tar archives of them, one archive, or one file; or - for a list of files on standard input."
  )
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

  @OptionGroup var shards: ShardOptions

  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard minMargin?.isNaN != true else { throw ValidationError("--min-margin must be a number.") }
  }

  func run() throws {
    common.apply()
    if namesNothing(folder) { return }
    let choice = try CanonicalizerChoice(canonicalizer, group: group)
    let shard = try shards.shard()
    var job = CanonicalizeJob(
      choice, pictures, least: minMargin ?? choice.minMargin, quarterTurns: quarterTurns,
      json: json, isQuiet: common.quiet)
    Interruption.watch()
    let archives = try ArchiveJob<Canonicalized>.archives(in: folder, to: out)
    let total: Canonicalized
    if archives.isEmpty {
      total = try job.run(from: folder, to: out, shard: shard)
    } else {
      total = try job.run(archives, in: folder, to: out, shard: shard)
    }
    // Parts that run side by side say which they are.
    let part = shard.map { "Part \($0.text): " } ?? ""
    if !json { try emit(part + total.summary(in: out, window: choice.window)) }
    if !common.quiet { tell(of: total, least: job.least) }
    try job.failures.finish()
  }

  /// Says what should be known of some images.
  private func tell(of total: Canonicalized, least: Double?) {
    func counted(_ count: Int, _ one: String = "picture") -> String {
      count == 1 ? "\(count) \(one)" : "\(count) \(one)s"
    }
    if total.unsure > 0 {
      let (are, they) = total.unsure == 1 ? ("is", "it was") : ("are", "they were")
      let rest = total.unsure - total.firstUnsure.count
      let more = rest > 0 ? ["and \(rest) more; the manifest has all margins"] : []
      let least = String(format: "%.3g", least ?? 0)
      note(
        ([
          "\(counted(total.unsure, "image")) \(are) left as \(they), since the pose is unsure (margin below \(least); --min-margin):"
        ] + total.firstUnsure.map(\.visible) + more).joined(separator: "\n  "))
    }
    if total.others > 0 {
      note("Note: the manifest has \(total.others) more, of earlier commands.")
    }
    func areWritten(_ count: Int, _ what: String, _ why: String) {
      guard count > 0 else { return }
      note(
        "Note: \(counted(count, what)) \(count == 1 ? "is" : "are") written as PNG: \(why).")
    }
    areWritten(total.converted - total.decoded, "picture", "WebP files are not written")
    areWritten(
      total.decoded, "JPEG file",
      "without loss JPEG is kept only by quarter turns and flips"
        + (quarterTurns ? "" : " (--quarter-turns)") + " of whole blocks"
        + (pictures.trim ? "" : " (--trim)") + "; --jpeg 90 keeps it at every angle, with loss")
    if total.lossy > 0 {
      note(
        "Note: \(counted(total.lossy, "JPEG file")) \(total.lossy == 1 ? "is" : "are") written anew, with the loss of quality \(pictures.jpeg ?? 0) (--jpeg)."
      )
    }
    if total.trimmed > 0 {
      note(
        "Note: of \(counted(total.trimmed)) some pixels at the sides are cut off, less than a block, and `canon restore` "
          + "brings back what is left.")
    }
  }
}

extension Pose {
  /// Whether it is ahead of other poses far enough to be acted on; a margin that is no number never is.
  func isSure(_ least: Double?) -> Bool {
    guard let least else { return true }
    return Double(margin) >= least
  }
}
