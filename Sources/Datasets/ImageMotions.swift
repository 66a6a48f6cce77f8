import Glibc
public import Symmetry
public import TensorCore

/// How a group of lines and circles moves images: what pairs are made by on the fly.
///
/// A motion of one's own is one conformer, given to `MovedImages`.
public protocol ImageMotion: Sendable {
  var group: AmbientGroup { get }

  /// Draws an element: uniform on circles, within a stated reach on lines.
  func sample(using random: inout RandomStream) -> AmbientGroup.Element

  /// Moves each image of a batch, `[count, size, size, channels]`, sampling it once.
  func act(
    _ elements: [AmbientGroup.Element], on batch: Tensor, border: BorderPolicy
  ) -> Tensor
}

/// Turns about the middle, counterclockwise as they are seen: SO(2).
public struct Turns: ImageMotion {
  public let group = AmbientGroup([.circle])
  public init() {}

  public func sample(using random: inout RandomStream) -> AmbientGroup.Element {
    group.sample(using: &random)
  }

  public func act(
    _ elements: [AmbientGroup.Element], on batch: Tensor, border: BorderPolicy
  ) -> Tensor {
    ImageAction(SO2(), border: border).act(
      elements.map { PlanarIsometry(residual: group.log($0)[0]) }, on: batch)
  }
}

/// Shifts to the right and down by up to 0.3 halves of the side: ℝ².
public struct Shifts: ImageMotion {
  public let group = AmbientGroup([.line, .line])
  public init() {}

  public func sample(using random: inout RandomStream) -> AmbientGroup.Element {
    .init((0..<2).map { _ in 0.6 * (random.uniformDouble() - 0.5) })
  }

  public func act(
    _ elements: [AmbientGroup.Element], on batch: Tensor, border: BorderPolicy
  ) -> Tensor {
    AffineImageAction(.translations, border: border).act(
      elements.map { AffineMap(matrix: [1, 0, 0, 1], translation: $0.numbers) }, on: batch)
  }
}

/// Turns and scalings about the middle, which commute: SO(2) × ℝ, the logarithm of the scale up to 0.4.
public struct TurnsAndScalings: ImageMotion {
  public let group = AmbientGroup([.circle, .line])
  public init() {}

  public func sample(using random: inout RandomStream) -> AmbientGroup.Element {
    let angle = 2 * .pi * random.uniformDouble()
    return .init([cos(angle), sin(angle), 0.8 * (random.uniformDouble() - 0.5)])
  }

  public func act(
    _ elements: [AmbientGroup.Element], on batch: Tensor, border: BorderPolicy
  ) -> Tensor {
    AffineImageAction(.similarities, border: border).act(
      elements.map { g in
        let scale = exp(g.numbers[2])
        let (c, s) = (scale * g.numbers[0], scale * g.numbers[1])
        // Counterclockwise as it is seen, *y* being down.
        return AffineMap(matrix: [c, s, -s, c])
      }, on: batch)
  }
}

/// Turns of the hue, about the axis of grays: SO(2), on the colors of each pixel.
///
/// Values are not cut off where they leave 0…1, so that it is an action. Gray images look the same in every hue.
public struct Hues: ImageMotion {
  public let group = AmbientGroup([.circle])
  public init() {}

  public func sample(using random: inout RandomStream) -> AmbientGroup.Element {
    group.sample(using: &random)
  }

  public func act(
    _ elements: [AmbientGroup.Element], on batch: Tensor, border: BorderPolicy
  ) -> Tensor {
    require(batch.shape[3] == 3, "hues of images \(batch.shape)")
    let root = 1 / 3.0.squareRoot()
    let matrices = elements.flatMap { g -> [Float] in
      // Rodrigues about (1, 1, 1)/√3, transposed: colors are rows.
      let (c, s) = (g.numbers[0], g.numbers[1])
      let (same, next, last) = ((1 - c) / 3 + c, (1 - c) / 3 + s * root, (1 - c) / 3 - s * root)
      return [same, next, last, last, same, next, next, last, same].map { Float($0) }
    }
    let (count, pixels) = (batch.shape[0], batch.shape[1] * batch.shape[2])
    return batch.reshaped([count, pixels, 3])
      .matmul(Tensor(matrices, shape: [count, 3, 3])).reshaped(batch.shape.extents)
  }
}

/// Moves along a generator of one's own, as one that was found in pairs: SO(2) where it goes around, else ℝ, amounts up to its window.
public struct AlongGenerator: ImageMotion {
  public let group: AmbientGroup
  private let affine: PlanarAffine
  private let isCircle: Bool

  public init(_ generator: PlanarAffine.Generator) {
    affine = PlanarAffine([generator])
    isCircle = generator.isPeriodic
    group = AmbientGroup([isCircle ? .circle : .line])
  }

  public func sample(using random: inout RandomStream) -> AmbientGroup.Element {
    isCircle
      ? group.sample(using: &random)
      : .init([affine.window.radii[0] * (2 * random.uniformDouble() - 1)])
  }

  public func act(
    _ elements: [AmbientGroup.Element], on batch: Tensor, border: BorderPolicy
  ) -> Tensor {
    // An angle of π is half around.
    let scale = isCircle ? affine.window.radii[0] / .pi : 1
    return AffineImageAction(affine, border: border).act(
      elements.map { affine.exp([group.log($0)[0] * scale]) }, on: batch)
  }
}

/// Images of any kind, in pairs that a motion makes of them when they are asked for.
///
/// Each image is an orbit of its own: what is learned are relative poses alone, of no class. Both views of a pair are
/// moved from the original, so that neither is the one that was sampled less.
public struct MovedImages: Sendable {
  /// The originals, `[count, size, size, channels]`.
  public let images: Tensor
  public let motion: any ImageMotion
  public let border: BorderPolicy

  public init(_ images: Tensor, by motion: any ImageMotion, border: BorderPolicy = .zero) {
    (self.images, self.motion, self.border) = (images, motion, border)
  }

  public var count: Int { images.shape[0] }

  /// Ways of so many steps of images by their places, each from one drawn pose to the next; orbits as labels.
  ///
  /// - Returns: `inputs`, `partner` (after one step) and `element`; of several steps also `steps`, `partner`*n* after half and
  ///   all of them, and `pose`, as `SceneOptions` has it.
  public func ways(_ places: [Int], steps: Int, seed: UInt64, name: String) -> Examples {
    let poses = places.enumerated().map { n, place in
      var random = RandomStream(seed: seed, name: "moved/\(name)/\(n)/\(place)")
      return (0...steps).map { _ in motion.sample(using: &random) }
    }
    let originals = images.gathered(places)
    return Examples(ways: poses, in: motion.group, labels: places) { step in
      motion.act(poses.map { $0[step] }, on: originals, border: border)
    }
  }

  /// All images, each moved anew whenever it is seen.
  public func stream(seed: UInt64) -> ExampleStream {
    ExampleStream(count: count, source: images) { places, epoch in
      ways(places, steps: 1, seed: seed, name: "train/\(epoch)")
    }
  }
}
