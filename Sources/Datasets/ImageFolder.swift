import Glibc
public import Images
import TensorCore

/// Images below a folder, sorted by the bytes of their paths: found once, read one by one.
public struct ImageFolder: Sendable {
  /// The folder.
  public let path: String
  /// The files' paths below the folder.
  public let files: [String]
  /// What looks like an image and is none (a FIFO, a device), and folders that cannot be listed.
  public let errors: [ImageError]
  /// The files that are pictures by their endings, of formats that are not read, and the archives beside images.
  public let unread: [String]
  /// How a list of files named them, where it was one, by the bytes of their paths below the folder.
  private var given: [[UInt8]: String] = [:]

  /// Names files of a folder without looking.
  public init(path: String, files: [String]) {
    (self.path, self.files, errors, unread) = (path, files, [], [])
  }

  private init(unreadable path: String, _ reason: String) {
    (self.path, files, errors, unread) = (
      ".", [], [.unreadable(path: path, reason: reason)], []
    )
  }

  /// Some of the files, without what is wrong with others.
  func selecting(_ places: [Int]) -> ImageFolder {
    var some = ImageFolder(path: path, files: places.map { files[$0] })
    some.given = given
    return some
  }

  /// The same files, those of a list named by where they lie, whatever else it holds: below the working folder, where all lie there, else
  /// below `/`.
  var namedByPlace: ImageFolder {
    guard !given.isEmpty else { return self }
    let (here, parts) = (Self.located("."), path.split(separator: "/"))
    let isBelow = parts.starts(with: here) { $0.isSameName(as: $1) }
    let way = parts.dropFirst(isBelow ? here.count : 0).map { $0 + "/" }.joined()
    var files = ImageFolder(
      path: "/" + (isBelow ? here.joined(separator: "/") : ""), files: files.map { way + $0 })
    for (name, listed) in given { files.given[Array(way.utf8) + name] = listed }
    return files
  }

  /// What a file is called: as the list named it that it is of, else by its path below the folder.
  func label(of file: String) -> String {
    if let name = given[Array(file.utf8)] { return name }
    let parent = given[Array(Files.parent(of: file).utf8)]
    return parent.map { "\($0)/\(Files.name(of: file))" } ?? file
  }

