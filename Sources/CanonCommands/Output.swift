import ArgumentParser
import Datasets
import Foundation
import Images
import Synchronization
import TensorCore

/// Prints results to standard output.
///
/// - Throws: `CommandError` where nobody can read them any more: a full disk, a pipe that is closed.
func emit(_ text: String) throws {
  do { try FileHandle.standardOutput.write(contentsOf: Data((text + "\n").utf8)) } catch {
    throw CommandError("Standard output cannot be written; check the free space, or who reads it.")
  }
}

/// Prints to the standard error stream, where it is not mixed with results.
func note(_ text: String) {
  let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(\.visible)
  try? FileHandle.standardError.write(contentsOf: Data((lines.joined(separator: "\n") + "\n").utf8))
}

extension StringProtocol {
  /// The text with control characters spelled out: a file's name must not command the terminal.
  var visible: String {
    unicodeScalars.reduce(into: "") { text, scalar in
      if let spelled = scalar.spelledOut {
        text += spelled
      } else {
        text.unicodeScalars.append(scalar)
      }
    }
  }
}

extension Unicode.Scalar {
  /// A control character in letters, as YAML and terminals' users read it; `nil` for others.
  var spelledOut: String? {
    guard value < 0x20 || (0x7F...0x9F).contains(value) else { return nil }
    return "\\x" + (value < 16 ? "0" : "") + String(value, radix: 16)
  }
}

/// Where a path leads, links followed; what is not there yet lies where its folder leads.
///
/// Compared by bytes: two names that only look alike are two files.
struct Place: Hashable {
  private let parts: [[UInt8]]

  init(_ path: String) {
    let isAbsolute = path.utf8.first == UInt8(ascii: "/")
    var (known, rest) = (
      isAbsolute ? path : "\(FileManager.default.currentDirectoryPath)/\(path)",
      [[UInt8]]()
    )
    var real = Files.real(known)
    while real == nil && known != "/" {
      rest.insert(Array(Files.name(of: known).utf8), at: 0)
      known = Files.parent(of: known)
      real = Files.real(known)
    }
    var parts = (real ?? "/").utf8.split(separator: UInt8(ascii: "/")).map(Array.init)
    for part in rest where !part.isEmpty && part != Array(".".utf8) {
      if part == Array("..".utf8) { _ = parts.popLast() } else { parts.append(part) }
    }
    self.parts = parts
  }

  /// The last part of it.
  var name: String? { parts.last.map { String(decoding: $0, as: UTF8.self) } }

  /// Whether another place is this one or lies below it.
  func contains(_ other: Place) -> Bool { other.parts.starts(with: parts) }

  /// Whether one of two places is the other, or lies below it.
  func overlaps(_ other: Place) -> Bool { contains(other) || other.contains(self) }
}

/// Refuses an output that would take the place of an input, a model or another output.
func refuse(_ path: String, overwriting inputs: String...) throws {
  let place = Place(path)
  for input in inputs
  where [Place(input), Place(input + "/model.safetensors")].contains(place)
    || isListed(place, input)
  {
    throw CommandError("\(path) is used already, as \(input); name another place for the output.")
  }
}

/// Whether a place is that of a file which standard input names, where that is the input.
private func isListed(_ place: Place, _ input: String) -> Bool {
  guard input == "-", let list = try? ImageFolder(path: input) else { return false }
  return list.files.contains { Place("\(list.path)/\($0)") == place }
}

/// Refuses an output file among the inputs of a folder: it would be one of them, or take the place of one.
func refuse(_ path: String, amongInputs data: String) throws {
  let place = Place(path)
  if Files.isFolder(data)
    ? Place(data).contains(place) : Place(data) == place || isListed(place, data)
  {
    throw CommandError("\(path) lies among the inputs, \(data); name another place for the output.")
  }
}

/// Creates a folder for output.
///
/// - Throws: `CommandError` where it cannot be.
func prepareFolder(_ path: String) throws {
  do {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  } catch {
    throw CommandError("\(path) cannot be made a folder; check the path and its permission.")
  }
}

/// A folder that a command writes images to: held by it alone, apart from its inputs, without images of somebody else
/// that it would replace, and without what an earlier
/// command that was killed left half-written.
final class OutputFolder: Sendable {
  let path: String
  /// Where what was written is packed into at the end, where a tar archive was named.
  private let archive: String?
  private let place: Place
  private let lock: FolderLock
  private let prepared = Mutex<Set<[UInt8]>>([])
  /// What the manifest of an earlier run lists, where an image may get another name now.
  private let earlier: Set<[UInt8]>

