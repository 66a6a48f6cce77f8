import CKernels

/// A way to compute a convolution.
public enum ConvolutionAlgorithm: String, Sendable, CaseIterable {
  /// The sum over taps and channels, as a gathered matrix product: for every geometry.
  case direct
  /// Winograd's *F*(4 × 4, 3 × 3), for 3 × 3 kernels with stride 1: a quarter of the
  /// multiplications, and about twice the rounding error (Lavin & Gray 2016, arXiv 1509.09308).
  case winograd4
  /// *F*(7 × 7, 3 × 3): 18 % of the multiplications, and some twenty times the rounding error, 10⁻⁵ of the values' deviation.
  case winograd7

  /// The rows, and columns, of the output tiles that it works on.
  var tile: Int? {
    switch self {
    case .direct: nil
    case .winograd4: 4
    case .winograd7: 7
    }
  }
}

extension ConvolutionPlan {
  /// The algorithm to use: the one asked for where it applies, else the faster one.
  ///
  /// Winograd's transforms cost the same for every pair of channels, so it pays from 8 channels on
  /// both sides (Benchmarks/Results), but for small images of very many: see `hasLargeMatrices`.
  func algorithm(_ wanted: ConvolutionAlgorithm?) -> ConvolutionAlgorithm {
    guard winogradApplies, batch * pixels > 0 else { return .direct }
    if let wanted { return wanted }
    guard winogradPays, !(hasLargeMatrices && tileCount(4) <= 4) else { return .direct }
    return largeTilesMayPay && 3 * tileCount(7) < tileCount(4) ? .winograd7 : .winograd4
  }

  /// How many tiles of so many pixels a side an image's output has, down and across.
  fileprivate func tiles(_ size: Int) -> (rows: Int, columns: Int) {
    ((outHeight + size - 1) / size, (outWidth + size - 1) / size)
  }

  private func tileCount(_ size: Int) -> Int { tiles(size).rows * tiles(size).columns }

  /// Whether tiles of 7 × 7 are worth it where they are less than a third as many: images of 7, 14, 28 and 56 pixels a side.
  ///
  /// Their 81 matrices come from memory sooner than the 36 of 4 × 4: with one image of 14 × 14 pixels 128 × 128 channels took three
  /// quarters of the time, 256 × 256 twice as long.
  var largeTilesMayPay: Bool { groupIn * outChannels <= 1 << 14 }

  /// Whether the transforms are less than what they save.
  var winogradPays: Bool { min(groupIn, outChannels) >= 8 }

  /// Whether Winograd's matrices, four times the kernel, come from memory for each image.
  ///
  /// For an image of few tiles that takes longer than the sum does: 512 channels of 7 × 7 pixels 2.2 ms, and 0.9. It is asked of
  /// one image, so that its result does not depend on how many there are.
  var hasLargeMatrices: Bool { groupIn * outChannels >= 1 << 17 }

  /// Whether a convolution can be computed by Winograd's algorithm.
  var winogradApplies: Bool {
    kernelHeight == 3 && kernelWidth == 3 && groupIn * outChannels > 0 && geometry.stride == 1
      && geometry.dilation == 1 && geometry.groups == 1
  }
}

/// The kernel of a Winograd convolution.
enum WinogradKernel {
  /// `[3, 3, channels, outputs]`: its matrices are made for this convolution alone.
  case weight(Tensor)
  /// Made before: see `WinogradPlan.matrices`.
  case matrices(Tensor)
}

/// How the tiles of a Winograd convolution are dealt out, and the tables its kernel needs.
struct WinogradPlan {
  let plan: ConvolutionPlan
  /// The rows, and columns, of a tile of output pixels; and the matrices that it is multiplied by.
  let size: Int
  private let points: Int
  /// Tiles down an image, and across.
  let tileRows, tileColumns: Int
  /// Images, or else tile rows of one image, that are done together: their scratch stays in cache.
  let images, rows: Int
  /// Into how many strips of rows an image falls, and into how many parts its output channels: enough for some threads.
  private let strips, across: Int
  private let inputPoint, outputPoint, inputStride, outputStride: Int
  private let inputRows, outputRows, weightRows, counting: [Int]

