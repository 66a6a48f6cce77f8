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
  /// A lot is of at most 64 files, and of at most 2²⁶ samples by the files' headers (or one file):
  /// memory is bounded whatever the folder holds.
  public func forEachWindow(_ body: ([Item]) throws -> Void) rethrows {
    var lot: [String] = []
    var samples = 0
    for file in files {
      let count = min(Image.sampleCount(path: "\(path)/\(file)") ?? 0, Image.pixelLimit)
      if lot.count == 64 || (!lot.isEmpty && samples + count > 1 << 26) {
        try body(read(lot))
        (lot, samples) = ([], 0)
      }
      lot.append(file)
      samples += count
    }
    if !lot.isEmpty { try body(read(lot)) }
  }

  private func read(_ lot: [String]) -> [Item] {
    Parallel.map(lot) { file -> Item in
      do throws(ImageError) {
        return Item(file: file, image: .success(try Image(path: "\(path)/\(file)")))
      } catch { return Item(file: file, image: .failure(error)) }
    }
  }
}
