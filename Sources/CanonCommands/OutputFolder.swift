import Datasets
import Foundation
import Images
import Synchronization
import TensorCore

/// A folder that a command writes images to: held by it alone, apart from its inputs, without images of somebody else
/// that it would replace, and without what an earlier
/// command that was killed left half-written.
final class OutputFolder: Sendable {
  let path: String
  /// Where what was written is packed into at the end, where a tar archive was named.
  private let archive: String?
  /// Whether the journal has what is done, and other inputs could not be used.
  private let isJournaled: Bool
  /// The part of a job that is written here, where other processes write the others.
  let part: JobPart?
  /// What is done.
  let journal: Journal
  private let place: Place
  private let lock: FolderLock
  private let prepared = Mutex<Set<[UInt8]>>([])
  private let ledger: OutputLedger
  /// The names of files of several pages, each with those of its pages, which are written one by one.
  private let pages: [[UInt8]: [String]]
  /// Whether an archive is made of what is written.
  var isPacked: Bool { archive != nil }

  /// Takes hold of a folder, and creates it if need be.
  ///
  /// - Parameters:
  ///   - path: The folder.
  ///   - input: What the command was given: a folder, or a file.
  ///   - source: The inputs there.
  ///   - pages: Those of files of several pages, where the inputs themselves do not say it.
  ///   - job: What is made of them.
  ///   - shard: The part of it that the inputs are.
  ///   - whole: The names of the inputs of all parts, in order.
  /// - Throws: `CommandError` where outputs and inputs would mix, or somebody else writes there.
  init(
    _ name: String, apartFrom input: String, _ source: any InputSource,
    pages: [[UInt8]: [String]]? = nil, _ job: JobDescription, shard: Shard?,
    of whole: [String]
  ) throws {
    let part = shard.map { JobPart($0, of: whole, job) }
    let isArchive = name.lowercased().hasSuffix(".tar") && !Files.isFolder(name)
    guard !isArchive || part == nil else {
      throw CommandError(
        "\(name) is one archive, and several processes cannot write it (--shard); name a folder.")
    }
    guard isArchive || Files.isFolder(name) || !Self.isFileName(name) else {
      throw CommandError(
        "\(name) is the name of a file, and images are written to a folder, or to an archive that ends in .tar; name one of these."
      )
    }
    let path = isArchive ? "\(name).parts" : name
    (self.path, archive, self.part) = (path, isArchive ? name : nil, part)
    isJournaled = job.goesOn
    if isArchive {
      try refuse(name, overwriting: input)
      try refuse(name, amongInputs: input)
      try Self.refuseForeign(name)
    }
    try Self.refuseMixing(Place(path), path, with: input, source, whole)
    if isArchive { try Self.makeParts(path) }
    try prepareFolder(path)
    // Of what is there, which is known by itself and not by its name.
    place = Place(path)
    lock = try OwnFile.hold(path, part?.shard)
    self.pages = pages ?? Self.pages(of: source)
    ledger = OutputLedger(folder: path, part?.shard)
    try Self.refuseOthers(
      in: place, path, ledger, source.names,
      joined: isArchive ? [] : self.pages.values.map { $0[0] })
    journal = try Journal(
      path, job, inputs: source.folder ?? ".", names: source.names, shard: part?.shard)
    // Of another job, which was stopped: what is packed would be of both.
    if isArchive && !journal.goesOn {
      clear(except: [OwnFile.journal.name(), OwnFile.ledger.name()])
    }
    if journal.goesOn {
      // Folders in which nothing is left to do are not looked at again.
      let folders =
        source.names.map(Files.parent)
        + self.pages.values.map { Files.parent(of: Files.parent(of: $0[0])) }
      for folder in Set(folders) { Files.removePartials(in: "\(path)/\(folder)") }
    }
    ledger.open()
    try prepare(path)
  }

  /// Refuses to replace an archive that canon did not write, or that does not say it any more.
  private static func refuseForeign(_ archive: String) throws(CommandError) {
    guard FileManager.default.fileExists(atPath: archive) else { return }
    do throws(ArchiveError) {
      let own = try TarArchive(path: archive).bytes(of: OwnFile.ledger.name())
      if OutputLedger.isOne(own) { return }
    } catch {
      throw CommandError(
        "\(archive) is there, and cannot be read (\(error.reason)); remove it, or name another archive."
      )
    }
    throw CommandError("\(archive) is there, and canon did not write it; name another archive.")
  }

