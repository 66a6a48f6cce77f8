import CKernels
import Glibc
import Synchronization

/// Files as a program treats them that was given paths, and files, by somebody else.
public enum Files {
  /// Whether a path leads, links followed, to a regular file: a FIFO waits for its writer, and a device need not end.
  public static func isRegular(_ path: String) -> Bool { kind(path) == S_IFREG }

  /// Whether a path leads, links followed, to a folder.
  public static func isFolder(_ path: String) -> Bool { kind(path) == S_IFDIR }

  /// Whether a path is a link itself.
  public static func isLink(_ path: String) -> Bool {
    var status = stat()
    return unsafe lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
  }

  /// The kind of file that a path leads to, or `nil` where nothing is there.
  private static func kind(_ path: String) -> mode_t? {
    var status = stat()
    return unsafe stat(path, &status) == 0 ? status.st_mode & S_IFMT : nil
  }

  private static let counter = Atomic<Int>(0)
  private static let prefix = ".canon-"
  private static let suffix = ".partial"

  /// Replaces a file as a whole: it is written beside its final place, under a short name, and then renamed.
  ///
  /// What is there already must be a regular file, or a link, which is replaced itself.
  ///
  /// - Parameters:
  ///   - isDurable: Whether it is on the disk when this returns, so that it outlives a loss of power; a folder of pictures
  ///     takes many times as long so.
  ///   - failure: Makes an error of a reason.
  ///   - write: Writes to a path.
  /// - Throws: The error of either; nothing is left then, and the file is as it was.
  public static func replace<Failure: Error>(
    _ path: String, isDurable: Bool = true, _ failure: (String) -> Failure,
    _ write: (String) throws(Failure) -> Void
  ) throws(Failure) {
    guard [nil, S_IFREG].contains(kind(path)) else {
      throw failure("something is there that is no regular file")
    }
    let number = counter.wrappingAdd(1, ordering: .relaxed).newValue
    let temporary = parent(of: path) + "/" + partialName("\(number)")
    do throws(Failure) {
      try write(temporary)
      if isDurable, let reason = synchronize(temporary) { throw failure(reason) }
    } catch {
      unsafe unlink(temporary)
      throw error
    }
    guard unsafe rename(temporary, path) == 0 else {
      let reason = unsafe String(cString: strerror(errno))
      unsafe unlink(temporary)
      throw failure(reason)
    }
    // Where a file system cannot sync a folder, the file is there all the same.
    if isDurable { _ = synchronize(parent(of: path)) }
  }

  /// Replaces a file as a whole by bytes: as the other, or sooner, where there is none yet.
  ///
  /// - Throws: The error of a reason; nothing is left then, and the file is as it was.
  public static func replace<Failure: Error>(
    _ path: String, by bytes: [UInt8], isDurable: Bool = true, _ failure: (String) -> Failure
  ) throws(Failure) {
    if kind(path) == nil && create(path, bytes, isDurable) { return }
    try replace(path, isDurable: isDurable, failure) { (temporary) throws(Failure) in
      guard write(bytes, to: temporary) else {
        throw failure(unsafe String(cString: strerror(errno)))
      }
    }
  }

  /// Writes a new file, which gets its name when it is whole: the folder is changed once, not for a temporary name too.
  ///
  /// - Returns: Whether it is there; not where the file system has no files without a name, nor where anything fails.
  private static func create(_ path: String, _ bytes: [UInt8], _ isDurable: Bool) -> Bool {
    let file = unsafe open(parent(of: path), __O_TMPFILE | O_WRONLY | O_CLOEXEC, 0o666)
    guard file >= 0 else { return false }
    defer { close(file) }
    guard unsafe Glibc.write(file, bytes, bytes.count) == bytes.count,
      !isDurable || fsync(file) == 0,
      unsafe linkat(AT_FDCWD, "/proc/self/fd/\(file)", AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0
    else { return false }
    if isDurable { _ = synchronize(parent(of: path)) }
    return true
  }

  /// Opens a new file that lies in memory, without a name, to be read and written; -1 where the system has none.
  public static func openInMemory() -> Int32 { ck_memory_file() }

  /// Waits until a file, or a folder's names, are on the disk.
  ///
  /// - Returns: What went wrong, or `nil`.
  public static func synchronize(_ path: String) -> String? {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return unsafe String(cString: strerror(errno)) }
    defer { close(file) }
    // Some file systems know no syncing.
    guard fsync(file) == 0 || errno == EINVAL || errno == ENOTSUP else {
      return unsafe String(cString: strerror(errno))
    }
    return nil
  }

