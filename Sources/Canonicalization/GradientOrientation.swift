public import Autodiff
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

extension GradientOrientation: ExportableCanonicalizer {
  public func poseVariables(of batch: Variable, on tape: Tape) -> PoseVariables {
    let (height, width) = (batch.shape[1], batch.shape[2])
    let gray =
      (batch.mean([3], keepingAxes: true)
      * Variable(discMask(height: height, width: width))).reshaped([-1, height, width])
    func part(_ y: Int, _ x: Int) -> Variable {
      gray.sliced(y..<y + height - 2, axis: 1).sliced(x..<x + width - 2, axis: 2)
        .reshaped([-1, (height - 2) * (width - 2), 1])
    }
    let (dx, dy) = (part(1, 2) - part(1, 0), part(0, 1) - part(2, 1))
    let place = (Variable.arcTangent(across: dy, along: dx) * (1 / (2 * .pi)) + 1) * Float(bins)
    let numbers = (0..<bins).map { Float($0) }
    let apart = place - Variable(Tensor(numbers, shape: [1, 1, bins]))
    let shares = (-apart.magnitude + 1).relu() + (-(apart - Float(bins)).magnitude + 1).relu()
    let votes = ((dx.squared() + dy.squared()).squareRoot() * shares).sum([1])
    /// The histogram moved on by bins, as a product.
    func moved(_ histogram: Variable, _ shifts: [(by: Int, weight: Float)]) -> Variable {
      var table = [Float](repeating: 0, count: bins * bins)
      for i in 0..<bins {
        for (by, weight) in shifts { table[(i + by + bins) % bins * bins + i] += weight }
      }
      return histogram.matmul(Variable(Tensor(table, shape: [bins, bins])))
    }
    let here = (0..<3).reduce(votes) { all, _ in
      moved(all, [(-1, 0.25), (0, 0.5), (1, 0.25)])
    }
    let (before, after) = (moved(here, [(-1, 1)]), moved(here, [(1, 1)]))
    let isPeak = here.isGreater(than: before) * (-after.isGreater(than: here) + 1)
    let none = Variable(Tensor(-1))
    let peaks = Variable.choose(isPeak, here, none)
    let best = peaks.firstLargest()
    func at(_ values: Variable) -> Variable { (best * values).sum([1], keepingAxes: true) }
    let (a, b, c) = (at(before), at(here), at(after))
    let shift = (a - c).divided(by: (a - b * 2 + c) * 2, orElse: 0)
    let bin = best.matmul(Variable(Tensor(numbers, shape: [bins, 1])))
    let hasPeak = isPeak.maximum(1, keepingAxes: true)
    let angle = Variable.choose(
      hasPeak, (bin + shift) * Float(2 * .pi / Double(bins)), Variable(Tensor(0)))
    let next = Variable.choose(best, none, peaks).maximum(1, keepingAxes: true).relu()
    let margin = Variable.choose(hasPeak, -(next / b) + 1, Variable(Tensor(0)))
    return PoseVariables(
      cosine: angle.cosine(), sine: angle.sine(), margin: margin.reshaped([-1]))
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
