public import TensorCore

/// How isometries act on sets whose members are described by points, vectors and numbers.
///
/// **Shapes.** `[batch, …, width]` → the same; the last axis is cut into `columns`.
public struct PointAction: Action {
  /// What some columns of a description are.
  public enum Columns: Sendable, Hashable {
    /// *d* coordinates of a point: it is moved.
    case point
    /// *d* components of a vector, such as a velocity: it is turned, not shifted.
    case vector
    /// So many numbers that do not change, such as a charge.
    case scalars(Int)
  }

  public let group: Euclidean
  public let columns: [Columns]

  public init(_ group: Euclidean, columns: [Columns] = [.point]) {
    self.group = group
    self.columns = columns
  }

  /// How many numbers describe a member.
  public var width: Int { columns.map(extent).reduce(0, +) }

  /// How many numbers columns of a kind take.
  private func extent(_ columns: Columns) -> Int {
    if case .scalars(let count) = columns { count } else { group.spaceDimension }
  }

  /// The columns of each kind, in order.
  public var ranges: [(kind: Columns, range: Range<Int>)] {
    var start = 0
    return columns.map { kind in
      defer { start += extent(kind) }
      return (kind, start..<start + extent(kind))
    }
  }

  /// The columns of sets `[batch, …, width]`, kind by kind.
  public func parts(of batch: Tensor) -> [(kind: Columns, values: Tensor)] {
    require(
      batch.shape[-1] == width, "sets \(batch.shape) of members described by \(width) numbers")
    return ranges.map { ($0.kind, batch.sliced($0.range, axis: -1)) }
  }

  public func act(_ elements: [AffineMap], on batch: Tensor) -> Tensor {
    let (d, count) = (group.spaceDimension, elements.count)
    require(batch.shape[0] == count, "\(count) isometries on \(batch.shape)")
    // Rows are points: y = x Aᵀ + t.
    let transposed = elements.flatMap { $0.transposed.matrix.map { Float($0) } }
    let matrices = Tensor(transposed, shape: [count, d, d])
    let shifts = Tensor(
      elements.flatMap { $0.translation.map { Float($0) } }, shape: [count, 1, d])
    let moved = parts(of: batch.reshaped([count, -1, width])).map { kind, values -> Tensor in
      switch kind {
      case .point: values.matmul(matrices) + shifts
      case .vector: values.matmul(matrices)
      case .scalars: values
      }
    }
    return Tensor.concatenated(moved, axis: 2).reshaped(batch.shape)
  }
}
