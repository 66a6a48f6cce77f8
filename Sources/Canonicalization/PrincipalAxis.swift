public import Autodiff
import Glibc
public import Symmetry
public import TensorCore

/// The principal-axis heuristic (PCA): the pose is the direction in which the image's intensity
/// spreads most.
///
/// An axis has two directions. By the sign of the third moment along it, the strong variant, the
/// longer tail points one way; without it, the two directions tie.
///
/// The margin is the relative difference of the two variances; with the sign, at most the
/// magnitude of the skewness.
public struct PrincipalAxis: ImageCanonicalizer {
  public typealias PoseGroup = SO2
  public let action: ImageAction<SO2>
  /// Whether the third moment decides between the two directions of the axis.
  public let usesThirdMoment: Bool
  /// Pixels count, for the axis, where they are above it; `nil` weighs them by their intensity.
  public let threshold: Float?

  public init(
    usesThirdMoment: Bool = true, threshold: Float? = nil, border: BorderPolicy = .zero
  ) {
    action = ImageAction(SO2(), border: border)
    self.usesThirdMoment = usesThirdMoment
    self.threshold = threshold
  }

  public func poses(of batch: Tensor) -> [Pose<PlanarIsometry>] {
    action.group.exactPoses(ofIntensities: batch, pose)
  }

  private func pose(_ pixels: [Float], _ height: Int, _ width: Int) -> Pose<
    PlanarIsometry
  > {
    // Coordinates as seen: x to the right, y up.
    let points = pixels.enumerated().map { i, value in
      (
        x: Double(i % width) - Double(width - 1) / 2, y: Double(height - 1) / 2 - Double(i / width),
        intensity: Double(value)
      )
    }
    func mean(_ weight: (Double) -> Double, _ f: (Double, Double) -> Double) -> Double {
      var (sum, total) = (0.0, 0.0)
      for p in points where p.intensity != 0 {
        let w = weight(p.intensity)
        sum += w * f(p.x, p.y)
        total += w
      }
      return total > 0 ? sum / total : 0
    }
    // Of a picture that is darker all over, every pixel counts by its intensity.
    let threshold = self.threshold.flatMap { limit in pixels.contains { $0 > limit } ? limit : nil }
    let weight: (Double) -> Double = { v in threshold.map { v > Double($0) ? 1 : 0 } ?? v }
    let (cx, cy) = (mean(weight) { x, _ in x }, mean(weight) { _, y in y })
    let xx = mean(weight) { x, _ in (x - cx) * (x - cx) }
    let yy = mean(weight) { _, y in (y - cy) * (y - cy) }
    let xy = mean(weight) { x, y in (x - cx) * (y - cy) }
    let spread = xx + yy
    let eccentricity = spread > 0 ? hypot(xx - yy, 2 * xy) / spread : 0
    let angle = atan2(2 * xy, xx - yy) / 2
    let axis = PlanarIsometry(residual: angle)
    let opposite = action.group.compose(axis, PlanarIsometry(quarterTurns: 2))
    guard usesThirdMoment else {
      return Pose(axis, margin: Float(eccentricity), ties: [opposite])
    }
    let (c, s) = (cos(angle), sin(angle))
    let (mx, my) = (mean({ $0 }) { x, _ in x }, mean({ $0 }) { _, y in y })
    let third = mean({ $0 }) { x, y in
      let u = (x - mx) * c + (y - my) * s
      return u * u * u
    }
    let skewness = spread > 0 ? abs(third) / pow(spread, 1.5) : 0
    return Pose(
      third < 0 ? opposite : axis, margin: Float(min(eccentricity, skewness)),
      ties: third == 0 ? [opposite] : [])
  }
}

extension PrincipalAxis: ExportableCanonicalizer {
  public func poseVariables(of batch: Variable, on tape: Tape) -> PoseVariables {
    guard !usesThirdMoment, batch.shape[1] == batch.shape[2] else {
      return candidateVariables(of: batch, on: tape)[0]
    }
    // Both directions tie, of every image: the exact normal form decides.
    let side = batch.shape[1]
    let gray = batch.mean([3], keepingAxes: true) * Variable(discMask(height: side, width: side))
    let (images, moves) = gray.reshaped([-1, side, side]).exactNormalForm(action.group)
    let found = candidateVariables(of: images.reshaped([-1, side, side, 1]), on: tape)[0]
    return PoseVariables(matrix: moves).after(found)
  }

  public func candidateVariables(of batch: Variable, on tape: Tape) -> [PoseVariables] {
    let (height, width) = (batch.shape[1], batch.shape[2])
    let (count, zero) = (height * width, Variable(Tensor(0)))
    let pixels =
      (batch.mean([3], keepingAxes: true)
      * Variable(discMask(height: height, width: width))).reshaped([-1, count])
    let x = Tensor(
      (0..<count).map { Float($0 % width) - Float(width - 1) / 2 }, shape: [1, count])
    let y = Tensor(
      (0..<count).map { Float(height - 1) / 2 - Float($0 / width) }, shape: [1, count])
    func mean(_ weights: Variable, _ values: Variable) -> Variable {
      (weights * values).sum([1], keepingAxes: true)
        .divided(by: weights.sum([1], keepingAxes: true), orElse: 0)
    }
    let weights = threshold.map { limit in
      let above = pixels.isGreater(than: Variable(Tensor(limit)))
      return Variable.choose(above.maximum(1, keepingAxes: true), above, pixels)
    }
    let axisWeights = weights ?? pixels
    let dx = Variable(x) - mean(axisWeights, Variable(x))
    let dy = Variable(y) - mean(axisWeights, Variable(y))
    let (xx, yy) = (mean(axisWeights, dx.squared()), mean(axisWeights, dy.squared()))
    let (apart, twice) = (xx - yy, mean(axisWeights, dx * dy) * 2)
    let spread = xx + yy
    let length = (apart.squared() + twice.squared()).squareRoot()
    let eccentricity = length.divided(by: spread, orElse: 0)
    // The axis' angle is half that of (apart, twice): by the half-angle formula that loses no digits.
    let (cosine, sine) = (
      apart.divided(by: length, orElse: 1), twice.divided(by: length, orElse: 0)
    )
    let larger = (cosine.magnitude * 0.5 + 0.5).squareRoot()
    let other = sine / (larger * 2)
    let isFlat = -zero.isGreater(than: cosine) + 1
    let isDown = zero.isGreater(than: sine)
    let c = Variable.choose(isFlat, larger, other.magnitude)
    let s = Variable.choose(isFlat, other, Variable.choose(isDown, -larger, larger))
    guard usesThirdMoment else {
      let margin = eccentricity.reshaped([-1])
      return [1, -1].map { PoseVariables(cosine: c * $0, sine: s * $0, margin: margin) }
    }
    let along =
      (Variable(x) - mean(pixels, Variable(x))) * c + (Variable(y) - mean(pixels, Variable(y))) * s
    let third = mean(pixels, along * along.squared())
    let skewness = third.magnitude.divided(by: spread * spread.squareRoot(), orElse: 0)
    let sign = zero.isGreater(than: third) * -2 + 1
    return [
      PoseVariables(
        cosine: c * sign, sine: s * sign,
        margin: Variable.smaller(eccentricity, skewness).reshaped([-1]))
    ]
  }
}
