import CKernels

/// The mean and the (biased) variance of each channel.
public struct ChannelMoments: Sendable {
  public let mean, variance: [Double]

  public init(mean: [Double], variance: [Double]) { (self.mean, self.variance) = (mean, variance) }
}

/// Moments of blocks of rows, each about its own first row, so that a mean that is large beside the
/// deviation costs no accuracy.
struct PartialMoments: Sendable {
  private let blocks, columns: Int
  /// Per block: pivot, sum and sum of squares of the deviations from it, and the number of rows.
  private let address: SendableAddress<Float>
  private let storage: Storage
  private var stride: Int { 3 * columns + 1 }

  init(blocks: Int, columns: Int) {
    (self.blocks, self.columns) = (blocks, columns)
    storage = Storage(count: blocks * (3 * columns + 1))
    unsafe address = SendableAddress(storage.base)
  }

  /// Takes the moments of one block; blocks may be taken in any order, on any thread.
  func take(_ block: Int, rows: Int, _ x: SendableAddress<Float>) {
    let target = unsafe address.pointer + block * stride
    unsafe target.update(from: x.pointer, count: columns)
    unsafe ck_moments(rows, columns, x.pointer, target, target + columns, target + 2 * columns)
    unsafe target[3 * columns] = Float(rows)
  }

  /// The moments of all rows, the blocks combined in order (Chan, Golub & LeVeque 1983).
  func combined() -> ChannelMoments {
    var (mean, square) = (
      [Double](repeating: 0, count: columns), [Double](repeating: 0, count: columns)
    )
    var count = 0.0
    for block in 0..<blocks {
      let part = unsafe UnsafePointer(address.pointer + block * stride)
      let rows = unsafe Double(part[3 * columns])
      let total = count + rows
      for c in 0..<columns {
        let (sum, squares) = unsafe (Double(part[columns + c]), Double(part[2 * columns + c]))
        let delta = unsafe Double(part[c]) + sum / rows - mean[c]
        square[c] += max(0, squares - sum * sum / rows) + delta * delta * count * rows / total
        mean[c] += delta * rows / total
      }
      count = total
    }
    return ChannelMoments(mean: mean, variance: square.map { $0 / count })
  }
}

extension Tensor {
  /// The mean and the (biased) variance of each channel, the last axis.
  ///
  /// - Precondition: There is one row at least.
  public func channelMoments() -> ChannelMoments {
    let (rows, columns) = (shape.count / shape[-1], shape[-1])
    require(rows > 0, "moments of shape \(shape)")
    let (source, grain) = (contiguous, Tensor.normalizationGrain)
    return Profiler.count("moments", arithmetic: 4 * shape.count, elements: shape.count) {
      let partial = PartialMoments(blocks: (rows + grain - 1) / grain, columns: columns)
      Parallel.ranges(rows, grain: grain) { range in
        unsafe source.withElements { x in
          let rows = unsafe SendableAddress(UnsafeMutablePointer(mutating: x))
          partial.take(
            range.lowerBound / grain, rows: range.count, rows + range.lowerBound * columns)
        }
      }
      return partial.combined()
    }
  }

  /// The convolution as `convolved` gives it, and the moments of its channels, taken from each part
  /// of the result while it is in cache.
  public func convolvedWithMoments(
    with weight: Tensor, bias: Tensor? = nil,
    _ geometry: ConvolutionGeometry = ConvolutionGeometry()
  ) -> (result: Tensor, moments: ChannelMoments) {
    let plan = ConvolutionPlan(shape, weight.shape, geometry)
    require(plan.outputShape.count > 0, "moments of shape \(plan.outputShape)")
    let partial = PartialMoments(blocks: plan.pieces, columns: plan.outChannels)
    let result = convolved(
      with: .plain(weight), of: weight.shape, bias: bias, activation: nil, geometry
    ) { piece, rows, y in partial.take(piece, rows: rows, y) }
    return (result, partial.combined())
  }
}
