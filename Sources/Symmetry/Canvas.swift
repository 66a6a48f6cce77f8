import Glibc
public import TensorCore

/// How large a picture becomes that is moved by more than quarter turns and flips.
public enum Canvas: String, CaseIterable, Sendable, Codable {
  /// As large as needed: nothing is cut off, and undoing it brings back every pixel, up to interpolation.
  case grow
  /// The largest rectangle without anything from outside the picture; of motions beyond a rotation, the largest of
  /// the picture's proportions.
  case crop
  /// The picture's own size: corners are cut off.
  case keep
}

/// What is seen beside a picture that was turned.
public enum Background: Hashable, Sendable {
  /// One color, a number in 0…1 a channel, alpha among them.
  case color([Float])
  /// The nearest pixel of the border.
  case edge
  /// The picture mirrored at its edges.
  case reflect
}

/// How motions move whole pictures, for people to look at: of any size, with or without alpha, sampled once.
///
/// Quarter turns and flips move pixels bit for bit, and exchange the sides. Where values are made anew, colors count
/// by their alpha (Porter & Duff 1984, doi 10.1145/800031.808606): what is hidden under transparency stays hidden. A
/// picture is continued for three pixels beyond its edge before the background begins, so that undoing the motion
/// finds whole neighborhoods.
///
/// **Shapes.** `[1, height, width, channels]`, of 2 or 4 channels the last one alpha.
public struct PictureAction: Sendable {
  public let interpolation: Interpolation
  public let canvas: Canvas
  public let background: Background

  public init(
    _ interpolation: Interpolation = .bicubic, canvas: Canvas = .grow,
    background: Background = .color([])
  ) {
    (self.interpolation, self.canvas, self.background) = (interpolation, canvas, background)
  }

  /// The size of a moved picture.
  ///
  /// - Parameters:
  ///   - motion: How it is moved.
  ///   - size: Its own.
  /// - Returns: Huge sizes for motions that enlarge so far: ask before moving.
  public func size(
    of size: (height: Int, width: Int), movedBy motion: Motion
  ) -> (height: Int, width: Int) {
    let map = motion.samplingMap(unit: unit(size))
    let isOdd = motion.map == nil && (motion.isometry?.quarterTurns ?? 0) % 2 == 1
    let turned = isOdd ? (height: size.width, width: size.height) : size
    if motion.isExact || canvas == .keep { return turned }
    let (a, t) = (map.matrix, map.offset)
    let (w, h) = (Double(size.width) / 2, Double(size.height) / 2)
    func whole(_ half: Double) -> Int { Int(max(1, min(2 * half, 1e9).rounded(.up))) }
    if canvas == .grow {
      // The corners of the picture, where they come to lie.
      let determinant = a[0] * a[3] - a[1] * a[2]
      let back = [a[3], -a[1], -a[2], a[0]].map { $0 / determinant }
      let shift = [back[0] * t[0] + back[1] * t[1], back[2] * t[0] + back[3] * t[1]]
      return (
        whole(abs(back[2]) * w + abs(back[3]) * h + abs(shift[1]) - 1e-9),
        whole(abs(back[0]) * w + abs(back[1]) * h + abs(shift[0]) - 1e-9)
      )
    }
    if motion.map == nil, let g = motion.isometry {
      let inner = largestRectangle(
        Double(turned.width), Double(turned.height), turnedBy: abs(g.residual))
      return (max(1, Int(inner.height + 1e-9)), max(1, Int(inner.width + 1e-9)))
    }
    let scale = min(
      (w - abs(t[0])) / (abs(a[0]) * w + abs(a[1]) * h),
      (h - abs(t[1])) / (abs(a[2]) * w + abs(a[3]) * h))
    return (max(1, Int(2 * scale * h)), max(1, Int(2 * scale * w)))
  }

  /// Moves a picture.
  public func act(_ motion: Motion, on picture: Tensor) -> Tensor {
    let size = (height: picture.shape[1], width: picture.shape[2])
    guard motion.others.isEmpty else { return Pixels(interpolation).act([motion], on: picture) }
    let moved = self.size(of: size, movedBy: motion)
    let unit = unit(size)
    if motion.isExact {
      return picture.warped(by: [motion.samplingMap(unit: unit)], size: moved, .nearest)
    }
    return unmultiplied(
      sampled(multiplied(picture), motion.samplingMap(unit: unit), to: moved, margin: Self.margin))
  }

