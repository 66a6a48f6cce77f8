import CKernels

extension Tensor {
  /// The matrix product of `[m, k]` and `[k, n]`, or of batches of them `[…, m, k]`, `[…, k, n]`.
  ///
  /// A transposed view costs nothing: it is handed to OpenBLAS as such. The result is cut into
  /// blocks whose size follows from the shapes alone, that run in parallel, so that the result does not depend on the number of
  /// threads. Small products are done by the kernel of convolutions, which begins at once: OpenBLAS packs both operands before, and is
  /// loaded where it is needed.
  ///
  /// - Precondition: The inner extents are equal; the leading axes too, or one operand is a matrix.
  public func matmul(_ other: Tensor) -> Tensor {
    require(
      shape.rank >= 2 && other.shape.rank >= 2 && shape[-1] == other.shape[-2],
      "matmul of \(shape) and \(other.shape)")
    let (m, k, n) = (shape[-2], shape[-1], other.shape[-1])
    if shape.rank > 2 && other.shape.rank == 2 {
      let lead = Array(shape.extents.dropLast())
      return reshaped([lead.reduce(1, *), k]).matmul(other).reshaped(lead + [n])
    }
    let lead = Array((shape.rank >= other.shape.rank ? shape : other.shape).extents.dropLast(2))
    let a = broadcast(to: Shape(lead + [m, k])).asMatrices()
    // Columns are computed by whole vectors.
    let isSmall = m * k * ((n + 15) / 16 * 16) <= 1 << 18
    let b = other.broadcast(to: Shape(lead + [k, n])).asMatrices(isUntransposed: isSmall)
    let count = lead.reduce(1, *)
    // OpenBLAS packs both operands anew for every block: large blocks where there are many, small ones for all threads
    // where there is little, or where what is packed anew is narrow.
    let isLarge = m * n >= 1 << 20 && min(m, n, k) > 128
    // Threads that pack neighboring blocks of 256 columns hold each other up: measured, 24 GFLOP/s where 512 columns have 63.
    let tall = Tensor.extent(of: m, atMost: isLarge ? 512 : 128)
    let wide = Tensor.extent(of: n, atMost: isLarge ? 1024 : 512)
    let (down, across) = ((m + tall - 1) / tall, (n + wide - 1) / wide)
    return Profiler.count(
      "matrix product \(m)×\(k)×\(n)", arithmetic: 2 * count * m * n * k,
      elements: count * (m * k + k * n + m * n)
    ) {
      unsafe Tensor(Shape(lead + [m, n])) { target in
        if k == 0 { unsafe target.update(repeating: 0, count: count * m * n) }
        guard m > 0 && n > 0 && k > 0 else { return }
        let c = unsafe SendableAddress(target)
        let (aRow, aColumn) = a.isTransposed ? (1, a.leading) : (a.leading, 1)
        let rowOffsets = isSmall ? (0..<min(m, tall)).map { $0 * aRow } : []
        let depthOffsets = isSmall ? (0..<k).map { $0 * aColumn } : []
        let resultOffsets = isSmall ? (0..<min(m, tall)).map { $0 * n } : []
        Parallel.forEach(count * down * across) { index in
          let (batch, part) = (index / (down * across), index % (down * across))
          let (i, j) = (part / across * tall, part % across * wide)
          let (rows, columns) = (i..<min(m, i + tall), j..<min(n, j + wide))
          let left = unsafe a.base(batch) + i * aRow
          let right = unsafe b.base(batch) + j * (b.isTransposed ? b.leading : 1)
          let result = unsafe c.pointer + (batch * m + i) * n + j
          if isSmall {
            unsafe gatherProduct(
              rows: rows.count, columns: columns.count, a: left, rowOffsets: rowOffsets,
              depthOffsets: depthOffsets, b: right, bStride: b.leading, c: result,
              cOffsets: resultOffsets)
          } else {
            unsafe ck_sgemm(
              a.isTransposed ? 1 : 0, b.isTransposed ? 1 : 0, rows.count, columns.count, k, left,
              a.leading, right, b.leading, result, n)
          }
        }
      }
    }
  }

  /// The extent of blocks of about the same size: whole tiles of OpenBLAS's kernels.
  private static func extent(of all: Int, atMost largest: Int) -> Int {
    let count = max(1, (all + largest - 1) / largest)
    return max(1, (all + 16 * count - 1) / (16 * count) * 16)
  }

  /// Matrices in memory as OpenBLAS takes them: rows or columns contiguous.
  @safe private struct Matrices: @unchecked Sendable {
    let tensor: Tensor
    let isTransposed: Bool
    let leading: Int

    func base(_ index: Int) -> UnsafePointer<Float> {
      var (rest, start) = (index, tensor.offset)
      for axis in (0..<tensor.shape.rank - 2).reversed() {
        start += rest % tensor.shape.extents[axis] * tensor.strides[axis]
        rest /= tensor.shape.extents[axis]
      }
      return unsafe UnsafePointer(tensor.storage.base + start)
    }
  }

  private func asMatrices(isUntransposed: Bool = false) -> Matrices {
    let (rows, columns) = (shape[-2], shape[-1])
    let (rowStep, columnStep) = (strides[shape.rank - 2], strides[shape.rank - 1])
    if columnStep == 1 && (rowStep >= columns || rows == 1) {
      return Matrices(tensor: self, isTransposed: false, leading: max(rowStep, columns))
    }
    if !isUntransposed && rowStep == 1 && (columnStep >= rows || columns == 1) {
      return Matrices(tensor: self, isTransposed: true, leading: max(columnStep, rows))
    }
    return Matrices(tensor: contiguous, isTransposed: false, leading: max(1, columns))
  }
}
