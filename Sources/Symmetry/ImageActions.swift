public import TensorCore

/// Rotations and reflections of images about their center.
///
/// Quarter turns and flips move pixels, bit for bit, and exchange the sides of an image that is not
/// square; other angles sample the original once, and keep its size. Bilinear and bicubic sampling
/// commute bit for bit with quarter turns and flips.
///
/// **Shapes.** `[batch, height, width, channels]` → the same, or with height and width exchanged
/// where the elements' quarter turns are odd; then all must be odd, or the image square. At an odd
/// eighth of a turn the nearer quarter turn is a convention, and with it an oblong image's size.
public struct ImageAction<Group: PlanarGroup>: Action {
  public let group: Group
  /// How values between pixels are made; `.nearest` for masks of labels.
  public let interpolation: Interpolation
  /// What lies outside the image.
  public let border: BorderPolicy

  public init(
    _ group: Group, interpolation: Interpolation = .bilinear, border: BorderPolicy = .zero
  ) {
    self.group = group
    self.interpolation = interpolation
    self.border = border
  }

  /// Acts on each image of a batch.
  ///
  /// - Complexity: O(pixels), times 16 for bicubic sampling.
  public func act(_ elements: [Group.Element], on batch: Tensor) -> Tensor {
    act(elements, on: batch, size: nil)
  }

  /// Acts on each image of a batch, onto images of a given size with the same center.
  ///
  /// Undoing an element onto the size of the original gives that size back, also where an oblong
  /// image was turned by an odd eighth of a turn.
  public func act(
    _ elements: [Group.Element], on batch: Tensor, size wanted: (height: Int, width: Int)?
  ) -> Tensor {
    let isometries = elements.map(group.isometry)
    let (height, width) = (batch.shape[1], batch.shape[2])
    var size = wanted ?? (height, width)
    if wanted == nil, height != width, let first = isometries.first {
      let odd = first.quarterTurns % 2
      require(
        isometries.allSatisfy { $0.quarterTurns % 2 == odd },
        "quarter turns of images \(batch.shape) that are not square give two sizes in one batch")
      if odd == 1 { size = (width, height) }
    }
    return batch.warped(
      by: isometries.map(\.samplingMap), size: size, interpolation, border: border)
  }
}

extension ImageAction {
  /// Acts with several elements on each image: those that differ by quarter turns sample it once.
  ///
  /// - Complexity: O(pixels) for each element, times 16 for bicubic sampling of each angle and reflection.
  public func act(onEach elements: [[Group.Element]], of batch: Tensor) -> Tensor {
    let isometries = elements.map { $0.map(group.isometry) }
    guard batch.shape[1] == batch.shape[2] else {
      let rows = elements.enumerated().flatMap { n, all in all.map { _ in n } }
      return act(elements.flatMap { $0 }, on: batch.gathered(rows))
    }
    // Which image is sampled at which angle, and of each result from which of these it is turned.
    var samplings: [(row: Int, isometry: PlanarIsometry)] = []
    var moves: [(from: Int, turn: PlanarIsometry)] = []
    for (row, all) in isometries.enumerated() {
      let first = samplings.count
      for g in all {
        let sampled = PlanarIsometry(residual: g.residual, isReflected: g.isReflected)
        let known = samplings[first...].firstIndex { $0.isometry == sampled }
        if known == nil { samplings.append((row, sampled)) }
        moves.append(
          (known ?? samplings.count - 1, PlanarIsometry(quarterTurns: g.quarterTurns)))
      }
    }
    let sampled = batch.gathered(samplings.map(\.row)).warped(
      by: samplings.map(\.isometry.samplingMap), interpolation, border: border)
    return sampled.gathered(moves.map(\.from)).warped(
      by: moves.map(\.turn.samplingMap), .nearest, border: border)
  }
}

/// Vector fields on images: pixels move as those of an image do, and the vectors turn with them.
///
/// **Shapes.** `[batch, height, width, 2]`, components *x* to the right and *y* down.
public struct VectorFieldAction<Group: PlanarGroup>: Action {
  private let pixels: ImageAction<Group>
  public var group: Group { pixels.group }

  public init(_ group: Group, border: BorderPolicy = .zero) {
    pixels = ImageAction(group, border: border)
  }

  public func act(_ elements: [Group.Element], on batch: Tensor) -> Tensor {
    let moved = pixels.act(elements, on: batch)
    return VectorAction(group).act(elements, on: moved)
  }
}

/// The disc inscribed in an image: 1 inside, 0 outside; what a canonicalizer may look at, so that
/// it cannot read the angle from corners that rotate in and out of the image.
///
/// - Returns: `[1, height, width, 1]`, unchanged by quarter turns and flips of square images.
public func discMask(height: Int, width: Int) -> Tensor {
  let side = min(height, width)
  let mask = (0..<height * width).map { i -> Float in
    let (dy, dx) = (2 * (i / width) - height + 1, 2 * (i % width) - width + 1)
    return dy * dy + dx * dx <= side * side ? 1 : 0
  }
  return Tensor(mask, shape: [1, height, width, 1])
}
