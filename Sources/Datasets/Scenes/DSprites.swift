import Glibc
public import Symmetry
public import TensorCore

/// The dSprites data (Matthey and others 2017), drawn anew: a heart, a square or an ellipse on the full grid of 6 scales,
/// 40 orientations and 32 × 32 places, 737,280 pictures of which none is stored.
///
/// As a scene it moves by ℝ × SO(2) × ℝ²: the logarithm of the scale, the orientation, and the place in halves of the
/// side; elements are drawn from the grid. Orientations are *k* · 2π/40: those of the published file run from 0 to 2π with
/// both ends, so that two of them are the same. A square looks the same after a quarter turn, an ellipse
/// after half of one: there the action is not free, and no encoder can tell such poses apart.
public struct DSprites: Scene {
  public static let name = "dsprites"
  public let group = AmbientGroup([.line, .circle, .line, .line])
  public let channels = 1
  public let orbitCount = 3
  public init() {}

  /// How many values each factor has: silhouette, scale, orientation, place to the right, place down.
  public static let factors = [3, 6, 40, 32, 32]
  /// How many pictures there are.
  public static let count = 737_280

  /// The factors of a picture by its place, the last one changing fastest, as in the published file.
  ///
  /// - Precondition: The place is in `0..<count`.
  public static func values(at place: Int) -> [Int] {
    require((0..<count).contains(place), "place \(place) of \(count)")
    var (rest, values) = (place, [Int]())
    for factor in factors.reversed() {
      values.append(rest % factor)
      rest /= factor
    }
    return values.reversed()
  }

  /// The pose of values of scale, orientation and places.
  public static func pose(_ values: ArraySlice<Int>) -> AmbientGroup.Element {
    let v = Array(values)
    let angle = 2 * .pi * Double(v[1]) / 40
    let place = v[2...].map { 1.2 * (Double($0) / 31 - 0.5) }
    return .init([log(0.5 + 0.1 * Double(v[0])), cos(angle), sin(angle)] + place)
  }

  /// A picture of the grid, `size · size` numbers in 0…1.
  public static func picture(at place: Int, size: Int = 64) -> [Float] {
    let values = values(at: place)
    return DSprites().draw(values[0], pose(values[1...]), size: size)
  }

  public func pose(using random: inout RandomStream) -> AmbientGroup.Element {
    let values = DSprites.factors[1...].map { factor in
      min(factor - 1, Int(random.uniformDouble() * Double(factor)))
    }
    return DSprites.pose(values[...])
  }

  public func draw(_ orbit: Int, _ pose: AmbientGroup.Element, size: Int) -> [Float] {
    guard let shape = Silhouette(rawValue: orbit) else { return [] }
    var pixels = [Float](repeating: 0, count: size * size)
    let n = pose.numbers
    let (radius, c, s) = (0.27 * exp(n[0]), n[1], n[2])
    let (grid, scale) = (3, 2 / Double(size))
    // Outside of this square there is nothing: no silhouette is farther than 1.1 radii from its middle.
    func range(_ middle: Double) -> Range<Int> {
      func pixel(_ place: Double) -> Int {
        Int(min(Double(size), max(0, ((place + 1) / scale).rounded(.down))))
      }
      let first = pixel(middle - 1.1 * radius)
      return first..<max(first, min(size, pixel(middle + 1.1 * radius) + 1))
    }
    func place(_ pixel: Int, _ point: Int) -> Double {
      (Double(pixel) + (Double(point) + 0.5) / Double(grid)) * scale - 1
    }
    for row in range(n[4]) {
      for column in range(n[3]) {
        var inside = 0
        for i in 0..<grid {
          let dy = (place(row, i) - n[4]) / radius
          for j in 0..<grid {
            let dx = (place(column, j) - n[3]) / radius
            // Undo a turn that is counterclockwise as it is seen, *y* being down.
            inside += shape.contains(c * dx - s * dy, s * dx + c * dy) ? 1 : 0
          }
        }
        pixels[row * size + column] = Float(Double(inside) * (1 / Double(grid * grid)))
      }
    }
    return pixels
  }
}
