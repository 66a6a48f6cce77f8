import CKernels

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

  /// The same, where Winograd's matrices, or the panels of a direct one, may be known already.
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
      if algorithm == .winograd {
        return WinogradPlan(plan).convolved(
          self, matrices ?? WinogradPlan.matrices(weight), bias: bias, relu: relu, observe)
      }
      return plan.isDepthwise && observe == nil
        ? depthwiseConvolved(with: weight, bias: bias, relu: relu, plan)
        : directlyConvolved(
          with: weight, panels: matrices, bias: bias, relu: relu, plan, observe)
    }
  }

  /// - Parameter panels: The weights as `weightPanels` lays them out, where they are known.
  private func directlyConvolved(
    with weight: Tensor, panels: Tensor?, bias: Tensor?, relu: Bool, _ plan: ConvolutionPlan,
    _ observe: PieceObserver?
  ) -> Tensor {
    let (kernel, bias) = (panels ?? weight.contiguous, bias?.contiguous)
    let (taps, width) = (plan.tapOffsets, ConvolutionPlan.panel)
    let windows = plan.pixelOffsets(images: plan.chunk)
    let targets = (0..<plan.chunk * plan.pixels).map { $0 * plan.outChannels }
    return unsafe Tensor(plan.outputShape) { target in
      let address = unsafe SendableAddress(target)
      Parallel.ranges(plan.batch, grain: plan.chunk) { range in
        let start = range.lowerBound * plan.pixels * plan.outChannels
        unsafe plan.withPadded(self, range) { images in
          let source = unsafe SendableAddress(UnsafeMutablePointer(mutating: images))
          let pixels = range.count * plan.pixels
          // Where all images are one piece, its pixels and channels are dealt out.
          let (down, across) = range.count == plan.batch ? plan.parts(pixels) : (1, 1)
          Parallel.forEach(down * across) { index in
            let (i, j) = (index / across, index % across)
            let rows = pixels * i / down..<pixels * (i + 1) / down
            for group in 0..<plan.geometry.groups {
              let count = (plan.groupOut + width - 1) / width
              let columns =
                count * j / across * width..<min(plan.groupOut, count * (j + 1) / across * width)
              let first = group * plan.groupOut + columns.lowerBound
              unsafe kernel.withElements { w in
                unsafe gatherProduct(
                  rows: rows.count, from: rows.lowerBound, columns: columns.count,
                  a: source.pointer + group * plan.groupIn, rowOffsets: windows,
                  depthOffsets: taps,
                  b: w + (panels == nil ? first : first * taps.count), bStride: plan.outChannels,
                  bPanel: panels == nil ? 0 : taps.count * width,
                  c: address.pointer + start + first, cOffsets: targets, bias: bias,
                  biasStart: first, relu: relu)
              }
            }
          }
        }
        observe?(
          range.lowerBound / plan.chunk, range.count * plan.pixels, address + start)
      }
    }
  }

  /// A kernel, `[height, width, channels, outputs]`, in panels of 32 outputs, `[panels, height · width · channels, 32]`, as
  /// the gathered product reads it best; the last panel ends in zeros.
  func weightPanels() -> Tensor {
    let (columns, width) = (shape[3], ConvolutionPlan.panel)
    let depth = shape.count / max(1, columns)
    let rows = contiguous.reshaped([depth, columns])
    return .concatenated(
      stride(from: 0, to: columns, by: width).map { start in
        let part = rows.sliced(start..<min(columns, start + width), axis: 1)
        let rest = width - part.shape[1]
        return
          (rest == 0 ? part : Tensor.concatenated([part, .zeros([depth, rest])], axis: 1))
          .reshaped([1, depth, width])
      })
  }

  /// Of each channel by a kernel of its own: bit for bit what the gathered product gives.
  private func depthwiseConvolved(
    with weight: Tensor, bias: Tensor?, relu: Bool, _ plan: ConvolutionPlan
  ) -> Tensor {
    let (kernel, bias) = (weight.contiguous, bias?.contiguous)
    let geometry = plan.geometry
    let row = plan.outWidth * plan.outChannels
    return unsafe Tensor(plan.outputShape) { target in
      let address = unsafe SendableAddress(target)
      unsafe plan.withPadded(self, 0..<plan.batch) { images in
        let source = unsafe SendableAddress(UnsafeMutablePointer(mutating: images))
        Parallel.ranges(plan.batch * plan.outHeight, grain: max(1, 4096 / max(1, row))) { range in
          unsafe kernel.withElements { w in
            func run(_ bias: UnsafePointer<Float>?) {
              var arguments = unsafe ck_depthwise_args(
                rows: 1, columns: plan.outWidth, channels: plan.channels, width: plan.paddedWidth,
                kernel_height: plan.kernelHeight, kernel_width: plan.kernelWidth,
                stride: geometry.stride, dilation: geometry.dilation, weight: w, bias: bias,
                relu: relu ? 1 : 0)
              for place in range {
                let (image, y) = place.quotientAndRemainder(dividingBy: plan.outHeight)
                let start = (image * plan.paddedHeight + y * geometry.stride) * plan.paddedWidth
                unsafe ck_depthwise(
                  &arguments, source.pointer + start * plan.channels, address.pointer + place * row)
              }
            }
            if let bias { unsafe bias.withElements { unsafe run($0) } } else { run(nil) }
          }
        }
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
    require(shape == plan.outputShape, "gradient \(shape) of an output \(plan.outputShape)")
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
}
