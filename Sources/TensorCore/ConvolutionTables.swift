import Synchronization

/// What a convolution's value needs beside images and weights: how its pixels are dealt out, and the offset tables that make
/// it a gathered product (see `ck_gather_product_args`).
final class ConvolutionTables: Sendable {
  let plan: ConvolutionPlan
  /// Where the window of each output pixel begins, in images with zeros around them, of as many as share one pass over the weights.
  ///
  /// It is before the image where there are fewer zeros than the padding; pixels come in the order of the bands.
  let windows: [Int]
  /// Where each tap and input channel lies relative to the window's beginning.
  let taps: [Int]
  /// Where each output pixel lies.
  let targets: [Int]
  /// How the pixels of one pass are dealt out; the last one may be of fewer images.
  let dealing, lastDealing: ConvolutionPlan.Dealing

  init(_ plan: ConvolutionPlan) {
    self.plan = plan
    let order = plan.isBanded ? plan.bands.flatMap { $0.pixels(rowLength: plan.outWidth) } : nil
    let pixels = plan.pixels(inOrder: order)
    windows = plan.windowOffsets(of: pixels, border: plan.border)
    taps = plan.tapOffsets(border: plan.border)
    targets = pixels.map { $0 * plan.outChannels }
    dealing = plan.dealing(images: min(plan.batch, plan.chunk))
    let rest = plan.batch % plan.chunk
    lastDealing = rest == 0 ? dealing : plan.dealing(images: rest)
  }

  /// Tables that are kept for the images that come next: of one size mostly, and making them takes as long as a small layer.
  final class Kept: Sendable {
    private let last = Mutex<ConvolutionTables?>(nil)

    func tables(_ plan: ConvolutionPlan) -> ConvolutionTables {
      if let last = last.withLock({ $0 }), last.plan == plan { return last }
      let tables = ConvolutionTables(plan)
      last.withLock { $0 = tables }
      return tables
    }
  }
}

extension ConvolutionPlan {
  /// The indices of the output pixels of as many images as share one pass over the weights.
  ///
  /// - Parameter order: Of the pixels of one image; in rows where it is `nil`.
  func pixels(inOrder order: [Int]? = nil) -> [Int] {
    guard let order else { return Array(0..<chunk * pixels) }
    return (0..<chunk).flatMap { image in order.map { image * pixels + $0 } }
  }

  /// Where the windows of some output pixels begin in images with so many zeros around each.
  func windowOffsets(of pixels: [Int], border: Int) -> [Int] {
    let (height, width) = (height + 2 * border, width + 2 * border)
    let first = (border - geometry.padding) * (width + 1)
    return pixels.map { index in
      let (row, x) = index.quotientAndRemainder(dividingBy: outWidth)
      let (image, y) = row.quotientAndRemainder(dividingBy: outHeight)
      let place = y * geometry.stride * width + x * geometry.stride + first
      return image * height * width * channels + place * (isPlanar ? 1 : channels)
    }
  }

  /// Where each tap and input channel lies relative to a window's beginning, in images with so many zeros around each.
  func tapOffsets(border: Int) -> [Int] {
    let (height, width) = (height + 2 * border, width + 2 * border)
    return (0..<kernelHeight * kernelWidth * groupIn).map { k in
      let (tap, channel) = k.quotientAndRemainder(dividingBy: groupIn)
      let (i, j) = tap.quotientAndRemainder(dividingBy: kernelWidth)
      let place = (i * width + j) * geometry.dilation
      return isPlanar ? channel * height * width + place : place * channels + channel
    }
  }
}
