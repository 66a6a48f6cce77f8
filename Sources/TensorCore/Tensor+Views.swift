import CKernels

extension Tensor {
  /// The same elements in another shape; those of a view that is not in row-major order are copied into it.
  ///
  /// - Parameters:
  ///   - extents: One of them may be −1: it follows from the others.
  ///   - asView: Whether axes of extent 1 come and go without a copy, where nothing else changes: the elements stay in the
  ///     order in which they lie.
  /// - Precondition: The number of elements is the same.
  public func reshaped(_ extents: [Int], asView: Bool = false) -> Tensor {
    var extents = extents
    if let free = extents.firstIndex(of: -1) {
      let known = extents.reduce(1) { $1 == -1 ? $0 : $0 * $1 }
      require(known > 0 && shape.count % known == 0, "cannot reshape \(shape) to \(extents)")
      extents[free] = shape.count / known
    }
    let target = Shape(extents)
    require(target.count == shape.count, "cannot reshape \(shape) to \(target)")
    if asView, !isContiguous, let strides = strides(ofSameAxesAs: target) {
      return Tensor(storage: storage, shape: target, strides: strides, offset: offset)
    }
    let source = contiguous
    return Tensor(
      storage: source.storage, shape: target, strides: target.rowMajorStrides,
      offset: source.offset)
  }

  /// Those for a shape that differs by axes of extent 1 alone.
  private func strides(ofSameAxesAs target: Shape) -> [Int]? {
    var axes = shape.extents.indices.filter { shape.extents[$0] != 1 }
    guard axes.map({ shape.extents[$0] }) == target.extents.filter({ $0 != 1 }) else { return nil }
    var (result, step) = (target.extents, 1)
    for (i, extent) in target.extents.enumerated().reversed() {
      guard extent != 1, let axis = axes.popLast() else {
        result[i] = step
        continue
      }
      result[i] = strides[axis]
      step = max(step, strides[axis] * extent)
    }
    return result
  }

  /// The same elements in another shape.
  public func reshaped(_ shape: Shape) -> Tensor { reshaped(shape.extents) }

  /// A view with the axes in another order: axis `i` of the result is axis `order[i]`.
  ///
  /// - Precondition: `order` is a permutation of the axes.
  public func permuted(_ order: [Int]) -> Tensor {
    // Each once.
    let isPermutation =
      order.count == shape.rank && shape.extents.indices.allSatisfy { order.contains($0) }
    require(isPermutation, "axes \(order) of shape \(shape)")
    return Tensor(
      storage: storage, shape: Shape(order.map { shape.extents[$0] }),
      strides: order.map { strides[$0] }, offset: offset)
  }

  /// The axes in the order in which they lie in memory, outermost first: `[0, 2, 3, 1]` of
  /// `[batch, channels, height, width]` whose channels are last there.
  public var memoryOrder: [Int] {
    strides.indices.sorted {
      strides[$0] != strides[$1] ? strides[$0] > strides[$1] : $0 < $1
    }
  }

  /// A view with the last two axes exchanged.
  public func transposed() -> Tensor {
    var order = Array(0..<shape.rank)
    order.swapAt(shape.resolve(-1), shape.resolve(-2))
    return permuted(order)
  }

  /// A view of a range of indices along one axis.
  ///
  /// - Parameter step: Every so many of them, the first one among them.
  /// - Precondition: The range lies within the axis; `step` is positive.
  public func sliced(_ range: Range<Int>, axis: Int = 0, by step: Int = 1) -> Tensor {
    let axis = shape.resolve(axis)
    require(
      range.lowerBound >= 0 && range.upperBound <= shape.extents[axis] && step > 0,
      "slice \(range) of axis \(axis) of \(shape) by \(step)")
    var strides = strides
    let first = offset + range.lowerBound * strides[axis]
    let count = range.isEmpty ? 0 : (range.count - 1) / step + 1
    // Of one index no step is made.
    if count > 1 { strides[axis] *= step }
    return Tensor(
      storage: storage, shape: shape.replacing(axis, with: count), strides: strides, offset: first)
  }

