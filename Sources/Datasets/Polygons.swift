import Glibc
public import Settings
public import Symmetry
public import TensorCore

/// Outlines of random pentagons under a transform that goes around after so many steps: what the shift operators of
/// Bouchacourt, Ibrahim & Deny 2021 (arXiv 2102.05623) are measured on.
///
/// Corners are uniform in the middle two thirds of the picture, as there. Every view is drawn, not sampled from another
/// picture: turned corners, or corners shifted on a torus, of which a shift is a whole number of pixels. Where all three
/// transforms are there, turns are by quarters, which move pixels too.
public struct Polygons: Sendable {
  /// What the steps of each factor do.
  public enum Transform: String, Sendable, CaseIterable {
    /// By a whole turn's parts.
    case rotation
    /// To the right, around the torus.
    case shift
    /// A quarter turn, after it a shift to the right, after that one down, four, `order` and `order` of them. They do not
    /// commute: an element says what is done to the first view, in this order.
    case all
  }

  public let transform: Transform
  public let order, size: Int

  public var group: FiniteAbelian {
    FiniteAbelian(transform == .all ? [4, order, order] : [order])
  }

  /// - Precondition: Shifts go around in a whole number of pixels.
  public init(_ transform: Transform, order: Int, size: Int) {
    require(transform == .rotation || size % order == 0, "\(order) shifts of \(size) pixels")
    (self.transform, self.order, self.size) = (transform, order, size)
  }

  /// The corners of a random polygon, in pixels from the middle.
  public func corners(using random: inout RandomStream) -> [(x: Double, y: Double)] {
    let reach = Double(size) / 3
    return (0..<5).map { _ in
      ((2 * random.uniformDouble() - 1) * reach, (2 * random.uniformDouble() - 1) * reach)
    }
  }

  /// The corners of a regular pentagon, which a fifth of a turn leaves as it is: in `rotation` of order 10 five elements
  /// explain each of its views.
  public var regularCorners: [(x: Double, y: Double)] {
    (0..<5).map { i in
      let angle = 2 * Double.pi * Double(i) / 5
      return (cos(angle) * Double(size) / 3, sin(angle) * Double(size) / 3)
    }
  }

  /// The outline, moved by an element: lines a pixel and a half wide, with soft edges.
  ///
  /// - Parameter corners: In pixels from the middle.
  /// - Returns: `size · size` numbers in 0…1, row by row.
  public func draw(
    _ corners: [(x: Double, y: Double)], _ element: FiniteAbelian.Element
  ) -> [Float] {
    let steps = element.steps
    guard transform != .all else {
      let still = FiniteAbelian.Element([0])
      return moved(Polygons(.rotation, order: 1, size: size).draw(corners, still), by: element)
    }
    let angle = transform == .shift ? 0 : 2 * .pi * Double(steps[0]) / Double(order)
    let (c, s) = (cos(angle), sin(angle))
    // Counterclockwise as it is seen, *y* being down.
    let places = corners.map { (x: c * $0.x + s * $0.y, y: -s * $0.x + c * $0.y) }
    let shift = transform == .shift ? steps[0] * (size / order) : 0
    var pixels = [Float](repeating: 0, count: size * size)
    for row in 0..<size {
      for column in 0..<size {
        let (x, y) = (
          Double(column) - Double(size - 1) / 2, Double(row) - Double(size - 1) / 2
        )
        var nearest = Double.infinity
        for (i, a) in places.enumerated() {
          let b = places[(i + 1) % places.count]
          let (dx, dy) = (b.x - a.x, b.y - a.y)
          let length = dx * dx + dy * dy
          let along = length > 0 ? ((x - a.x) * dx + (y - a.y) * dy) / length : 0
          let t = min(max(along, 0), 1)
          nearest = min(nearest, hypot(x - a.x - t * dx, y - a.y - t * dy))
        }
        let value = Float(min(max(1.25 - nearest, 0), 1))
        pixels[row * size + (column + shift) % size] = value
      }
    }
    return pixels
  }

