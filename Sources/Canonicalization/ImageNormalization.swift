public import Autodiff
import Glibc
import Layers
public import Settings
public import Symmetry
public import TensorCore

/// What of an image's moments makes a pose.
public enum ImageMoment: String, Sendable, CaseIterable, Codable {
  /// The center of mass: where the image is.
  case center
  /// The root of the mean square distance from the middle: how large it is.
  case scale
}

/// A canonicalizer of images by moments of their intensities: shifts them so that their mass is
/// centered, or scales them so that it spreads as far as wished.
///
/// For shifts and scalings that keep all of the image in the frame the law holds within the sampling
/// error. An empty image has the identity as its pose, with margin 0.
public struct MomentNormalization: TrainableCanonicalizer {
  public let action: AffineImageAction
  public let moment: ImageMoment
  /// The spread of a canonical image, in halves of the smaller side.
  public let spread: Double

  public init(_ moment: ImageMoment, spread: Double = 0.4, border: BorderPolicy = .zero) {
    action = AffineImageAction(moment == .center ? .translations : .scalings, border: border)
    self.moment = moment
    self.spread = spread
  }

  public func poses(of batch: Tensor) -> [Pose<AffineMap>] {
    let (height, width) = (batch.shape[1], batch.shape[2])
    let gray = batch.mean([3]).contiguous
    let unit = AffineImageAction.unit(of: batch)
    return (0..<batch.shape[0]).map { n in
      let pixels = gray[n].elements
      var (mass, x, y, square) = (0.0, 0.0, 0.0, 0.0)
      for (i, value) in pixels.enumerated() where value > 0 {
        let dx = (Double(i % width) - Double(width - 1) / 2) / unit
        let dy = (Double(i / width) - Double(height - 1) / 2) / unit
        let m = Double(value)
        mass += m
        x += m * dx
        y += m * dy
        square += m * (dx * dx + dy * dy)
      }
      guard mass > 0, moment == .center || square > 0 else {
        return Pose(action.group.identity, margin: 0)
      }
      if moment == .center {
        return Pose(AffineMap(matrix: [1, 0, 0, 1], translation: [x / mass, y / mass]))
      }
      let scale = (square / mass).squareRoot() / spread
      return Pose(AffineMap(matrix: [scale, 0, 0, scale]))
    }
  }
}

extension MomentNormalization: ExportableCanonicalizer {
  public func poseVariables(of batch: Variable, on tape: Tape) -> PoseVariables {
    let (height, width) = (batch.shape[1], batch.shape[2])
    let unit = AffineImageAction.unit(of: batch.value)
    // Of each pixel: 1, x, y and the square of the distance.
    let columns = (0..<height * width).flatMap { i -> [Float] in
      let x = (Double(i % width) - Double(width - 1) / 2) / unit
      let y = (Double(i / width) - Double(height - 1) / 2) / unit
      return [1, Float(x), Float(y), Float(x * x + y * y)]
    }
    let moments = batch.mean([3]).relu().reshaped([-1, height * width])
      .matmul(Variable(Tensor(columns, shape: [height * width, 4])))
    let (mass, zero) = (moments.column(0), Variable(Tensor(0)))
    guard moment == .scale else {
      let shift = moments.sliced(1..<3, axis: 1).divided(by: mass, orElse: 0)
      return PoseVariables(translation: shift, margin: found(mass.isGreater(than: zero)))
    }
    let square = moments.column(3)
    let scale = Variable.choose(
      square.isGreater(than: zero), (square / mass).squareRoot() * Float(1 / spread),
      Variable(Tensor(1)))
    return PoseVariables(
      matrix: (scale * Variable(Tensor([1, 0, 0, 1]))).reshaped([-1, 2, 2]), isOrthogonal: false,
      margin: found(square.isGreater(than: zero)))
  }

  /// An infinite margin where there is something, else 0.
  private func found(_ isThere: Variable) -> Variable {
    Variable.choose(isThere, Variable(Tensor(.infinity)), Variable(Tensor(0))).reshaped([-1])
  }
}

/// The settings of `{kind: center}`.
public struct CenterOptions: CanonicalizerOptions {
  public static let kind = "center"
  public static let summary = "Shifts an image to its center of mass."
  public init() {}

  public mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {
    _ = try keys.images(domain, Self.kind)
  }

  public func make(_ build: CanonicalizerBuild) throws(SettingsError) -> any TrainableCanonicalizer
  {
    MomentNormalization(.center, border: try build.images(Self.kind).border)
  }
}

/// The settings of `{kind: scale}`.
public struct ScaleOptions: CanonicalizerOptions {
  public static let kind = "scale"
  public static let summary = "Scales an image so that its intensity spreads as far as wished."
  public var spread: Float = 0.4
  public init() {}

  public mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {
    _ = try keys.images(domain, Self.kind)
    try keys.read("spread", &spread, in: 0.05...1, "of a canonical image, in halves of its side")
  }

  public func make(_ build: CanonicalizerBuild) throws(SettingsError) -> any TrainableCanonicalizer
  {
    MomentNormalization(
      .scale, spread: spread == 0.4 ? 0.4 : Double(spread),
      border: try build.images(Self.kind).border)
  }
}
