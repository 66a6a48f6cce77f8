import Datasets
import Foundation
import Images
import TensorCore

/// What a job on a folder of archives has done: how many images, and what else it counts.
protocol Tally: Codable {
  init()
  /// How many images are done.
  var count: Int { get }
  /// How many images of archives could not be used.
  var failed: Int { get set }
  mutating func add(_ other: Self)
}

/// A job on a folder whose images lie in tar archives, as those of large data sets do: an archive is made of each, one after the
/// other, so that memory does not grow with the number of archives.
///
/// An archive appears when all of its images are done. A job that was stopped goes on with the archives that are not there, and
/// within the one that it was at.
struct ArchiveJob<Total: Tally> {
  let folder, out: String
  /// The part of a job that this is.
  let part: JobPart?
  /// The archives of it, and where they stand among those of the whole job.
  private let names: [String]
  private let places: [Int]
  private let lock: FolderLock
  private let journal: Journal
  private(set) var total = Total()

  /// The names of the archives that such a job is on; none where it is one on a folder of images, or makes one archive.
  static func archives(in folder: String, to out: String) throws -> [String] {
    out.lowercased().hasSuffix(".tar") ? [] : try ImageFolder.archives(in: folder)
  }

  /// - Parameters:
  ///   - archives: Their names in the folder.
  /// - Throws: `CommandError` where inputs and outputs would mix, or somebody else writes there.
  init(
    _ archives: [String], in folder: String, to out: String, _ job: JobDescription,
    shard: Shard?
  ) throws {
    guard !Place(out).overlaps(Place(folder)) else {
      throw CommandError(
        "\(out) and the folder of the inputs, \(folder), lie one in the other; name a folder elsewhere."
      )
    }
    try prepareFolder(out)
    (self.folder, self.out) = (folder, out)
    lock = try OwnFile.hold(out, shard)
    if shard == nil { try Manifest.refuseOtherKind(in: out, isOfArchives: true) }
    places = shard?.places(in: archives) ?? Array(archives.indices)
    names = places.map { archives[$0] }
    part = shard.map { JobPart($0, of: archives, job) }
    journal = try Journal(out, job, inputs: folder, names: names, shard: shard)
    Files.removePartials(in: out)
    try journal.forEach { n, _ in OutputFolder.removeParts(of: "\(out)/\(names[n])") }
    // What an earlier run has said of the whole holds no longer.
    try Manifest.remove(OwnFile.manifest.path(in: out, shard))
    if shard != nil { unsafe unlink(OwnFile.ledger.path(in: out, shard)) }
  }

  /// Names each archive that is done, with its place among those of the whole job.
  func forEachDone(_ body: (_ place: Int, _ name: String) throws -> Void) throws {
    try journal.forEach { n, _ in try body(places[n], names[n]) }
  }

  /// Does each archive that is not done yet.
  ///
  /// - Parameters:
  ///   - each: Makes one archive of another, of a name; its last arguments are told how many images of how many are done, and what was
  ///     made, when it is there.
  /// - Parameter failures: Told why some archives could not be read, and how many images of those that are done.
  mutating func run(
    isQuiet: Bool, _ failures: inout Failures,
    _ each: (
      _ name: String, _ input: String, _ output: String, _ report: @escaping (Int, Int) -> Void,
      _ commit: @escaping (Total) throws -> Void
    ) throws -> Total
  ) throws {
    try journal.forEach { _, bytes in
      if let done = try? JSONDecoder().decode(Total.self, from: Data(bytes)) { total.add(done) }
    }
    failures.add(total.failed, in: out)
    var done = journal.doneCount
    var progress = Progress(
      total: names.count, unit: "archives", goingOnAt: done, in: out, isQuiet: isQuiet)
    for name in journal.left.map({ names[$0] }) {
      do {
        guard !Files.isFolder("\(out)/\(name)") else {
          throw Refusal("\(out)/\(name) is a folder, and no archive; name another folder.")
        }
        let made = try each(
          name, "\(folder)/\(name)", "\(out)/\(name)",
          { [total] images, all in
            progress.update(done, "\(total.count + images) images, \(images) of \(all) in \(name)")
          }, { [journal] made in try journal.append([(name, name, made.jsonLine)]) })
        total.add(made)
      } catch  where error is DatasetError || error is Refusal {
        failures.report([error])
        if FileManager.default.fileExists(atPath: "\(out)/\(name)") {
          note("Note: \(out)/\(name) is of an earlier run; it stays, and is not counted.")
        }
      }
      done += 1
      progress.update(done, "\(total.count) images")
    }
  }

  /// Ends the job.
  ///
  /// Where some archives could not be read the journal stays, and the next run does these alone; a part leaves it for `merge`, with
  /// the list by which that knows it.
  func finish() throws {
    if var part {
      part.left = journal.left.count
      try OutputLedger(folder: out, part.shard).finish(part)
    } else if journal.left.isEmpty {
      journal.remove()
    }
  }
}

/// Why nothing can be written for one archive of several.
struct Refusal: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }

  /// What stands against an output before anything is written.
  static func of<Value>(_ body: () throws -> Value) throws -> Value {
    do { return try body() } catch let error as CommandError { throw Refusal(error.description) }
  }
}

extension OutputFolder {
  /// Removes what is left of an archive's parts, where a command was killed while it removed them.
  fileprivate static func removeParts(of archive: String) {
    let path = "\(archive).parts"
    let list = OwnFile.ledger.path(in: path)
    guard Files.isFolder(path), !Files.isLink(path),
      Files.isEmpty(path) == true
        || Files.isRegular(list) && OutputLedger.isOne(Files.bytes(of: list))
    else { return }
    try? FileManager.default.removeItem(atPath: path)
  }
}
