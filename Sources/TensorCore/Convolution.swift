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
    precondition(
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
struct ConvolutionPlan {
  let geometry: ConvolutionGeometry
  let batch, height, width, channels, kernelHeight, kernelWidth, outChannels: Int
  let outHeight, outWidth: Int

  init(_ input: Shape, _ weight: Shape, _ geometry: ConvolutionGeometry) {
    precondition(
      input.rank == 4 && weight.rank == 4 && weight[2] * geometry.groups == input[3]
        && weight[3] % geometry.groups == 0,
      "convolution of \(input) with weight \(weight) in \(geometry.groups) groups")
    self.geometry = geometry
    (batch, height, width, channels) = (input[0], input[1], input[2], input[3])
    (kernelHeight, kernelWidth, outChannels) = (weight[0], weight[1], weight[3])
    outHeight = geometry.outputExtent(height, kernel: kernelHeight)
    outWidth = geometry.outputExtent(width, kernel: kernelWidth)
  }

  var groupIn: Int { channels / geometry.groups }
  var groupOut: Int { outChannels / geometry.groups }
  var paddedHeight: Int { height + 2 * geometry.padding }
  var paddedWidth: Int { width + 2 * geometry.padding }
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

  /// How many images share one pass over the weights: enough to have 256 output pixels.
  var chunk: Int { max(1, min(batch, (255 + pixels) / max(1, pixels))) }

  /// How many pieces a result comes in.
  var pieces: Int {
    algorithm(nil) == .winograd ? WinogradPlan(self).pieces : (batch + chunk - 1) / chunk
  }

  /// Where, in padded images, the window of each output pixel begins.
  func pixelOffsets(images: Int) -> [Int] {
    var offsets: [Int] = []
    offsets.reserveCapacity(images * pixels)
    for n in 0..<images {
      for y in 0..<outHeight {
        for x in 0..<outWidth {
          let row = n * paddedHeight + y * geometry.stride
          offsets.append((row * paddedWidth + x * geometry.stride) * channels)
        }
      }
    }
    return offsets
  }

  /// Where each tap and input channel lies relative to the window's beginning.
  var tapOffsets: [Int] {
    (0..<kernelHeight * kernelWidth * groupIn).map { k in
      let (tap, channel) = (k / groupIn, k % groupIn)
      let (i, j) = (tap / kernelWidth, tap % kernelWidth)
      return (i * paddedWidth + j) * geometry.dilation * channels + channel
    }
  }

  /// Calls `body` with the images of a range, padded.
  func withPadded(
    _ input: Tensor, _ range: Range<Int>, _ body: (UnsafePointer<Float>) -> Void
  ) {
    let images = input.sliced(range)
    if geometry.padding == 0 {
      // All at once, in order: faster than as the tiles ask for it.
      return unsafe images.withElements {
        unsafe ck_prefetch(images.shape.count, $0)
        unsafe body($0)
      }
    }
    unsafe images.padded(geometry.padding).withElements { unsafe body($0) }
  }
}

/// What is called with a piece of a result: its index, its pixels' number and their place.
typealias PieceObserver = @Sendable (_ piece: Int, _ pixels: Int, SendableAddress<Float>) -> Void

extension Tensor {
  /// The convolution (as the field says; a cross-correlation) of images with a kernel.
  ///
  ///     y[n, i, j, o] = b[o] + Σ x[n, i·stride + u·dilation − padding, …, c] · w[u, v, c, o]
  ///
  /// **Shapes.** self `[batch, height, width, channels]`; `weight`
  /// `[kernelHeight, kernelWidth, channels / groups, outChannels]`; `bias` `[outChannels]`;
  /// result `[batch, outHeight, outWidth, outChannels]`.
  ///
  /// The sum runs over taps and channels in order, in one accumulator: the result of one image
  /// does not depend on the rest of the batch.
  ///
  /// With `relu`, the result is clamped at zero in the same pass. `algorithm` forces a way to compute
  /// it; otherwise the faster one for these sizes is taken.
  ///
  /// - Complexity: 2 · kernelHeight · kernelWidth · channels / groups operations per output; a
  ///   quarter of the multiplications by Winograd's algorithm.
  public func convolved(
    with weight: Tensor, bias: Tensor? = nil, relu: Bool = false,
    _ geometry: ConvolutionGeometry = ConvolutionGeometry(), algorithm: ConvolutionAlgorithm? = nil
  ) -> Tensor {
    convolved(
      with: weight, bias: bias, relu: relu, geometry, algorithm: algorithm, matrices: nil)
  }

  /// The same, where Winograd's matrices may be known already.
  ///
  /// - Parameter observe: Called with every piece of the result when it is there: its index, how many
  ///   pixels it has, and where they are.
  func convolved(
    with weight: Tensor, bias: Tensor?, relu: Bool, _ geometry: ConvolutionGeometry,
    algorithm: ConvolutionAlgorithm? = nil, matrices: Tensor?,
    observe: PieceObserver? = nil
  ) -> Tensor {
    let plan = ConvolutionPlan(shape, weight.shape, geometry)
    return plan.counted("convolution", algorithm) { algorithm in
      algorithm == .winograd
        ? WinogradPlan(plan).convolved(
          self, matrices ?? WinogradPlan.matrices(weight), bias: bias, relu: relu, observe)
        : directlyConvolved(with: weight, bias: bias, relu: relu, plan, observe)
    }
  }

  private func directlyConvolved(
    with weight: Tensor, bias: Tensor?, relu: Bool, _ plan: ConvolutionPlan,
    _ observe: PieceObserver?
  ) -> Tensor {
    let (kernel, bias) = (weight.contiguous, bias?.contiguous)
    let taps = plan.tapOffsets
    let windows = plan.pixelOffsets(images: plan.chunk)
    let targets = (0..<plan.chunk * plan.pixels).map { $0 * plan.outChannels }
    return unsafe Tensor(plan.outputShape) { target in
      let address = unsafe SendableAddress(target)
      Parallel.ranges(plan.batch, grain: plan.chunk) { range in
        unsafe plan.withPadded(self, range) { images in
          unsafe kernel.withElements { w in
            for group in 0..<plan.geometry.groups {
              let first = group * plan.groupOut
              unsafe gatherProduct(
                rows: range.count * plan.pixels, columns: plan.groupOut,
                a: images + group * plan.groupIn, rowOffsets: windows, depthOffsets: taps,
                b: w + first, bStride: plan.outChannels,
                c: address.pointer + range.lowerBound * plan.pixels * plan.outChannels + first,
                cOffsets: targets, bias: bias, biasStart: first, relu: relu)
            }
          }
        }
        observe?(
          range.lowerBound / plan.chunk, range.count * plan.pixels,
          address + range.lowerBound * plan.pixels * plan.outChannels)
      }
    }
  }

  /// The gradient of a convolution by its weight, for the gradient `self` by its output.
  ///
  /// Partial sums over fixed parts of the batch are combined in order.
  public func convolutionWeightGradient(
    input: Tensor, weightShape: Shape, _ geometry: ConvolutionGeometry,
    algorithm: ConvolutionAlgorithm? = nil
  ) -> Tensor {
    let plan = ConvolutionPlan(input.shape, weightShape, geometry)
    precondition(shape == plan.outputShape, "gradient \(shape) of an output \(plan.outputShape)")
    return plan.counted("convolution, weight gradient", algorithm) { algorithm in
      algorithm == .winograd
        ? WinogradPlan(plan).weightGradient(input, self)
        : directWeightGradient(input, weightShape, plan)
    }
  }

  private func directWeightGradient(
    _ input: Tensor, _ weightShape: Shape, _ plan: ConvolutionPlan
  ) -> Tensor {
    let gradient = contiguous
    let (taps, windows) = (plan.tapOffsets, plan.pixelOffsets(images: plan.chunk))
    let targets = taps.indices.map { $0 * plan.outChannels }
    // At most eight partial sums, whatever the number of threads.
    let chunks = (plan.batch + plan.chunk - 1) / plan.chunk
    let parts = min(8, chunks)
    var partials = Tensor.zeros(Shape([max(1, parts)] + weightShape.extents))
    unsafe partials.withMutableElements { sums in
      let address = unsafe SendableAddress(sums)
      Parallel.forEach(parts) { part in
        for index in chunks * part / parts..<chunks * (part + 1) / parts {
          let range = index * plan.chunk..<min(plan.batch, (index + 1) * plan.chunk)
          unsafe plan.withPadded(input, range) { images in
            unsafe gradient.withElements { dy in
              let length = plan.pixels * plan.outChannels
              unsafe ck_prefetch(range.count * length, dy + range.lowerBound * length)
              for group in 0..<plan.geometry.groups {
                let first = group * plan.groupOut
                unsafe gatherProduct(
                  rows: taps.count, columns: plan.groupOut,
                  a: images + group * plan.groupIn, rowOffsets: taps,
                  depthOffsets: windows, depth: range.count * plan.pixels,
                  b: dy + range.lowerBound * plan.pixels * plan.outChannels + first,
                  bStride: plan.outChannels,
                  c: address.pointer + part * weightShape.count + first, cOffsets: targets,
                  accumulate: true)
              }
            }
          }
        }
      }
    }
    return partials.sum([0])
  }

  /// The gradient of a convolution by its input, for the gradient `self` by its output.
  ///
  /// Input pixels fall into stride × stride phases, each reached by its own subset of the taps:
  /// every phase is a convolution of the output's gradient with those taps, so that nothing is
  /// multiplied by zeros put between pixels.
  public func convolutionInputGradient(
    weight: Tensor, inputShape: Shape, _ geometry: ConvolutionGeometry,
    algorithm: ConvolutionAlgorithm? = nil
  ) -> Tensor {
    let plan = ConvolutionPlan(inputShape, weight.shape, geometry)
    precondition(shape == plan.outputShape, "gradient \(shape) of an output \(plan.outputShape)")
    return plan.counted("convolution, input gradient", algorithm) { algorithm in
      algorithm == .winograd && geometry.padding <= 2
        ? WinogradPlan(plan, flippedFor: shape).convolved(
          self, WinogradPlan.matrices(weight.flippedKernel), bias: nil, relu: false)
        : geometry.groups == 1 && plan.channels < 8
          ? scatteredInputGradient(weight, plan) : directInputGradient(weight, inputShape, plan)
    }
  }

  /// The input gradient for few input channels: one product with all taps per output pixel, whose
  /// results are added up where the taps read.
  private func scatteredInputGradient(_ weight: Tensor, _ plan: ConvolutionPlan) -> Tensor {
    let (gradient, geometry) = (contiguous, plan.geometry)
    let columns = plan.kernelHeight * plan.kernelWidth * plan.channels
    let rowStride = (columns + 15) / 16 * 16
    let taps = weight.reshaped([columns, plan.outChannels]).transposed().contiguous
    let pixels = (0..<plan.pixels).map { $0 * plan.outChannels }
    let (depth, rows) = (Array(0..<plan.outChannels), (0..<plan.pixels).map { $0 * rowStride })
    let inputSize = plan.height * plan.width * plan.channels
    return unsafe Tensor([plan.batch, plan.height, plan.width, plan.channels]) { target in
      let address = unsafe SendableAddress(target)
      Parallel.forEach(plan.batch) { n in
        let products = unsafe Tensor([plan.pixels, rowStride]) { products in
          unsafe gradient.withElements { dy in
            unsafe taps.withElements { w in
              unsafe gatherProduct(
                rows: plan.pixels, columns: columns, a: dy + n * plan.pixels * plan.outChannels,
                rowOffsets: pixels, depthOffsets: depth, b: w, bStride: columns, c: products,
                cOffsets: rows)
            }
          }
        }
        unsafe products.withElements {
          unsafe ck_scatter_taps(
            plan.outHeight, plan.outWidth, rowStride, $0, plan.kernelHeight, plan.kernelWidth,
            geometry.stride, geometry.padding, geometry.dilation, plan.height, plan.width,
            plan.channels, address.pointer + n * inputSize)
        }
      }
    }
  }

  private func directInputGradient(
    _ weight: Tensor, _ inputShape: Shape, _ plan: ConvolutionPlan
  ) -> Tensor {
    let (geometry, stride) = (plan.geometry, plan.geometry.stride)
    // Windows that reach beyond the gradient read zeros from a border this wide.
    let before = geometry.dilation * (max(plan.kernelHeight, plan.kernelWidth) - 1) / stride
    let last = (plan.height - 1 + geometry.padding, plan.width - 1 + geometry.padding)
    let beyond = max(last.0 / stride - plan.outHeight, last.1 / stride - plan.outWidth) + 1
    let border = max(before, beyond, 0)
    let (rowLength, rows) = (plan.outWidth + 2 * border, plan.outHeight + 2 * border)
    // Enough images share one pass over the weights to have 256 pixels.
    let chunk = max(1, min(plan.batch, 256 / max(1, plan.height * plan.width)))
    let phases = (0..<stride * stride).map { phase in
      InputGradientPhase(
        plan, weight, row: phase / stride, column: phase % stride, border: border,
        rowLength: rowLength, imageLength: rows * rowLength * plan.outChannels, images: chunk)
    }
    // Every pixel belongs to one phase; it is zero where no tap reaches it.
    let isCovered = phases.allSatisfy { !$0.taps.isEmpty || $0.windows.isEmpty }
    let gradient = contiguous
    return unsafe Tensor(inputShape) { target in
      if !isCovered { unsafe target.update(repeating: 0, count: inputShape.count) }
      let address = unsafe SendableAddress(target)
      Parallel.ranges(plan.batch, grain: chunk) { range in
        let part = gradient.sliced(range)
        unsafe (border > 0 ? part.padded(border) : part).withElements { dy in
          for phase in phases where !phase.taps.isEmpty {
            for group in 0..<geometry.groups {
              unsafe phase.weights[group].withElements { w in
                unsafe gatherProduct(
                  rows: phase.windows.count / chunk * range.count, columns: plan.groupIn,
                  a: dy + group * plan.groupOut, rowOffsets: phase.windows,
                  depthOffsets: phase.taps, b: w, bStride: plan.groupIn,
                  c: address.pointer + range.lowerBound * plan.height * plan.width * plan.channels
                    + group * plan.groupIn, cOffsets: phase.targets)
              }
            }
          }
        }
      }
    }
  }
}

/// The input pixels of one residue modulo the stride, and the taps that reach them.
private struct InputGradientPhase: Sendable {
  var windows: [Int] = []
  var targets: [Int] = []
  var taps: [Int] = []
  var weights: [Tensor] = []

  init(
    _ plan: ConvolutionPlan, _ weight: Tensor, row: Int, column: Int, border: Int, rowLength: Int,
    imageLength: Int, images: Int
  ) {
    let geometry = plan.geometry
    let (stride, dilation) = (geometry.stride, geometry.dilation)
    for y in 0..<plan.height where (y + geometry.padding) % stride == row {
      for x in 0..<plan.width where (x + geometry.padding) % stride == column {
        let (oy, ox) = ((y + geometry.padding) / stride, (x + geometry.padding) / stride)
        windows.append(((oy + border) * rowLength + ox + border) * plan.outChannels)
        targets.append((y * plan.width + x) * plan.channels)
      }
    }
    let imageSize = plan.height * plan.width * plan.channels
    let (oneWindows, oneTargets) = (windows, targets)
    for n in 1..<max(1, images) {
      windows += oneWindows.map { $0 + n * imageLength }
      targets += oneTargets.map { $0 + n * imageSize }
    }
    // w[u, v, c, o] as rows (tap, o) of columns c, for the taps of this phase.
    var picked: [Tensor] = []
    for u in 0..<plan.kernelHeight where u * dilation % stride == row {
      for v in 0..<plan.kernelWidth where v * dilation % stride == column {
        let back = (u * dilation / stride) * rowLength + v * dilation / stride
        taps += (0..<plan.groupOut).map { $0 - back * plan.outChannels }
        picked.append(weight[u][v].transposed())
      }
    }
    guard !taps.isEmpty else { return }
    weights = (0..<geometry.groups).map { group in
      let part = group * plan.groupOut..<(group + 1) * plan.groupOut
      return Tensor.concatenated(picked.map { $0.sliced(part) })
    }
  }
}

/// Calls the kernel with offset tables from arrays.
private func gatherProduct(
  rows: Int, columns: Int, a: UnsafePointer<Float>, rowOffsets: [Int], depthOffsets: [Int],
  depth: Int? = nil, b: UnsafePointer<Float>, bStride: Int, c: UnsafeMutablePointer<Float>,
  cOffsets: [Int], bias: Tensor? = nil, biasStart: Int = 0, accumulate: Bool = false,
  relu: Bool = false
) {
  unsafe rowOffsets.withUnsafeBufferPointer { rowTable in
    unsafe depthOffsets.withUnsafeBufferPointer { depthTable in
      unsafe cOffsets.withUnsafeBufferPointer { cTable in
        func run(_ bias: UnsafePointer<Float>?) {
          var product = unsafe ck_gather_product_args(
            rows: rows, columns: columns, depth: depth ?? depthTable.count, a: a,
            row_offsets: rowTable.baseAddress, depth_offsets: depthTable.baseAddress, b: b,
            b_stride: bStride, b_panel: 0, c: c, c_offsets: cTable.baseAddress, bias: bias,
            accumulate: accumulate ? 1 : 0, relu: relu ? 1 : 0)
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
