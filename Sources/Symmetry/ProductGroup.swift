public import TensorCore

/// The direct product of two groups: pairs of elements that act independently.
public struct ProductGroup<First: Group, Second: Group>: Group {
  /// An element of each.
  public struct Element: Hashable, Sendable {
    public let first: First.Element
    public let second: Second.Element

    public init(_ first: First.Element, _ second: Second.Element) {
      self.first = first
      self.second = second
    }
  }

  public let first: First
  public let second: Second

  public init(_ first: First, _ second: Second) {
    self.first = first
    self.second = second
  }

  public var identity: Element { Element(first.identity, second.identity) }

  public func compose(_ g: Element, _ h: Element) -> Element {
    Element(first.compose(g.first, h.first), second.compose(g.second, h.second))
  }

  public func inverse(_ g: Element) -> Element {
    Element(first.inverse(g.first), second.inverse(g.second))
  }

  /// The sum of both distances.
  public func distance(_ g: Element, _ h: Element) -> Double {
    first.distance(g.first, h.first) + second.distance(g.second, h.second)
  }

  public func sample(using random: inout RandomStream) -> Element {
    let part = first.sample(using: &random)
    return Element(part, second.sample(using: &random))
  }
}

extension ProductGroup: FiniteGroup where First: FiniteGroup, Second: FiniteGroup {
  public var order: Int { first.order * second.order }

  /// All pairs, the first elements in turn, each with all second ones.
  public var elements: [Element] {
    first.elements.flatMap { g in second.elements.map { Element(g, $0) } }
  }

  public func index(of g: Element) -> Int {
    first.index(of: g.first) * second.order + second.index(of: g.second)
  }
}

/// Two actions on the same tensors that commute, such as moving points and changing their order.
public struct ProductAction<First: Action, Second: Action>: Action {
  public let first: First
  public let second: Second

  public init(_ first: First, _ second: Second) {
    self.first = first
    self.second = second
  }

  public var group: ProductGroup<First.Group, Second.Group> {
    ProductGroup(first.group, second.group)
  }

  public func act(
    _ elements: [ProductGroup<First.Group, Second.Group>.Element], on batch: Tensor
  ) -> Tensor {
    first.act(elements.map(\.first), on: second.act(elements.map(\.second), on: batch))
  }
}
