import CKernels

/// A linear map of rows that is block diagonal in another basis: what a convolution on a finite group is in that of its Fourier transform.
///
/// A row is a function on a group's elements, `order` times so many channels. It is transformed by an orthogonal matrix *F*, multiplied by a matrix
/// for every two of its components, and transformed back, a few rows at a time, in cache:
///
///     y = Fᵀ B F x + b
///
/// Sums run in order, each in one accumulator: what comes out of a row does not depend on the others.
///
/// - Complexity: Of *n* elements and *c* channels 2*n*(*n* *c* + *c*²) multiply-adds a row, where the whole map has *n*² *c*².
public struct SpectralProduct: Sendable {
  /// *F*, `[order, order]`, and its transpose.
  public let matrix: Tensor
  private let inverse: Tensor
  private var order: Int { matrix.shape[0] }

  /// - Precondition: The matrix is square, and of even extents; it should be orthogonal.
  public init(_ matrix: Tensor) {
    require(
      matrix.shape.rank == 2 && matrix.shape[0] == matrix.shape[1] && matrix.shape[0] % 2 == 0,
      "a spectral product by a matrix of shape \(matrix.shape)")
    (self.matrix, inverse) = (matrix.contiguous, matrix.transposed().contiguous)
  }

  /// The map of each row, clamped at zero if `relu`.
  ///
  /// **Shapes.** `[…, order · inputs]`, blocks `[order / 2, 2 · inputs, 2 · channels]`, bias `[order · channels]` → `[…, order · channels]`.
  public func callAsFunction(
    _ input: Tensor, _ blocks: Tensor, bias: Tensor? = nil, relu: Bool = false
  ) -> Tensor {
    let sizes = Sizes(order, input.shape, blocks.shape, bias: bias?.shape)
    let (x, b, bias) = (input.contiguous, blocks.contiguous, bias?.contiguous)
    return sizes.counted("spectral product") {
      unsafe Tensor(Shape(input.shape.extents.dropLast() + [sizes.columns])) { target in
        let y = unsafe SendableAddress(target)
        Parallel.ranges(sizes.rows, grain: sizes.grain) { range in
          let scratch = Storage(count: sizes.lot * (sizes.depth + sizes.columns))
          for first in stride(from: range.lowerBound, to: range.upperBound, by: sizes.lot) {
            let count = min(sizes.lot, range.upperBound - first)
            unsafe map(
              count, x.elementAddress + first * sizes.depth, b, bias, relu, sizes, scratch,
              to: y.pointer + first * sizes.columns)
          }
          withExtendedLifetime(scratch) {}
        }
        withExtendedLifetime((x, b, bias)) {}
      }
    }
  }

  /// The mean of the map over the rows of each member of a batch: the rows' own results are not held.
  ///
  /// **Shapes.** `[batch, …, order · inputs]`, blocks and bias as above → `[batch, order · channels]`.
  public func mean(
    _ input: Tensor, _ blocks: Tensor, bias: Tensor? = nil, relu: Bool = false
  ) -> Tensor {
    let sizes = Sizes(order, input.shape, blocks.shape, bias: bias?.shape)
    let (x, b, bias) = (input.contiguous, blocks.contiguous, bias?.contiguous)
    let batch = input.shape[0]
    let rows = batch == 0 ? 0 : sizes.rows / batch
    // Of a large image several threads do a part each; how many there are follows from its size alone.
    let parts = max(1, min(8, rows / sizes.grain))
    return sizes.counted("mean of spectral product") {
      unsafe Tensor([batch, parts, sizes.columns]) { target in
        let means = unsafe SendableAddress(target)
        Parallel.ranges(
          batch * parts, grain: parts > 1 ? 1 : max(1, sizes.grain / max(1, rows))
        ) { range in
          let scratch = Storage(count: sizes.lot * (sizes.depth + sizes.columns))
          let results = Storage(count: (sizes.lot + 1) * sizes.columns)
          let sums = unsafe results.base + sizes.lot * sizes.columns
          for piece in range {
            let (member, part) = piece.quotientAndRemainder(dividingBy: parts)
            let (start, end) = (rows * part / parts, rows * (part + 1) / parts)
            let mean = unsafe means.pointer + piece * sizes.columns
            for column in 0..<sizes.columns { unsafe mean[column] = rows == 0 ? .nan : 0 }
            for first in stride(from: start, to: end, by: sizes.lot) {
              let count = min(sizes.lot, end - first)
              unsafe map(
                count, x.elementAddress + (member * rows + first) * sizes.depth, b, bias, relu,
                sizes, scratch, to: results.base)
              unsafe ck_reduce(CK_SUM, 1, count, sizes.columns, results.base, sums)
              unsafe ck_axpy(sizes.columns, 1 / Float(rows), sums, mean)
            }
          }
          withExtendedLifetime((scratch, results)) {}
        }
        withExtendedLifetime((x, b, bias)) {}
      }.sum([1])
    }
  }

