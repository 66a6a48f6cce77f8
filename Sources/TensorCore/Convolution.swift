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