  /// Refuses to replace, or to mix with, what others put there.
  private static func refuseOthers(
    in place: Place, _ path: String, _ ledger: OutputLedger, _ names: [String], joined: [String]
  ) throws {
    // Where nothing else is nothing is taken, of however many names.
    if Files.isEmpty(path, passingOver: OwnFile.isOwn) == true { return }
    // What a link below leads to is refused where it is met.
    let taken = (joined.map(Files.parent) + names.flatMap(takenNames)).first { name in
      let file = "\(path)/\(name)"
      return !ledger.owns(name) && FileManager.default.fileExists(atPath: file)
        && place.contains(Place(Files.parent(of: file))) && !isOwnFolder(name, in: path, ledger)
    }
    if let taken {
      throw CommandError(
        "\(path) holds a \(taken) that canon did not write, and that would be lost, or be mixed up; name another folder."
      )
    }
  }

  /// Whether a name is that of a folder of pages which earlier commands have written.
  private static func isOwnFolder(_ name: String, in path: String, _ ledger: OutputLedger) -> Bool {
    guard ImageCodecs.isImage(name), Files.isFolder("\(path)/\(name)") else { return false }
    guard let pages = Files.names(in: "\(path)/\(name)") else { return false }
    // A command that was killed may not have come to the first one.
    return pages.contains { ledger.owns("\(name)/\($0)") } || pages.allSatisfy(Files.isPartial)
  }

  /// Of a job of which nothing is done no journal is left, of an archive that was not begun nothing at all.
  deinit {
    if journal.doneCount == 0 { journal.remove() }
    if archive != nil && ledger.isEmpty { try? FileManager.default.removeItem(atPath: path) }
  }

  /// Makes files of several pages out of pages, lists what there is, and packs it, where an archive was named: the manifest first,
  /// then everything else in the order of names.
  ///
  /// - Parameters:
  ///   - manifest: Writes it, when all that it tells of is there.
  ///   - commit: Told when the outputs have their names, before what they were made of is cleared away, which takes its time.
  /// - Throws: `CommandError`; an archive that was there stays then.
  func finish(_ manifest: () throws -> Void = {}, commit: () throws -> Void = {}) throws {
    if !isPacked { for pages in pages.values { try join(pages) } }
    try manifest()
    // Last: of a part it says that all is done.
    let made = journal.files.union(ledger.names)
    var part = part
    part?.left = isJournaled ? journal.left.count : 0
    try ledger.finish(part, only: isPacked ? made : nil)
    if let archive { try pack(made, into: archive) }
    try commit()
    if isPacked { clearParts() }
    journal.remove()
  }

  private func pack(_ made: Set<[UInt8]>, into archive: String) throws {
    let own = [OwnFile.manifest.name(), OwnFile.ledger.name()]
    let names = made.map { String(decoding: $0, as: UTF8.self) }.sortedByBytes()
    let ordered = (own + names).filter { Files.isRegular("\(path)/\($0)") }
    try Files.replace(archive, { CommandError("\(archive) cannot be written (\($0)).") }) {
      (temporary) throws(CommandError) in
      do throws(ArchiveError) {
        let writer = try TarWriter(path: temporary)
        for name in ordered { try writer.add("\(path)/\(name)", as: name) }
        try writer.finish()
      } catch {
        throw CommandError(
          "\(archive) cannot be written (\(error.path): \(error.reason)); check the free space, and run it again."
        )
      }
    }
  }

  /// Removes what was packed; by its list it is known to be canon's, to the last.
  private func clearParts() {
    clear(except: [OwnFile.ledger.name()])
    try? FileManager.default.removeItem(atPath: path)
  }

  private func clear(except kept: [String]) {
    for name in Files.names(in: path) ?? [] where !kept.contains(name) {
      try? FileManager.default.removeItem(atPath: "\(path)/\(name)")
    }
  }

  /// The files of several pages that inputs are of.
  private static func pages(of source: any InputSource) -> [[UInt8]: [String]] {
    guard let folder = source.folder else { return [:] }
    let pages = source.names.filter { ImageCodecs.isImage(Files.parent(of: $0)) }
    return Dictionary(grouping: pages) { Array(Files.parent(of: $0).utf8) }.filter {
      ImageCodecs.isPage("\(folder)/\($0.value[0])")
    }
  }