  /// A whole file, or `nil` where it cannot be read; `errno` says why.
  public static func bytes(of path: String) -> [UInt8]? {
    var result: [UInt8] = []
    return forEachPart(of: path) { result += $0 } ? result : nil
  }

  /// Calls a function with each part of a file's content, in order; `false` where it cannot be read.
  static func forEachPart(of path: String, _ body: (ArraySlice<UInt8>) -> Void) -> Bool {
    guard let file = unsafe fopen(path, "rb") else { return false }
    defer { unsafe fclose(file) }
    var part = [UInt8](repeating: 0, count: 1 << 15)
    while case let count = unsafe fread(&part, 1, part.count, file), count > 0 {
      body(part[..<count])
    }
    return unsafe ferror(file) == 0
  }

  /// The first bytes of a file, none where it cannot be read.
  public static func prefix(of path: String, _ count: Int) -> [UInt8] {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return [] }
    defer { close(file) }
    return unsafe [UInt8](unsafeUninitializedCapacity: count) {
      $1 = unsafe max(0, read(file, $0.baseAddress, count))
    }
  }

  /// Writes a whole file; where it cannot be written `errno` says why.
  public static func write(_ bytes: [UInt8], to path: String) -> Bool {
    guard let file = unsafe fopen(path, "wb") else { return false }
    let count = unsafe fwrite(bytes, 1, bytes.count, file)
    return unsafe fclose(file) == 0 && count == bytes.count
  }

  /// The host's name, and the space in which processes are numbered, in eight digits: several hosts, and several containers of one,
  /// may write to one folder.
  private static let host: String = {
    var name = [CChar](repeating: 0, count: 256)
    unsafe gethostname(&name, name.count - 1)
    var print = Fingerprint()
    print.add(name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) })
    var space = stat()
    if unsafe stat("/proc/self/ns/pid", &space) == 0 { print.add("\(space.st_ino)".utf8) }
    return String(print.text.suffix(8))
  }()

  /// A name, in a folder, for what this program is about to write there.
  public static func partialName(_ word: String) -> String {
    "\(prefix)\(host)-\(getpid())-\(word)\(suffix)"
  }

  /// Whether a name is one for what is being written.
  public static func isPartial(_ name: String) -> Bool {
    name.hasPrefix(prefix) && name.hasSuffix(suffix)
  }

  /// Removes what programs that have ended left half-written in a folder; what those of another host did when a day has passed.
  public static func removePartials(in folder: String) {
    for name in names(in: folder) ?? [] where isPartial(name) {
      let path = "\(folder)/\(name)"
      let parts = name.dropFirst(prefix.count).split(separator: "-")
      // Earlier versions named no host.
      let isHere = parts.count < 3 || parts[0] == host
      let number = parts.count < 3 ? parts.first : parts[1]
      if isHere {
        guard let process = number.flatMap({ pid_t($0) }), kill(process, 0) != 0, errno == ESRCH
        else { continue }
      } else {
        var status = stat()
        guard unsafe stat(path, &status) == 0, time(nil) - status.st_mtim.tv_sec > 86_400 else {
          continue
        }
      }
      if unsafe unlink(path) != 0, errno == EISDIR {
        for part in names(in: path) ?? [] { unsafe unlink("\(path)/\(part)") }
        unsafe rmdir(path)
      }
    }
  }

  /// The names in a folder, by their bytes, or `nil` where it cannot be listed.
  public static func names(in folder: String) -> [String]? {
    entries(in: folder)?.map(\.name)
  }

  /// What is in a folder.
  public struct Entry: Sendable {
    public let name: String
    /// Whether the file system says that it is a regular file, and no link to one: not every one does.
    public let isRegular: Bool
  }

  /// What is in a folder, by the names' bytes, or `nil` where it cannot be listed.
  public static func entries(in folder: String) -> [Entry]? {
    var entries: [Entry] = []
    let isListed = forEachEntry(in: folder) { entry in
      entries.append(entry)
      return true
    }
    guard isListed else { return nil }
    return entries.sortedByBytes(\.name)
  }

  /// Whether a folder has no names but those that are passed over, or `nil` where it cannot be listed: of however many
  /// others it has, the first one is enough.
  public static func isEmpty(
    _ folder: String, passingOver isPassed: (String) -> Bool = { _ in false }
  ) -> Bool? {
    var isEmpty = true
    let isListed = forEachEntry(in: folder) { entry in
      isEmpty = isPassed(entry.name)
      return isEmpty
    }
    return isListed ? isEmpty : nil
  }

  /// Calls a function with each entry of a folder, in no order, as long as it says so; `false` where it cannot be listed.
  private static func forEachEntry(in folder: String, _ goesOn: (Entry) -> Bool) -> Bool {
    guard let directory = unsafe opendir(folder) else { return false }
    defer { unsafe closedir(directory) }
    // An error is not the end.
    while true {
      errno = 0
      guard let entry = unsafe readdir(directory) else { return errno == 0 }
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
        unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      let isRegular = unsafe entry.pointee.d_type == UInt8(DT_REG)
      if name != "." && name != ".." && !goesOn(Entry(name: name, isRegular: isRegular)) { break }
    }
    return true
  }

  /// The folder that a path lies in.
  public static func parent(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// The last part of a path.
  public static func name(of path: String) -> String {
    path.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(path[path.utf8.index(after: $0)...]) }
      ?? path
  }

  /// A path without links, or `nil` where nothing is there.
  public static func real(_ path: String) -> String? {
    guard let found = unsafe realpath(path, nil) else { return nil }
    defer { unsafe free(found) }
    return unsafe String(cString: found)
  }
}

