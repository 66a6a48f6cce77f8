import Glibc
public import TensorCore

extension PictureAction {
  /// Whether a motion can be done tile by tile: not where pixels are only moved, and not where a tile may look at a picture's far side.
  public func movesByTiles(_ motion: Motion) -> Bool {
    motion.others.isEmpty && !motion.isExact && background != .reflect
  }

  /// Moves a large picture tile by tile: what is in memory besides the picture and the result is of one tile a thread.
  ///
  /// Each tile of the result is sampled from the part of the picture that it looks at, as `act` samples the whole: places agree to
  /// the rounding of doubles.
  ///
  /// - Parameters:
  ///   - motion: How it is moved.
  ///   - size: The picture's.
  ///   - channels: Of 2 or 4 the last one is alpha.
  ///   - read: Gives a part of the picture, `[1, rows, columns, channels]`.
  ///   - write: Takes a part of the result, and where its first row and column lie; parts come from several threads, and do not
  ///     overlap.
  /// - Precondition: `movesByTiles(motion)`.
  public func act(
    _ motion: Motion, on size: (height: Int, width: Int), channels: Int,
    read: @Sendable (_ rows: Range<Int>, _ columns: Range<Int>) -> Tensor,
    write: @Sendable (_ part: Tensor, _ row: Int, _ column: Int) -> Void
  ) {
    require(movesByTiles(motion), "a motion that is not done by tiles")
    let moved = self.size(of: size, movedBy: motion)
    let map = samplingMap(motion, size)
    let side = 256
    let columns = (moved.width + side - 1) / side
    Parallel.forEach((moved.height + side - 1) / side * columns) { n in
      let (row, column) = (n / columns * side, n % columns * side)
      let tile = Tile(
        rows: row..<min(moved.height, row + side),
        columns: column..<min(moved.width, column + side),
        of: moved, map: map, picture: size)
      write(sampled(tile, of: size, channels, read), row, column)
    }
  }

  private func sampled(
    _ tile: Tile, of size: (height: Int, width: Int), _ channels: Int,
    _ read: (Range<Int>, Range<Int>) -> Tensor
  ) -> Tensor {
    let (rows, columns) = tile.part
    let picture = multiplied(read(rows, columns))
    // Of the whole picture, in the part's pixels.
    func seen(_ extent: Int, _ part: Range<Int>) -> Range<Int> {
      -Self.margin - part.lowerBound..<extent + Self.margin - part.lowerBound
    }
    return unmultiplied(
      picture.warped(
        by: [tile.map], size: tile.extent, interpolation, border: .edge,
        over: backdrop(channels, seen(size.height, rows), seen(size.width, columns))))
  }
}

/// A part of a moved picture, and where in the picture it looks.
private struct Tile {
  let extent: (height: Int, width: Int)
  private let picture: (height: Int, width: Int)
  private let matrix: [Double]
  /// Where the middle of it looks, in pixels from the picture's first.
  private let middle: (x: Double, y: Double)
  /// How far it looks from there.
  private let reach: (x: Double, y: Double)

  init(
    rows: Range<Int>, columns: Range<Int>, of moved: (height: Int, width: Int), map: SamplingMap,
    picture: (height: Int, width: Int)
  ) {
    extent = (rows.count, columns.count)
    (self.picture, matrix) = (picture, map.matrix)
    let x = Double(columns.lowerBound + columns.upperBound - moved.width) / 2
    let y = Double(rows.lowerBound + rows.upperBound - moved.height) / 2
    middle = (
      matrix[0] * x + matrix[1] * y + map.offset[0] + Double(picture.width - 1) / 2,
      matrix[2] * x + matrix[3] * y + map.offset[1] + Double(picture.height - 1) / 2
    )
    let (w, h) = (Double(columns.count) / 2, Double(rows.count) / 2)
    reach = (abs(matrix[0]) * w + abs(matrix[1]) * h, abs(matrix[2]) * w + abs(matrix[3]) * h)
  }

  /// What it looks at, of the picture: at least the nearest row and column.
  var part: (rows: Range<Int>, columns: Range<Int>) {
    func span(_ middle: Double, _ reach: Double, _ extent: Int) -> Range<Int> {
      // Cubic sampling looks at a pixel before and two behind.
      let from = Int(max(-1e9, min(1e9, (middle - reach).rounded(.down)))) - 3
      let to = Int(max(-1e9, min(1e9, (middle + reach).rounded(.up)))) + 4
      let low = min(max(from, 0), extent - 1)
      return low..<max(low + 1, min(to, extent))
    }
    return (
      span(middle.y, reach.y, picture.height), span(middle.x, reach.x, picture.width)
    )
  }

  /// The map from there.
  var map: SamplingMap {
    let (rows, columns) = part
    return SamplingMap(
      matrix: matrix,
      offset: [
        middle.x - Double(columns.lowerBound + columns.upperBound - 1) / 2,
        middle.y - Double(rows.lowerBound + rows.upperBound - 1) / 2,
      ])
  }
}