  /// - Parameter sums: For the weight gradient: its pieces add to sums as large as the matrices, so that they are larger themselves,
  ///   but still eight.
  init(_ plan: ConvolutionPlan, tile size: Int, sums: Bool = false) {
    (self.plan, self.size) = (plan, size)
    points = Self.points(size)
    (tileRows, tileColumns) = plan.tiles(size)
    inputPoint = (plan.channels + 15) / 16 * 16
    outputPoint = (plan.outChannels + 15) / 16 * 16
    // A cache line more than the points: tiles then do not compete for the same cache sets.
    inputStride = points * inputPoint + 16
    outputStride = points * outputPoint + 16
    let scratch = 100_000  // floats: in the cache of a core
    let budget =
      sums ? max(scratch, 2 * points * plan.channels * plan.outChannels) : scratch
    let wanted = max(14, min(64, budget / (inputStride + outputStride)))
    let together = max(1, (wanted + tileRows * tileColumns / 2) / (tileRows * tileColumns))
    let most = max(1, sums ? plan.batch / Self.parts : plan.batch)
    // Sums get equally many pieces, as nearly as can be.
    let rounds = (most + together - 1) / together
    images = sums ? (most + rounds - 1) / rounds : min(most, together)
    let down =
      images > 1 ? tileRows : max(1, min(tileRows, (wanted + tileColumns / 2) / tileColumns))
    let few = (tileRows + down - 1) / down
    // Of a single image two threads get the same.
    strips = plan.batch == 1 && few > 1 ? min(tileRows, few + few % 2) : few
    rows = (tileRows + strips - 1) / strips
    let pieces = images > 1 ? (plan.batch + images - 1) / images : plan.batch * strips
    across = pieces == 1 ? min(4, plan.lots) : pieces == 3 ? min(2, plan.lots) : 1
    let tiles = images * rows * tileColumns
    inputRows = (0..<tiles).map { [inputStride] in $0 * inputStride }
    outputRows = (0..<tiles).map { [outputStride] in $0 * outputStride }
    weightRows = (0..<plan.channels).map { $0 * plan.outChannels }
    counting = Array(0..<plan.channels)
  }

  /// The plan of the input gradient: the convolution of a gradient of shape `output` by the kernel
  /// turned half around.
  init(_ plan: ConvolutionPlan, flippedFor output: Shape, tile size: Int) {
    self.init(
      ConvolutionPlan(
        output, [3, 3, plan.outChannels, plan.channels],
        ConvolutionGeometry(padding: 2 - plan.geometry.padding)), tile: size)
  }

  private static func points(_ size: Int) -> Int { (size + 2) * (size + 2) }

  /// How many pieces there are.
  var pieces: Int {
    images > 1 ? (plan.batch + images - 1) / images : plan.batch * strips
  }

  /// Whether it is of a few tiles only, for which not even the memory of all matrices is worth the while: some outputs' are made
  /// where they are multiplied by, one after another in the same memory.
  var isBrief: Bool { pieces <= 2 }

  /// The images of a piece, and its tile rows.
  private func part(_ piece: Int) -> (images: Range<Int>, rows: Range<Int>) {
    if images > 1 {
      return (piece * images..<min(plan.batch, (piece + 1) * images), 0..<tileRows)
    }
    let (image, strip) = (piece / strips, piece % strips)
    return (image..<image + 1, tileRows * strip / strips..<tileRows * (strip + 1) / strips)
  }

  /// Calls `body` with the kernel's arguments for a piece, with scratch of its own.
  private func withArguments(
    _ piece: Int, outputs: Range<Int>, bias: UnsafePointer<Float>?, relu: Bool,
    _ body: (inout ck_winograd_args, _ firstImage: Int) -> Void
  ) {
    let part = part(piece)
    let tiles = part.images.count * part.rows.count * tileColumns
    let scratch = Storage(count: tiles * (inputStride + outputStride))
    unsafe inputRows.withUnsafeBufferPointer { inputRows in
      unsafe outputRows.withUnsafeBufferPointer { outputRows in
        unsafe weightRows.withUnsafeBufferPointer { weightRows in
          unsafe counting.withUnsafeBufferPointer { counting in
            var arguments = unsafe ck_winograd_args(
              tile: size, images: part.images.count, height: plan.height, width: plan.width,
              channels: plan.channels, out_height: plan.outHeight, out_width: plan.outWidth,
              outputs: plan.outChannels, padding: plan.geometry.padding,
              first_row: part.rows.lowerBound, rows: part.rows.count, tiles: tiles,
              first_output: outputs.lowerBound, count: outputs.count, panels: 0,
              input_scratch: scratch.base, output_scratch: scratch.base + tiles * inputStride,
              input_stride: inputStride, input_point: inputPoint, output_stride: outputStride,
              output_point: outputPoint, input_rows: inputRows.baseAddress,
              output_rows: outputRows.baseAddress, weight_rows: weightRows.baseAddress,
              counting: counting.baseAddress, bias: bias, added: nil, relu: relu ? 1 : 0)
            unsafe body(&arguments, part.images.lowerBound)
          }
        }
      }
    }
    withExtendedLifetime(scratch) {}
  }

  /// The kernel's values at the points of a tile: matrices `[channels, outputs]` in panels of columns; of all outputs, or of
  /// some that begin with a panel.
  static func matrices(_ weight: Tensor, tile size: Int, of part: Range<Int>? = nil) -> Tensor {
    let (kernel, channels, outputs) = (weight.contiguous, weight.shape[2], weight.shape[3])
    let part = part ?? 0..<outputs
    return unsafe Tensor([points(size), panels(part.count), channels, ConvolutionPlan.panel]) { u in
      unsafe kernel.withElements {
        unsafe ck_winograd_weights(size, channels, outputs, part.lowerBound, part.count, $0, u)
      }
    }
  }

