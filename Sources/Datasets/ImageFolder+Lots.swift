public import Images
import Synchronization
import TensorCore

extension ImageFolder {
  /// One file of a folder, read or not.
  public struct Item: Sendable {
    /// The path below the folder.
    public let file: String
    public let image: Result<Image, ImageError>
  }

  /// Reads the files a few at a time, works on several such lots at once, and hands the results over
  /// in order.
  ///
  /// A lot is of at most 32 files, and of at most 2²³ samples by the files' headers (or one file), and
  /// `Parallel.pipeline` bounds how many there are at a time: memory is bounded whatever the folder
  /// holds.
  ///
  /// - Parameters:
  ///   - make: The work on one lot, on one thread of several.
  ///   - use: Called on this thread with each result, in the order of the files.
  /// - Throws: The first error of either.
  public func forEachLot<Made: Sendable>(
    _ make: @escaping @Sendable ([Item]) throws -> Made, use: (Made) throws -> Void
  ) throws {
    // A few images at most: better several threads on each than one on all.
    guard files.count > 4 else {
      for file in files { try use(try make([read(file)])) }
      return
    }
    let source = LotSource(folder: self)
    // Of large images one at a time is in memory.
    let large = Mutex(())
    try Parallel.pipeline(
      next: { source.next() },
      make: { lot in
        guard lot.isLarge else { return try make(lot.files.map(self.read)) }
        return try large.withLock { _ in try make(lot.files.map(self.read)) }
      }, use: use)
  }

  private func read(_ file: String) -> Item {
    do throws(ImageError) {
      return Item(file: file, image: .success(try Image(path: "\(path)/\(file)")))
    } catch { return Item(file: file, image: .failure(error)) }
  }
}

/// Deals a folder's files out in lots.
private final class LotSource: Sendable {
  private let folder: ImageFolder
  private let position = Mutex(0)

  init(folder: ImageFolder) { self.folder = folder }

  func next() -> (files: [String], isLarge: Bool)? {
    position.withLock { position in
      var lot: [String] = []
      var samples = 0
      while position < folder.files.count && lot.count < 32 {
        let file = folder.files[position]
        let path = "\(folder.path)/\(file)"
        let more = min(Image.sampleCount(path: path) ?? 0, Image.sampleLimit)
        if !lot.isEmpty && samples + more > 1 << 23 { break }
        samples += more
        lot.append(file)
        position += 1
      }
      return lot.isEmpty ? nil : (lot, lot.count == 1 && samples > 1 << 25)
    }
  }
}
