import TensorCore

extension Image {
  /// Reads what a file of any known format holds, as EXIF's orientation wants it shown; of several pages the first.
  ///
  /// - Parameters:
  ///   - bytes: The whole file.
  ///   - name: What errors call it.
  /// - Throws: `ImageError` for bytes that are truncated, corrupt, of no known format, or of too large an image.
  public init(bytes: [UInt8], named name: String = "the image") throws(ImageError) {
    guard let codec = ImageCodecs.recognizing(bytes) else {
      throw .unreadable(path: name, reason: "its format is none that is read")
    }
    guard let file = NamelessFile(bytes) else {
      throw .unreadable(path: name, reason: "there is no space for a temporary file")
    }
    defer { withExtendedLifetime(file) {} }
    do throws(ImageError) { self = try codec.read(file.path).upright } catch {
      throw error.named(name)
    }
  }

  /// A whole file of it, in the format of an ending.
  ///
  /// - Throws: `ImageError.unwritable`, also where the ending is of no format.
  public func encoded(as ending: String = "png") throws(ImageError) -> [UInt8] {
    let name = "an image as \(ending)"
    guard let codec = ImageCodecs.byEnding(".\(ending)") else {
      throw .unwritable(path: name, reason: "no such format is written")
    }
    if let bytes = codec.encoded(self) { return bytes }
    guard let file = NamelessFile([]) else {
      throw .unwritable(path: name, reason: "there is no space for a temporary file")
    }
    defer { withExtendedLifetime(file) {} }
    do throws(ImageError) { try codec.write(self, to: file.path) } catch { throw error.named(name) }
    guard let bytes = Files.bytes(of: file.path) else {
      throw .unwritable(path: name, reason: "it cannot be read again")
    }
    return bytes
  }
}