  /// A path below the folder, without the folder.
  private func name(below path: String) -> [UInt8] {
    Array(path.utf8.dropFirst(self.path.utf8.count + 1))
  }

  /// Of how many pages the file is that an input is one of; `nil` where it is a file of its own.
  func pageCount(of name: String) -> Int? { pages[Array(Files.parent(of: name).utf8)]?.count }

  /// Makes one file of the pages of one, where all of them were written; of some of them the numbers would be others.
  private func join(_ pages: [String]) throws {
    let name = Files.parent(of: pages[0])
    let (file, parts) = ("\(path)/\(name)", pages.map { "\(path)/\($0)" })
    guard parts.allSatisfy(Files.isRegular) else { return }
    guard let there = Files.names(in: file) else {
      throw CommandError("\(file) cannot be listed; check the disk.")
    }
    guard there.count == parts.count else {
      return note("Note: the pages of \(file) stay apart: there are other files among them.")
    }
    let beside = Files.parent(of: file) + "/"
    let (joined, apart) = (
      beside + Files.partialName("joined"), beside + Files.partialName("pages")
    )
    defer { unsafe unlink(joined) }
    guard try ImageCodecs.join(parts, to: joined) else { return }
    try ledger.add(name)
    guard unsafe rename(file, apart) == 0, unsafe rename(joined, file) == 0 else {
      unsafe rename(apart, file)
      throw CommandError("\(file) cannot be written; check the folder's permission.")
    }
    try? FileManager.default.removeItem(atPath: apart)
  }

  /// Writes a file that stays as it is again, byte for byte, under its own name.
  ///
  /// - Returns: Whether it was written: a page of several is no file.
  /// - Throws: `ImageError` or `CommandError`.
  func copy(_ source: String, to name: String) throws -> Bool {
    guard try Image.copy(source, to: prepared(for: name)) else { return false }
    if Self.fileName(name) != name { removeEarlier(Self.fileName(name)) }
    return true
  }

  /// Writes an image below the folder.
  ///
  /// - Throws: `ImageError` or `CommandError`.
  func write(_ image: Image, to name: String) throws {
    try image.write(to: prepared(for: Self.fileName(name)))
    if Self.fileName(name) != name { removeEarlier(name) }
  }

  /// Writes an image below the folder; what came as JPEG as JPEG again, where a quality is given.
  ///
  /// - Returns: The image as it is read from there, its name, and whether all samples are as they were.
  /// - Throws: `ImageError` or `CommandError`.
  func write(
    _ image: Image, to name: String, jpeg quality: Int?
  ) throws -> (image: Image, file: String, isKept: Bool) {
    let isJPEG = JPEGCodec.endings.contains { name.lowercased().hasSuffix(".\($0)") }
    guard let quality, isJPEG, image.channels % 2 == 1 else {
      try write(image, to: name)
      return (image, Self.fileName(name), true)
    }
    let file = try prepared(for: name)
    try image.writeJPEG(to: file, quality: quality)
    removeEarlier(Self.fileName(name))
    return (try Image(path: file), name, false)
  }

  /// Removes what an earlier run wrote under a name that the image has no longer; what is done, and what others put there, stays.
  func removeEarlier(_ name: String) {
    let bytes = Array(name.utf8)
    if ledger.earlier.contains(bytes) && !journal.files.contains(bytes) {
      unsafe unlink("\(path)/\(name)")
    }
  }

  /// The path of a file below, whose folder is there.
  func prepared(for name: String) throws -> String {
    let file = "\(path)/\(name)"
    try prepare(Files.parent(of: file))
    if Files.isFolder(file) {
      // Of an earlier run, when it had several pages, of which one could not be read.
      let isOwn = Self.isOwnFolder(name, in: path, ledger)
      if isOwn { removeEarlierPages(name) }
      guard isOwn, unsafe rmdir(file) == 0 else {
        throw ImageError.unwritable(path: file, reason: unsafe String(cString: strerror(EISDIR)))
      }
    }
    try ledger.add(name)
    return file
  }

  private func removeEarlierPages(_ name: String) {
    for page in Files.names(in: "\(path)/\(name)") ?? [] { removeEarlier("\(name)/\(page)") }
  }

