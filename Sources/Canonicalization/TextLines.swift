import Glibc
import Layers
public import Settings
public import Symmetry
public import TensorCore

/// The heuristic of the projection profile: along which direction lines of text run (Postl 1986; Bloomberg, Kopec & Dasari
/// 1995, doi 10.1117/12.205832).
///
/// Ink, what is darker than its surroundings, is projected on an axis, for every direction: across lines of text the profile
/// rises and falls steeply, and the sum of the squares of its differences is largest. Columns, rules and the sides of a table
/// help, since both axes count. Which of the four quarter turns is up the lines do not say: all four are ties.
///
/// An angle below a twentieth of a degree, about the error of the estimate, counts as none: a straight page is not resampled.
///
/// The margin is infinite where there are lines (the largest sum is `contrast` times the median of all directions at least, and
/// six deviations above it),
/// and 0 where there are none, or where they run further from an axis than the reach: the pose is then the identity with its
/// quarter turns.
public struct TextLines: ImageCanonicalizer {
  public typealias PoseGroup = SO2
  public let action: ImageAction<SO2>
  /// How far from an axis lines may run, in radians, π/4 at most.
  public let reach: Double
  /// How many times the median of the profile's steepness its maximum must be.
  public let contrast: Double

  public init(reach: Double = .pi / 4, contrast: Double = 1.2, border: BorderPolicy = .edge) {
    action = ImageAction(SO2(), border: border)
    (self.reach, self.contrast) = (min(reach, .pi / 4), contrast)
  }

  public func poses(of batch: Tensor) -> [Pose<PlanarIsometry>] {
    action.group.exactPoses(ofIntensities: batch) { pixels, height, width in
      let found = direction(pixels, height, width)
      let axis = PlanarIsometry(residual: found ?? 0)
      return Pose(
        axis, margin: found == nil ? 0 : .infinity,
        ties: (1..<4).map { action.group.compose(axis, PlanarIsometry(quarterTurns: $0)) })
    }
  }

  /// The angle of lines to the nearest axis, in radians, counterclockwise; `nil` where there are none.
  private func direction(_ pixels: [Float], _ height: Int, _ width: Int) -> Double? {
    let ink = Ink(pixels, height, width)
    guard ink.points.count > 50 else { return nil }
    let degree = Double.pi / 180
    // Half a degree moves the end of a line on a picture of 512 pixels by two pixels, the width of a bin.
    let steps = Int((reach / (0.5 * degree)).rounded(.down))
    let few = ink.points.count / 10_000 + 1
    let coarse = (-steps...steps).map { Double($0) * 0.5 * degree }
    let heights = coarse.map { ink.steepness($0, width: 2, every: few) }
    // Noise has no direction: its largest sum is about three deviations above the others.
    let median = heights.sorted()[heights.count / 2]
    let deviation = 1.4826 * heights.map { abs($0 - median) }.sorted()[heights.count / 2]
    guard let best = heights.indices.max(by: { heights[$0] < heights[$1] }),
      heights[best] > contrast * median, heights[best] > median + 6 * deviation
    else { return nil }
    // Steepest at the edge of what is looked at: lines run further from an axis.
    if reach < .pi / 4 - 1e-9, best == 0 || best == heights.count - 1 { return nil }
    let fine = (-15...15).map { coarse[best] + Double($0) * 0.05 * degree }
    let sums = fine.map { ink.steepness($0, width: 1, every: 1) }
    guard let top = sums.indices.max(by: { sums[$0] < sums[$1] }) else { return nil }
    var angle = fine[top]
    if top > 0, top + 1 < sums.count {
      let (a, b, c) = (sums[top - 1], sums[top], sums[top + 1])
      let bend = a - 2 * b + c
      if bend < 0 { angle += 0.05 * degree * (a - c) / (2 * bend) }
    }
    // What is less than the estimate's own error would only blur.
    return abs(angle) < 0.05 * degree ? 0 : min(max(angle, -reach), reach)
  }
}

/// The dark marks of a picture, within the circle that turns with it.
private struct Ink {
  /// As seen, from the center: x to the right, y up.
  var points: [(x: Float, y: Float, weight: Float)] = []
  private let radius: Int

