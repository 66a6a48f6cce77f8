public import TensorCore

/// A kind of quantity that inputs or outputs are: how motions act on it.
///
/// **Laws.** As of an action: the identity changes nothing, and (*g* *h*)·*x* = *g*·(*h*·*x*), bit for bit
/// where numbers are only moved. A new kind of output is one conformer.
public protocol Quantity: Sendable {
  /// Moves each member of a batch by a motion of its own.
  ///
  /// - Precondition: There is one motion a member.
  func act(_ motions: [Motion], on batch: Tensor) -> Tensor

  /// Whether motions that move numbers exactly keep its laws bit for bit; not where places are measured from
  /// the middle and back.
  var isExact: Bool { get }
}

extension Quantity {
  public var isExact: Bool { true }
}

/// Numbers that no motion changes, such as scores of classes, `[batch, …]`.
public struct Scores: Quantity {
  public init() {}
  public func act(_ motions: [Motion], on batch: Tensor) -> Tensor { batch }
}

/// Images, `[batch, height, width, channels]`, sampled once however motions are composed.
public struct Pixels: Quantity {
  /// How values between pixels are made; `.nearest` for masks of labels.
  public let interpolation: Interpolation
  public let border: BorderPolicy

  public init(_ interpolation: Interpolation = .bilinear, border: BorderPolicy = .zero) {
    self.interpolation = interpolation
    self.border = border
  }

  public func act(_ motions: [Motion], on batch: Tensor) -> Tensor {
    let moved: Tensor
    if motions.contains(where: { $0.map != nil }) {
      moved = AffineImageAction(.all, interpolation: interpolation, border: border)
        .act(motions.map(\.planarMap), on: batch)
    } else if motions.contains(where: { $0.isometry != nil }) {
      moved = ImageAction(O2(), interpolation: interpolation, border: border)
        .act(motions.map(\.planarIsometry), on: batch)
    } else {
      moved = batch
    }
    return moved.movedByOthers(motions)
  }
}

/// Points in pixel coordinates of square images, (*x*, *y*) with the first pixel's center at (0, 0),
/// `[batch, points, 2]`.
public struct Keypoints: Quantity {
  /// The side of the images.
  public let size: Int
  public init(size: Int) { self.size = size }
  public var isExact: Bool { false }

  public func act(_ motions: [Motion], on batch: Tensor) -> Tensor {
    let middle = Float(size - 1) / 2
    let shifts = motions.flatMap { motion -> [Float] in
      motion.planarMap.translation.map { middle + Float($0 * Double(size) / 2) }
    }
    let turned = (batch - Tensor(repeating: middle, shape: [1, 1, 2])).turned(by: motions)
    return turned + Tensor(shifts, shape: [motions.count, 1, 2])
  }
}

/// Axis-aligned boxes in pixel coordinates of square images, (left, top, right, bottom), `[batch, boxes, 4]`:
/// a turned box becomes the smallest one around its four turned corners.
///
/// It obeys the laws for quarter turns and flips; other angles enlarge the box.
public struct Boxes: Quantity {
  public let size: Int
  public init(size: Int) { self.size = size }
  public var isExact: Bool { false }

  public func act(_ motions: [Motion], on batch: Tensor) -> Tensor {
    batch.boxesAroundCorners { Keypoints(size: size).act(motions, on: $0) }
  }
}

/// Vectors of the plane, *x* to the right and *y* down, `[batch, …, 2]`: they turn, and have no place.
public struct Vectors: Quantity {
  public init() {}
  public func act(_ motions: [Motion], on batch: Tensor) -> Tensor { batch.turned(by: motions) }
}

/// Vector fields on images, `[batch, height, width, 2]`: pixels move as an image's do, and vectors turn.
public struct VectorField: Quantity {
  /// How its places move.
  public let pixels: Pixels
  public init(border: BorderPolicy = .zero) { pixels = Pixels(border: border) }

  public func act(_ motions: [Motion], on batch: Tensor) -> Tensor {
    pixels.act(motions, on: batch).turned(by: motions)
  }
}

/// What is said of each member of a set, `[batch, members, width]`: moved as its columns are, and reordered.
public struct Members: Quantity {
  public let columns: [PointAction.Columns]
  public let dimension: Int

  public init(_ columns: [PointAction.Columns], dimension: Int) {
    self.columns = columns
    self.dimension = dimension
  }

  /// How many numbers a member has.
  public var width: Int { action.width }

  /// The action of isometries on such columns.
  public var action: PointAction { PointAction(.e(dimension), columns: columns) }

  public func act(_ motions: [Motion], on batch: Tensor) -> Tensor {
    var moved = batch
    if motions.contains(where: { $0.permutation != nil }) {
      let group = Symmetric(batch.shape[1])
      moved = PermutationAction(group)
        .act(motions.map { $0.permutation ?? group.identity }, on: moved)
    }
    if motions.contains(where: { $0.map != nil }) {
      moved = action.act(motions.map { $0.map ?? .identity(dimension) }, on: moved)
    }
    return moved.movedByOthers(motions)
  }
}

/// Several quantities side by side on the last axis, `[batch, Σ counts]`: boxes *and* scores, say.
public struct Parts: Quantity {
  /// Each with the shape of one member of it.
  public let parts: [(quantity: any Quantity, shape: [Int])]
  public init(_ parts: [(quantity: any Quantity, shape: [Int])]) { self.parts = parts }
  public var isExact: Bool { parts.allSatisfy { $0.quantity.isExact } }

  /// Where each part lies on the last axis.
  public var ranges: [Range<Int>] {
    var start = 0
    return parts.map { part in
      defer { start += part.shape.reduce(1, *) }
      return start..<start + part.shape.reduce(1, *)
    }
  }

  public func act(_ motions: [Motion], on batch: Tensor) -> Tensor {
    let count = batch.shape[0]
    return .concatenated(
      zip(parts, ranges).map { part, range in
        part.quantity.act(
          motions, on: batch.sliced(range, axis: 1).reshaped([count] + part.shape)
        ).reshaped([count, range.count])
      }, axis: 1)
  }
}

extension Tensor {
  /// Vectors of the plane on the last axis, turned by the linear parts of motions.
  fileprivate func turned(by motions: [Motion]) -> Tensor {
    turned(by: motions.map { $0.planarMap.matrix })
  }

  /// Inputs moved by elements of groups of one's own, member by member.
  func movedByOthers(_ motions: [Motion]) -> Tensor {
    guard motions.contains(where: { !$0.others.isEmpty }) else { return self }
    return .concatenated(
      motions.enumerated().map { n, motion in
        motion.others.reduce(sliced(n..<n + 1)) { $1.act(on: $0) }
      })
  }
}
