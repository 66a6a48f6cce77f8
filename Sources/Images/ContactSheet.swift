import TensorCore

/// A grid of small images on one, to look at many at once.
public struct ContactSheet {
  private let rows, columns, cell, gap: Int
  private var canvas: Tensor

  /// Creates an empty sheet.
  ///
  /// - Parameters:
  ///   - rows: How many images stand above each other.
  ///   - columns: How many stand side by side.
  ///   - cell: The side of the square that an image is shown in, in pixels.
  ///   - gap: The space between images.
  public init(rows: Int, columns: Int, cell: Int = 56, gap: Int = 4) {
    self.rows = rows
    self.columns = columns
    self.cell = cell
    self.gap = gap
    let side = cell + gap
    canvas = Tensor(repeating: 0.16, shape: [1, rows * side + gap, columns * side + gap, 3])
  }

  /// Shows an image, scaled to its cell, on a colored ground.
  ///
  /// The frame is a color around the image: red, green, blue in 0…1.
  public mutating func place(
    _ image: Image, row: Int, column: Int, frame: (Float, Float, Float)? = nil
  ) {
    require(row < rows && column < columns, "cell (\(row), \(column)) of \(rows) × \(columns)")
    let small = image.modelInput(size: cell, channels: 3)
    let (top, left) = (gap + row * (cell + gap), gap + column * (cell + gap))
    if let frame {
      let border = max(1, gap / 2)
      let side = cell + 2 * border
      let color = Tensor([frame.0, frame.1, frame.2]).broadcast(to: [1, side, side, 3])
      canvas.assign(color, at: [0, top - border, left - border, 0])
    }
    canvas.assign(small, at: [0, top, left, 0])
  }

  /// The sheet as an image.
  public var image: Image { Image(canvas[0]) }
}