  /// Creates a folder below, and clears it, once.
  private func prepare(_ folder: String) throws {
    // Another thread waits until the folder is there and cleared.
    try prepared.withLock { prepared in
      guard !prepared.contains(Array(folder.utf8)) else { return }
      // Beyond what a system takes, of one image: others can be written.
      guard folder.utf8.count < Int(PATH_MAX) - 1 else {
        throw ImageError.unwritable(
          path: folder, reason: unsafe String(cString: strerror(ENAMETOOLONG)))
      }
      // A member of an archive may have the name of a folder of others.
      var above = folder
      while above.utf8.count > path.utf8.count {
        if !isPacked, pages[name(below: above)] != nil, Files.isRegular(above) {
          // An earlier run made it of its pages.
          unsafe unlink(above)
        }
        guard !Files.isRegular(above) else {
          throw ImageError.unwritable(
            path: folder, reason: unsafe String(cString: strerror(ENOTDIR)))
        }
        above = Files.parent(of: above)
      }
      try prepareFolder(folder)
      // A link below may lead out, to inputs too.
      guard place.contains(Place(folder)) else {
        throw CommandError(
          "\(folder) leads out of \(path) by a link; remove it, or name another folder.")
      }
      Files.removePartials(in: folder)
      // Of an earlier run that was stopped, of a file of other pages.
      let below = name(below: folder)
      if pages[below] != nil { removeEarlierPages(String(decoding: below, as: UTF8.self)) }
      prepared.insert(Array(folder.utf8))
    }
  }
}

/// What is refused, and made ready, before anything is written.
extension OutputFolder {
  /// - Throws: `CommandError` where outputs would take the place of inputs, or of each other.
  fileprivate static func refuseMixing(
    _ out: Place, _ path: String, with input: String, _ source: any InputSource, _ whole: [String]
  ) throws {
    let folder = Place(input)
    let isFolder = Files.isFolder(input)
    if isFolder {
      if out == folder {
        throw CommandError("\(path) is the folder of the inputs; name another for the outputs.")
      }
      if out.overlaps(folder) {
        throw CommandError(
          "\(path) and the folder of the inputs, \(input), lie one in the other, so that outputs would be taken for "
            + "inputs; name a folder elsewhere.")
      }
    }
    if let name = whole.first(where: OwnFile.isReserved) {
      throw CommandError(
        "\(name) of \(input) has a name that canon gives to files of its own; rename it.")
    }
    // A link among the inputs, or a list of them, may lead to where an output would be written: not where nothing is yet.
    let isNew = Files.isEmpty(path) ?? !FileManager.default.fileExists(atPath: path)
    for name in isFolder && isNew ? [] : source.names {
      let file = Place("\(source.folder ?? ".")/\(name)")
      if out.contains(file)
        && (isFolder || input == "-"
          || Self.fileNames(name).contains { file == Place("\(path)/\($0)") })
      {
        throw CommandError(
          "\(name) of \(input) would be overwritten; name another folder than \(path).")
      }
    }
    let mayChange = whole.contains { Self.fileName($0) != $0 }
    if mayChange {
      let names = Set(whole.map { Array($0.utf8) }).union(ImageFolder.folders(of: whole))
      if let twice = whole.first(where: { name in
        let file = Self.fileName(name)
        return file != name && names.contains(Array(file.utf8))
      }) {
        throw CommandError(
          "\(twice) would be written as \(Self.fileName(twice)), which is the name of another input, or of a folder of others; rename one."
        )
      }
    }
  }

  /// Makes the folder whose content is packed into an archive, and then removed: what it holds must be canon's.
  fileprivate static func makeParts(_ path: String) throws {
    // What is packed, and removed, is what this command has made.
    try prepareFolder(Files.parent(of: path))
    // A command that was killed may have left it before its list of files, or behind it.
    let isOwn =
      OutputLedger.isOne(Files.bytes(of: OwnFile.ledger.path(in: path))) && !Files.isLink(path)
      || Files.isEmpty(path, passingOver: OwnFile.isOwn) == true
    guard unsafe isOwn || mkdir(path, 0o755) == 0 || errno != EEXIST else {
      throw CommandError(
        "\(path) is there, and canon did not put it there; remove it, or name another archive.")
    }
    Files.removePartials(in: Files.parent(of: path))
  }
}
