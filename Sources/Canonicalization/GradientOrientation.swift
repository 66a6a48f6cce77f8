import Glibc
import Layers
public import Settings
public import Symmetry
public import TensorCore

/// The dominant-gradient heuristic: the pose is the direction in which most of the image's gradient
/// points, as keypoints are oriented in SIFT (Lowe 2004, doi 10.1023/B:VISI.0000029664.99615.94).
///
/// Gradients by central differences vote, by their magnitude, in 36 bins of the circle, which are
/// smoothed; the highest is refined by a parabola. The margin is its lead over the next peak,
/// relative to its height.
public struct GradientOrientation: ImageCanonicalizer {
  public typealias PoseGroup = SO2
  public let action: ImageAction<SO2>
  private let bins = 36

  public init(border: BorderPolicy = .zero) { action = ImageAction(SO2(), border: border) }

  public func poses(of batch: Tensor) -> [Pose<PlanarIsometry>] {
    action.group.exactPoses(ofIntensities: batch, pose)
  }

  private func pose(_ pixels: [Float], _ height: Int, _ width: Int) -> Pose<PlanarIsometry> {
    var histogram = [Double](repeating: 0, count: bins)
    for y in 1..<max(1, height - 1) {
      for x in 1..<max(1, width - 1) {
        let dx = Double(pixels[y * width + x + 1] - pixels[y * width + x - 1])
        let dy = Double(pixels[(y - 1) * width + x] - pixels[(y + 1) * width + x])
        if dx == 0 && dy == 0 { continue }
        let place = (atan2(dy, dx) / (2 * .pi) + 1) * Double(bins)
        let (bin, rest) = (Int(place), place - place.rounded(.down))
        histogram[bin % bins] += (1 - rest) * hypot(dx, dy)
        histogram[(bin + 1) % bins] += rest * hypot(dx, dy)
      }
    }
    func around(_ i: Int) -> (before: Double, here: Double, after: Double) {
      (histogram[(i + bins - 1) % bins], histogram[i], histogram[(i + 1) % bins])
    }
    for _ in 0..<3 {
      histogram = (0..<bins).map {
        let (a, b, c) = around($0)
        return (a + 2 * b + c) / 4
      }
    }
    let peaks = (0..<bins).filter { bin -> Bool in
      let (before, here, after) = around(bin)
      return here > before && here >= after
    }
    .sorted { histogram[$0] != histogram[$1] ? histogram[$0] > histogram[$1] : $0 < $1 }
    guard let best = peaks.first else { return Pose(PlanarIsometry(), margin: 0) }
    func isometry(_ bin: Int) -> PlanarIsometry {
      let (a, b, c) = around(bin)
      let shift = a + c == 2 * b ? 0 : (a - c) / (2 * (a - 2 * b + c))
      return PlanarIsometry(residual: 2 * .pi * (Double(bin) + shift) / Double(bins))
    }
    let next = peaks.count > 1 ? histogram[peaks[1]] : 0
    let ties = peaks.dropFirst().filter { histogram[$0] == histogram[best] }
    return Pose(
      isometry(best), margin: Float(1 - next / histogram[best]), ties: ties.map(isometry))
  }
}

/// The settings of `{kind: gradient}`.
public struct GradientOptions: CanonicalizerOptions {
  public static let kind = "gradient"
  public static let summary = "The angle at which the gradients of an image are strongest."
  public var group = ""
  public init() {}

  public mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {
    _ = try keys.images(domain, Self.kind)
    try keys.readRotations(&group)
  }

  public func make(_ build: CanonicalizerBuild) throws(SettingsError) -> any TrainableCanonicalizer
  {
    GradientOrientation(border: try build.images(Self.kind).border).restricted(to: group)
  }
}