  /// Finds the files with the ending of an image (`.png`, `.jpg`, of any case), in subfolders too, each page of one on its own; or in a tar archive; or, of the path
  /// `-`, the files that standard input names, a line each or with zeros between (`find -print0`).
  ///
  /// Links to folders are followed; a folder that several ways lead to is read once, by the one without links if
  /// there is one. Only regular files are opened.
  ///
  /// - Throws: `DatasetError` for a folder that is missing, not a folder, or has none.
  public init(path: String) throws(DatasetError) {
    if path == "-" {
      self = ImageFolder.standardInput
      if case .unreadable(let path, let reason)? = errors.first {
        throw .unreadable(path: path, reason: reason)
      }
      guard !files.isEmpty else {
        throw .malformed(path: "standard input", reason: "it names no file")
      }
      return
    }
    var status = stat()
    guard unsafe stat(path, &status) == 0 else {
      throw .unreadable(path: path, reason: unsafe String(cString: strerror(errno)))
    }
    if TarArchive.isArchive(path) {
      let found = try ImageFolder.found(inArchive: path)
      guard !found.files.isEmpty else {
        throw .malformed(
          path: path,
          reason: "none of the \(found.count) files in it is an image that can be read")
      }
      (self.path, files, errors, unread) = (path, found.files, found.errors, found.unread)
      return
    }
    if !Files.isFolder(path) {
      guard ImageCodecs.isImage(path) else {
        throw .unreadable(
          path: path,
          reason: Walk.isCompressed(path)
            ? "it is a compressed archive: unpack it; tar archives are read as they are"
            : "it is neither a folder, nor a tar archive, nor an image of the formats that are read ("
              + "\(ImageCodecs.all.flatMap { $0.endings }.joined(separator: ", ")))")
      }
      self.path = Files.parent(of: path)
      files = ImageCodecs.pages(of: Files.name(of: path), in: self.path)
      (errors, unread) = ([], [])
      return
    }
    var walk = Walk(root: path)
    walk.run()
    if let error = walk.errors.first, walk.files.isEmpty && walk.others == 0 {
      throw .malformed(path: path, reason: "no image can be read: \(error)")
    }
    guard !walk.files.isEmpty else {
      let archives = walk.archives ?? []
      if !archives.isEmpty {
        var (files, errors, unread): ([String], [ImageError], [String]) = ([], [], [])
        for name in archives {
          let archive = "\(path)/\(name)"
          do throws(DatasetError) {
            let found = try ImageFolder.found(inArchive: archive)
            files += found.files.map { "\(name)/\($0)" }
            unread += found.unread.map { "\(name)/\($0)" }
            errors += found.errors
          } catch {
            guard case .unreadable(_, let reason) = error else { throw error }
            errors.append(.unreadable(path: archive, reason: reason))
          }
        }
        if !files.isEmpty {
          (self.path, self.files, self.errors, self.unread) = (path, files, errors, unread)
          return
        }
      }
      let others =
        walk.others == 0
        ? "it holds no image" : "none of the \(walk.others) files in it is an image"
      throw .malformed(
        path: path,
        reason: "\(others) of the formats that are read ("
          + "\(ImageCodecs.all.flatMap { $0.endings }.joined(separator: ", ")))")
    }
    self.path = path
    // Names that are no UTF-8 may look like others.
    let found = ImageFolder.once(
      walk.files.flatMap { ImageCodecs.pages(of: $0, in: path) }.sortedByBytes())
    files = found.names
    errors =
      walk.errors
      + found.twice.map { .unreadable(path: "\(path)/\($0)", reason: ImageFolder.isTwice) }
    unread = walk.unread.sortedByBytes()
  }

  /// The images of an archive, and how many files it holds.
  private static func found(
    inArchive path: String
  ) throws(DatasetError) -> (files: [String], errors: [ImageError], unread: [String], count: Int) {
    let archive: TarArchive
    do { archive = try TarArchive(path: path) } catch {
      throw .unreadable(path: path, reason: error.reason)
    }
    let names = archive.names
    // A page and a member may have the same name, and so may a member and the folder of others.
    let (folders, members) = (folders(of: names), names.filter(ImageCodecs.isImage))
    let both = members.filter { folders.contains(Array($0.utf8)) }
    let images = once(
      members.filter { !folders.contains(Array($0.utf8)) }.flatMap(archive.pages).sortedByBytes())
    return (
      images.names,
      archive.skipped.filter { ImageCodecs.isImage($0.name) }.map {
        .unreadable(path: "\(path)/\($0.name)", reason: $0.reason)
      } + images.twice.map { .unreadable(path: "\(path)/\($0)", reason: isTwice) }
        + both.map {
          .unreadable(path: "\(path)/\($0)", reason: "a folder of others has its name")
        }, names.filter(Walk.isOtherPicture).sortedByBytes(), names.count + archive.skipped.count
    )
  }

  /// The folders that files lie in, at every depth, by their bytes.
  public static func folders(of names: [String]) -> Set<[UInt8]> {
    var folders: Set<[UInt8]> = []
    for name in names {
      var folder = Files.parent(of: name)
      while folder != ".", folder != "/", folders.insert(Array(folder.utf8)).inserted {
        folder = Files.parent(of: folder)
      }
    }
    return folders
  }

  private static let isTwice = "two have this name, of which one is read"

  /// Sorted names, each once, and those that stood there again.
  private static func once(_ names: [String]) -> (names: [String], twice: [String]) {
    names.reduce(into: ([], [])) { found, name in
      if found.0.last?.isSameName(as: name) == true {
        found.1.append(name)
      } else {
        found.0.append(name)
      }
    }
  }

