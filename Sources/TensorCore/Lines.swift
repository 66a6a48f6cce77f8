import Glibc

/// The lines of a file, one at a time: a file of any length takes the memory of its longest line.
///
///     for line in try Lines(of: path) ?? … { … }
@safe public final class Lines: Sequence, IteratorProtocol {
  private let file: UnsafeMutablePointer<FILE>
  private var buffer: UnsafeMutablePointer<CChar>?
  private var capacity = 0
  /// Where the next line begins, in bytes.
  public private(set) var offset = 0
  /// Whether the line before ended: the last one of a file that somebody was writing may not have.
  public private(set) var isWhole = true

  /// Whether there was no next line since reading failed, and not at the end.
  public private(set) var hasFailed = false

  /// Opens a file; `nil` where it cannot be, and `errno` says why.
  public init?(of path: String) {
    guard let file = unsafe fopen(path, "re") else { return nil }
    unsafe self.file = file
  }

  deinit {
    unsafe fclose(file)
    unsafe free(buffer)
  }

  /// Goes to a place where a line begins.
  public func seek(to offset: Int) {
    guard offset != self.offset else { return }
    unsafe fseeko(file, offset, SEEK_SET)
    self.offset = offset
  }

  /// The bytes of the next line, without its end; `nil` after the last, or where reading fails: see `hasFailed`.
  public func next() -> [UInt8]? {
    let count = unsafe getline(&buffer, &capacity, file)
    if count < 0 { hasFailed = unsafe ferror(file) != 0 }
    guard count > 0, let start = unsafe buffer else { return nil }
    offset += count
    var bytes = unsafe UnsafeRawBufferPointer(start: start, count: count)[...]
    isWhole = unsafe bytes.last == 0x0A
    if isWhole { unsafe bytes.removeLast() }
    return unsafe Array(bytes)
  }
}
