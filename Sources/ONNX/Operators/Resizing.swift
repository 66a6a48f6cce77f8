import Autodiff
import Glibc
import TensorCore

extension Operators {
  /// Images at another size.
  static let resizing: [String: Body] = [
    "Resize": { try [$0.resized()] },
    "Upsample": { try [$0.resized()] },
  ]
}

/// Where along one axis a result looks, and with which weights.
private struct Axis {
  let input, output: Int
  /// From an output's place to the input's.
  let place: (Int) -> Double
  let scale: Double
}

extension Call {
  fileprivate func resized() throws -> Value {
    let x = try value(0)
    let rank = x.shape.count
    let isOld = node.operation == "Upsample" || node.opset < 11
    let (scaleInput, sizeInput) = isOld ? (1, 9) : (2, 3)
    let axes = try ints("axes").map { try self.axes($0, rank: rank) } ?? Array(0..<rank)
    var scales = [Double](repeating: 1, count: rank)
    var shape = x.shape
    if let sizes = try list(sizeInput), !sizes.isEmpty {
      try require(sizes.count == axes.count && sizes.allSatisfy { $0 >= 0 }, "sizes of \(sizes)")
      let policy = string("keep_aspect_ratio_policy") ?? "stretch"
      let own = zip(axes, sizes).map { Double($1) / Double(max(1, x.shape[$0])) }
      let common = policy == "not_larger" ? own.min() : policy == "not_smaller" ? own.max() : nil
      for (n, axis) in axes.enumerated() {
        scales[axis] = common ?? own[n]
        shape[axis] =
          common.map { Self.whole((Double(x.shape[axis]) * $0).rounded(.toNearestOrAwayFromZero)) }
          ?? sizes[n]
      }
    } else {
      let given =
        if case .floats(let numbers)? = node.attributes["scales"] { numbers } else {
          try optionalFloat(scaleInput)?.value.elements ?? []
        }
      try require(
        given.count == axes.count && given.allSatisfy { $0 > 0 && $0.isFinite },
        "scales of \(given)")
      for (n, axis) in axes.enumerated() {
        scales[axis] = Double(given[n])
        shape[axis] = Self.whole((Double(x.shape[axis]) * scales[axis] + 1e-9).rounded(.down))
      }
    }
    try checked(shape)
    if x.count == 0 {
      try require(shape.contains(0), "an empty image becomes \(shape)")
      return x.gathered([], shape: shape)
    }
    let region = try optionalFloat(1)?.value.elements.map { Double($0) } ?? []
    let transform =
      isOld
      ? "asymmetric"
      : try choice(
        "coordinate_transformation_mode",
        [
          "half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric",
          "tf_half_pixel_for_nn", "tf_crop_and_resize",
        ])
    _ = try choice("nearest_mode", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
    try require(
      transform != "tf_crop_and_resize" || region.count == 2 * axes.count, "a region of \(region)")
    var table: [Axis] = []
    for axis in 0..<rank {
      let (input, output, scale) = (Double(x.shape[axis]), Double(shape[axis]), scales[axis])
      let n = axes.firstIndex(of: axis)
      let (start, end) =
        transform == "tf_crop_and_resize"
        ? n.map { (region[$0], region[$0 + axes.count]) } ?? (0, 1) : (0, 1)
      let length = input * scale
      let place: (Int) -> Double =
        switch transform {
        case "asymmetric": { Double($0) / scale }
        case "align_corners": { length <= 1 ? 0 : Double($0) * (input - 1) / (length - 1) }
        case "pytorch_half_pixel": { length <= 1 ? 0 : (Double($0) + 0.5) / scale - 0.5 }
        case "half_pixel_symmetric":
          { input / 2 * (1 - output / length) + (Double($0) + 0.5) / scale - 0.5 }
        case "tf_half_pixel_for_nn": { (Double($0) + 0.5) / scale }
        case "tf_crop_and_resize":
          {
            output > 1
              ? start * (input - 1) + Double($0) * (end - start) * (input - 1) / (output - 1)
              : 0.5 * (start + end) * (input - 1)
          }
        default: { (Double($0) + 0.5) / scale - 0.5 }
        }
      table.append(Axis(input: x.shape[axis], output: shape[axis], place: place, scale: scale))
    }
    let filler = transform == "tf_crop_and_resize" ? number("extrapolation_value") ?? 0 : nil
    let mode = string("mode") ?? "nearest"
    if mode == "nearest" { return nearest(x, table, shape, filler: filler) }
    try require(["linear", "cubic", "bilinear"].contains(mode), "mode '\(mode)' is not supported")
    let source: Variable
    switch x {
    case .floats(let x): source = x
    case .integers(let x): source = Variable(x.floats)
    }
    var y = source
    for (n, axis) in table.enumerated()
    where axis.input != axis.output || axis.place(0) != 0 || axis.scale != 1 {
      let weights = try matrix(axis, isCubic: mode == "cubic")
      // The axis last, for a product with a matrix.
      var order = Array(0..<rank)
      order.swapAt(n, rank - 1)
      let moved = y.permuted(order)
      try checked(moved.shape.extents.dropLast() + [axis.output])
      let product = moved.reshaped([-1, axis.input]).matmul(Variable(weights))
      y = product.reshaped(moved.shape.extents.dropLast() + [axis.output]).permuted(order)
    }
    if let filler {
      let isInside = table.map { axis in
        (0..<axis.output).map { axis.place($0) >= 0 && axis.place($0) <= Double(axis.input - 1) }
      }
      let mask = isInside.reduce([true]) { all, own in all.flatMap { a in own.map { a && $0 } } }
      let inside = Tensor(mask.map { $0 ? 1 : 0 }, shape: Shape(shape))
      y = y * Variable(inside) + Variable((Tensor(1) - inside) * filler)
    }
    guard case .integers(let x) = x else { return .floats(y) }
    return try cast(.floats(y), to: x.type.rawValue)
  }

  private func nearest(_ x: Value, _ table: [Axis], _ shape: [Int], filler: Float?) -> Value {
    let rounding =
      node.opset < 11 || node.operation == "Upsample"
      ? "floor" : string("nearest_mode") ?? "round_prefer_floor"
    let steps = x.shape.rowMajorSteps
    let tables = table.enumerated().map { n, axis -> (Int) -> Int? in
      let step = steps[n]
      return { place in
        let at = axis.place(place)
        if filler != nil && !(at >= 0 && at <= Double(axis.input - 1)) { return nil }
        let whole =
          switch rounding {
          case "floor": at.rounded(.down)
          case "ceil": at.rounded(.up)
          case "round_prefer_ceil": (at + 0.5).rounded(.down)
          default: (at - 0.5).rounded(.up)
          }
        return min(max(Self.whole(whole), 0), axis.input - 1) * step
      }
    }
    return x.gathered(
      tablePlaces(shape, tables), shape: shape,
      filler: filler.map { .floats(Variable(Tensor($0))) })
  }

  /// The weights of an axis's numbers for each of the result's, `[input, output]`.
  private func matrix(_ axis: Axis, isCubic: Bool) throws -> Tensor {
    try checked([axis.input, axis.output])
    let a = Double(number("cubic_coeff_a") ?? -0.75)
    let stretch = int("antialias") == 1 ? min(1, axis.scale) : 1
    let reach = (isCubic ? 2 : 1) / stretch
    let drops = int("exclude_outside") == 1
    let isNormalized = drops || int("antialias") == 1
    func weight(_ distance: Double) -> Double {
      let t = abs(distance * stretch)
      if !isCubic { return max(0, 1 - t) }
      // Keys 1981, with a free coefficient.
      if t <= 1 { return ((a + 2) * t - (a + 3)) * t * t + 1 }
      return t < 2 ? (((t - 5) * t + 8) * t - 4) * a : 0
    }
    var numbers = [Float](repeating: 0, count: axis.input * axis.output)
    for n in 0..<axis.output {
      let given = axis.place(n)
      // A region may lie anywhere.
      let at = given.isFinite ? min(max(given, -1e9), 1e9) : 0
      var found: [(place: Int, weight: Double)] = []
      for place in Int(
        (at - reach).rounded(.up))...max(
          Int((at - reach).rounded(.up)), Int((at + reach).rounded(.down)))
      {
        let own = weight(Double(place) - at)
        if (0..<axis.input).contains(place) {
          found.append((place, own))
        } else if !drops {
          found.append((min(max(place, 0), axis.input - 1), own))
        }
      }
      let total = isNormalized ? found.map(\.weight).reduce(0, +) : 1
      for one in found where total != 0 {
        numbers[one.place * axis.output + n] += Float(one.weight / total)
      }
    }
    return Tensor(numbers, shape: [axis.input, axis.output])
  }
}
