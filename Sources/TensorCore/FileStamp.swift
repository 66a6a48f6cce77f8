import Glibc

/// What tells whether a file is the one that it was: where it lies, its size, and when it was changed last.
///
/// The time is the one that the system sets (*ctime*), which no program can: a file that was copied over another has another stamp,
/// whatever its dates say.
public struct FileStamp: Codable, Hashable, Sendable {
  /// Device, inode, size, seconds, nanoseconds: as text, since a list of numbers takes six times as long to write as JSON.
  private let text: String

  /// The stamp of the file that a path leads to, or of the one that it goes on behind: of `photos.tar` for `photos.tar/1.png`;
  /// `nil` where there is none.
  public init?(of path: String) {
    var (path, status) = (path, stat())
    while unsafe stat(path, &status) != 0 {
      guard errno == ENOTDIR, path.utf8.count > 1 else { return nil }
      path = Files.parent(of: path)
    }
    let numbers = [
      Int(bitPattern: UInt(status.st_dev)), Int(bitPattern: UInt(status.st_ino)), status.st_size,
      status.st_ctim.tv_sec, status.st_ctim.tv_nsec,
    ]
    text = numbers.map(String.init).joined(separator: " ")
  }

  public init(from decoder: any Decoder) throws {
    text = try decoder.singleValueContainer().decode(String.self)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(text)
  }
}
