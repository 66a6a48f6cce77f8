import CZlib

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

  /// Reads a file.
  ///
  /// - Throws: `DatasetError` for a file that is missing, truncated or of another format.
  public init(path: String) throws(DatasetError) {
    let content = try IDX.decompressed(path)
    guard content.count >= 4, content[0] == 0, content[1] == 0, content[2] == 8 else {
      throw .malformed(path: path, reason: "it does not begin as an IDX file of bytes does")
    }
    let rank = Int(content[3])
    guard rank > 0, content.count >= 4 + 4 * rank else {
      throw .malformed(path: path, reason: "its header is cut short")
    }
    let extents = (0..<rank).map { axis in
      content[4 + 4 * axis..<8 + 4 * axis].reduce(0) { $0 << 8 | Int($1) }
    }
    let count = extents.reduce(1) { $0.multipliedReportingOverflow(by: $1).partialValue }
    guard content.count == 4 + 4 * rank + count else {
      throw .malformed(
        path: path,
        reason: "its header promises \(extents) bytes and \(content.count - 4 - 4 * rank) follow")
    }
    self.extents = extents
    bytes = Array(content[(4 + 4 * rank)...])
  }

  private static func decompressed(_ path: String) throws(DatasetError) -> [UInt8] {
    guard let file = unsafe gzopen(path, "rb") else {
      throw .unreadable(path: path, reason: "it does not open")
    }
    defer { unsafe gzclose(file) }
    var content: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let got = unsafe gzread(file, &buffer, UInt32(buffer.count))
      if got < 0 { throw .unreadable(path: path, reason: "its gzip data are damaged") }
      if got == 0 { break }
      content += buffer[..<Int(got)]
    }
    var code: Int32 = 0
    _ = unsafe gzerror(file, &code)
    if code != 0 { throw .unreadable(path: path, reason: "its gzip data are cut short") }
    return content
  }
}
