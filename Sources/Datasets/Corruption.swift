import Glibc
public import TensorCore

extension Tensor {
  /// Images with noise of deviation 0.2, and a strip of a quarter of the side erased, in a place and direction
  /// drawn for each.
  ///
  /// **Shapes.** `[count, height, width, 1]` → the same, in 0…1.
  ///
  /// `name`: What the drawn numbers follow from, beside the seed.
  public func corrupted(seed: UInt64, name: String) -> Tensor {
    var random = RandomStream(seed: seed, name: "corruption/\(name)")
    let (count, height, width) = (shape[0], shape[1], shape[2])
    var pixels = elements
    let noise = Tensor.normal(shape, deviation: 0.2, using: &random).elements
    for n in 0..<count {
      let direction = 2 * Float.pi * random.uniform()
      let (c, s) = (cos(direction), sin(direction))
      let middle = (random.uniform() - 0.5) * Float(height) / 2
      for y in 0..<height {
        for x in 0..<width {
          let i = (n * height + y) * width + x
          let along = (Float(x) - Float(width - 1) / 2) * c + (Float(y) - Float(height - 1) / 2) * s
          let kept: Float = abs(along - middle) < Float(height) / 8 ? 0 : pixels[i]
          pixels[i] = min(max(kept + noise[i], 0), 1)
        }
      }
    }
    return Tensor(pixels, shape: shape)
  }
}

extension Examples {
  /// Images with classes.
  public init(_ labeled: LabeledImages) {
    self.init(inputs: labeled.images, labels: labeled.labels)
  }
}
