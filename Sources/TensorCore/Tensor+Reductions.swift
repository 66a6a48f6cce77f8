import CKernels

extension Tensor {
  private func reduce(_ op: ck_reduce_op, axis: Int) -> Tensor {
    let axis = shape.resolve(axis)
    let length = shape.extents[axis]
    require(length > 0 || op == CK_SUM, "extremum over an empty axis of \(shape)")
    let inner = shape.extents[(axis + 1)...].reduce(1, *)
    let outer = shape.extents[..<axis].reduce(1, *)
    let source = contiguous
    return Profiler.count("reduction", arithmetic: shape.count, elements: shape.count) {
      unsafe Tensor(shape.replacing(axis, with: 1)) { target in
        let address = unsafe SendableAddress(target)
        let grain = max(1, (1 << 13) / max(1, length * inner))
        Parallel.ranges(outer, grain: grain) { range in
          unsafe source.withElements { x in
            let start = range.lowerBound
            unsafe ck_reduce(
              op, range.count, length, inner, x + start * length * inner,
              address.pointer + start * inner)
          }
        }
      }
    }
  }

  private func dropping(_ axes: [Int]) -> Tensor {
    let axes = Set(axes.map(shape.resolve))
    return reshaped(shape.extents.indices.filter { !axes.contains($0) }.map { shape.extents[$0] })
  }

  /// The sum over some axes, or over all.
  ///
  /// Long sums are taken in blocks: the rounding error grows with the square root of the length
  /// or slower.
  public func sum(_ axes: [Int]? = nil, keepingAxes: Bool = false) -> Tensor {
    let axes = axes ?? Array(0..<shape.rank)
    if axes.count == shape.rank && !keepingAxes {
      return reshaped([shape.count]).reduce(CK_SUM, axis: 0).reshaped([])
    }
    let total = axes.map(shape.resolve).sorted().reversed().reduce(self) {
      $0.reduce(CK_SUM, axis: $1)
    }
    return keepingAxes ? total : total.dropping(axes)
  }

  /// Whether no element is NaN or infinite.
  public var isFinite: Bool {
    unsafe withElements { x in
      // Of all exponents, without a branch: in vectors.
      var largest: UInt32 = 0
      for n in 0..<shape.count { largest = max(largest, unsafe x[n].bitPattern & 0x7F80_0000) }
      return largest < 0x7F80_0000
    }
  }

  /// The mean over some axes, or over all.
  public func mean(_ axes: [Int]? = nil, keepingAxes: Bool = false) -> Tensor {
    let total = sum(axes, keepingAxes: keepingAxes)
    return total * (Float(total.shape.count) / Float(shape.count))
  }

  /// The largest element along an axis, which stays with extent 1 if `keepingAxes`.
  public func maximum(_ axis: Int, keepingAxes: Bool = false) -> Tensor {
    let result = reduce(CK_MAX, axis: axis)
    return keepingAxes ? result : result.dropping([axis])
  }

  /// The smallest element along an axis, which stays with extent 1 if `keepingAxes`.
  public func minimum(_ axis: Int, keepingAxes: Bool = false) -> Tensor {
    let result = reduce(CK_MIN, axis: axis)
    return keepingAxes ? result : result.dropping([axis])
  }

  /// The softmax over the last axis, exp(*x*) / Σ exp(*x*), or its logarithm.
  public func softmax(logarithm: Bool = false) -> Tensor {
    let columns = shape[-1]
    let source = contiguous
    return Profiler.count("softmax", arithmetic: 4 * shape.count, elements: 2 * shape.count) {
      unsafe Tensor(shape) { target in
        let address = unsafe SendableAddress(target)
        let (rows, grain) = (columns == 0 ? 0 : shape.count / columns, (1 << 14) / max(1, columns))
        Parallel.ranges(rows, grain: max(1, grain)) { range in
          let start = range.lowerBound * columns
          unsafe source.withElements {
            unsafe ck_softmax(
              range.count, columns, $0 + start, logarithm ? 1 : 0, address.pointer + start)
          }
        }
      }
    }
  }

  /// The sum over the axes along which `shape` was broadcast to this tensor's: the pullback of
  /// broadcasting.
  public func summed(to target: Shape) -> Tensor {
    if target == shape { return self }
    let lead = shape.rank - target.rank
    let axes = (0..<shape.rank).filter {
      $0 < lead || (target.extents[$0 - lead] == 1 && shape.extents[$0] != 1)
    }
    return sum(axes, keepingAxes: true).reshaped(target)
  }
}
