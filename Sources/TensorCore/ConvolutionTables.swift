import Synchronization

/// The offset tables that make a convolution a gathered product: see `ck_gather_product_args`.
struct ConvolutionTables: Sendable {
  /// Where, in images with zeros around them, the window of each output pixel begins; before the image where there are fewer zeros
  /// than the padding.
  let windows: [Int]
  /// Where each tap and input channel lies relative to the window's beginning.
  let taps: [Int]
  /// Where each output pixel lies.
  let targets: [Int]

  /// The tables of the value, of as many images as share one pass over the weights: pixels in the order of the bands.
  init(_ plan: ConvolutionPlan) {
    let bands = plan.isBanded ? plan.bands : []
    let order = bands.flatMap { band in
      band.rows.flatMap { y in band.columns.map { y * plan.outWidth + $0 } }
    }
    self.init(plan, border: plan.border, order: plan.isBanded ? order : Array(0..<plan.pixels))
  }

  /// The tables of images with so many zeros around each, whose pixels come in an order.
  init(_ plan: ConvolutionPlan, border: Int, order: [Int]) {
    let (step, channels) = (plan.geometry.stride, plan.channels)
    let (height, width) = (plan.height + 2 * border, plan.width + 2 * border)
    let first = (border - plan.geometry.padding) * (width + 1)
    let pixels = (0..<plan.chunk).flatMap { image in order.map { image * plan.pixels + $0 } }
    windows = pixels.map { index in
      let (row, x) = index.quotientAndRemainder(dividingBy: plan.outWidth)
      let (image, y) = row.quotientAndRemainder(dividingBy: plan.outHeight)
      return ((image * height + y * step) * width + x * step + first) * channels
    }
    taps = (0..<plan.kernelHeight * plan.kernelWidth * plan.groupIn).map { k in
      let (tap, channel) = k.quotientAndRemainder(dividingBy: plan.groupIn)
      let (i, j) = tap.quotientAndRemainder(dividingBy: plan.kernelWidth)
      return (i * width + j) * plan.geometry.dilation * channels + channel
    }
    targets = pixels.map { $0 * plan.outChannels }
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
