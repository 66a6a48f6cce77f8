import ArgumentParser
import Canonicalization
import Datasets
import Foundation
import Images
import Symmetry
import TensorCore
import Training

/// What has come of images that were brought into canonical pose.
struct Canonicalized: Tally {
  var count = 0
  /// How many have poses that are as good.
  var ambiguous = 0
  /// Whose pose is none: of what undoes poses within a window those beyond it, and those that are upright.
  var still = 0
  /// How many are written as PNG, and of these how many were JPEG files; lost pixels at their sides; are JPEG files written anew.
  var converted = 0
  var decoded = 0
  var trimmed = 0
  var lossy = 0
  /// How many were left as they were, and the first of them.
  var unsure = 0
  var firstUnsure: [String] = []
  /// How many the manifest has of earlier commands.
  var others = 0
  /// How many archives they are in, and how many images of these could not be used.
  var archives = 0
  var failed = 0

  mutating func add(_ other: Canonicalized) {
    count += other.count
    ambiguous += other.ambiguous
    still += other.still
    converted += other.converted
    decoded += other.decoded
    trimmed += other.trimmed
    lossy += other.lossy
    others += other.others
    archives += other.archives
    failed += other.failed
    unsure += other.unsure
    firstUnsure += other.firstUnsure.prefix(20 - firstUnsure.count)
  }

  mutating func add(_ entries: [Manifest.Entry]) {
    count += entries.count
    ambiguous += entries.count { $0.ties > 0 }
    still += entries.count { $0.isometry == PlanarIsometry() && $0.map == nil }
    let left = entries.filter { $0.isUnsure == true }
    unsure += left.count
    firstUnsure += left.prefix(20 - firstUnsure.count).map(\.file)
  }

  /// What was done, in a sentence.
  ///
  /// `window`: By how much poses turn that are undone, in radians.
  func summary(in out: String, window: Double?) -> String {
    let done = count - unsure
    let left = window.map {
      "; \(still) of them not moved, being upright or turned by more than \(($0 * 180 / .pi).formatted(1))°"
    }
    return
      "\(done) \(done == 1 ? "image" : "images") in canonical pose in \(out), \(ambiguous) with ties"
      + (left ?? "")
      + (unsure == 0 ? "" : ", and \(unsure) as \(unsure == 1 ? "it was" : "they were")")
      + (archives == 0 ? "." : ", in \(archives) \(archives == 1 ? "archive" : "archives").")
  }
}

/// Brings images of a folder, an archive, or many archives into canonical pose.
struct CanonicalizeJob {
  let choice: CanonicalizerChoice
  let pictures: PictureOptions
  /// Below which margin images are left as they are.
  let least: Double?
  let quarterTurns: Bool
  let json: Bool
  let isQuiet: Bool
  var failures: Failures

  private let header: Manifest.Header

  /// What outputs follow from.
  private let description: JobDescription

  init(
    _ choice: CanonicalizerChoice, _ pictures: PictureOptions, least: Double?, quarterTurns: Bool,
    json: Bool, isQuiet: Bool
  ) {
    (self.choice, self.pictures, self.least) = (choice, pictures, least)
    (self.quarterTurns, self.json, self.isQuiet) = (quarterTurns, json, isQuiet)
    failures = Failures(choice.domain.noun)
    let header = Manifest.Header(canonicalizer: choice.name, pictures, minMargin: least)
    description = JobDescription(
      "canonicalize", header, pictures, model: choice.loaded?.file.path,
      ["quarterTurns": "\(quarterTurns)"])
    self.header = header
  }

