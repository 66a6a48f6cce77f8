import Foundation
import Images

/// Images below a folder, sorted by path: found once, read one by one.
public struct ImageFolder: Sendable {
  /// The folder.
  public let path: String
  /// The files' paths below the folder.
  public let files: [String]

  /// Names files of a folder without looking.
  public init(path: String, files: [String]) {
    self.path = path
    self.files = files
  }

  /// Finds the files with the ending of an image (`.png`, of any case), in subfolders too.
  ///
  /// - Throws: `DatasetError.unreadable` for a folder that is missing, not a folder, or has none.
  public init(path: String) throws(DatasetError) {
    var isFolder: ObjCBool = false
    guard unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw .unreadable(path: path, reason: "there is no such folder")
    }
    if !isFolder.boolValue {
      guard ImageCodecs.isImage(path) else {
        throw .unreadable(path: path, reason: "it is neither a folder nor an image file")
      }
      let url = URL(fileURLWithPath: path)
      self.path = url.deletingLastPathComponent().relativePath
      files = [url.lastPathComponent]
      return
    }
    guard FileManager.default.isReadableFile(atPath: path),
      let found = FileManager.default.enumerator(atPath: path)
    else {
      throw .unreadable(path: path, reason: "it cannot be listed")
    }
    self.path = path
    files = found.compactMap { $0 as? String }.filter { ImageCodecs.isImage($0) }.sorted()
    if files.isEmpty { throw .unreadable(path: path, reason: "it holds no image file") }
  }

  /// The name of the first folder on the way to a file: its class, in a folder with one subfolder a
  /// class; `nil` for a file at the top.
  public static func className(of file: String) -> String? {
    let parts = file.split(separator: "/")
    return parts.count > 1 ? String(parts[0]) : nil
  }
}