  init(_ pixels: [Float], _ height: Int, _ width: Int) {
    var (pixels, height, width) = (pixels, height, width)
    while min(height, width) > 640 {
      (pixels, height, width) = Ink.halved(pixels, height, width)
    }
    // Marks are darker than the mean of what is around, in a window of about two lines.
    let window = max(3, min(height, width) / 60)
    let means = Ink.boxMeans(pixels, height, width, window)
    let limit = Double(min(height, width)) / 2 - Double(window) - 2
    radius = min(height, width) / 2 + 2
    var found: [(at: Int, darkness: Float)] = []
    for y in 0..<height {
      let dy = Double(height - 1) / 2 - Double(y)
      let half = limit * limit - dy * dy
      guard half > 0 else { continue }
      let reach = half.squareRoot()
      let middle = Double(width - 1) / 2
      for x in max(0, Int(middle - reach) + 1)..<min(width, Int(middle + reach)) {
        let darkness = means[y * width + x] - pixels[y * width + x]
        if darkness > 0.02 { found.append((y * width + x, darkness)) }
      }
    }
    guard !found.isEmpty else { return }
    let mean = found.reduce(Float(0)) { $0 + $1.darkness } / Float(found.count)
    for (at, darkness) in found where darkness > mean {
      // A pixel is an area: a place drawn in it keeps rows of pixels from being taken for lines.
      var hash = UInt32(truncatingIfNeeded: at) &* 2_654_435_761
      hash ^= hash >> 15
      hash = hash &* 2_246_822_519
      let jitter = (
        x: Float(hash & 0xFFFF) / 65_536 - 0.5, y: Float(hash >> 16) / 65_536 - 0.5
      )
      points.append(
        (
          Float(at % width) - Float(width - 1) / 2 + jitter.x,
          Float(height - 1) / 2 - Float(at / width) + jitter.y, min(darkness, 4 * mean)
        ))
    }
  }

  /// The sum of the squared differences of the profiles across, and along, lines of a direction.
  func steepness(_ angle: Double, width: Int, every step: Int) -> Double {
    let (c, s) = (Float(cos(angle)), Float(sin(angle)))
    let scale = 1 / Float(width)
    let center = Float(radius) * 1.5
    let bins = Int(2 * center * scale) + 3
    var rows = [Float](repeating: 0, count: bins)
    var columns = rows
    for n in stride(from: 0, to: points.count, by: step) {
      let p = points[n]
      rows[Int((center - p.x * s + p.y * c) * scale)] += p.weight
      columns[Int((center + p.x * c + p.y * s) * scale)] += p.weight
    }
    func energy(_ profile: [Float]) -> Double {
      var sum = 0.0
      for i in 1..<profile.count {
        let d = Double(profile[i] - profile[i - 1])
        sum += d * d
      }
      return sum
    }
    return energy(rows) + energy(columns)
  }

  private static func halved(
    _ pixels: [Float], _ height: Int, _ width: Int
  ) -> ([Float], Int, Int) {
    let (h, w) = (height / 2, width / 2)
    var result = [Float](repeating: 0, count: h * w)
    for y in 0..<h {
      for x in 0..<w {
        let at = 2 * y * width + 2 * x
        result[y * w + x] =
          (pixels[at] + pixels[at + 1] + pixels[at + width] + pixels[at + width + 1]) / 4
      }
    }
    return (result, h, w)
  }

  /// Means over squares of 2 `reach` + 1 pixels, cut off at the sides.
  private static func boxMeans(
    _ pixels: [Float], _ height: Int, _ width: Int, _ reach: Int
  ) -> [Float] {
    let stride = width + 1
    var sums = [Double](repeating: 0, count: (height + 1) * stride)
    for y in 0..<height {
      var row = 0.0
      for x in 0..<width {
        row += Double(pixels[y * width + x])
        sums[(y + 1) * stride + x + 1] = sums[y * stride + x + 1] + row
      }
    }
    var result = [Float](repeating: 0, count: height * width)
    for y in 0..<height {
      let (top, bottom) = (max(0, y - reach), min(height, y + reach + 1))
      for x in 0..<width {
        let (left, right) = (max(0, x - reach), min(width, x + reach + 1))
        let sum =
          sums[bottom * stride + right] - sums[top * stride + right]
          - sums[bottom * stride + left] + sums[top * stride + left]
        result[y * width + x] = Float(sum / Double((bottom - top) * (right - left)))
      }
    }
    return result
  }
}

/// The settings of `{kind: text-lines}`.
public struct TextLinesOptions: CanonicalizerOptions {
  public static let kind = "text-lines"
  public static let summary =
    "The direction in which lines of text run (projection profile); its four quarter turns tie."
  /// Lines of a page are to be seen.
  public static let sideAlone = 1024
  public var reach: Float = 45
  public init() {}

  public mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {
    _ = try keys.images(domain, Self.kind)
    try keys.read("reach", &reach, in: 1...45, "how many degrees from an axis lines may run")
  }

  public func make(_ build: CanonicalizerBuild) throws(SettingsError) -> any TrainableCanonicalizer
  {
    TextLines(reach: Double(reach) * .pi / 180, border: try build.images(Self.kind).border)
  }
}