  /// How many panels so many outputs fill.
  private static func panels(_ outputs: Int) -> Int {
    (outputs + ConvolutionPlan.panel - 1) / ConvolutionPlan.panel
  }

  func convolved(
    _ input: Tensor, _ kernel: WinogradKernel, bias: Tensor?, relu: Bool,
    adding added: Tensor? = nil, _ observe: PieceObserver? = nil
  ) -> Tensor {
    let (source, panels) = (input.contiguous, Self.panels(plan.outChannels))
    // Into how many parts the outputs fall, and the matrices of one of them, with the output that these begin with.
    let across: Int
    let matrices: @Sendable (Range<Int>) -> (values: Tensor, first: Int)
    switch kernel {
    case .weight(let weight) where isBrief:
      let weight = weight.contiguous
      (across, matrices) = (panels, { (Self.matrices(weight, tile: size, of: $0), $0.lowerBound) })
    case .weight(let weight):
      let all = Self.matrices(weight, tile: size)
      (across, matrices) = (self.across, { _ in (all, 0) })
    case .matrices(let all): (across, matrices) = (self.across, { _ in (all, 0) })
    }
    let (inSize, outSize) = (
      plan.height * plan.width * plan.channels, plan.pixels * plan.outChannels
    )
    return unsafe Tensor(plan.outputShape) { target in
      let address = unsafe SendableAddress(target)
      Parallel.forEach(pieces * across) { index in
        let (piece, part) = index.quotientAndRemainder(dividingBy: across)
        let outputs =
          panels * part / across
          * ConvolutionPlan.panel..<min(
            plan.outChannels, panels * (part + 1) / across * ConvolutionPlan.panel)
        let (matrices, first) = matrices(outputs)
        let start = (outputs.lowerBound - first) * plan.channels
        unsafe source.withElements { x in
          unsafe matrices.withElements { u in
            func run(_ bias: UnsafePointer<Float>?) {
              unsafe withArguments(piece, outputs: outputs, bias: bias, relu: relu) {
                arguments, image in
                unsafe arguments.added = added.map { unsafe $0.elementAddress + image * outSize }
                unsafe arguments.panels = matrices.shape[1]
                unsafe ck_winograd(
                  &arguments, x + image * inSize, u + start, address.pointer + image * outSize)
              }
            }
            if let bias { unsafe bias.withElements { unsafe run($0) } } else { run(nil) }
          }
        }
        if across == 1 { note(piece, address) }
      }
      if across > 1 { Parallel.forEach(pieces) { note($0, address) } }
      @Sendable func note(_ piece: Int, _ address: SendableAddress<Float>) {
        guard let observe else { return }
        let part = part(piece)
        let rows = size * part.rows.lowerBound..<min(plan.outHeight, size * part.rows.upperBound)
        observe(
          piece, part.images.count * rows.count * plan.outWidth,
          address + part.images.lowerBound * outSize
            + rows.lowerBound * plan.outWidth * plan.outChannels)
      }
    }
  }

  /// How many partial sums there are at most.
  private static let parts = 8

  /// The gradient by the weight: partial sums, combined in order.
  func weightGradient(_ input: Tensor, _ gradient: Tensor) -> Tensor {
    let (source, gradient) = (input.contiguous, gradient.contiguous)
    let (channels, outputs) = (plan.channels, plan.outChannels)
    let parts = min(Self.parts, pieces)
    return unsafe Tensor([parts, 3, 3, channels, outputs]) { target in
      let address = unsafe SendableAddress(target)
      Parallel.forEach(parts) { part in
        let first = pieces * part / parts
        let sums = Storage(count: points * channels * outputs)
        unsafe source.withElements { x in
          unsafe gradient.withElements { dy in
            for piece in first..<pieces * (part + 1) / parts {
              unsafe withArguments(
                piece, outputs: 0..<plan.outChannels, bias: nil, relu: false
              ) { arguments, image in
                unsafe ck_winograd_pullback(
                  &arguments, x + image * plan.height * plan.width * channels,
                  dy + image * plan.pixels * outputs, piece > first ? 1 : 0, sums.base)
              }
            }
          }
        }
        unsafe ck_winograd_weights_pullback(
          size, channels, outputs, sums.base, address.pointer + part * 9 * channels * outputs)
        withExtendedLifetime(sums) {}
      }
    }.sum([0])
  }
}

extension Tensor {
  /// A kernel turned by half a turn with its channels exchanged, `[height, width, outputs, channels]`:
  /// the convolution with it is the input gradient.
  var flippedKernel: Tensor {
    let (height, width) = (shape[0], shape[1])
    return Tensor.concatenated(
      (0..<height * width).reversed().map { self[$0 / width][$0 % width].transposed() }
    ).reshaped([height, width, shape[3], shape[2]])
  }
}
