import Canon

/// A group of one's own: half a turn, and the flips along both axes.
struct KleinFour: FiniteGroup, PlanarGroup {
  /// A flip left to right, then half a turn, each or not.
  struct Element: Hashable, Sendable {
    var isFlipped, isTurned: Bool
  }

  var order: Int { 4 }
  var elements: [Element] {
    [false, true].flatMap { flip in
      [false, true].map { Element(isFlipped: flip, isTurned: $0) }
    }
  }
  var identity: Element { Element(isFlipped: false, isTurned: false) }
  var exactElements: [Element] { elements }

  func index(of g: Element) -> Int { (g.isFlipped ? 2 : 0) + (g.isTurned ? 1 : 0) }

  func compose(_ g: Element, _ h: Element) -> Element {
    Element(isFlipped: g.isFlipped != h.isFlipped, isTurned: g.isTurned != h.isTurned)
  }

  func inverse(_ g: Element) -> Element { g }
  func distance(_ g: Element, _ h: Element) -> Double { g == h ? 0 : 1 }

  func isometry(_ g: Element) -> PlanarIsometry {
    PlanarIsometry(quarterTurns: g.isTurned ? 2 : 0, isReflected: g.isFlipped)
  }
}