  /// The map of a lot of rows.
  private func map(
    _ rows: Int, _ x: UnsafePointer<Float>, _ blocks: Tensor, _ bias: Tensor?, _ relu: Bool,
    _ sizes: Sizes, _ scratch: Storage, to y: UnsafeMutablePointer<Float>
  ) {
    let products = unsafe scratch.base + sizes.lot * sizes.depth
    unsafe transform(rows, sizes.inputs, x, to: scratch.base)
    for block in 0..<order / 2 {
      unsafe gatherProduct(
        rows: rows, columns: 2 * sizes.channels, a: scratch.base + block * 2 * sizes.inputs,
        rowOffsets: sizes.inputRows, depthOffsets: sizes.inputColumns,
        b: blocks.elementAddress + block * 4 * sizes.inputs * sizes.channels,
        bStride: 2 * sizes.channels, c: products + block * 2 * sizes.channels,
        cOffsets: sizes.outputRows)
    }
    unsafe ck_mix(
      rows, order, sizes.channels, inverse.elementAddress, products, sizes.columns, y,
      sizes.columns, bias?.elementAddress, relu ? 1 : 0)
  }

  /// The gradient by the input, for the gradient by the result.
  public func inputGradient(_ gradient: Tensor, _ blocks: Tensor) -> Tensor {
    self(gradient, blocks.permuted([0, 2, 1]))
  }

  /// The gradient by the blocks, for the gradient by the result: of each the products of the transforms' components.
  ///
  /// Partial sums over fixed parts of the rows are combined in order.
  public func blocksGradient(_ gradient: Tensor, input: Tensor, blocks shape: Shape) -> Tensor {
    let sizes = Sizes(order, input.shape, shape)
    require(
      gradient.shape.count == sizes.rows * sizes.columns,
      "gradient \(gradient.shape) of \(sizes.rows) rows of \(sizes.columns)")
    let (x, dy) = (input.contiguous, gradient.contiguous)
    let lots = (sizes.rows + sizes.lot - 1) / sizes.lot
    let parts = max(1, min(8, sizes.rows / sizes.grain))
    return sizes.counted("spectral product, blocks' gradient") {
      var partials = Tensor.zeros(Shape([parts] + shape.extents))
      unsafe partials.withMutableElements { sums in
        let address = unsafe SendableAddress(sums)
        Parallel.forEach(parts) { part in
          let scratch = Storage(count: sizes.lot * (sizes.depth + sizes.columns))
          let outer = unsafe scratch.base + sizes.lot * sizes.depth
          for first in (lots * part / parts..<lots * (part + 1) / parts).map({ $0 * sizes.lot }) {
            let count = min(sizes.lot, sizes.rows - first)
            unsafe transform(
              count, sizes.inputs, x.elementAddress + first * sizes.depth, to: scratch.base)
            unsafe transform(
              count, sizes.channels, dy.elementAddress + first * sizes.columns, to: outer)
            for block in 0..<order / 2 {
              let sum =
                unsafe address.pointer + part * shape.count
                + block * 4 * sizes.inputs * sizes.channels
              unsafe gatherProduct(
                rows: 2 * sizes.inputs, columns: 2 * sizes.channels,
                a: scratch.base + block * 2 * sizes.inputs, rowOffsets: sizes.inputColumns,
                depthOffsets: sizes.inputRows, depth: count, b: outer + block * 2 * sizes.channels,
                bStride: sizes.columns, c: sum, cOffsets: sizes.blockRows, continues: true)
            }
          }
          withExtendedLifetime(scratch) {}
        }
      }
      withExtendedLifetime((x, dy)) {}
      return partials.sum([0])
    }
  }

  /// Some rows' transforms.
  private func transform(
    _ rows: Int, _ channels: Int, _ x: UnsafePointer<Float>, to y: UnsafeMutablePointer<Float>
  ) {
    let step = order * channels
    unsafe ck_mix(rows, order, channels, matrix.elementAddress, x, step, y, step, nil, 0)
  }

  private struct Sizes: Sendable {
    let order, rows, inputs, channels: Int
    /// Numbers of a row, before and after, and the multiply-adds between.
    let depth, columns, work: Int
    /// How many rows are done together: their transforms lie in the second cache; and how many lots are a piece of a loop.
    let lot, grain: Int
    /// Where rows and columns of the transforms, of the products, and of a block begin.
    let inputRows, inputColumns, outputRows, blockRows: [Int]

    init(_ order: Int, _ input: Shape, _ blocks: Shape, bias: Shape? = nil) {
      require(
        input.rank > 0 && blocks.rank == 3 && blocks[0] == order / 2 && blocks[2] % 2 == 0
          && input[-1] * 2 == order * blocks[1], "a spectral product of \(input) and \(blocks)")
      (depth, columns) = (input[-1], order / 2 * blocks[2])
      require(
        bias?.count ?? columns == columns,
        "a bias of shape \(bias ?? []) of \(columns) numbers a row")
      (self.order, inputs, channels) = (order, blocks[1] / 2, blocks[2] / 2)
      rows = depth == 0 ? 0 : input.count / depth
      lot = max(8, min(84, 16384 / max(1, depth, columns)))
      work = order * (order * (inputs + channels) + 2 * inputs * channels)
      grain = max(1, (1 << 22) / max(1, work * lot)) * lot
      inputRows = (0..<lot).map { [depth] in $0 * depth }
      inputColumns = Array(0..<2 * inputs)
      outputRows = (0..<lot).map { [columns] in $0 * columns }
      blockRows = (0..<2 * inputs).map { [channels] in $0 * 2 * channels }
    }

    func counted<Result>(_ name: String, _ body: () -> Result) -> Result {
      Profiler.count(
        "\(name), order \(order), \(inputs) → \(channels)", arithmetic: 2 * rows * work,
        elements: rows * (depth + columns), body)
    }
  }
}
