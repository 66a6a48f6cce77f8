import CKernels

/// How a convolution's kernel is laid over an image: the same along height and width.
public struct ConvolutionGeometry: Hashable, Sendable {
  /// The distance between the windows of neighboring outputs.
  public let stride: Int
  /// How many zeros surround the image on each side.
  public let padding: Int
  /// The distance between the kernel's taps.
  public let dilation: Int
  /// Into how many independent parts the channels fall.
  public let groups: Int

  /// Creates a geometry.
  ///
  /// - Precondition: All are positive; `padding` may be zero.
  public init(stride: Int = 1, padding: Int = 0, dilation: Int = 1, groups: Int = 1) {
    require(
      stride > 0 && padding >= 0 && dilation > 0 && groups > 0,
      "convolution with stride \(stride), padding \(padding), dilation \(dilation), \(groups) groups"
    )
    self.stride = stride
    self.padding = padding
    self.dilation = dilation
    self.groups = groups
  }

  /// The output's extent for an input's and a kernel's: ⌊(n + 2 padding − dilation (k − 1) − 1) / stride⌋ + 1.
  public func outputExtent(_ input: Int, kernel: Int) -> Int {
    let span = input + 2 * padding - dilation * (kernel - 1) - 1
    return span < 0 ? 0 : span / stride + 1
  }
}

/// The sizes of one convolution, and the offset tables that make it a gathered matrix product.
///
/// Images are padded a few at a time into a scratch buffer; all three products (value, input
/// gradient, weight gradient) then run on `ck_gather_product` without unfolding the input.
struct ConvolutionPlan: Hashable {
  let geometry: ConvolutionGeometry
  let batch, height, width, channels, kernelHeight, kernelWidth, outChannels: Int
  let outHeight, outWidth: Int

  init(_ input: Shape, _ weight: Shape, _ geometry: ConvolutionGeometry) {
    require(
      input.rank == 4 && weight.rank == 4 && weight[2] * geometry.groups == input[3]
        && weight[3] % geometry.groups == 0,
      "convolution of \(input) with weight \(weight) in \(geometry.groups) groups")
    self.geometry = geometry
    (batch, height, width, channels) = (input[0], input[1], input[2], input[3])
    (kernelHeight, kernelWidth, outChannels) = (weight[0], weight[1], weight[3])
    outHeight = geometry.outputExtent(height, kernel: kernelHeight)
    outWidth = geometry.outputExtent(width, kernel: kernelWidth)
  }

  /// Whether each channel has a kernel of its own.
  var isDepthwise: Bool { geometry.groups == channels && outChannels == channels && channels > 1 }

  /// How many pixels, of the image and around it, a strip of rows of the result reads.
  func stripPixels(_ rows: Int) -> Int {
    let span = (outWidth - 1) * geometry.stride + (kernelWidth - 1) * geometry.dilation + 1
    return span * ((rows - 1) * geometry.stride + (kernelHeight - 1) * geometry.dilation + 1)
  }

  /// Whether these fit a cache: far dilated taps read few of them, and are better gathered.
  var hasSmallStrips: Bool { stripPixels(1) <= 1 << 15 }

  var groupIn: Int { channels / geometry.groups }
  var groupOut: Int { outChannels / geometry.groups }
  var pixels: Int { outHeight * outWidth }
  var outputShape: Shape { [batch, outHeight, outWidth, outChannels] }

  /// Runs one of the three products, and counts it if a profile is being taken.
  func counted(
    _ name: String, _ algorithm: ConvolutionAlgorithm?,
    _ body: (ConvolutionAlgorithm) -> Tensor
  ) -> Tensor {
    let algorithm = self.algorithm(algorithm)
    let work = kernelHeight * kernelWidth * groupIn
    return Profiler.count(
      "\(name) \(kernelHeight)×\(kernelWidth), \(channels) → \(outChannels), \(algorithm)",
      arithmetic: 2 * batch * pixels * outChannels * work,
      elements: batch * (height * width * channels + pixels * outChannels) + work * outChannels
    ) { body(algorithm) }
  }

  /// How many output channels a panel of weights has: `CK_PANEL`.
  static let panel = Int(CK_PANEL)

  /// Pixels of the result of some images, and the taps that reach into the image from there.
  struct Part {
    let pixels, taps: Range<Int>
  }

  /// How the pixels of one piece are dealt out, and into how many parts its output channels: it follows from the sizes alone.
  func parts(images: Int) -> (pixels: [Part], across: Int) {
    let (count, taps) = (images * pixels, kernelHeight * kernelWidth)
    var parts: [Part] = []
    if geometry.dilation > 1 {
      for n in 0..<images {
        for band in bands {
          let rows = n * pixels + band.pixels.lowerBound..<n * pixels + band.pixels.upperBound
          parts.append(Part(pixels: rows, taps: band.taps))
        }
      }
    }
    // Of few pixels the weights are most of what is read.
    let weights = taps * groupIn * outChannels
    guard images == batch, max(count, 8) * weights > 1 << 18 else {
      return (parts.isEmpty ? [Part(pixels: 0..<count, taps: 0..<taps)] : parts, 1)
    }
    let panels = geometry.groups == 1 ? (outChannels + Self.panel - 1) / Self.panel : 1
    if parts.isEmpty {
      let down = count >= 192 ? min(16, count / 96) : count >= 48 && panels < 4 ? 2 : 1
      // Of an odd number one of two threads would wait for the last.
      let even = down == 1 ? 1 : (down + 1) / 2 * 2
      parts = (0..<even).map {
        Part(pixels: count * $0 / even..<count * ($0 + 1) / even, taps: 0..<taps)
      }
    }
    let most = count < 24 ? panels : panels / 2
    return (parts, parts.count < 4 ? max(1, min(8 / parts.count, most)) : 1)
  }

