import Synchronization

/// The offset tables that make a convolution a gathered product: see `ck_gather_product_args`.
struct ConvolutionTables: Sendable {
  /// Where, in images with zeros around them, the window of each output pixel begins; before the image where the zeros are fewer than the padding.
  let windows: [Int]
  /// Where each tap and input channel lies relative to the window's beginning.
  let taps: [Int]
  /// Where each output pixel lies.
  let targets: [Int]

  /// The tables of as many images as share one pass over the weights, each with `border` zeros around it.
  init(_ plan: ConvolutionPlan, border: Int) {
    let (step, channels) = (plan.geometry.stride, plan.channels)
    let (height, width) = (plan.height + 2 * border, plan.width + 2 * border)
    let first = (border - plan.geometry.padding) * (width + 1)
    windows = (0..<plan.chunk * plan.pixels).map { index in
      let (row, x) = index.quotientAndRemainder(dividingBy: plan.outWidth)
      let (image, y) = row.quotientAndRemainder(dividingBy: plan.outHeight)
      return ((image * height + y * step) * width + x * step + first) * channels
    }
    taps = (0..<plan.kernelHeight * plan.kernelWidth * plan.groupIn).map { k in
      let (tap, channel) = k.quotientAndRemainder(dividingBy: plan.groupIn)
      let (i, j) = tap.quotientAndRemainder(dividingBy: plan.kernelWidth)
      return (i * width + j) * plan.geometry.dilation * channels + channel
    }
    targets = windows.indices.map { $0 * plan.outChannels }
  }

  /// Tables that are kept for the images that come next: of one size mostly, and making them takes as long as a small layer.
  final class Kept: Sendable {
    private let last = Mutex<(plan: ConvolutionPlan, tables: ConvolutionTables)?>(nil)

    func tables(_ plan: ConvolutionPlan) -> ConvolutionTables {
      if let last = last.withLock({ $0 }), last.plan == plan { return last.tables }
      let tables = ConvolutionTables(plan, border: plan.border)
      last.withLock { $0 = (plan, tables) }
      return tables
    }
  }
}
