public import TensorCore

/// Sets of points with classes.
public struct LabeledPoints: Sendable {
  /// `[count, points, coordinates]`, in no particular order, about the origin.
  public let points: Tensor
  public let labels: [Int]
  public let classNames: [String]

  public init(points: Tensor, labels: [Int], classNames: [String]) {
    self.points = points
    self.labels = labels
    self.classNames = classNames
  }

  /// Points drawn from images, as many from a pixel as it is bright, and uniform within it.
  ///
  /// Coordinates are *x* to the right and *y* up, −1…1 over the image; `perImage` points are drawn from each.
  public init(_ images: LabeledImages, perImage: Int = 100, seed: UInt64 = 0) {
    let (height, width) = (images.images.shape[1], images.images.shape[2])
    let (size, pixels) = (height * width, images.images.mean([3]).elements)
    let sets = Parallel.map(Array(images.labels.indices)) { n -> [Float] in
      var random = RandomStream(seed: seed, name: "points/\(n)")
      var total: Float = 0
      let cumulative = pixels[n * size..<(n + 1) * size].map { value -> Float in
        total += value
        return total
      }
      return (0..<perImage).flatMap { _ -> [Float] in
        let wanted = random.uniform() * total
        let pixel = min(size - 1, cumulative.firstIndex { $0 > wanted } ?? 0)
        let x = (Float(pixel % width) + random.uniform()) / Float(width)
        let y = (Float(pixel / width) + random.uniform()) / Float(height)
        return [2 * x - 1, 1 - 2 * y]
      }
    }
    self.init(
      points: Tensor(sets.flatMap { $0 }, shape: [sets.count, perImage, 2]),
      labels: images.labels, classNames: images.classNames)
  }
}
