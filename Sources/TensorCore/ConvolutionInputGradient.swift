import CKernels

extension Tensor {
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
    require(shape == plan.outputShape, "gradient \(shape) of an output \(plan.outputShape)")
    return plan.counted("convolution, input gradient", algorithm) { algorithm in
      if let tile = algorithm.tile, geometry.padding <= 2 {
        return WinogradPlan(plan, flippedFor: shape, tile: tile).convolved(
          self, .weight(weight.flippedKernel), bias: nil, relu: false)
      }
      return geometry.groups == 1 && plan.channels < 8
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
          if border == 0 { unsafe ck_prefetch(part.shape.count, dy) }
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