  /// A view of one index along the first axis, which disappears.
  public subscript(index: Int) -> Tensor {
    let row = sliced(index..<index + 1)
    return Tensor(
      storage: storage, shape: Shape(Array(shape.extents.dropFirst())),
      strides: Array(strides.dropFirst()), offset: row.offset)
  }

  /// A view that repeats axes of extent 1, and leads with new axes, to reach a shape.
  ///
  /// - Precondition: The shape broadcasts to `target`.
  public func broadcast(to target: Shape) -> Tensor {
    if target == shape { return self }
    require(
      shape.broadcast(with: target) == target, "cannot broadcast \(shape) to \(target)")
    let lead = target.rank - shape.rank
    let newStrides = (0..<target.rank).map { i in
      i < lead || shape.extents[i - lead] == 1 ? 0 : strides[i - lead]
    }
    return Tensor(storage: storage, shape: target, strides: newStrides, offset: offset)
  }

  /// The tensor with zeros around its height and width, `[batch, height, width, channels]`.
  ///
  /// - Precondition: It has four axes; `padding` is not negative.
  public func padded(_ padding: Int) -> Tensor {
    require(shape.rank == 4 && padding >= 0, "padding of shape \(shape) by \(padding)")
    let (batch, height, width, channels) = (shape[0], shape[1], shape[2], shape[3])
    let target: Shape = [batch, height + 2 * padding, width + 2 * padding, channels]
    guard strides[2] == channels && strides[3] == 1 else {
      var result = Tensor.zeros(target)
      result.assign(self, at: [0, padding, padding, 0])
      return result
    }
    // Row by row: zeros are written where there are some alone.
    let (row, side) = (width * channels, padding * channels)
    return Profiler.count("copy", elements: shape.count + target.count) {
      unsafe Tensor(target) { result in
        let address = unsafe SendableAddress(result)
        let length = row + 2 * side
        Parallel.ranges(batch * target[1], grain: max(1, (1 << 14) / max(1, length))) { range in
          for index in range {
            let (image, y) = index.quotientAndRemainder(dividingBy: target[1])
            let line = unsafe address.pointer + index * length
            guard padding..<padding + height ~= y else {
              unsafe line.update(repeating: 0, count: length)
              continue
            }
            let source = offset + image * strides[0] + (y - padding) * strides[1]
            unsafe line.update(repeating: 0, count: side)
            unsafe (line + side).update(from: storage.base + source, count: row)
            unsafe (line + side + row).update(repeating: 0, count: side)
          }
        }
      }
    }
  }

  /// Overwrites the block that begins at `origin` with another tensor of the same rank.
  ///
  /// - Precondition: The block lies within the tensor.
  public mutating func assign(_ block: Tensor, at origin: [Int]) {
    require(
      block.shape.rank == shape.rank && origin.count == shape.rank
        && zip(zip(origin, block.shape.extents), shape.extents).allSatisfy {
          $0.0 >= 0 && $0.0 + $0.1 <= $1
        }, "block \(block.shape) at \(origin) of \(shape)")
    let steps = shape.rowMajorStrides
    let start = zip(origin, steps).map { $0 * $1 }.reduce(0, +)
    unsafe withMutableElements { target in
      unsafe block.copyElements(to: target + start, strides: steps)
    }
  }

