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
      write(sampled(tile, channels, read), row, column)
    }
  }

  private func sampled(
    _ tile: Tile, _ channels: Int, _ read: (Range<Int>, Range<Int>) -> Tensor
  ) -> Tensor {
    if case .color = background, tile.isOutside(margin: Self.margin) {
      var found = Tensor.zeros([1, tile.extent.height, tile.extent.width, channels])
      blend(&found, .zeros([1, tile.extent.height, tile.extent.width, 1]))
      return unmultiplied(found)
    }
    let (part, partMap) = tile.part(beyond: 0)
    let picture = multiplied(read(part.rows, part.columns))
    var found = picture.warped(by: [partMap], size: tile.extent, interpolation, border: .edge)
    guard case .color = background, !tile.isInside(margin: Self.margin) else {
      return unmultiplied(found)
    }
    // As `sampled` has it: the picture is continued for some pixels, and then fades.
    let (around, aroundMap) = tile.part(beyond: Self.margin)
    let inside = Tensor(
      repeating: 1, shape: [1, around.rows.count, around.columns.count, 1]
    ).warped(by: [aroundMap], size: tile.extent)
    blend(&found, inside)
    return unmultiplied(found)
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

  /// Whether all that it looks at lies in the picture or so near it that nothing of the background is seen.
  func isInside(margin: Int) -> Bool {
    let far = Double(margin - 1)
    return middle.x - reach.x >= -far && middle.x + reach.x <= Double(picture.width - 1) + far
      && middle.y - reach.y >= -far && middle.y + reach.y <= Double(picture.height - 1) + far
  }

  /// Whether all that it looks at is background.
  func isOutside(margin: Int) -> Bool {
    let far = Double(margin + 1)
    return middle.x + reach.x < -far || middle.x - reach.x > Double(picture.width - 1) + far
      || middle.y + reach.y < -far || middle.y - reach.y > Double(picture.height - 1) + far
  }

  /// What it looks at, of the picture enlarged by some pixels at each side, and the map from there.
  ///
  /// Where it looks at nothing of it, that is the nearest row or column.
  func part(beyond margin: Int) -> (part: (rows: Range<Int>, columns: Range<Int>), map: SamplingMap)
  {
    func span(_ middle: Double, _ reach: Double, _ extent: Int) -> Range<Int> {
      let (first, last) = (-margin, extent + margin)
      // Cubic sampling looks at a pixel before and two behind.
      let from = Int(max(-1e9, min(1e9, (middle - reach).rounded(.down)))) - 3
      let to = Int(max(-1e9, min(1e9, (middle + reach).rounded(.up)))) + 4
      let low = min(max(from, first), last - 1)
      return low..<max(low + 1, min(max(to, first), last))
    }
    let columns = span(middle.x, reach.x, picture.width)
    let rows = span(middle.y, reach.y, picture.height)
    let offset = [
      middle.x - Double(columns.lowerBound + columns.upperBound - 1) / 2,
      middle.y - Double(rows.lowerBound + rows.upperBound - 1) / 2,
    ]
    return ((rows, columns), SamplingMap(matrix: matrix, offset: offset))
  }
}
