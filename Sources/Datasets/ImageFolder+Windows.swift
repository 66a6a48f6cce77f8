public import Images
import TensorCore

extension ImageFolder {
  /// One file of a folder, read or not.
  public struct Item: Sendable {
    /// The path below the folder.
    public let file: String
    public let image: Result<Image, ImageError>
  }

  /// Reads the files a few at a time, in order and in parallel, and calls `body` with each lot.
  ///
  /// A lot is of at most 64 files, and fewer where images are large, so that memory is bounded by
  /// the images' size, not by their number.
  public func forEachWindow(_ body: ([Item]) throws -> Void) rethrows {
    var (next, window) = (0, 16)
    while next < files.count {
      let lot = Array(files[next..<min(files.count, next + window)])
      next += lot.count
      let items = Parallel.map(lot) { file -> Item in
        do throws(ImageError) {
          return Item(file: file, image: .success(try Image(path: "\(path)/\(file)")))
        } catch { return Item(file: file, image: .failure(error)) }
      }
      let largest = items.map { (try? $0.image.get())?.samples.count ?? 1 }.max() ?? 1
      window = max(1, min(64, (1 << 26) / max(1, largest)))
      try body(items)
    }
  }
}