  /// Brings the images at a path into canonical pose, those that are not done yet.
  ///
  /// - Parameters:
  ///   - report: Told how many of how many are done; a bar of its own by default.
  ///   - commit: Told what was made when it is there, of an archive among others.
  mutating func run(
    from input: String, to out: String, shard: Shard? = nil,
    report: ((Int, Int) -> Void)? = nil, commit: ((Canonicalized) throws -> Void)? = nil
  ) throws -> Canonicalized {
    let before = failures.count
    let whole = try choice.domain.open(input).namedByPlace
    guard let from = whole.folder else {
      throw CommandError(
        "\(input) holds \(choice.domain.noun.many), which have no files of their own: "
          + "`canon predict` writes their canonical forms with --canonical.")
    }
    let places = shard?.places(in: whole.names)
    let source = places.map(whole.selecting) ?? whole
    let place = try Refusal.of {
      try OutputFolder(
        out, apartFrom: input, source, description, shard: shard, of: whole.names)
    }
    let manifest = try ManifestWriter(place, header, of: source.names, places)
    if shard.isFirst {
      noteUnread(whole, in: input)
      failures.report(whole.errors)
    }
    // Those of an archive among others are printed with its name.
    let printsRows = json && report == nil
    var made = Canonicalized()
    made.others = manifest.others.count
    try manifest.takeDone { entry in
      made.add([entry])
      if printsRows { try emit(entry.jsonLine) }
    }
    let left = source.selecting(place.journal.left)
    let total = source.names.count
    let failed = failures.count
    var progress = Progress(
      total: total, unit: choice.domain.noun.many, goingOnAt: made.count, in: out,
      isQuiet: isQuiet || report != nil)
    try left.forEachLot { [choice, pictures, quarterTurns, least] lot in
      let found = lot.names.isEmpty ? [] : choice.poses(lot.inputs)
      let poses = quarterTurns ? found.map(\.ofQuarterTurns) : found
      let written = try lot.writeCanonical(poses, pictures, least: least, from: from, to: place)
      var part = Canonicalized()
      part.add(written.items.map(\.entry))
      let converted = written.items.filter { !$0.name.isSameName(as: $0.entry.file) }
      part.converted = converted.count
      part.decoded = converted.count { item in
        JPEGCodec.endings.contains { item.name.lowercased().hasSuffix(".\($0)") }
      }
      (part.trimmed, part.lossy) = (written.trimmed, written.lossy)
      return (
        items: written.items, part: part, errors: lot.errors + written.errors,
        lines: printsRows ? lot.errorLines(in: from, of: left, choice.domain.noun.name) : []
      )
    } use: { lot in
      failures.report(lot.errors)
      try manifest.append(lot.items)
      made.add(lot.part)
      if printsRows && !(lot.items.isEmpty && lot.lines.isEmpty) {
        try emit((jsonLines(lot.items.map(\.entry)) + lot.lines).joined(separator: "\n"))
      }
      let done = made.count + failures.count - failed
      if let report { report(done, total) } else { progress.update(done) }
      try Interruption.check(
        "\(made.count) of \(total) images are done; run it again to its end.")
    }
    if commit != nil { (made.archives, made.failed) = (1, failures.count - before) }
    try place.finish(manifest.finish) { [made] in try commit?(made) }
    return made
  }

  /// Makes an archive of each archive of a folder, and one manifest of all.
  mutating func run(
    _ archives: [String], in folder: String, to out: String, shard: Shard?
  ) throws -> Canonicalized {
    var job = try ArchiveJob<Canonicalized>(
      archives, in: folder, to: out, description, shard: shard)
    func rows(of name: String, _ put: (String) throws -> Void) throws {
      try Manifest.forEach(inArchive: "\(out)/\(name)", named: name, put)
    }
    func print(_ name: String) throws {
      if json { try rows(of: name, emit) }
    }
    try job.forEachDone { _, name in try print(name) }
    var failures = Failures(choice.domain.noun)
    try job.run(isQuiet: isQuiet, &failures) { name, input, output, report, commit in
      let made = try run(from: input, to: output, report: report, commit: commit)
      try print(name)
      return made
    }
    self.failures.add(failures)
    try Manifest.write(header, of: job.part, to: OwnFile.manifest.path(in: out, shard)) { put in
      try job.forEachDone { place, name in
        try rows(of: name) { try put($0, shard == nil ? nil : place) }
      }
    }
    try job.finish()
    return job.total
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