  /// Takes hold of a folder, and creates it if need be.
  ///
  /// - Parameters:
  ///   - path: The folder.
  ///   - input: What the command was given: a folder, or a file.
  ///   - source: The inputs there.
  /// - Throws: `CommandError` where outputs and inputs would mix, or somebody else writes there.
  init(_ name: String, apartFrom input: String, _ source: any InputSource) throws {
    let isArchive = name.lowercased().hasSuffix(".tar") && !Files.isFolder(name)
    let path = isArchive ? "\(name).parts" : name
    (self.path, archive) = (path, isArchive ? name : nil)
    if isArchive {
      try refuse(name, overwriting: input)
      try refuse(name, amongInputs: input)
      let own = (try? TarArchive(path: name))?.bytes(of: ".canon")
      guard own == Array(Self.mark.utf8) || !FileManager.default.fileExists(atPath: name) else {
        throw CommandError(
          "\(name) is there, and canon did not write it; name another archive.")
      }
    }
    place = Place(path)
    let (out, folder) = (place, Place(input))
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
    if let name = source.names.first(where: { name in
      ["manifest.jsonl", ".canon"].contains { name == $0 || name.hasPrefix($0 + "/") }
    }) {
      throw CommandError(
        "\(name) of \(input) has a name that canon gives to files of its own; rename it.")
    }
    // A link among the inputs, or a list of them, may lead to where an output would be written.
    for name in source.names {
      let file = Place("\(source.folder ?? ".")/\(name)")
      if out.contains(file)
        && (isFolder || input == "-"
          || Self.fileNames(name).contains { file == Place("\(path)/\($0)") })
      {
        throw CommandError(
          "\(name) of \(input) would be overwritten; name another folder than \(path).")
      }
    }
    let mayChange = source.names.contains { Self.fileName($0) != $0 }
    if mayChange {
      let names = Set(source.names.map { Array($0.utf8) })
      if let twice = source.names.first(where: { name in
        let file = Self.fileName(name)
        return file != name && names.contains(Array(file.utf8))
      }) {
        throw CommandError(
          "\(twice) would be written as \(Self.fileName(twice)), which is the name of another input; rename one."
        )
      }
    }
    if isArchive {
      // What is packed, and removed, is what this command has made.
      try prepareFolder(Files.parent(of: path))
      guard unsafe mkdir(path, 0o755) == 0 || errno != EEXIST else {
        throw CommandError(
          "\(path) is there, left by a command that was killed or put there by somebody; remove it, or name another archive."
        )
      }
      Files.removePartials(in: Files.parent(of: path))
    }
    try prepareFolder(path)
    guard let lock = FolderLock(path) else {
      throw CommandError(
        "\(path) is being written by another command; wait, or name another folder.")
    }
    self.lock = lock
    earlier = mayChange ? Set(Manifest.files(in: path).map { Array($0.utf8) }) : []
    try claim(source)
    try prepare(path)
  }

  /// Marks the folder as written by this program.
  ///
  /// What it wrote before it may replace, so that a job that was stopped is done again; what others put there is
  /// theirs.
  private func claim(_ source: any InputSource) throws {
    let mark = "\(path)/.canon"
    let isOurs = [mark, "\(path)/manifest.jsonl"].contains {
      FileManager.default.fileExists(atPath: $0)
    }
    // What a link below leads to is refused where it is met.
    let taken =
      isOurs
      ? nil
      : source.names.lazy.flatMap(Self.fileNames).first { name in
        let file = "\(path)/\(name)"
        return FileManager.default.fileExists(atPath: file)
          && place.contains(Place(Files.parent(of: file)))
      }
    if let taken {
      throw CommandError(
        "\(path) holds a \(taken) that canon did not write, and that would be lost; name another folder."
      )
    }
    // Where it cannot be written, the first image says why.
    try? Self.mark.write(toFile: mark, atomically: false, encoding: .utf8)
  }

  /// What says that images are written by this program.
  private static let mark = "Images here are written, and replaced, by canon.\n"

  /// Of an archive that was not finished nothing is left.
  deinit {
    if archive != nil { try? FileManager.default.removeItem(atPath: path) }
  }

  /// Packs what was written, where an archive was named: the manifest first, then everything else in the order of names.
  ///
  /// - Throws: `CommandError`; an archive that was there stays then.
  func finish() throws {
    guard let archive else { return }
    var names: [String] = []
    var folders = [""]
    while let folder = folders.popLast() {
      for name in Files.names(in: "\(path)/\(folder)") ?? [] {
        let file = folder.isEmpty ? name : "\(folder)/\(name)"
        if Files.isFolder("\(path)/\(file)") { folders.append(file) } else { names.append(file) }
      }
    }
    let first = ["manifest.jsonl", ".canon"].filter(names.contains)
    let ordered = first + names.filter { !first.contains($0) }.sortedByBytes()
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

  /// The name under which what is made of an input is written: samples stay as they are, so that `photo.jpg` becomes
  /// `photo.jpg.png`.
  static func fileName(_ name: String) -> String { ImageCodecs.losslessName(name) }

  /// The names that what is made of an input can have: its own too where a file is turned without loss.
  private static func fileNames(_ name: String) -> [String] {
    fileName(name) == name ? [name] : [fileName(name), name]
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

  /// Removes what an earlier run wrote under a name that the image has no longer; what others put there stays.
  func removeEarlier(_ name: String) {
    if earlier.contains(Array(name.utf8)) { unsafe unlink("\(path)/\(name)") }
  }

  /// The path of a file below, whose folder is there.
  func prepared(for name: String) throws -> String {
    let file = "\(path)/\(name)"
    try prepare(Files.parent(of: file))
    return file
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
      prepared.insert(Array(folder.utf8))
    }
  }
}

/// Ctrl-C and a request to end, which commands answer between two images.
enum Interruption {
  private static let signal = Atomic<Int32>(0)

  /// The signal that has come, 0 for none.
  static var caught: Int32 { signal.load(ordering: .relaxed) }

  /// From now on the first signal is noted; a second one ends the program at once.
  static func watch() {
    // A parent with several threads may have left the signals blocked.
    var signals = sigset_t()
    unsafe sigemptyset(&signals)
    for number in [SIGINT, SIGTERM] {
      unsafe sigaddset(&signals, number)
      Foundation.signal(number) { number in
        Foundation.signal(number, SIG_DFL)
        Interruption.signal.store(number, ordering: .relaxed)
      }
    }
    unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil)
  }

  /// - Throws: Exit status 130 for Ctrl-C, 143 for a request to end, after a sentence.
  static func check(_ sentence: @autoclosure () -> String) throws {
    guard caught != 0 else { return }
    note("\n" + sentence())
    throw ExitCode(128 + caught)
  }
}