  /// Undoes a motion: brings a moved picture back onto the size that it had.
  ///
  /// Where nothing was cut off, what is found is moved once more, compared with the given picture, and corrected by
  /// the difference, twice: iterative back-projection (Irani & Peleg 1991, doi 10.1016/1049-9652(91)90045-L). It
  /// takes back most of the blur of sampling.
  public func undo(
    _ motion: Motion, on picture: Tensor, size: (height: Int, width: Int)
  ) -> Tensor {
    let back = motion.inverse
    guard motion.others.isEmpty else { return Pixels(interpolation).act([back], on: picture) }
    let unit = unit(size)
    let map = back.samplingMap(unit: unit)
    if motion.isExact { return picture.warped(by: [map], size: size, .nearest) }
    let given = multiplied(picture)
    var found = sampled(given, map, to: size, margin: canvas == .grow ? nil : 0)
    guard canvas == .grow, interpolation != .nearest else { return unmultiplied(found) }
    let extent = (height: picture.shape[1], width: picture.shape[2])
    for _ in 0..<2 {
      let again = sampled(found, motion.samplingMap(unit: unit), to: extent, margin: Self.margin)
      found = found + sampled(given - again, map, to: size, margin: nil)
    }
    return unmultiplied(found)
  }

  /// Lengths of motions are relative to half the smaller side.
  private func unit(_ size: (height: Int, width: Int)) -> Double {
    Double(min(size.height, size.width)) / 2
  }

  /// A picture sampled once, with the background beside it.
  ///
  /// - Parameter margin: Over how many pixels it is continued; `nil` as far as it is needed.
  private func sampled(
    _ picture: Tensor, _ map: SamplingMap, to size: (height: Int, width: Int), margin: Int?
  ) -> Tensor {
    picture.warped(
      by: [map], size: size, interpolation, border: background == .reflect ? .reflect : .edge,
      over: margin.flatMap {
        backdrop(
          picture.shape[3], -$0..<picture.shape[1] + $0, -$0..<picture.shape[2] + $0)
      })
  }

  /// The color of the background beside some rows and columns, times its own alpha.
  func backdrop(_ channels: Int, _ rows: Range<Int>, _ columns: Range<Int>) -> Backdrop? {
    guard case .color(let given) = background else { return nil }
    var color = given.count == channels ? given : [Float](repeating: 0, count: channels)
    if channels % 2 == 0 {
      for c in 0..<channels - 1 { color[c] *= color[channels - 1] }
    }
    return Backdrop(color, outside: rows, columns)
  }

  /// Over how many pixels a moved picture is continued before the background begins.
  static let margin = 3

  /// Where the pixels of a moved picture look in it.
  func samplingMap(_ motion: Motion, _ size: (height: Int, width: Int)) -> SamplingMap {
    motion.samplingMap(unit: unit(size))
  }

  /// Colors times alpha, where there is alpha.
  func multiplied(_ picture: Tensor) -> Tensor {
    picture.shape[3] % 2 == 0 ? picture.weighted { $0 } : picture
  }

  func unmultiplied(_ picture: Tensor) -> Tensor {
    picture.shape[3] % 2 == 0 ? picture.weighted { $0 > 1e-6 ? 1 / $0 : 0 } : picture
  }
}

extension Motion {
  /// Where the pixels of a moved picture look in it, for the length of 1 in pixels.
  fileprivate func samplingMap(unit: Double) -> SamplingMap {
    guard let map else { return (isometry ?? PlanarIsometry()).samplingMap }
    let back = map.inverse
    return SamplingMap(matrix: back.matrix, offset: back.translation.map { $0 * unit })
  }
}

/// The largest rectangle with upright sides in one that is turned by an angle in 0…π/4.
private func largestRectangle(
  _ width: Double, _ height: Double, turnedBy angle: Double
) -> (width: Double, height: Double) {
  let (c, s) = (cos(angle), sin(angle))
  let (longer, shorter) = (max(width, height), min(width, height))
  if shorter <= 2 * s * c * longer {
    // Two corners lie on the middle of the longer sides.
    return width >= height
      ? (shorter / 2 / s, shorter / 2 / c) : (shorter / 2 / c, shorter / 2 / s)
  }
  let divisor = c * c - s * s
  return ((width * c - height * s) / divisor, (height * c - width * s) / divisor)
}

extension Tensor {
  /// Colors times a factor that follows from alpha, the last channel.
  fileprivate func weighted(_ factor: (Float) -> Float) -> Tensor {
    var result = contiguous
    let (count, channels) = (shape.count, shape[3])
    unsafe result.withMutableElements { x in
      for pixel in stride(from: 0, to: count, by: channels) {
        let weight = unsafe factor(x[pixel + channels - 1])
        for c in pixel..<pixel + channels - 1 { unsafe x[c] *= weight }
      }
    }
    return result
  }
}
