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

/// The sizes of one convolution, and what follows from them: see `ConvolutionTables`.
///
/// Images are padded a few at a time into a scratch buffer; all three products (value, input
/// gradient, weight gradient) then run on `ck_gather_product` without unfolding the input.
struct ConvolutionPlan: Hashable {
  let geometry: ConvolutionGeometry
  let batch, height, width, channels, kernelHeight, kernelWidth, outChannels: Int
  let outHeight, outWidth: Int
  /// Whether each image is read color by color, as it lies: of few colors the product does not mind, and is spared a pass that
  /// lays them together.
  var isPlanar = false

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

  /// How many output channels a panel of weights has.
  static let panel = Int(ck_panel())

  /// Pixels of the result of some images, as the tables order them.
  struct Part {
    let pixels: Range<Int>
    /// The parts of the sum over taps and channels that reach into the image from there, in order: what its pixels read of each
    /// fits the second cache, since each panel of weights reads it again.
    let depths: [Range<Int>]
  }

  /// How the pixels of one pass over the weights are dealt out, and into how many parts its output channels.
  struct Dealing {
    let parts: [Part]
    let across: Int
  }

  /// Whether a single pass over the weights does all images, and is dealt out.
  var isDealt: Bool {
    // Of few pixels the weights are most of what is read.
    let weights = kernelHeight * kernelWidth * groupIn * outChannels
    return batch <= chunk && max(batch * pixels, 8) * weights > 1 << 18
  }

  /// How the pixels of a pass are dealt out: it follows from the sizes alone.
  func dealing(images: Int) -> Dealing {
    let count = images * pixels
    var parts: [Part] = []
    if isBanded {
      let most = isDealt ? max(96, count / 8) : count
      var start = 0
      for band in (0..<images).flatMap({ _ in bands }) {
        let size = band.rows.count * band.columns.count
        for piece in 0..<(size + most - 1) / most {
          let first = start + piece * most
          parts.append(part(first..<min(start + size, first + most), taps: band.taps))
        }
        start += size
      }
    } else {
      let down =
        isDealt ? count >= 192 ? min(16, count / 96) : count >= 48 && lots < 4 ? 2 : 1 : 1
      // Of an odd number one of two threads would wait for the last.
      let even = down == 1 ? 1 : (down + 1) / 2 * 2
      parts = (0..<even).map {
        part(count * $0 / even..<count * ($0 + 1) / even, taps: [0..<kernelHeight * kernelWidth])
      }
    }
    let most = count < 24 ? lots : lots / 2
    let across = isDealt && parts.count < 4 ? max(1, min(8 / max(1, parts.count), most)) : 1
    return Dealing(parts: parts, across: across)
  }

  /// Into how many lots of output channels the weights may be dealt out: of groups none.
  var lots: Int { geometry.groups == 1 ? (outChannels + 31) / 32 : 1 }

  private func part(_ pixels: Range<Int>, taps: [Range<Int>]) -> Part {
    let most = max(256, (3 << 15) / max(1, pixels.count))
    let depths = taps.flatMap { taps -> [Range<Int>] in
      let (first, count) = (taps.lowerBound * groupIn, taps.count * groupIn)
      // Once also where no tap reaches into the image.
      let pieces = max(1, (count + most - 1) / most)
      // Whole fours, which the product takes at a time.
      let step = (count + 4 * pieces - 1) / (4 * pieces) * 4
      return (0..<pieces).map {
        first + min(count, $0 * step)..<first + min(count, ($0 + 1) * step)
      }
    }
    return Part(pixels: pixels, depths: depths)
  }

  /// Whether the value is computed band by band: around an image a dilated kernel finds mostly zeros.
  ///
  /// Of kernels of a few taps: bands are as many as taps, and each lists its own.
  var isBanded: Bool { geometry.dilation > 1 && pixels > 0 && kernelHeight * kernelWidth <= 256 }

  /// How many zeros around an image the value's sums read: none where they are made band by band.
  var border: Int { isBanded ? 0 : geometry.padding }

  /// Pixels of the result from which the same taps reach into the image.
  struct Band {
    let rows, columns: Range<Int>
    let taps: [Range<Int>]

    /// Their indices in an image.
    func pixels(rowLength: Int) -> [Int] {
      rows.flatMap { y in columns.map { y * rowLength + $0 } }
    }
  }

  /// The result's bands of rows, each in bands of columns.
  var bands: [Band] {
    /// Neighboring places from which the same part of the kernel reaches into the image along one axis.
    func runs(_ places: Int, _ kernel: Int, _ extent: Int) -> [(
      places: Range<Int>, taps: Range<Int>
    )] {
      var runs: [(places: Range<Int>, taps: Range<Int>)] = []
      for place in 0..<places {
        let start = place * geometry.stride - geometry.padding
        let inside = (0..<kernel).filter { 0..<extent ~= start + $0 * geometry.dilation }
        let taps = inside.first.map { $0..<$0 + inside.count } ?? 0..<0
        if let last = runs.last, last.taps == taps {
          runs[runs.count - 1].places = last.places.lowerBound..<place + 1
        } else {
          runs.append((place..<place + 1, taps))
        }
      }
      return runs
    }
    let columns = runs(outWidth, kernelWidth, width)
    return runs(outHeight, kernelHeight, height).flatMap { row in
      columns.map { column in
        let first = row.taps.lowerBound * kernelWidth
        let taps =
          column.taps.count == kernelWidth
          ? [first..<row.taps.upperBound * kernelWidth]
          : row.taps.map {
            $0 * kernelWidth + column.taps.lowerBound..<$0 * kernelWidth + column.taps.upperBound
          }
        // Once also where no tap reaches into the image: its sum is the bias.
        return Band(rows: row.places, columns: column.places, taps: taps.isEmpty ? [0..<0] : taps)
      }
    }
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
    algorithm(nil).tile.map { WinogradPlan(self, tile: $0).pieces } ?? (batch + chunk - 1) / chunk
  }

  /// Calls `body` with the images of a range, with zeros around them.
  func withZeros(
    _ border: Int, around input: Tensor, _ range: Range<Int>, _ body: (UnsafePointer<Float>) -> Void
  ) {
    let batch = input.sliced(range)
    let images =
      isPlanar
      ? batch.permuted([0, 3, 1, 2]).reshaped([range.count * channels, height, width, 1]) : batch
    if border == 0 {
      // All at once, in order: faster than as the tiles ask for it.
      return unsafe images.withElements {
        if !isDealt { unsafe ck_prefetch(images.shape.count, $0) }
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
  cOffsets: [Int], bias: Tensor? = nil, biasStart: Int = 0, added: UnsafePointer<Float>? = nil,
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
            added: added, continues: continues ? 1 : 0, relu: relu ? 1 : 0)
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