  /// Copies the elements, wherever they lie, to a place with strides of its own.
  func copyElements(to target: UnsafeMutablePointer<Float>, strides targetStrides: [Int]? = nil) {
    let targetStrides = targetStrides ?? shape.rowMajorStrides
    Profiler.count("copy", elements: 2 * shape.count) {
      let address = unsafe SendableAddress(target)
      // Of images whose three colors lie apart, and are to lie together, each row is done at once: on a row for each color,
      // threads would write to the same lines.
      let (rank, colors) = (shape.rank, shape.rank > 0 ? shape[-1] : 1)
      if rank > 1, 1..<8 ~= colors, shape[-2] > colors, strides[rank - 1] != 1 {
        let (fromColor, toColor) = (strides[rank - 1], targetStrides[rank - 1])
        return forEachRun(
          of: Shape(shape.extents.dropLast()), strides.dropLast(), targetStrides.dropLast(),
          grain: (1 << 15) / colors
        ) { run in
          for color in 0..<colors {
            unsafe run.copy(
              from: storage.base + offset + color * fromColor,
              to: address.pointer + color * toColor)
          }
        }
      }
      forEachRun(of: shape, strides, targetStrides) { run in
        unsafe run.copy(from: storage.base + offset, to: address.pointer)
      }
    }
    withExtendedLifetime(storage) {}
  }
}

/// Elements of two layouts: rows along the innermost axis, evenly apart in both.
struct Run {
  /// Where it begins in each layout, and in a contiguous tensor of the shape.
  var a = 0, b = 0, start = 0
  var rows = 1
  /// The length of a row.
  let count: Int
  /// The distances between the elements of a row.
  let aStep, bStep: Int
  /// The distances between rows.
  var aRow = 0, bRow = 0

  /// Copies its elements from the first layout to the second.
  func copy(from a: UnsafePointer<Float>, to b: UnsafeMutablePointer<Float>) {
    for row in 0..<rows {
      let source = unsafe a + self.a + row * aRow
      let target = unsafe b + self.b + row * bRow
      if aStep == 1 && bStep == 1 {
        unsafe target.update(from: source, count: count)
      } else {
        for i in 0..<count { unsafe target[i &* bStep] = source[i &* aStep] }
      }
    }
  }
}

/// Walks two layouts of one shape together, in parallel where they are long, and calls `body` for each run of rows along the
/// innermost axis; neighboring axes that both layouts step through evenly are merged.
///
/// - Parameter grain: How many elements a thread takes at once, whole rows at least.
func forEachRun(
  of shape: Shape, _ a: [Int], _ b: [Int], grain: Int = 1 << 16, _ body: @Sendable (Run) -> Void
) {
  if shape.count == 0 { return }
  var (extents, stepsA, stepsB): ([Int], [Int], [Int]) = ([], [], [])
  for axis in 0..<shape.rank where shape.extents[axis] != 1 {
    let extent = shape.extents[axis]
    if let last = extents.indices.last, stepsA[last] == a[axis] * extent,
      stepsB[last] == b[axis] * extent
    {
      extents[last] *= extent
      stepsA[last] = a[axis]
      stepsB[last] = b[axis]
    } else {
      extents.append(extent)
      stepsA.append(a[axis])
      stepsB.append(b[axis])
    }
  }
  guard let inner = extents.indices.last else {
    return body(Run(count: 1, aStep: 1, bStep: 1))
  }
  let length = extents[inner]
  let (aStep, bStep) = (stepsA[inner], stepsB[inner])
  guard inner > 0 else {
    return Parallel.ranges(length, grain: grain) { range in
      let start = range.lowerBound
      body(
        Run(
          a: start * aStep, b: start * bStep, start: start, count: range.count, aStep: aStep,
          bStep: bStep))
    }
  }
  let rows = extents[inner - 1]
  Parallel.ranges(shape.count / length, grain: max(1, grain / length)) {
    [extents, stepsA, stepsB] range in
    var next = range.lowerBound
    while next < range.upperBound {
      var run = Run(
        count: length, aStep: aStep, bStep: bStep, aRow: stepsA[inner - 1],
        bRow: stepsB[inner - 1])
      run.rows = min(rows - next % rows, range.upperBound - next)
      run.start = next * length
      var rest = next
      for axis in (0..<inner).reversed() {
        let index: Int
        (rest, index) = rest.quotientAndRemainder(dividingBy: extents[axis])
        run.a += index * stepsA[axis]
        run.b += index * stepsB[axis]
      }
      body(run)
      next += run.rows
    }
  }
}
