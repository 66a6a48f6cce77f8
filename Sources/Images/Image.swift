public import TensorCore

/// A raster of samples as a PNG file holds them: 8 or 16 bits, one to four channels.
public struct Image: Hashable, Sendable {
  public let width, height: Int
  /// 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA.
  public let channels: Int
  /// 8 or 16.
  public let bitDepth: Int
  /// Row by row, channels together, in `0...maximum`.
  public var samples: [UInt16]
  /// What the file says of them: color space, resolution, texts, EXIF.
  public var metadata = Metadata()

  /// Creates an image.
  ///
  /// - Precondition: There are width × height × channels samples, 1–4 channels of 8 or 16 bits.
  public init(width: Int, height: Int, channels: Int, bitDepth: Int = 8, samples: [UInt16]) {
    require(
      samples.count == width * height * channels && (1...4).contains(channels)
        && (bitDepth == 8 || bitDepth == 16),
      "\(samples.count) samples for \(width) × \(height) × \(channels), \(bitDepth) bit")
    self.width = width
    self.height = height
    self.channels = channels
    self.bitDepth = bitDepth
    self.samples = samples
  }

  /// The largest sample: 255 or 65535.
  public var maximum: Int { (1 << bitDepth) - 1 }

  /// The sample of a value in 0…1, rounded; others are clamped.
  @inlinable public static func sample(of value: Float, maximum: Float) -> UInt16 {
    // The same as `rounded()`, which calls a function where a processor of any kind is to do.
    let scaled = min(max(value.isNaN ? 0 : value, 0), 1) * maximum
    let whole = Int32(scaled)
    return UInt16(whole + (scaled - Float(whole) >= 0.5 ? 1 : 0))
  }

  /// Creates an image from values in 0…1, rounded to the bit depth; others are clamped.
  ///
  /// **Shapes.** `tensor` `[height, width, channels]`.
  public init(_ tensor: Tensor, bitDepth: Int = 8) {
    let scale = Float((1 << bitDepth) - 1)
    let samples = tensor.elements.map { Image.sample(of: $0, maximum: scale) }
    self.init(
      width: tensor.shape[1], height: tensor.shape[0], channels: tensor.shape[2],
      bitDepth: bitDepth, samples: samples)
  }

  /// The samples as values in 0…1, `[1, height, width, channels]`; `Image(_:bitDepth:)` gives the
  /// same samples back.
  public var tensor: Tensor {
    let scale = Float(maximum)
    return Tensor(samples.map { Float($0) / scale }, shape: [1, height, width, channels])
  }

  /// The image as a model sees it: its largest centered square, averaged down to `size` × `size`.
  ///
  /// Smaller images are repeated up. Alpha is composited on black; gray is the Rec. 709 luma of
  /// color, and color is gray three times. The square's center is the image's, about which images are
  /// turned: where the sides differ by an odd number, it cuts pixels in halves.
  ///
  /// Every output is one exact integer sum, divided once: turning the image by quarters or flipping
  /// it turns or flips the result bit for bit.
  ///
  /// - Returns: `[1, size, size, channels]`, in 0…1.
  /// - Precondition: `channels` is 1 or 3.
  public func modelInput(size: Int, channels wanted: Int) -> Tensor {
    require(wanted == 1 || wanted == 3, "a model input of \(wanted) channels")
    let side = min(width, height)
    let hasAlpha = channels == 2 || channels == 4
    // In half pixels, so that all are integers: pixel i covers [2i·size, 2(i+1)·size), and output j
    // [2j·side, 2(j+1)·side), shifted by half of what is cut off.
    func spans(_ extent: Int) -> [Span] {
      let shift = (extent - side) * size
      return (0..<size).map { j in
        Span(start: 2 * j * side + shift, end: 2 * (j + 1) * side + shift, pixel: 2 * size)
      }
    }
    let (rowSpans, columnSpans) = (spans(height), spans(width))
    let scale = Double(4 * side * side) * Double(maximum * (hasAlpha ? maximum : 1)) * 10_000
    var result: [Float] = []
    result.reserveCapacity(size * size * wanted)
    // Sums over the rows of an output, of each column that is seen.
    var sums = [UInt64](repeating: 0, count: width * channels)
    let seen =
      (columnSpans.first?.pixels.lowerBound ?? 0)..<(columnSpans.last?.pixels.upperBound ?? 0)
    for rows in rowSpans {
      addRows(rows, seen, to: &sums)
      for columns in columnSpans {
        var (red, green, blue): (UInt64, UInt64, UInt64) = (0, 0, 0)
        for x in columns.pixels {
          let (at, w) = (x * channels, columns.weight(of: x))
          red &+= w &* sums[at]
          if channels >= 3 {
            green &+= w &* sums[at + 1]
            blue &+= w &* sums[at + 2]
          }
        }
        let (r, g, b) = (Double(red), Double(green), Double(blue))
        if wanted == 1 {
          let luma = channels >= 3 ? 2126 * r + 7152 * g + 722 * b : r * 10_000
          result.append(Float(luma / scale))
        } else {
          result.append(Float(r * 10_000 / scale))
          result.append(Float((channels >= 3 ? g : r) * 10_000 / scale))
          result.append(Float((channels >= 3 ? b : r) * 10_000 / scale))
        }
      }
    }
    return Tensor(result, shape: [1, size, size, wanted])
  }

  /// The weighted sums of some rows, for each sample of a range of columns; colors count by their alpha.
  private func addRows(
    _ rows: Span, _ columns: Range<Int>, to sums: inout [UInt64]
  ) {
    let (first, last) = (columns.lowerBound * channels, columns.upperBound * channels)
    unsafe samples.withUnsafeBufferPointer { samples in
      unsafe sums.withUnsafeMutableBufferPointer { sums in
        for i in first..<last { unsafe sums[i] = 0 }
        for y in rows.pixels {
          let (row, weight) = (y * width * channels, rows.weight(of: y))
          if channels % 2 == 1 {
            for i in first..<last { unsafe sums[i] &+= weight &* UInt64(samples[row + i]) }
            continue
          }
          for pixel in stride(from: first, to: last, by: channels) {
            let share = unsafe weight &* UInt64(samples[row + pixel + channels - 1])
            for i in pixel..<pixel + channels - 1 {
              unsafe sums[i] &+= share &* UInt64(samples[row + i])
            }
          }
        }
      }
    }
  }
}

/// What of a row, or column, of pixels an output covers.
private struct Span {
  /// In units of which a pixel has `pixel`.
  private let start, end, pixel: Int
  /// The pixels of which something is covered.
  let pixels: Range<Int>

  init(start: Int, end: Int, pixel: Int) {
    (self.start, self.end, self.pixel) = (start, end, pixel)
    pixels = start / pixel..<(end + pixel - 1) / pixel
  }

  /// How much of a pixel is.
  func weight(of index: Int) -> UInt64 {
    UInt64(min((index + 1) * pixel, end) - max(index * pixel, start))
  }
}
