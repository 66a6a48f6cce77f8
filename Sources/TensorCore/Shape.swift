/// The extents of a tensor along each of its axes, outermost first.
///
///     Shape([2, 3, 4]).count   // 24
public struct Shape: Hashable, Sendable, ExpressibleByArrayLiteral, CustomStringConvertible {
  /// The extent of each axis.
  public let extents: [Int]

  /// Creates a shape.
  ///
  /// - Precondition: No extent is negative.
  public init(_ extents: [Int]) {
    require(extents.allSatisfy { $0 >= 0 }, "negative extent in \(extents)")
    self.extents = extents
  }

  public init(arrayLiteral elements: Int...) { self.init(elements) }

  /// The number of axes.
  public var rank: Int { extents.count }

  /// The number of elements.
  public var count: Int { extents.reduce(1, *) }

  /// The extent of an axis; negative axes count from the end.
  public subscript(axis: Int) -> Int { extents[resolve(axis)] }

  public var description: String { "\(extents)" }

  /// The axis as an index in `0..<rank`, for one that may count from the end.
  ///
  /// - Precondition: `-rank <= axis < rank`.
  public func resolve(_ axis: Int) -> Int {
    let index = axis < 0 ? axis + rank : axis
    require(index >= 0 && index < rank, "axis \(axis) of shape \(self)")
    return index
  }

  /// The distance in memory between neighbors along each axis, for elements in row-major order.
  var rowMajorStrides: [Int] {
    var strides = extents
    var step = 1
    for axis in extents.indices.reversed() {
      strides[axis] = step
      step *= extents[axis]
    }
    return strides
  }

  /// The shape that two operands broadcast to: axes align at the end, an extent of 1 repeats.
  ///
  /// - Precondition: Extents that differ are 1 in one of the shapes.
  public func broadcast(with other: Shape) -> Shape {
    let rank = max(self.rank, other.rank)
    let result = (0..<rank).map { i -> Int in
      let a = i < rank - self.rank ? 1 : extents[i - rank + self.rank]
      let b = i < rank - other.rank ? 1 : other.extents[i - rank + other.rank]
      require(a == b || a == 1 || b == 1, "cannot broadcast \(self) with \(other)")
      return a == 1 ? b : a
    }
    return Shape(result)
  }

  /// The same shape with one extent changed.
  public func replacing(_ axis: Int, with extent: Int) -> Shape {
    var result = extents
    result[resolve(axis)] = extent
    return Shape(result)
  }
}
