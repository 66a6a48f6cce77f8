import Autodiff
import TensorCore

extension GraphWriter {
  mutating func convolution(
    _ value: Variable, _ inputs: [Variable], _ geometry: ConvolutionGeometry, _ isClamped: Bool
  ) {
    let weight = inputs[1]
    // [height, width, inputs, outputs] to [outputs, inputs, height, width].
    let kernel =
      weight.isTraced
      ? node("Transpose", [plain(weight)], ["perm": .ints([3, 2, 0, 1])])
      : constant(weight.value.permuted([3, 2, 0, 1]))
    let (padding, g) = ([Int](repeating: geometry.padding, count: 4), geometry)
    var result = node(
      "Conv", [channelsFirst(inputs[0]), kernel] + inputs.dropFirst(2).map { plain($0) },
      [
        "kernel_shape": .ints([weight.shape[0], weight.shape[1]]), "group": .int(g.groups),
        "strides": .ints([g.stride, g.stride]), "dilations": .ints([g.dilation, g.dilation]),
        "pads": .ints(padding),
      ])
    if isClamped { result = node("Relu", [result]) }
    setChannelsFirst(value, result)
  }

  /// Images sampled where maps of their own lead, `[batch, 4 or 6]`, in pixels from the middle.
  mutating func warp(
    _ value: Variable, _ images: Variable, _ maps: Variable, _ interpolation: Interpolation,
    _ border: BorderPolicy
  ) throws(ONNXError) {
    let (height, width) = (value.shape[1], value.shape[2])
    let source = (height: images.shape[1], width: images.shape[2])
    var numbers = plain(maps)
    // In halves of the image's sides, as a sampling grid counts.
    let units: [Float] = [2 / Float(source.width), 2 / Float(source.height)]
    let hasShift = maps.shape[1] == 6
    var shift: String?
    if hasShift {
      let bounds = [[4], [6], [1]].map { constant($0) }
      let part = node("Slice", [numbers] + bounds)
      let scaled = node("Mul", [part, constant(Tensor(units, shape: [1, 2]))])
      shift = node("Reshape", [scaled, constant([-1, 1, 2])])
      numbers = node("Slice", [numbers] + [[0], [4], [1]].map { constant($0) })
    }
    let matrices = node("Reshape", [numbers, constant([-1, 2, 2])])
    let transposed = node("Transpose", [matrices], ["perm": .ints([0, 2, 1])])
    let scaled = node("Mul", [transposed, constant(Tensor(units, shape: [1, 1, 2]))])
    let (middleX, middleY) = (Float(width - 1) / 2, Float(height - 1) / 2)
    let places = (0..<height * width).flatMap { i -> [Float] in
      [Float(i % width) - middleX, Float(i / width) - middleY]
    }
    var grid = node("MatMul", [constant(Tensor(places, shape: [1, height * width, 2])), scaled])
    if let shift { grid = node("Add", [grid, shift]) }
    grid = node("Reshape", [grid, constant([-1, height, width, 2])])
    setChannelsFirst(
      value, try sampled(channelsFirst(images), grid, interpolation, border))
  }

  /// Images, each sampled by every one of some maps.
  mutating func warp(
    _ value: Variable, _ images: Variable, _ maps: [SamplingMap], _ interpolation: Interpolation,
    _ border: BorderPolicy
  ) throws(ONNXError) {
    let (height, width, channels) = (images.shape[1], images.shape[2], images.shape[3])
    let grids = maps.flatMap { map in
      (0..<height * width).flatMap { i -> [Float] in
        let x = Double(i % width) - Double(width - 1) / 2
        let y = Double(i / width) - Double(height - 1) / 2
        let sx = map.matrix[0] * x + map.matrix[1] * y + map.offset[0]
        let sy = map.matrix[2] * x + map.matrix[3] * y + map.offset[1]
        return [Float(sx * 2 / Double(width)), Float(sy * 2 / Double(height))]
      }
    }
    let all = constant(Tensor(grids, shape: [maps.count, height, width, 2]))
    let x = channelsFirst(images)
    let batch = node("Slice", [node("Shape", [x])] + [[0], [1], [0]].map { constant($0) })
    /// Repeated to [batch, maps, …], and these two as one.
    func spread(_ name: String, _ axis: Int, _ extents: [Int]) -> String {
      let wide = node("Unsqueeze", [name, constant([axis])])
      let shape = node("Concat", [batch, constant([maps.count] + extents)], ["axis": .int(0)])
      return node(
        "Reshape", [node("Expand", [wide, shape]), constant([-1] + extents)])
    }
    let copies = spread(x, 1, [channels, height, width])
    setChannelsFirst(
      value, try sampled(copies, spread(all, 0, [height, width, 2]), interpolation, border))
  }

  private mutating func sampled(
    _ images: String, _ grid: String, _ interpolation: Interpolation, _ border: BorderPolicy
  ) throws(ONNXError) -> String {
    guard interpolation != .bicubic else {
      throw ONNXError("Bicubic sampling is another one in ONNX (a = −¾, not −½).")
    }
    let linear = opset < 20 ? "bilinear" : "linear"
    let outside: [BorderPolicy: String] = [
      .zero: "zeros", .edge: "border", .reflect: "reflection",
    ]
    return node(
      "GridSample", [images, grid],
      [
        "mode": .string(interpolation == .nearest ? "nearest" : linear),
        "padding_mode": .string(outside[border] ?? "zeros"), "align_corners": .int(0),
      ])
  }
}
