import Autodiff
import TensorCore

/// How windows of a kernel lie over an image: along each of its axes, in the words of the format.
struct Windows {
  let kernel, strides, dilations: [Int]
  /// What is added around the image for the windows, on both sides.
  let before, after: [Int]
  /// What of it is padding that the file asks for, and not the rest of a last window.
  let asked: [Int]
  /// How many windows there are.
  let output: [Int]

  /// - Throws: `ONNXError` for settings that do not fit the image.
  init(_ call: Call, image: [Int], kernel: [Int]) throws {
    let rank = kernel.count
    func list(_ name: String, _ otherwise: Int) throws -> [Int] {
      let found = call.ints(name) ?? [Int](repeating: otherwise, count: rank)
      try call.require(found.count == rank, "\(name) of \(found) for \(rank) axes")
      return found
    }
    let (strides, dilations) = (try list("strides", 1), try list("dilations", 1))
    let isSmall = (kernel + strides + dilations).allSatisfy { 1...1 << 24 ~= $0 }
    let isImage = image.count == rank && image.allSatisfy { $0 >= 0 }
    try call.require(
      rank > 0 && isSmall && isImage,
      "a kernel of \(kernel), strides \(strides), dilations \(dilations) over an image of \(image)")
    let spans = (0..<rank).map { dilations[$0] * (kernel[$0] - 1) + 1 }
    let mode = try call.choice("auto_pad", ["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"])
    let given = call.ints("pads") ?? [Int](repeating: 0, count: 2 * rank)
    try call.require(
      given.count == 2 * rank && given.allSatisfy { 0...1 << 24 ~= $0 }, "pads of \(given)")
    var (before, after) = (Array(given[..<rank]), Array(given[rank...]))
    if mode == "SAME_UPPER" || mode == "SAME_LOWER" {
      for axis in 0..<rank {
        let count = (image[axis] + strides[axis] - 1) / strides[axis]
        let total = max(0, (count - 1) * strides[axis] + spans[axis] - image[axis])
        let less = total / 2
        (before[axis], after[axis]) =
          mode == "SAME_UPPER" ? (less, total - less) : (total - less, less)
      }
    } else if mode == "VALID" {
      (before, after) = (before.map { _ in 0 }, after.map { _ in 0 })
    }
    asked = after
    let isCeiled = call.node.operation != "Conv" && call.int("ceil_mode") == 1
    var output: [Int] = []
    for axis in 0..<rank {
      let rest = image[axis] + before[axis] + after[axis] - spans[axis]
      try call.require(
        rest >= 0 || isCeiled && rest + strides[axis] > 0,
        "a kernel of \(kernel) does not fit into an image of \(image)")
      var count = (isCeiled ? rest + strides[axis] - 1 : rest) / strides[axis] + 1
      // No window begins behind the image.
      if isCeiled && (count - 1) * strides[axis] >= image[axis] + before[axis] { count -= 1 }
      output.append(count)
      after[axis] = max(
        after[axis], (count - 1) * strides[axis] + spans[axis] - image[axis] - before[axis])
    }
    for axis in 0..<rank { try call.checked([output[axis], kernel[axis]]) }
    (self.kernel, self.strides, self.dilations) = (kernel, strides, dilations)
    (self.before, self.after, self.output) = (before, after, output)
  }

  /// The places of a padded image, `[…, channels, …]`, that each window sees: of `[batch, windows, channels, taps]`.
  func places(batch: Int, channels: Range<Int>, of all: Int, padded: [Int]) -> [Int] {
    let steps = padded.rowMajorSteps
    let size = padded.reduce(1, *)
    return ONNX.places(
      [batch] + output + [channels.count] + kernel,
      steps: [all * size] + zip(strides, steps).map { $0 * $1 } + [size]
        + zip(dilations, steps).map { $0 * $1 }, from: channels.lowerBound * size)
  }

  func padded(_ image: [Int]) -> [Int] { image.indices.map { image[$0] + before[$0] + after[$0] } }

  /// Along each axis, how many taps of each window lie in the image, or in what is padded too.
  func counts(_ image: [Int], withPadding: Bool) -> [[Int]] {
    kernel.indices.map { axis in
      let range =
        withPadding
        ? 0..<before[axis] + image[axis] + asked[axis] : before[axis]..<before[axis] + image[axis]
      return (0..<output[axis]).map { n in
        (0..<kernel[axis]).count { range.contains(n * strides[axis] + $0 * dilations[axis]) }
      }
    }
  }

  /// The padding on all sides, where it is the same, as are strides and dilations: what the kernels of images do.
  var uniform: (stride: Int, dilation: Int)? {
    guard Set(strides).count == 1, Set(dilations).count == 1 else { return nil }
    return (strides[0], dilations[0])
  }
}

extension Variable {
  /// Its numbers, in row-major order, added up at some places of a list of zeros.
  func summed(at places: [Int], count: Int) -> Variable {
    Variable(
      value.reshaped([value.shape.count, 1]).scattered(places, count: count).reshaped([count]),
      inputs: [self]
    ) { [shape] dy in [dy.reshaped([count, 1]).gathered(places).reshaped(shape)] }
  }

  /// Its numbers at some places, in row-major order.
  func flat(at places: [Int]) -> Variable {
    reshaped([shape.count, 1]).gathered(places).reshaped([places.count])
  }
}
