import TensorCore

// Reductions and rearrangements: their pullbacks are each other.
extension Variable {
  /// The sum over some axes, or all; the pullback repeats.
  public func sum(_ axes: [Int]? = nil, keepingAxes: Bool = false) -> Variable {
    let axes = (axes ?? Array(0..<shape.rank)).map(shape.resolve)
    let kept = axes.reduce(shape) { $0.replacing($1, with: 1) }
    return Variable(
      value.sum(axes, keepingAxes: keepingAxes), inputs: [self], operation: .sum(axes: axes)
    ) { [shape] dy in
      [dy.reshaped(kept).broadcast(to: shape)]
    }
  }

  /// The mean over some axes, or all.
  public func mean(_ axes: [Int]? = nil, keepingAxes: Bool = false) -> Variable {
    let total = sum(axes, keepingAxes: keepingAxes)
    return total * (Float(total.shape.count) / Float(shape.count))
  }

  /// The same elements in another shape, of which one extent may be −1: see `Tensor.reshaped`.
  public func reshaped(_ extents: [Int], asView: Bool = false) -> Variable {
    let remake = remake.map { remake in { remake().reshaped(extents, asView: asView) } }
    return Variable(
      value.reshaped(extents, asView: asView), inputs: [self], operation: .reshape, remake: remake
    ) { [shape] dy in [dy.reshaped(shape)] }
  }

  /// The axes in another order; the pullback puts them back.
  public func permuted(_ order: [Int]) -> Variable {
    Variable(value.permuted(order), inputs: [self], operation: .permute(order)) { dy in
      [dy.permuted(order.indices.map { axis in order.firstIndex(of: axis) ?? axis })]
    }
  }

  /// A range along an axis; the pullback pads with zeros.
  public func sliced(_ range: Range<Int>, axis: Int = 0) -> Variable {
    Variable(
      value.sliced(range, axis: axis), inputs: [self],
      operation: .slice(range, axis: shape.resolve(axis))
    ) { [shape] dy in
      var origin = [Int](repeating: 0, count: shape.rank)
      origin[shape.resolve(axis)] = range.lowerBound
      var gradient = Tensor.zeros(shape)
      gradient.assign(dy, at: origin)
      return [gradient]
    }
  }

  /// The rows at some indices; the pullback adds them up where they came from.
  public func gathered(_ indices: [Int]) -> Variable {
    Variable(value.gathered(indices), inputs: [self]) { [count = shape[0]] dy in
      [dy.scattered(indices, count: count)]
    }
  }

  /// One element of each row of `[rows, columns]`, as `[rows]`.
  public func picked(_ columns: [Int]) -> Variable {
    let flat = columns.enumerated().map { $0 * shape[1] + $1 }
    return reshaped([shape.count]).gathered(flat)
  }

  /// The variables joined along an axis; the pullback takes them apart.
  public static func concatenated(_ parts: [Variable], axis: Int = 0) -> Variable {
    let extents = parts.map { $0.shape[axis] }
    return Variable(
      Tensor.concatenated(parts.map(\.value), axis: axis), inputs: parts,
      operation: .concatenate(axis: axis)
    ) { dy in
      var start = 0
      return extents.map { extent in
        defer { start += extent }
        return dy.sliced(start..<start + extent, axis: axis)
      }
    }
  }
}
