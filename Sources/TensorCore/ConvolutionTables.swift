import Synchronization

/// The offset tables that make a convolution a gathered product: see `ck_gather_product_args`.
struct ConvolutionTables: Sendable {
  /// Where, in padded images, the window of each output pixel begins.
  let windows: [Int]
  /// Where each tap and input channel lies relative to the window's beginning.
  let taps: [Int]
  /// Where each output pixel lies.
  let targets: [Int]

  /// The tables of as many images as share one pass over the weights.
  init(_ plan: ConvolutionPlan) {
    let (step, channels) = (plan.geometry.stride, plan.channels)
    windows = (0..<plan.chunk * plan.pixels).map { index in
      let (row, x) = index.quotientAndRemainder(dividingBy: plan.outWidth)
      let (image, y) = row.quotientAndRemainder(dividingBy: plan.outHeight)
      return ((image * plan.paddedHeight + y * step) * plan.paddedWidth + x * step) * channels
    }
    taps = (0..<plan.kernelHeight * plan.kernelWidth * plan.groupIn).map { k in
      let (tap, channel) = k.quotientAndRemainder(dividingBy: plan.groupIn)
      let (i, j) = tap.quotientAndRemainder(dividingBy: plan.kernelWidth)
      return (i * plan.paddedWidth + j) * plan.geometry.dilation * channels + channel
    }
    targets = windows.indices.map { $0 * plan.outChannels }
  }

  /// Tables that are kept for the images that come next: of one size mostly, and making them takes as long as a small layer.
  final class Kept: Sendable {
    private let last = Mutex<(plan: ConvolutionPlan, tables: ConvolutionTables)?>(nil)

    func tables(_ plan: ConvolutionPlan) -> ConvolutionTables {
      if let last = last.withLock({ $0 }), last.plan == plan { return last.tables }
      let tables = ConvolutionTables(plan)
      last.withLock { $0 = (plan, tables) }
      return tables
    }
  }
}