extension Sequence<String> {
  /// In the order of the names' bytes: two that only look alike are two.
  public func sortedByBytes() -> [String] { sortedByBytes(\.self) }
}

extension Sequence {
  /// In the order of the bytes of what each is named.
  func sortedByBytes(_ name: (Element) -> String) -> [Element] {
    sorted { name($0).utf8.lexicographicallyPrecedes(name($1).utf8) }
  }
}

/// How much memory one input may make the program take, in bytes: what a file says of its size is not believed
/// beyond that.
public enum MemoryLimit {
  private static let value = Atomic<Int>(4 << 30)

  /// 4 GiB at first.
  public static var bytes: Int {
    get { value.load(ordering: .relaxed) }
    set { value.store(max(1 << 20, newValue), ordering: .relaxed) }
  }
}

/// A folder held by one program alone, or shared by those that only share it, until it lets go or ends, however it ends: the system
/// releases it.
public final class FolderLock: Sendable {
  private let descriptor: Int32

  /// Holds a folder.
  ///
  /// - Parameter isShared: Whether others may share it.
  /// - Returns: `nil` where another program, or another part of this one, holds it. Where the file system knows no
  ///   locks, the folder counts as held.
  public init?(_ folder: String, isShared: Bool = false) {
    descriptor = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    let kind = isShared ? LOCK_SH : LOCK_EX
    guard descriptor < 0 || flock(descriptor, kind | LOCK_NB) == 0 || errno != EWOULDBLOCK else {
      close(descriptor)
      return nil
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }
}
