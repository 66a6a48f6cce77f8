import Glibc
import TensorCore

/// A finite abelian group, as the product of cyclic groups ℤₙ₁ × ℤₙ₂ × …: every finite abelian group is one.
///
/// Several transforms that go around, each after so many steps: rotations by 36°, and shifts of a torus.
public struct FiniteAbelian: FiniteGroup {
  /// How many steps of each factor, each in 0 ..< its order.
  public struct Element: Hashable, Sendable, CustomStringConvertible {
    public let steps: [Int]

    public init(_ steps: [Int]) { self.steps = steps }

    public var description: String { steps.map(String.init).joined(separator: ",") }
  }

  /// The orders of the factors.
  public let orders: [Int]

  /// - Precondition: There is a factor, and all orders are positive.
  public init(_ orders: [Int]) {
    require(!orders.isEmpty && orders.allSatisfy { $0 > 0 }, "a group of orders \(orders)")
    self.orders = orders
  }

  /// The element of any numbers of steps, also negative ones or more than once around.
  ///
  /// - Precondition: There is a number for each factor.
  public func element(_ steps: [Int]) -> Element {
    require(steps.count == orders.count, "\(steps) steps in a group of orders \(orders)")
    return Element(zip(steps, orders).map { ($0 % $1 + $1) % $1 })
  }

  public var order: Int { orders.reduce(1, *) }
  public var identity: Element { Element(orders.map { _ in 0 }) }

  /// All elements, the last factor's steps first.
  public var elements: [Element] { (0..<order).map(element(at:)) }

  public func index(of g: Element) -> Int {
    zip(g.steps, orders).reduce(0) { $0 * $1.1 + $1.0 }
  }

  /// The element at a place of `elements`.
  public func element(at index: Int) -> Element {
    var rest = index
    let steps = orders.reversed().map { order in
      defer { rest /= order }
      return rest % order
    }
    return Element(steps.reversed())
  }

  public func compose(_ g: Element, _ h: Element) -> Element {
    element(zip(g.steps, h.steps).map(+))
  }

  public func inverse(_ g: Element) -> Element { element(g.steps.map { -$0 }) }

  /// The sum over the factors of the angles, in 0…π, between steps around the circle.
  public func distance(_ g: Element, _ h: Element) -> Double {
    zip(orders, zip(g.steps, h.steps)).reduce(0) { sum, pair in
      let steps = abs(pair.1.0 - pair.1.1)
      return sum + Double(min(steps, pair.0 - steps)) * 2 * .pi / Double(pair.0)
    }
  }

  /// The angle of a character: 2π Σ frequency · steps / order, from exact integers where it can be.
  func phase(_ frequencies: [Int], _ g: Element) -> Double {
    zip(orders, zip(frequencies, g.steps)).reduce(0) { sum, pair in
      sum + 2 * .pi * Double(pair.1.0 * pair.1.1 % pair.0) / Double(pair.0)
    }
  }
}
