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
  /// An activation is applied to the result while it is in the cache. `algorithm` forces a way to compute
  /// it; otherwise the faster one for these sizes is taken.
  ///
  /// - Complexity: 2 · kernelHeight · kernelWidth · channels / groups operations per output; a
  ///   quarter of the multiplications, or less, by Winograd's algorithm.
  public func convolved(
    with weight: Tensor, bias: Tensor? = nil, activation: Activation? = nil,
    _ geometry: ConvolutionGeometry = ConvolutionGeometry(), algorithm: ConvolutionAlgorithm? = nil
  ) -> Tensor {
    convolved(
      with: .plain(weight), of: weight.shape, bias: bias, activation: activation, geometry,
      algorithm: algorithm)
  }

  /// The same with a kernel `of` a shape in a form that may have been made ready.
  ///
  /// - Parameters:
  ///   - added: Added to the result before the activation.
  ///   - observe: Called with every piece of the result when it is there: its index, how many
  ///     pixels it has, and where they are. It takes the place of an activation other than `relu`.
  func convolved(
    with kernel: ConvolutionKernel, of kernelShape: Shape, bias: Tensor?, activation: Activation?,
    _ geometry: ConvolutionGeometry, algorithm: ConvolutionAlgorithm? = nil,
    kept: ConvolutionTables.Kept? = nil, adding added: Tensor? = nil,
    observe: PieceObserver? = nil
  ) -> Tensor {
    var plan = ConvolutionPlan(shape, kernelShape, geometry)
    plan.isPlanar =
      geometry.groups == 1 && 2...4 ~= shape[3] && !isContiguous
      && permuted([0, 3, 1, 2]).isContiguous
    return plan.counted("convolution", algorithm) { [plan] algorithm in
      let (bias, added, relu) = (bias?.contiguous, added?.contiguous, activation == .relu)
      require(
        added.map { $0.shape == plan.outputShape } ?? true,
        "adding \(added?.shape ?? []) to \(plan.outputShape)")
      let activate = observe == nil ? activation?.inPlace : nil
      func byMatrices(_ kernel: (WinogradPlan) -> WinogradKernel, _ tile: Int) -> Tensor {
        let plan = WinogradPlan(plan, tile: tile)
        let finish = activate.map { activate -> PieceObserver in
          { _, pixels, address in activate(pixels * plan.plan.outChannels, address) }
        }
        return plan.convolved(
          self, kernel(plan), bias: bias, relu: relu, adding: added, observe ?? finish)
      }
      func directly(_ weight: Tensor, isPanels: Bool) -> Tensor {
        directlyConvolved(
          with: weight, isPanels: isPanels, bias: bias, relu: relu, plan, kept, adding: added,
          activate, observe)
      }
      switch (kernel, algorithm.tile) {
      case (.matrices(let matrices), let tile?):
        return byMatrices({ _ in .matrices(matrices) }, tile)
      case (.any(let forms), let tile?): return byMatrices(forms.winograd, tile)
      case (.plain(let weight), let tile?): return byMatrices({ _ in .weight(weight) }, tile)
      case (.plain(let weight), nil):
        guard plan.isDepthwise, plan.hasSmallStrips, observe == nil else {
          return directly(weight, isPanels: false)
        }
        guard let added else {
          return depthwiseConvolved(with: weight, bias: bias, relu: relu, plan, activate)
        }
        let sum = depthwiseConvolved(with: weight, bias: bias, relu: false, plan, nil) + added
        return activation?(sum) ?? sum
      case (.panels(let panels), _): return directly(panels, isPanels: true)
      case (.any(let forms), nil): return directly(forms.panels, isPanels: true)
      case (.matrices, nil):
        // Of no image or no pixel, whatever the kernel.
        return .zeros(plan.outputShape)
      }
    }
  }

  /// - Parameters:
  ///   - isPanels: Whether the weights are as `weightPanels` lays them out.
  ///   - activate: Changes numbers of the result in place.
  private func directlyConvolved(
    with weight: Tensor, isPanels: Bool, bias: Tensor?, relu: Bool, _ plan: ConvolutionPlan,
    _ kept: ConvolutionTables.Kept?, adding added: Tensor?, _ activate: Activation.InPlace?,
    _ observe: PieceObserver?
  ) -> Tensor {
    let (kernel, tables) = (weight.contiguous, kept?.tables(plan) ?? ConvolutionTables(plan))
    let width = ConvolutionPlan.panel
    let rowStep = isPanels ? width : plan.outChannels
    return unsafe Tensor(plan.outputShape) { result in
      let address = unsafe SendableAddress(result)
      Parallel.ranges(plan.batch, grain: plan.chunk) { range in
        let target = range.lowerBound * plan.pixels * plan.outChannels
        unsafe plan.withZeros(plan.border, around: self, range) { images in
          let source = unsafe SendableAddress(UnsafeMutablePointer(mutating: images))
          // Where all images are one piece, its pixels and channels are dealt out.
          let dealing = range.count == plan.chunk ? tables.dealing : tables.lastDealing
          let across = dealing.across
          Parallel.forEach(dealing.parts.count * across) { index in
            // Neighbors read the same weights, and come from memory once.
            let (j, piece) = index.quotientAndRemainder(dividingBy: dealing.parts.count)
            let part = dealing.parts[piece]
            for group in 0..<plan.geometry.groups {
              let count = (plan.groupOut + width - 1) / width
              let columns =
                count * j / across * width..<min(plan.groupOut, count * (j + 1) / across * width)
              let first = group * plan.groupOut + columns.lowerBound
              unsafe kernel.withElements { w in
                for (n, depth) in part.depths.enumerated() {
                  let isLast = n == part.depths.count - 1
                  unsafe gatherProduct(
                    rows: part.pixels.count, from: part.pixels.lowerBound, columns: columns.count,
                    a: source.pointer + group * plan.groupIn, rowOffsets: tables.windows,
                    depthOffsets: tables.taps, fromDepth: depth.lowerBound, depth: depth.count,
                    b: w + (isPanels ? first * tables.taps.count : first)
                      + depth.lowerBound * rowStep,
                    bStride: plan.outChannels, bPanel: isPanels ? tables.taps.count * width : 0,
                    c: address.pointer + target + first, cOffsets: tables.targets,
                    bias: isLast ? bias : nil, biasStart: first,
                    added: isLast ? added.map { unsafe $0.elementAddress + target + first } : nil,
                    continues: n > 0, relu: isLast && relu)
                }
              }
              // While it is in the cache.
              let result = address + target + first
              if columns.count == plan.outChannels, !plan.isBanded {
                activate?(
                  part.pixels.count * columns.count,
                  result + part.pixels.lowerBound * plan.outChannels)
              } else if let activate {
                for pixel in tables.targets[part.pixels] { activate(columns.count, result + pixel) }
              }
            }
          }
        }
        observe?(
          range.lowerBound / plan.chunk, range.count * plan.pixels, address + target)
      }
    }
  }

  /// A kernel, `[height, width, channels, outputs]`, in panels of outputs, `[panels, height · width · channels, panel]`, as
  /// the gathered product reads it best; the last panel ends in zeros.
  func weightPanels() -> Tensor {
    let (columns, width) = (shape[3], ConvolutionPlan.panel)
    let (whole, depth) = (columns / width * width, shape.count / max(1, columns))
    let rows = contiguous.reshaped([depth, columns])
    let panels = rows.sliced(0..<whole, axis: 1).reshaped([depth, -1, width]).permuted([1, 0, 2])
    guard whole < columns else { return panels.contiguous }
    let (last, rest) = (rows.sliced(whole..<columns, axis: 1), width + whole - columns)
    let filled = Tensor.concatenated([last, .zeros([depth, rest])], axis: 1)
    return .concatenated([panels, filled.reshaped([1, depth, width])])
  }

  /// Of each channel by a kernel of its own: bit for bit what the gathered product gives of weights that are numbers.
  private func depthwiseConvolved(
    with weight: Tensor, bias: Tensor?, relu: Bool, _ plan: ConvolutionPlan,
    _ activate: Activation.InPlace?
  ) -> Tensor {
    let (source, kernel, geometry) = (contiguous, weight.contiguous, plan.geometry)
    let (size, row) = (plan.height * plan.width * plan.channels, plan.outWidth * plan.outChannels)
    let (width, taps) = (2 * Int(ck_width()), plan.kernelHeight * plan.kernelWidth)
    // A single image is dealt out by its channels, and by its rows where these are few: each strip packs the rows around it.
    let groups = (plan.channels + width - 1) / width
    let across = plan.batch == 1 ? min(4, groups) : 1
    let wanted = plan.batch == 1 ? (8 + across - 1) / across : 1
    // What a strip of rows reads of two vectors of channels fits the second cache.
    let few = (plan.outHeight + wanted - 1) / wanted
    let strip = (1...max(1, few)).last { plan.stripPixels($0) * width <= 1 << 14 } ?? 1
    let strips = (plan.outHeight + strip - 1) / strip
    @Sendable func rows(_ part: Int) -> Range<Int> {
      part * strip..<min(plan.outHeight, (part + 1) * strip)
    }
    return unsafe Tensor(plan.outputShape) { target in
      let address = unsafe SendableAddress(target)
      @Sendable func result(_ image: Int, _ rows: Range<Int>) -> SendableAddress<Float> {
        address + (image * plan.outHeight + rows.lowerBound) * row
      }
      let pieces = plan.outputShape.count == 0 ? 0 : plan.batch * strips
      Parallel.forEach(pieces * across) { index in
        let (piece, share) = index.quotientAndRemainder(dividingBy: across)
        let (image, part) = piece.quotientAndRemainder(dividingBy: strips)
        let rows = rows(part)
        let (first, end) = (groups * share / across, groups * (share + 1) / across)
        let scratch = Storage(count: (plan.stripPixels(rows.count) + taps + 1) * width)
        unsafe source.withElements { x in
          unsafe kernel.withElements { w in
            func run(_ bias: UnsafePointer<Float>?) {
              var arguments = unsafe ck_depthwise_args(
                height: plan.height, width: plan.width, channels: plan.channels,
                columns: plan.outWidth, kernel_height: plan.kernelHeight,
                kernel_width: plan.kernelWidth, stride: geometry.stride,
                padding: geometry.padding, dilation: geometry.dilation, first: first * width,
                end: min(plan.channels, end * width), weight: w, bias: bias, relu: relu ? 1 : 0)
              unsafe ck_depthwise(
                &arguments, rows.lowerBound, rows.count, x + image * size,
                result(image, rows).pointer, scratch.base)
            }
            if let bias { unsafe bias.withElements { unsafe run($0) } } else { run(nil) }
          }
        }
        withExtendedLifetime(scratch) {}
        guard let activate else { return }
        let (target, pixels) = (result(image, rows), rows.count * plan.outWidth)
        guard across > 1 else { return activate(pixels * plan.channels, target) }
        let count = min(plan.channels, end * width) - first * width
        for pixel in 0..<pixels { activate(count, target + pixel * plan.channels + first * width) }
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
      algorithm.tile.map { WinogradPlan(plan, tile: $0, sums: true).weightGradient(input, self) }
        ?? directWeightGradient(input, weightShape, plan)
    }
  }

  private func directWeightGradient(
    _ input: Tensor, _ weightShape: Shape, _ plan: ConvolutionPlan
  ) -> Tensor {
    let gradient = contiguous
    let taps = plan.tapOffsets(border: plan.geometry.padding)
    let windows = plan.windowOffsets(of: plan.pixels(), border: plan.geometry.padding)
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
          unsafe plan.withZeros(plan.geometry.padding, around: input, range) { images in
            unsafe gradient.withElements { dy in
              let length = plan.pixels * plan.outChannels
              unsafe ck_prefetch(range.count * length, dy + range.lowerBound * length)
              for group in 0..<plan.geometry.groups {
                let first = group * plan.groupOut
                let sums = unsafe address.pointer + part * weightShape.count + first
                unsafe gatherProduct(
                  rows: taps.count, columns: plan.groupOut,
                  a: images + group * plan.groupIn, rowOffsets: taps,
                  depthOffsets: windows, depth: range.count * plan.pixels,
                  b: dy + range.lowerBound * plan.pixels * plan.outChannels + first,
                  bStride: plan.outChannels,
                  c: sums, cOffsets: targets, added: sums)
              }
            }
          }
        }
      }
    }
    return partials.sum([0])
  }
}
