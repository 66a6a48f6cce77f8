public import Autodiff
import Glibc
import Synchronization
public import TensorCore

/// A network for small images as one for large images: it looks at parts of them, at several scales, and what it says
/// of each is averaged.
///
/// A page is far too large to be looked at whole, and too small to be read where it is scaled down to what a network
/// takes. The image, and each image of half the side made of it, is cut into squares around its center, without overlap; the
/// roughest are looked at (where neighboring pixels differ most, as those of letters do), each normalized to mean 0 and deviation 1 (of at least 0.04, so that noise on empty paper
/// stays small).
///
/// **Shapes.** `[batch, height, width, channels]` → what the network gives for `[·, size, size, channels]`, averaged:
/// an image of `size` × `size` is its only part.
/// **Law.** The parts of a turned image are those of the image, turned: all that is chosen by is their roughness.
public struct Parts: Layer {
  public let network: any Layer
  /// The side of a part.
  public let size: Int
  /// How many parts are looked at in the image, in that of half its side, and so on.
  public let counts: [Int]

  /// - Precondition: `size` and `counts` are positive.
  public init(
    _ network: any Layer, size: Int = 64, counts: [Int] = [32, 16, 8]
  ) {
    require(
      size > 0 && !counts.isEmpty && counts.allSatisfy { $0 > 0 },
      "\(counts) parts of \(size) pixels")
    (self.network, self.size, self.counts) = (network, size, counts)
  }

  public var parameters: [(name: String, parameter: Parameter)] { network.parameters }

  /// The gradient reaches the network's parameters, not the image.
  ///
  /// - Precondition: Images have a side of `size` at least.
  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    let (batch, tiles) = (input.shape[0], parts(of: input.value))
    // Which parts they are is found by numbers, not by operations that could be recorded.
    let seen =
      input.isTraced
      ? Variable(tiles, inputs: [input], operation: .unwritable("the choice of a page's parts")) {
        _ in [nil]
      } : Variable(tiles)
    let outputs = network(seen, on: tape)
    return outputs.reshaped([batch, tiles.shape[0] / max(1, batch), -1]).mean([1])
  }

  /// The parts of each image that are looked at, `[batch · count, size, size, channels]`.
  ///
  /// - Complexity: O(pixels).
  public func parts(of images: Tensor) -> Tensor {
    let (height, width, channels) = (images.shape[1], images.shape[2], images.shape[3])
    require(
      min(height, width) >= size, "parts of \(size) pixels of images of \(height) × \(width)")
    let kept = counts.indices.map { level in
      min(counts[level], (height >> level) / size * ((width >> level) / size))
    }
    let count = kept.reduce(0, +)
    let perImage = count * size * size * channels
    let source = images.contiguous
    return unsafe Tensor(
      [images.shape[0] * count, size, size, channels]
    ) { target in
      let target = unsafe SendableAddress(target)
      unsafe source.withElements { pixels in
        let all = unsafe SendableAddress(UnsafeMutablePointer(mutating: pixels))
        Parallel.forEach(images.shape[0]) { n in
          let pixels = unsafe UnsafeBufferPointer(
            start: all.pointer + n * height * width * channels, count: height * width * channels)
          var level = unsafe Level(
            height: height, width: width, channels: channels, pixels: Array(pixels))
          var place = unsafe target.pointer + n * perImage
          for (step, count) in kept.enumerated() where count > 0 {
            if step > 0 { level = level.halved }
            for tile in level.tiles(of: size).prefix(count) {
              unsafe level.copy(tile, size, to: place)
              unsafe place += size * size * channels
            }
          }
        }
      }
    }
  }
}

/// An image at one of the scales.
private struct Level {
  let height, width, channels: Int
  let pixels: [Float]

  /// A square of it, by its upper left corner.
  struct Tile {
    let x, y: Int
    let mean, variance: Float
    /// The sum of the differences of neighboring pixels, of 0.1 at most: letters have edges close together, pictures few.
    let roughness: Float
  }

