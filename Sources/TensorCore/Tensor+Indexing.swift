extension Tensor {
  /// The rows (along the first axis) at the given indices, in that order.
  ///
  /// - Precondition: Each index is one of the axis.
  public func gathered(_ indices: [Int]) -> Tensor {
    let source = contiguous
    let width = shape.count / max(1, shape[0])
    require(indices.allSatisfy { 0..<shape[0] ~= $0 }, "gather out of \(shape)")
    return Profiler.count("gather", elements: 2 * indices.count * width) {
      unsafe Tensor(shape.replacing(0, with: indices.count)) { target in
        unsafe source.withElements { x in
          for (row, index) in indices.enumerated() {
            unsafe (target + row * width).update(from: x + index * width, count: width)
          }
        }
      }
    }
  }

  /// Adds this tensor's rows at the given indices of a tensor of zeros with `count` rows: the
  /// pullback of `gathered`.
  public func scattered(_ indices: [Int], count: Int) -> Tensor {
    require(indices.count == shape[0], "\(indices.count) indices for \(shape)")
    require(indices.allSatisfy { 0..<count ~= $0 }, "scatter into \(count) rows")
    var result = Tensor.zeros(shape.replacing(0, with: count))
    let width = shape.count / max(1, shape[0])
    unsafe result.withMutableElements { y in
      unsafe withElements { x in
        for (row, index) in indices.enumerated() {
          for i in 0..<width { unsafe y[index * width + i] += x[row * width + i] }
        }
      }
    }
    return result
  }

  /// Joins tensors along an axis.
  ///
  /// - Precondition: There is one at least, and they agree along the other axes.
  public static func concatenated(_ tensors: [Tensor], axis: Int = 0) -> Tensor {
    require(!tensors.isEmpty, "nothing to concatenate")
    let axis = tensors[0].shape.resolve(axis)
    let total = tensors.map { $0.shape.extents[axis] }.reduce(0, +)
    let shape = tensors[0].shape.replacing(axis, with: total)
    let steps = shape.rowMajorStrides
    for tensor in tensors {
      require(
        tensor.shape.replacing(axis, with: total) == shape,
        "concatenating \(tensor.shape) to \(shape)")
    }
    let rows = shape.extents[..<axis].reduce(1, *)
    if rows > 8 && tensors.allSatisfy(\.isContiguous) {
      return joined(tensors.filter { $0.shape.count > 0 }, rows: rows, shape)
    }
    return unsafe Tensor(shape) { target in
      var start = 0
      for tensor in tensors {
        unsafe tensor.copyElements(to: target + start * steps[axis], strides: steps)
        start += tensor.shape.extents[axis]
      }
    }
  }

  /// Rows of several tensors beside each other, a result's row after the other: written in order, in one pass.
  private static func joined(_ tensors: [Tensor], rows: Int, _ shape: Shape) -> Tensor {
    let (width, widths) = (shape.count / rows, tensors.map { $0.shape.count / rows })
    return Profiler.count("copy", elements: 2 * shape.count) {
      unsafe Tensor(shape) { target in
        let address = unsafe SendableAddress(target)
        Parallel.ranges(rows, grain: max(1, (1 << 14) / max(1, width))) { range in
          for row in range {
            var place = unsafe address.pointer + row * width
            for (tensor, count) in zip(tensors, widths) {
              unsafe place.update(
                from: tensor.storage.base + tensor.offset + row * count, count: count)
              unsafe place += count
            }
          }
        }
      }
    }
  }

  /// For each row of `[rows, columns]`, the column indices from the largest element to the
  /// smallest; among equals the first comes first, and NaN counts as the smallest.
  public func sortedColumns() -> [[Int]] {
    require(shape.rank == 2, "sorting rows of shape \(shape)")
    let (columns, values) = (shape[1], elements)
    return (0..<shape[0]).map { row in
      let keys = values[row * columns..<(row + 1) * columns].map { $0.isNaN ? -.infinity : $0 }
      return keys.indices.sorted { keys[$0] != keys[$1] ? keys[$0] > keys[$1] : $0 < $1 }
    }
  }

  /// For each row of `[rows, columns]`, the index of its largest element; the first among equals.
  public func largestColumn() -> [Int] {
    require(shape.rank == 2 && shape[1] > 0, "largest column of shape \(shape)")
    let (columns, values) = (shape[1], elements)
    return (0..<shape[0]).map { row in
      (1..<columns).reduce(0) {
        values[row * columns + $1] > values[row * columns + $0] ? $1 : $0
      }
    }
  }
}
