import Glibc

/// What tells whether a file is the one that it was: where it lies, its size, and when it was changed last.
///
/// The time is the one that the system sets (*ctime*), which no program can: a file that was copied over another has another stamp,
/// whatever its dates say.
public struct FileStamp: Codable, Hashable, Sendable {
  private let device, inode, size, seconds, nanoseconds: Int

  /// The stamp of the file that a path leads to, or of the one that it goes on behind: of `photos.tar` for `photos.tar/1.png`;
  /// `nil` where there is none.
  public init?(of path: String) {
    var (path, status) = (path, stat())
    while unsafe stat(path, &status) != 0 {
      guard errno == ENOTDIR, path.utf8.count > 1 else { return nil }
      path = Files.parent(of: path)
    }
    device = Int(bitPattern: UInt(status.st_dev))
    inode = Int(bitPattern: UInt(status.st_ino))
    size = status.st_size
    (seconds, nanoseconds) = (status.st_ctim.tv_sec, status.st_ctim.tv_nsec)
  }

  public init(from decoder: any Decoder) throws {
    var numbers = try decoder.unkeyedContainer()
    device = try numbers.decode(Int.self)
    inode = try numbers.decode(Int.self)
    size = try numbers.decode(Int.self)
    seconds = try numbers.decode(Int.self)
    nanoseconds = try numbers.decode(Int.self)
  }

  public func encode(to encoder: any Encoder) throws {
    var numbers = encoder.unkeyedContainer()
    for number in [device, inode, size, seconds, nanoseconds] { try numbers.encode(number) }
  }
}