  /// Means of 2 × 2 pixels; an odd row or column at the end is left out.
  var halved: Level {
    let (h, w) = (height / 2, width / 2)
    var result = [Float](repeating: 0, count: h * w * channels)
    let row = width * channels
    for y in 0..<h {
      for x in 0..<w {
        for c in 0..<channels {
          let at = 2 * y * row + 2 * x * channels + c
          result[(y * w + x) * channels + c] =
            ((pixels[at] + pixels[at + row + channels])
              + (pixels[at + channels] + pixels[at + row])) / 4
        }
      }
    }
    return Level(height: h, width: w, channels: channels, pixels: result)
  }

  /// The squares of a grid around the center, the roughest first.
  func tiles(of size: Int) -> [Tile] {
    let (rows, columns) = (height / size, width / size)
    let (top, left) = ((height - rows * size) / 2, (width - columns * size) / 2)
    let tiles = unsafe pixels.withUnsafeBufferPointer { pixels in
      (0..<rows * columns).map { n in
        unsafe tile(left + n % columns * size, top + n / columns * size, size, pixels)
      }
    }
    return tiles.enumerated().sorted {
      $0.element.roughness != $1.element.roughness
        ? $0.element.roughness > $1.element.roughness : $0.offset < $1.offset
    }.map(\.element)
  }

  /// What is to be known of a square.
  ///
  /// Rows are summed each on its own, in eight sums: one sum would wait for its last addition.
  private func tile(
    _ x: Int, _ y: Int, _ size: Int, _ pixels: UnsafeBufferPointer<Float>
  ) -> Tile {
    func summed(_ start: Int, _ count: Int, _ value: (Int) -> SIMD8<Float>, _ rest: (Int) -> Float)
      -> Float
    {
      var sums = SIMD8<Float>()
      let whole = count / 8 * 8
      for at in stride(from: start, to: start + whole, by: 8) { sums += value(at) }
      return (start + whole..<start + count).reduce(sums.sum()) { $0 + rest($1) }
    }
    func eight(_ at: Int) -> SIMD8<Float> {
      unsafe UnsafeRawBufferPointer(pixels).loadUnaligned(
        fromByteOffset: 4 * at, as: SIMD8<Float>.self)
    }
    func step(_ a: SIMD8<Float>, _ b: SIMD8<Float>) -> SIMD8<Float> {
      var d = a - b
      d.replace(with: -d, where: d .< 0)
      d.replace(with: 0.1, where: d .> 0.1)
      return d
    }
    let (row, count) = (width * channels, size * channels)
    var (sum, squares, roughness) = (Float(0), Float(0), Float(0))
    for line in 0..<size {
      let start = (y + line) * row + x * channels
      sum += summed(start, count, { eight($0) }, { unsafe pixels[$0] })
      squares += summed(
        start, count, { eight($0) * eight($0) }, { unsafe pixels[$0] * pixels[$0] })
      for (apart, count) in [(channels, count - channels), (row, line + 1 < size ? count : 0)] {
        roughness += summed(
          start, count, { step(eight($0 + apart), eight($0)) },
          { unsafe min(abs(pixels[$0 + apart] - pixels[$0]), 0.1) })
      }
    }
    let mean = sum / Float(size * count)
    return Tile(
      x: x, y: y, mean: mean, variance: max(0, squares / Float(size * count) - mean * mean),
      roughness: roughness)
  }

  /// Copies a square, normalized.
  func copy(_ tile: Tile, _ size: Int, to target: UnsafeMutablePointer<Float>) {
    let scale = 1 / max(tile.variance.squareRoot(), 0.04)
    for row in 0..<size {
      let start = ((tile.y + row) * width + tile.x) * channels
      for i in 0..<size * channels {
        unsafe target[row * size * channels + i] = (pixels[start + i] - tile.mean) * scale
      }
    }
  }
}
