import Glibc
import TensorCore

/// Signs drawn in random poses, with everything that can be asked about them: which, where, how turned.
///
/// Each is turned by an angle uniform on the circle and shifted by up to a twentieth of the side.
public enum DrawnSigns {
  public static let classNames = ["arrow", "flag", "key"]

  /// Draws signs, the classes in turn.
  ///
  /// - Returns: `inputs` `[count, size, size, 1]`, the drawing with normal noise, clamped to 0…1; the labels;
  ///   `image`, the same without noise; `mask`, 1 on the sign and 0 beside it; `keypoints` `[count, 2, 2]`, its
  ///   tip and its tail, in pixels; `boxes` `[count, 1, 4]`, the smallest box around its outline; `vectors`
  ///   `[count, 2]`, its heading from tail to tip, of length 1, *x* to the right and *y* down; `field`
  ///   `[count, size, size, 2]`, the heading on the sign and 0 beside it.
  /// - Complexity: O(count · size²), in parallel.
  public static func sample(count: Int, size: Int = 28, noise: Float = 0.05, seed: UInt64)
    -> Examples
  {
    let signs = Parallel.map(Array(0..<count)) { n -> Sign in
      var random = RandomStream(seed: seed, name: "sign/\(n)")
      return Sign(n % classNames.count, size, using: &random)
    }
    var random = RandomStream(seed: seed, name: "signs/noise")
    let images = Tensor(signs.flatMap(\.pixels), shape: [count, size, size, 1])
    let noisy = images + Tensor.normal([count, size, size, 1], deviation: noise, using: &random)
    let masks = images.elements.map { $0 > 0.5 ? Float(1) : 0 }
    let field = masks.enumerated().flatMap { i, value in
      signs[i / (size * size)].heading.map { $0 * value }
    }
    return Examples(
      inputs: Tensor(noisy.elements.map { min(max($0, 0), 1) }, shape: images.shape),
      labels: (0..<count).map { $0 % classNames.count },
      [
        "image": images, "mask": Tensor(masks, shape: images.shape),
        "keypoints": Tensor(signs.flatMap { $0.tip + $0.tail }, shape: [count, 2, 2]),
        "boxes": Tensor(signs.flatMap(\.box), shape: [count, 1, 4]),
        "vectors": Tensor(signs.flatMap(\.heading), shape: [count, 2]),
        "field": Tensor(field, shape: [count, size, size, 2]),
      ])
  }
}

extension DrawnSigns {
  /// Whether a place lies on the sign of a class, in halves of the side: *u* along the heading, *v* to its left.
  static func contains(_ kind: Int, _ u: Double, _ v: Double) -> Bool {
    Sign.outlines[kind].contains { Sign.contains($0, u, v) }
  }
}

private struct Sign: Sendable {
  var pixels: [Float] = []
  var tip, tail, box, heading: [Float]

  /// The outline of each class, in halves of the side: *u* along the heading, *v* to its left.
  fileprivate static let outlines: [[[(x: Double, y: Double)]]] = [
    // An arrow: a head and a shaft.
    [
      [(0.7, 0), (0.2, 0.35), (0.2, -0.35)],
      [(0.25, 0.12), (-0.7, 0.12), (-0.7, -0.12), (0.25, -0.12)],
    ],
    // A flag: a pole, and a cloth on its left.
    [
      [(0.7, 0.1), (-0.7, 0.1), (-0.7, -0.1), (0.7, -0.1)],
      [(0.7, 0.1), (0.6, 0.6), (0.1, 0.45), (0.1, 0.1)],
    ],
    // A key: a bow of eight corners, a shank, and a bit on its right.
    [
      (0..<8).map { k in
        let angle = (Double(k) + 0.5) * .pi / 4
        return (0.4 + 0.32 * Double(cos(angle)), 0.32 * Double(sin(angle)))
      },
      [(0.2, 0.08), (-0.7, 0.08), (-0.7, -0.08), (0.2, -0.08)],
      [(-0.4, -0.05), (-0.7, -0.05), (-0.7, -0.35), (-0.4, -0.3)],
    ],
  ]

  init(_ kind: Int, _ size: Int, using random: inout RandomStream) {
    let angle = 2 * Double.pi * random.uniformDouble()
    let (c, s, half) = (cos(angle), sin(angle), Double(size) / 2)
    let middle = Double(size - 1) / 2
    let shift = (0..<2).map { _ in (random.uniformDouble() - 0.5) * Double(size) / 10 }
    /// Pixel coordinates of a place of the outline; left of the heading is up where it points right.
    func place(_ u: Double, _ v: Double) -> (x: Double, y: Double) {
      (middle + shift[0] + half * (u * c - v * s), middle + shift[1] - half * (u * s + v * c))
    }
    let shapes = Sign.outlines[kind].map { $0.map { place($0.0, $0.1) } }
    let grid = 3
    for y in 0..<size {
      for x in 0..<size {
        var inside = 0
        for i in 0..<grid * grid {
          let px = Double(x) + (Double(i % grid) + 0.5) / Double(grid) - 0.5
          let py = Double(y) + (Double(i / grid) + 0.5) / Double(grid) - 0.5
          if shapes.contains(where: { Sign.contains($0, px, py) }) { inside += 1 }
        }
        pixels.append(Float(inside) / Float(grid * grid))
      }
    }
    func pair(_ p: (x: Double, y: Double)) -> [Float] { [Float(p.x), Float(p.y)] }
    (tip, tail, heading) = (pair(place(0.7, 0)), pair(place(-0.7, 0)), [Float(c), Float(-s)])
    let corners = shapes.flatMap { $0 }
    let (xs, ys) = (corners.map(\.x), corners.map(\.y))
    box = [xs.min(), ys.min(), xs.max(), ys.max()].map { Float($0 ?? 0) }
  }

  /// Whether a polygon contains a point: an odd number of its edges lies to the right.
  fileprivate static func contains(
    _ polygon: [(x: Double, y: Double)], _ x: Double, _ y: Double
  ) -> Bool {
    var isInside = false
    var a = polygon[polygon.count - 1]
    for b in polygon {
      defer { a = b }
      if (a.y > y) != (b.y > y), x < (b.x - a.x) * (y - a.y) / (b.y - a.y) + a.x {
        isInside.toggle()
      }
    }
    return isInside
  }
}