  /// The tar archives of a folder that holds its images in archives alone, as large data sets do; none of any other path.
  ///
  /// - Throws: `DatasetError` where the folder cannot be listed.
  public static func archives(in path: String) throws(DatasetError) -> [String] {
    guard Files.isFolder(path) else { return [] }
    var walk = Walk(root: path)
    guard let archives = walk.archives else {
      throw .unreadable(path: path, reason: "the folder cannot be listed")
    }
    guard !archives.isEmpty else { return [] }
    walk.run()
    return walk.files.isEmpty ? archives : []
  }

  /// Whether standard input, read to its end, names no file.
  public static var isStandardInputEmpty: Bool {
    standardInput.files.isEmpty && standardInput.errors.isEmpty
  }

  /// The files that standard input names, in its order, below the deepest folder that holds them all.
  ///
  /// It can be read once.
  private static let standardInput: ImageFolder = {
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = unsafe read(STDIN_FILENO, &part, part.count)
      if count == 0 { break }
      guard count > 0 || errno == EINTR else {
        return ImageFolder(unreadable: "standard input", unsafe String(cString: strerror(errno)))
      }
      bytes += part[..<max(0, count)]
    }
    let end: UInt8 = bytes.contains(0) ? 0 : 0x0A
    let names = bytes.split(separator: end).map { line in
      String(decoding: line.last == 0x0D && end != 0 ? line.dropLast() : line, as: UTF8.self)
    }.filter { !$0.isEmpty }
    // Each once, by where it leads.
    var (seen, places): (Set<[UInt8]>, [(parts: [Substring], name: String)]) = ([], [])
    for name in names {
      let parts = located(name)
      if seen.insert(Array(parts.joined(separator: "/").utf8)).inserted {
        places.append((parts, name))
      }
    }
    guard let first = places.first else { return ImageFolder(path: ".", files: []) }
    var common = Array(first.parts.dropLast())
    for (parts, _) in places {
      let same = zip(common, parts.dropLast()).prefix { $0.0.isSameName(as: $0.1) }.count
      common = Array(common.prefix(same))
    }
    let folder = "/" + common.joined(separator: "/")
    let files = places.map { $0.parts.dropFirst(common.count).joined(separator: "/") }
    var list = ImageFolder(
      path: folder, files: eachOnce(files.flatMap { ImageCodecs.pages(of: $0, in: folder) }))
    for (file, place) in zip(files, places) { list.given[Array(file.utf8)] = place.name }
    return list
  }()

  /// Pages may be named beside the file that they are of.
  private static func eachOnce(_ names: [String]) -> [String] {
    var seen: Set<[UInt8]> = []
    return names.filter { seen.insert(Array($0.utf8)).inserted }
  }

  /// The parts of a path, links followed as far as it leads: what is in an archive, or is missing, has none.
  private static func located(_ name: String) -> [Substring] {
    var (known, rest): (String, [Substring]) = (
      name.hasPrefix("/") ? name : (Files.real(".") ?? "") + "/" + name, []
    )
    var real = Files.real(known)
    while real == nil && known != "/" {
      rest.insert(Substring(Files.name(of: known)), at: 0)
      known = Files.parent(of: known)
      real = Files.real(known)
    }
    return rest.reduce(into: (real ?? "/").split(separator: "/")) { parts, part in
      if part == ".." {
        _ = parts.popLast()
      } else if part != "." && !part.isEmpty {
        parts.append(part)
      }
    }
  }

  /// The name of the first folder on the way to a file: its class, in a folder with one subfolder a
  /// class; `nil` for a file at the top, and for a page of one.
  ///
  /// An archive of several is no folder on the way.
  public static func className(of file: String) -> String? {
    guard let slash = file.utf8.firstIndex(of: UInt8(ascii: "/")) else { return nil }
    let name = String(file[..<slash])
    if name.lowercased().hasSuffix(".tar") {
      return className(of: String(file[file.utf8.index(after: slash)...]))
    }
    return ImageCodecs.isImage(name) ? nil : name
  }

  /// The classes of files, in order, with how many files each has.
  ///
  /// By bytes: folders whose names only look alike are two classes.
  public static func classes(of files: [String]) -> [(name: String, count: Int)] {
    var counts: [[UInt8]: Int] = [:]
    for name in files.compactMap(className) { counts[Array(name.utf8), default: 0] += 1 }
    return counts.keys.sorted { $0.lexicographicallyPrecedes($1) }.map {
      (String(decoding: $0, as: UTF8.self), counts[$0] ?? 0)
    }
  }
}