  /// A picture that is turned by quarters, then shifted to the right and down, around the torus: pixels are moved.
  ///
  /// - Precondition: `transform` is `all`.
  public func moved(_ pixels: [Float], by element: FiniteAbelian.Element) -> [Float] {
    require(transform == .all, "a \(transform.rawValue) of pixels")
    let (turns, step) = (element.steps[0], size / order)
    var result = pixels
    for row in 0..<size {
      for column in 0..<size {
        var (x, y) = (column, row)
        for _ in 0..<turns { (x, y) = (y, size - 1 - x) }
        x = (x + element.steps[1] * step) % size
        y = (y + element.steps[2] * step) % size
        result[y * size + x] = pixels[row * size + column]
      }
    }
    return result
  }

  /// All pairs of views of so many polygons, or so many of them for each, drawn at random.
  ///
  /// - Returns: `inputs`, `partner`, and `element`, the steps from one to the other, `[count, factors]`.
  public func pairs(shapes: Int, perShape: Int, seed: UInt64) -> Examples {
    let group = group
    typealias Pair = (a: [Float], b: [Float], steps: [Float])
    let all = Parallel.map(Array(0..<shapes)) { n -> [Pair] in
      var random = RandomStream(seed: seed, name: "polygon/\(n)")
      let corners = corners(using: &random)
      if transform == .all {
        let still = draw(corners, group.identity)
        return (0..<perShape).map { _ in
          let step = group.sample(using: &random)
          let a = moved(still, by: group.sample(using: &random))
          return (a, moved(a, by: step), step.steps.map { Float($0) })
        }
      }
      let views = group.order <= 64 ? group.elements.map { draw(corners, $0) } : []
      func view(_ g: FiniteAbelian.Element) -> [Float] {
        views.isEmpty ? draw(corners, g) : views[group.index(of: g)]
      }
      let isAll = group.order * group.order <= perShape
      return (0..<min(perShape, group.order * group.order)).map { i in
        let (g, h) =
          isAll
          ? (group.element(at: i / group.order), group.element(at: i % group.order))
          : (group.sample(using: &random), group.sample(using: &random))
        return (
          view(g), view(h), group.compose(h, group.inverse(g)).steps.map { Float($0) }
        )
      }
    }.flatMap { $0 }
    let shape: Shape = [all.count, size, size, 1]
    return Examples(
      inputs: Tensor(all.flatMap(\.a), shape: shape),
      [
        "partner": Tensor(all.flatMap(\.b), shape: shape),
        "element": Tensor(all.flatMap(\.steps), shape: [all.count, group.orders.count]),
      ])
  }
}

/// The settings of `{kind: polygons}`.
public struct PolygonsOptions: DatasetOptions {
  public static let kind = "polygons"
  public static let summary =
    "Outlines of random pentagons in pairs, turned, shifted or both by steps of cycles: 120 / 30 / 150 shapes."
  public var transform = Polygons.Transform.rotation
  public var order = 10
  public var size = 28
  public var shapes = 120
  public init() {}

  public var polygons: Polygons { Polygons(transform, order: order, size: size) }
  public var domain: any Domain { ImageDomain(size: size) }
  public var task: String { "restore" }

  public mutating func read(_ keys: inout Keys, input: inout Keys) throws(SettingsError) {
    try keys.read("transform", &transform, "what the steps do")
    try keys.read("order", &order, in: 2...64, "after how many steps a transform goes around")
    try keys.read("size", &size, in: 8...256, "side of the pictures, in pixels")
    try keys.read(
      "shapes", &shapes, in: 4...100_000, "pentagons to train on; a quarter more to validate")
    if transform != .rotation && size % order != 0 {
      throw keys.failure(
        "'size' is \(size), which \(order) shifts do not go around; it must be divisible by 'order'"
      )
    }
  }

  private var perShape: Int { transform == .all ? 200 : order * order }

  public func load(seed: UInt64) throws -> Dataset {
    Dataset(
      train: polygons.pairs(shapes: shapes, perShape: perShape, seed: 1),
      valid: polygons.pairs(shapes: max(1, shapes / 4), perShape: perShape, seed: 2))
  }

  public func test(seed: UInt64) throws -> Examples? {
    polygons.pairs(shapes: min(150, shapes + shapes / 4), perShape: perShape, seed: 3)
  }
}
