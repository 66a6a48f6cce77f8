import CKernels

/// Filters of which half are the others turned by half a turn, as a lifting convolution's are on a group that has half turns: by
/// them a convolution takes half of the multiplications.
///
/// A pixel's neighbors come in pairs, on both sides of it. Of a pair's sum *s* and difference *d* every filter takes
/// *e* *s* + *o* *d*, its opposite *e* *s* − *o* *d*, with *e* the mean of the weights that they give to the first of the pair, and *o*
/// half of what these differ by. An image turned by half a turn leaves *s* and negates *d*: the results of filters and opposites
/// are exchanged, bit for bit.
public struct OppositeFilters: Sendable {
  /// The side of the filters, their input channels, and how many there are with their opposites.
  private let kernel, channels, outputs: Int
  private let blocks: Int
  /// As the kernel takes them: see `ck_opposites_args`.
  private let even, odd: Tensor

  /// Takes filters apart; `nil` where the second half of a block is not exactly the first one turned, or where there are not as many as
  /// fill whole vectors.
  ///
  /// **Shapes.** `weight` `[kernel, kernel, channels, blocks · 2 · half]`.
  ///
  /// - Precondition: `blocks` is positive.
  public init?(_ weight: Tensor, blocks: Int = 1) {
    require(
      weight.shape.rank == 4 && blocks > 0, "filters \(weight.shape) in \(blocks) blocks")
    let (kernel, panel) = (weight.shape[0], ConvolutionPlan.panel)
    let (channels, outputs) = (weight.shape[2], weight.shape[3])
    let half = outputs / (2 * blocks)
    guard kernel > 0, weight.shape[1] == kernel, channels > 0, half > 0, half % panel == 0,
      half * 2 * blocks == outputs
    else { return nil }
    let taps = kernel * kernel
    let w = weight.reshaped([taps, channels, blocks, 2, half])
    let turned = Tensor.concatenated((0..<taps).reversed().map { w.sliced($0..<$0 + 1) })
    let (first, second) = (w.permuted([3, 0, 1, 2, 4]), turned.permuted([3, 0, 1, 2, 4]))
    guard first[1].elements == second[0].elements else { return nil }
    (self.kernel, self.channels, self.outputs, self.blocks) = (kernel, channels, outputs, blocks)
    // To panels of filters.
    func panels(_ values: Tensor, taps: Int) -> Tensor {
      values.sliced(0..<taps).reshaped([taps * channels, blocks * half / panel, panel])
        .permuted([1, 0, 2]).contiguous
    }
    even = panels((first[0] + second[0]) * 0.5, taps: (taps + 1) / 2)
    odd = panels((first[0] - second[0]) * 0.5, taps: taps / 2)
  }

  /// The convolution of images, without padding, clamped at zero if `relu`.
  ///
  /// **Shapes.** `[batch, height, width, channels]` → `[batch, height − kernel + 1, width − kernel + 1, outputs]`; `bias` `[outputs]`.
  ///
  /// Sums run in order, each in one accumulator: the result of an image does not depend on the others.
  ///
  /// - Precondition: Images have the filters' channels.
  /// - Complexity: kernel² · channels multiply-adds for every output and its opposite.
  public func convolved(_ images: Tensor, bias: Tensor? = nil, relu: Bool = false) -> Tensor {
    let s = images.shape
    require(
      s.rank == 4 && s[3] == channels && (bias.map { $0.shape.count == outputs } ?? true),
      "images \(s) for filters of \(channels) channels, a bias \(bias?.shape ?? [])")
    let (height, width) = (max(0, s[1] - kernel + 1), max(0, s[2] - kernel + 1))
    let rows = width == 0 ? 0 : s[0] * height
    let (rowSize, resultSize) = (s[2] * channels, width * outputs)
    let work = kernel * kernel * channels * outputs / 2
    let (source, bias) = (images.contiguous, bias?.contiguous)
    return Profiler.count(
      "convolution \(kernel)×\(kernel), \(channels) → \(outputs), opposites",
      arithmetic: 2 * rows * width * work, elements: source.shape.count + rows * resultSize
    ) {
      unsafe Tensor([s[0], height, width, outputs]) { target in
        let y = unsafe SendableAddress(target)
        Parallel.ranges(
          rows, grain: max(1, (1 << 18) / max(1, width * work))
        ) { rows in
          let scratch = Storage(count: kernel * kernel * (width * channels + 16))
          var arguments = unsafe ck_opposites_args(
            width: s[2], channels: channels, kernel: kernel, out_width: width, blocks: blocks,
            half: outputs / (2 * blocks), even: even.elementAddress, odd: odd.elementAddress,
            bias: bias?.elementAddress, relu: relu ? 1 : 0)
          // Rows of one image after another.
          var row = rows.lowerBound
          while row < rows.upperBound {
            let (image, top) = row.quotientAndRemainder(dividingBy: height)
            let count = min(height - top, rows.upperBound - row)
            unsafe ck_opposites(
              &arguments, count, source.elementAddress + (image * s[1] + top) * rowSize,
              y.pointer + row * resultSize, scratch.base)
            row += count
          }
          withExtendedLifetime((scratch, source, bias)) {}
        }
      }
    }
  }
}