/// What is found below a folder.
private struct Walk {
  let root: String
  var files: [String] = []
  var errors: [ImageError] = []
  /// Files of other kinds.
  var others = 0
  /// Of these, pictures in formats that are not read, and archives, which are read where there are no images beside them.
  var unread: [String] = []
  private var seen: Set<[UInt64]> = []
  /// Links to folders, which are followed after all that is reached without.
  private var links: [String] = []

  init(root: String) { self.root = root }

  static func isCompressed(_ name: String) -> Bool {
    ["gz", "tgz", "zip", "xz", "bz2", "zst", "7z"].contains {
      name.lowercased().hasSuffix(".\($0)")
    }
  }

  /// The archives in the folder itself, by their bytes; `nil` where it cannot be listed.
  var archives: [String]? {
    Files.names(in: root)?.filter { TarArchive.isArchive("\(root)/\($0)") }
  }

  /// Whether a name is that of a picture of a format that is not read.
  static func isOtherPicture(_ name: String) -> Bool {
    let ending = name.split(separator: ".").last?.lowercased() ?? ""
    return ["gif", "bmp", "heic", "avif", "jp2"].contains(ending)
      && !ImageCodecs.isImage(name)
  }

  mutating func run() {
    enter("")
    while !links.isEmpty { enter(links.removeFirst()) }
  }

  private mutating func enter(_ folder: String) {
    let path = folder.isEmpty ? root : "\(root)/\(folder)"
    var status = stat()
    guard unsafe stat(path, &status) == 0,
      seen.insert([UInt64(status.st_dev), UInt64(status.st_ino)]).inserted
    else { return }
    guard let entries = Files.entries(in: path) else {
      errors.append(.unreadable(path: path, reason: "the folder cannot be listed"))
      return
    }
    for entry in entries {
      let name = entry.name
      let file = folder.isEmpty ? name : "\(folder)/\(name)"
      if entry.isRegular && ImageCodecs.isImage(name) {
        files.append(file)
        continue
      }
      let place = "\(root)/\(file)"
      guard unsafe lstat(place, &status) == 0 else {
        // A name that is no UTF-8 cannot be reached; a file's is named where it is read.
        if ImageCodecs.isImage(name) {
          files.append(file)
        } else {
          errors.append(
            .unreadable(path: place, reason: "it cannot be reached; its name may be none in UTF-8"))
        }
        continue
      }
      let isLink = status.st_mode & S_IFMT == S_IFLNK
      guard unsafe !isLink || stat(place, &status) == 0 else {
        if ImageCodecs.isImage(name) { files.append(file) }
        continue
      }
      switch status.st_mode & S_IFMT {
      case S_IFDIR: if isLink { links.append(file) } else { enter(file) }
      case S_IFREG:
        if ImageCodecs.isImage(name) {
          files.append(file)
        } else {
          others += 1
          if Walk.isOtherPicture(name) || TarArchive.isArchive(place) { unread.append(file) }
        }
      default:
        if ImageCodecs.isImage(name) {
          errors.append(.unreadable(path: place, reason: "it is no regular file"))
        }
      }
    }
  }
}

extension StringProtocol {
  /// Whether two names have the same bytes: names that only look alike are those of two files.
  public func isSameName(as other: some StringProtocol) -> Bool { utf8.elementsEqual(other.utf8) }
}
