import CZlib
import TensorCore

/// What can go wrong with a data set, in a sentence that says what to do.
public enum DatasetError: Error, CustomStringConvertible {
  case unreadable(path: String, reason: String)
  case malformed(path: String, reason: String)
  /// The data have not what is asked of them.
  case lacking(String)

  public var description: String {
    switch self {
    case .unreadable(let path, let reason):
      "\(path) cannot be read (\(reason)); check the path and its permission."
    case .malformed(let path, let reason):
      "\(path) is not as expected: \(reason)."
    case .lacking(let reason): "\(reason); name other data, or another task."
    }
  }
}

/// The IDX format of MNIST: big-endian extents, then bytes; plain or compressed by gzip.
public struct IDX: Sendable {
  /// The extents: `[count]` of labels, `[count, height, width]` of images.
  public let extents: [Int]
  /// The elements in row-major order.
  public let bytes: [UInt8]

  /// Reads a file; of what is compressed no more is unpacked than its header promises.
  ///
  /// - Throws: `DatasetError` for a file that is missing, truncated, too long or of another format, or that promises
  ///   more than `MemoryLimit` allows.
  public init(path: String) throws(DatasetError) {
    guard Files.isRegular(path) else {
      throw .unreadable(path: path, reason: "there is no such file")
    }
    guard let file = unsafe gzopen(path, "rb") else {
      throw .unreadable(path: path, reason: "it does not open")
    }
    defer { unsafe gzclose(file) }
    let magic = try unsafe IDX.next(4, of: file, path)
    guard magic.count == 4, magic[0] == 0, magic[1] == 0, magic[2] == 8 else {
      throw .malformed(path: path, reason: "it does not begin as an IDX file of bytes does")
    }
    let rank = Int(magic[3])
    let header = try unsafe IDX.next(4 * rank, of: file, path)
    guard rank > 0, header.count == 4 * rank else {
      throw .malformed(path: path, reason: "its header is cut short")
    }
    extents = (0..<rank).map { axis in
      header[4 * axis..<4 * axis + 4].reduce(0) { $0 << 8 | Int($1) }
    }
    var count = 1
    for extent in extents {
      let (product, overflow) = count.multipliedReportingOverflow(by: max(1, extent))
      count = overflow ? Int.max : product
    }
    guard count <= MemoryLimit.bytes / 8 else {
      throw .malformed(
        path: path,
        reason:
          "its header promises \(extents) bytes, more than \(MemoryLimit.bytes >> 20) MiB of memory are "
          + "enough for (--memory allows more)")
    }
    if extents.contains(0) { count = 0 }
    bytes = try unsafe IDX.next(count, of: file, path)
    guard bytes.count == count, try unsafe IDX.next(1, of: file, path).isEmpty else {
      throw .malformed(
        path: path,
        reason: "its header promises \(extents) bytes, and "
          + (bytes.count < count ? "\(bytes.count) follow" : "more follow"))
    }
  }

  /// Up to so many of the bytes that follow.
  private static func next(
    _ count: Int, of file: gzFile, _ path: String
  ) throws(DatasetError) -> [UInt8] {
    var (content, buffer): ([UInt8], [UInt8]) = ([], [])
    buffer = [UInt8](repeating: 0, count: min(count, 1 << 20))
    while content.count < count {
      let wanted = min(buffer.count, count - content.count)
      let got = unsafe gzread(file, &buffer, UInt32(wanted))
      if got < 0 { throw .unreadable(path: path, reason: "its gzip data are damaged") }
      content += buffer[..<Int(got)]
      if Int(got) < wanted { break }
    }
    var code: Int32 = 0
    _ = unsafe gzerror(file, &code)
    if code != 0 { throw .unreadable(path: path, reason: "its gzip data are cut short") }
    return content
  }

  /// Whether a file begins as one in the IDX format of bytes does, compressed or not.
  static func isFile(_ path: String) -> Bool {
    guard Files.isRegular(path), let file = unsafe gzopen(path, "rb") else { return false }
    defer { unsafe gzclose(file) }
    guard let magic = try? unsafe next(4, of: file, path) else { return false }
    return magic.count == 4 && magic[0...2] == [0, 0, 8] && (1...8).contains(magic[3])
  }

  /// The file of labels that lies beside one of images, as MNIST's are named.
  static func labels(beside path: String) -> String? {
    let (folder, name) = (Files.parent(of: path), Files.name(of: path))
    let other = name.replacing("images", with: "labels").replacing("idx3", with: "idx1")
    guard other != name else { return nil }
    let names: [String] = [
      String(other), other.hasSuffix(".gz") ? String(other.dropLast(3)) : other + ".gz",
    ]
    return names.map { "\(folder)/\($0)" }.first(where: isFile)
  }
}