  /// The result's rows by the kernel's rows that reach into the image from there, and if that is one, by its columns that
  /// do: around an image a dilated kernel finds mostly zeros.
  private var bands: [Part] {
    func reaching(_ place: Int, _ kernel: Int, _ extent: Int) -> Range<Int> {
      let start = place * geometry.stride - geometry.padding
      let inside = (0..<kernel).filter { 0..<extent ~= start + $0 * geometry.dilation }
      guard let first = inside.first else { return 0..<0 }
      return first..<first + inside.count
    }
    let columns = (0..<outWidth).map { reaching($0, kernelWidth, width) }.filter { !$0.isEmpty }
    let left = columns.map(\.lowerBound).min() ?? 0
    let right = columns.map(\.upperBound).max() ?? 0
    var (bands, start) = ([Part](), 0)
    for y in 0..<outHeight {
      let rows = reaching(y, kernelHeight, height)
      guard y + 1 == outHeight || reaching(y + 1, kernelHeight, height) != rows else { continue }
      let first = rows.lowerBound * kernelWidth
      bands.append(
        Part(
          pixels: start * outWidth..<(y + 1) * outWidth,
          taps: rows.count == 1
            ? first + left..<first + right : first..<rows.upperBound * kernelWidth))
      start = y + 1
    }
    return bands
  }

  /// How many images share one pass over the weights: enough to have 256 output pixels, and of less than eight lots an even
  /// number.
  var chunk: Int {
    let most = max(1, min(batch, (255 + pixels) / max(1, pixels)))
    let lots = (batch + most - 1) / most
    return 1 < lots && lots < 8 && lots % 2 == 1 ? (batch + lots) / (lots + 1) : most
  }

  /// How many pieces a result comes in.
  var pieces: Int {
    algorithm(nil) == .winograd ? WinogradPlan(self).pieces : (batch + chunk - 1) / chunk
  }

  /// How many zeros around an image the value's sums read: fewer than the padding where a dilated kernel's outer taps reach into
  /// the image from nowhere.
  var border: Int {
    guard geometry.dilation > 1 && pixels > 0 else { return geometry.padding }
    func beyond(_ places: ClosedRange<Int>, _ tap: Int, _ extent: Int) -> Int {
      let shift = tap * geometry.dilation - geometry.padding
      let last = places.upperBound * geometry.stride + shift
      return max(0, -(places.lowerBound * geometry.stride + shift), last - (extent - 1))
    }
    return bands.reduce(0) { border, band in
      let rows = band.pixels.lowerBound / outWidth...(band.pixels.upperBound - 1) / outWidth
      return band.taps.reduce(border) { border, tap in
        let (i, j) = tap.quotientAndRemainder(dividingBy: kernelWidth)
        return max(border, beyond(rows, i, height), beyond(0...outWidth - 1, j, width))
      }
    }
  }

  /// Calls `body` with the images of a range, with zeros around them.
  func withZeros(
    _ border: Int, around input: Tensor, _ range: Range<Int>, _ body: (UnsafePointer<Float>) -> Void
  ) {
    let images = input.sliced(range)
    if border == 0 {
      // All at once, in order: faster than as the tiles ask for it.
      return unsafe images.withElements {
        unsafe ck_prefetch(images.shape.count, $0)
        unsafe body($0)
      }
    }
    unsafe images.padded(border).withElements { unsafe body($0) }
  }
}

/// What is called with a piece of a result: its index, its pixels' number and their place.
typealias PieceObserver = @Sendable (_ piece: Int, _ pixels: Int, SendableAddress<Float>) -> Void

/// Calls the kernel with offset tables from arrays, of whose rows and depth some are done.
func gatherProduct(
  rows: Int, from first: Int = 0, columns: Int, a: UnsafePointer<Float>, rowOffsets: [Int],
  depthOffsets: [Int],
  fromDepth: Int = 0, depth: Int? = nil, b: UnsafePointer<Float>, bStride: Int, bPanel: Int = 0,
  c: UnsafeMutablePointer<Float>,
  cOffsets: [Int], bias: Tensor? = nil, biasStart: Int = 0, accumulate: Bool = false,
  continues: Bool = false, relu: Bool = false
) {
  unsafe rowOffsets.withUnsafeBufferPointer { rowTable in
    unsafe depthOffsets.withUnsafeBufferPointer { depthTable in
      unsafe cOffsets.withUnsafeBufferPointer { cTable in
        func run(_ bias: UnsafePointer<Float>?) {
          var product = unsafe ck_gather_product_args(
            rows: rows, columns: columns, depth: depth ?? depthTable.count - fromDepth, a: a,
            row_offsets: rowTable.baseAddress.map { unsafe $0 + first },
            depth_offsets: depthTable.baseAddress.map { unsafe $0 + fromDepth }, b: b,
            b_stride: bStride, b_panel: bPanel, c: c,
            c_offsets: cTable.baseAddress.map { unsafe $0 + first },
            bias: bias,
            accumulate: accumulate ? 1 : 0, continues: continues ? 1 : 0, relu: relu ? 1 : 0)
          unsafe ck_gather_product(&product)
        }
        if let bias {
          unsafe bias.withElements { unsafe run($0 + biasStart) }
        } else {
          run(nil)
        }
      }
    }
  }
}
