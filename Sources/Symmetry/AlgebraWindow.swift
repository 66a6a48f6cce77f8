public import TensorCore

/// A bounded part of a Lie group's algebra: tangent vectors *a* with |*a*ᵢ| ≤ *r*ᵢ.
///
/// Groups that are not compact have no uniform distribution, and no largest element: what is measured or integrated over
/// them is so in a window, which is to be stated.
public struct AlgebraWindow: Hashable, Sendable {
  /// *r*ᵢ, in the order of the group's generators.
  public let radii: [Double]

  /// - Precondition: Radii are finite, and none is negative.
  public init(_ radii: [Double]) {
    require(radii.allSatisfy { $0.isFinite && $0 >= 0 }, "a window of radii \(radii)")
    self.radii = radii
  }

  /// ∏ 2 *r*ᵢ over the axes that are not 0.
  public var volume: Double { radii.filter { $0 > 0 }.reduce(1) { $0 * 2 * $1 } }

  /// Tangent vectors drawn uniformly.
  public func samples(_ count: Int, using random: inout RandomStream) -> [[Double]] {
    (0..<count).map { _ in radii.map { $0 * (2 * random.uniformDouble() - 1) } }
  }

  /// Evenly spaced tangent vectors along one axis, all others 0: from −*r* to *r*, both ends among them.
  public func line(along axis: Int, _ count: Int) -> [[Double]] {
    (0..<count).map { k in
      let place = count == 1 ? 0 : 2 * Double(k) / Double(count - 1) - 1
      return radii.indices.map { $0 == axis ? place * radii[axis] : 0 }
    }
  }

  /// The middles of equal cells, `count` along every axis that is not 0: nodes of the midpoint rule, all of the same
  /// weight.
  ///
  /// Along an axis that goes around no node is there twice.
  public func grid(_ count: Int) -> [[Double]] {
    radii.reduce([[]]) { grid, radius in
      let places =
        radius > 0 ? (0..<count).map { radius * ((2 * Double($0) + 1) / Double(count) - 1) } : [0]
      return grid.flatMap { head in places.map { head + [$0] } }
    }
  }
}
