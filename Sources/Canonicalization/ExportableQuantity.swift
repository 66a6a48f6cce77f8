public import Autodiff
public import Symmetry
import TensorCore

/// A quantity that poses move as a computation of variables.
///
/// **Law.** What `act` of motions gives, to rounding.
public protocol ExportableQuantity: Quantity {
  /// A batch, each member moved by a pose of its own.
  ///
  /// - Throws: `NotExportable`.
  func act(_ poses: PoseVariables, on batch: Variable) throws(NotExportable) -> Variable
}

extension Quantity {
  /// A batch moved by motions that are constants: the gradient reaches what is moved, where the quantity can be written down
  /// as a computation; else, and where nothing is learned through it, the result is a constant.
  public func act(_ motions: [Motion], on batch: Variable) -> Variable {
    let moved = act(motions, on: batch.value)
    guard batch.requiresGradient, let quantity = self as? any ExportableQuantity,
      let poses = PoseVariables(motions), let written = try? quantity.act(poses, on: batch)
    else { return Variable(moved) }
    return written
  }
}

extension Scores: ExportableQuantity {
  public func act(_ poses: PoseVariables, on batch: Variable) -> Variable { batch }
}

extension Pixels: ExportableQuantity {
  public func act(_ poses: PoseVariables, on batch: Variable) throws(NotExportable) -> Variable {
    guard interpolation == .bilinear else {
      throw NotExportable(
        "Images are exported with bilinear sampling, not \(interpolation.rawValue).")
    }
    // An image that is moved looks back.
    let back = poses.inverse
    guard back.matrix != nil || back.translation != nil else { return batch }
    let zero = batch.zeroPerMember
    let matrix = back.matrix?.reshaped([-1, 4]) ?? zero + Variable(Tensor([1, 0, 0, 1]))
    guard let shift = back.translation else { return batch.warped(by: matrix, border: border) }
    let half = Float(min(batch.shape[1], batch.shape[2])) / 2
    return batch.warped(by: .concatenated([matrix, shift * half], axis: 1), border: border)
  }
}

extension Vectors: ExportableQuantity {
  public func act(_ poses: PoseVariables, on batch: Variable) -> Variable {
    batch.turned(by: poses)
  }
}

extension VectorField: ExportableQuantity {
  public func act(_ poses: PoseVariables, on batch: Variable) throws(NotExportable) -> Variable {
    try pixels.act(poses, on: batch).turned(by: poses)
  }
}

extension Keypoints: ExportableQuantity {
  public func act(_ poses: PoseVariables, on batch: Variable) -> Variable {
    let middle = Float(size - 1) / 2
    let turned = (batch - middle).turned(by: poses) + middle
    guard let shift = poses.translation else { return turned }
    return turned + shift.reshaped([-1, 1, 2]) * (Float(size) / 2)
  }
}

extension Boxes: ExportableQuantity {
  public func act(_ poses: PoseVariables, on batch: Variable) -> Variable {
    // Corners of [x, y, x, y] boxes, then the box around them.
    func side(_ i: Int) -> Variable { batch.sliced(i..<i + 1, axis: 2) }
    let corners = [(0, 1), (2, 1), (0, 3), (2, 3)].map { x, y in
      Variable.concatenated([side(x), side(y)], axis: 2).reshaped([-1, batch.shape[1], 1, 2])
    }
    let flat = Variable.concatenated(corners, axis: 2).reshaped([-1, batch.shape[1] * 4, 2])
    let moved = Keypoints(size: size).act(poses, on: flat).reshaped([-1, batch.shape[1], 4, 2])
    return .concatenated([-((-moved).maximum(2)), moved.maximum(2)], axis: 2)
  }
}

extension Members: ExportableQuantity {
  public func act(_ poses: PoseVariables, on batch: Variable) -> Variable {
    var moved = batch
    if let order = poses.order { moved = order.permuted([0, 2, 1]).matmul(moved) }
    guard poses.matrix != nil || poses.translation != nil else { return moved }
    // Rows are points: y = x Aᵀ + t.
    let transposed = poses.matrix?.permuted([0, 2, 1])
    let parts = action.ranges.map { kind, range -> Variable in
      let part = moved.sliced(range, axis: 2)
      if case .scalars = kind { return part }
      let turned = transposed.map { part.matmul($0) } ?? part
      guard kind == .point, let shift = poses.translation else { return turned }
      return turned + shift.reshaped([-1, 1, dimension])
    }
    return .concatenated(parts, axis: 2)
  }
}

extension Symmetry.Parts: ExportableQuantity {
  public func act(_ poses: PoseVariables, on batch: Variable) throws(NotExportable) -> Variable {
    var moved: [Variable] = []
    for (part, range) in zip(parts, ranges) {
      guard let quantity = part.quantity as? any ExportableQuantity else {
        throw NotExportable("Outputs of \(type(of: part.quantity)) are not exported.")
      }
      let own = batch.sliced(range, axis: 1).reshaped([-1] + part.shape)
      moved.append(try quantity.act(poses, on: own).reshaped([-1, range.count]))
    }
    return .concatenated(moved, axis: 1)
  }
}

extension Variable {
  /// Vectors of the plane along the last axis, turned by the linear part of poses: `[batch, …, 2]`.
  fileprivate func turned(by poses: PoseVariables) -> Variable {
    guard let matrix = poses.matrix else { return self }
    let rows = reshaped([shape[0], -1, 2]).matmul(matrix.permuted([0, 2, 1]))
    return rows.reshaped(shape.extents)
  }
}
