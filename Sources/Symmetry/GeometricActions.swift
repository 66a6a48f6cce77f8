public import TensorCore

/// Vectors of the plane, *x* to the right and *y* down: they turn, and have no place.
///
/// **Shapes.** `[batch, …, 2]` → the same. Point sets about the origin are of this kind too.
public struct VectorAction<Group: PlanarGroup>: Action {
  public let group: Group
  public init(_ group: Group) { self.group = group }

  public func act(_ elements: [Group.Element], on batch: Tensor) -> Tensor {
    batch.turned(by: elements.map { group.isometry($0).matrix })
  }
}

extension Tensor {
  /// Vectors of the plane on the last axis, each member's turned by a 2 × 2 matrix of its own.
  func turned(by matrices: [[Double]]) -> Tensor {
    require(
      shape[-1] == 2 && matrices.count == shape[0], "\(matrices.count) elements on vectors \(shape)"
    )
    let numbers = matrices.flatMap { matrix -> [Float] in
      let m = matrix.map { Float($0) }
      return [m[0], m[2], m[1], m[3]]  // transposed: rows are vectors
    }
    return reshaped([matrices.count, -1, 2])
      .matmul(Tensor(numbers, shape: [matrices.count, 2, 2])).reshaped(shape)
  }

  /// Boxes `[batch, boxes, 4]` as the smallest ones around their moved corners.
  ///
  /// - Parameter move: Moves points, `[batch, points, 2]`.
  func boxesAroundCorners(_ move: (Tensor) -> Tensor) -> Tensor {
    require(shape.rank == 3 && shape[2] == 4, "boxes of shape \(shape)")
    let (count, boxes) = (shape[0], shape[1])
    let sides = (0..<4).map { sliced($0..<$0 + 1, axis: 2) }
    let (left, top, right, bottom) = (sides[0], sides[1], sides[2], sides[3])
    let corners = Tensor.concatenated(
      [left, top, right, top, left, bottom, right, bottom], axis: 2)
    let moved = move(corners.reshaped([count, boxes * 4, 2])).reshaped([count, boxes, 4, 2])
    return Tensor.concatenated([moved.minimum(2), moved.maximum(2)], axis: 2)
  }
}

/// Points in pixel coordinates of an image, (*x*, *y*) with the first pixel's center at (0, 0).
///
/// **Shapes.** `[batch, points, 2]` → the same, in the coordinates of the image after the action.
public struct KeypointAction<Group: PlanarGroup>: Action {
  public let group: Group
  /// The size of the images before the action.
  public let height, width: Int

  public init(_ group: Group, height: Int, width: Int) {
    self.group = group
    self.height = height
    self.width = width
  }

  /// The centers, as (*x*, *y*), of the image before and after the action.
  private func centers(_ g: Group.Element) -> (before: [Float], after: [Float]) {
    let before = [Float(width - 1) / 2, Float(height - 1) / 2]
    let turned = group.isometry(g).quarterTurns % 2 == 1
    return (before, turned ? [before[1], before[0]] : before)
  }

  public func act(_ elements: [Group.Element], on batch: Tensor) -> Tensor {
    let all = elements.map(centers)
    let before = Tensor(all.flatMap(\.before), shape: [elements.count, 1, 2])
    let after = Tensor(all.flatMap(\.after), shape: [elements.count, 1, 2])
    return VectorAction(group).act(elements, on: batch - before) + after
  }
}

/// Axis-aligned boxes in pixel coordinates, (left, top, right, bottom): a turned box becomes the
/// smallest box around its four turned corners.
///
/// It obeys the laws of an action for quarter turns and flips; other angles enlarge the box.
///
/// **Shapes.** `[batch, boxes, 4]` → the same.
public struct BoxAction<Group: PlanarGroup>: Action {
  private let points: KeypointAction<Group>
  public var group: Group { points.group }

  public init(_ group: Group, height: Int, width: Int) {
    points = KeypointAction(group, height: height, width: width)
  }

  public func act(_ elements: [Group.Element], on batch: Tensor) -> Tensor {
    batch.boxesAroundCorners { points.act(elements, on: $0) }
  }
}
