import Autodiff
import Glibc
import TensorCore

extension Operators {
  /// Images sampled at places that are computed.
  static let spatial: [String: Body] = [
    "GridSample": { [.floats(try $0.sampled())] },
    "AffineGrid": { call in
      let (maps, size) = (try call.float(0), try call.integers(1).elements)
      let rank = size.count - 2
      try call.require(
        rank >= 2 && size.allSatisfy { $0 > 0 } && maps.shape.extents == [size[0], rank, rank + 1],
        "maps of \(maps.shape) for \(size)")
      try call.checked(size + [rank + 1])
      let count = size[2...].reduce(1, *)
      let isAligned = call.int("align_corners") == 1
      /// Where the middles of pixels lie, or from the first's to the last's.
      func line(_ n: Int) -> [Float] {
        if n == 1 { return [0] }
        let (shift, span): (Float, Float) = isAligned ? (0, Float(n - 1)) : (1, Float(n))
        return (0..<n).map { k in (2 * Float(k) + shift) / span - 1 }
      }
      let lines = size[2...].map(line)
      // The last axis of the image is the first coordinate.
      var points: [[Float]] = [[]]
      for line in lines { points = points.flatMap { point in line.map { point + [$0] } } }
      let base = Tensor(
        points.flatMap { $0.reversed() + [1] }, shape: [1, count, rank + 1])
      let grid = Variable(base.broadcast(to: [size[0], count, rank + 1])).matmul(
        maps.permuted([0, 2, 1]))
      return [.floats(grid.reshaped([size[0]] + size[2...] + [rank]))]
    },
    "RoiAlign": { [.floats(try $0.aligned())] },
  ]
}

extension Call {
  /// Images of two or three axes at the places of a grid, −1 to 1 along each axis (Jaderberg 2015).
  fileprivate func sampled() throws -> Variable {
    let (x, grid) = (try float(0), try float(1))
    let (s, g) = (x.shape.extents, grid.shape.extents)
    let rank = s.count - 2
    try require(
      (2...3).contains(rank) && g.count == s.count && g[0] == s[0] && g.last == rank
        && !s.contains(0),
      "a grid of \(g) over \(s)")
    let mode = try choice("mode", ["linear", "bilinear", "nearest", "cubic", "bicubic"])
    let border = try choice("padding_mode", ["zeros", "border", "reflection"])
    let isAligned = int("align_corners") == 1
    try require(!(mode.hasSuffix("cubic") && rank == 3), "cubic in three axes is not supported")
    let (image, count) = (Array(s[2...]), g[1..<g.count - 1].reduce(1, *))
    let numbers = grid.value.elements
    /// An index within the image, as the border says; −1 for none.
    func index(_ place: Double, _ n: Int) -> Int {
      if place >= 0 && place <= Double(n - 1) { return Int(place) }
      switch border {
      case "border": return place < 0 ? 0 : n - 1
      case "reflection":
        let (low, high) = isAligned ? (0, Double(n - 1)) : (-0.5, Double(n) - 0.5)
        return min(max(Int(reflected(place, low, high).rounded()), 0), n - 1)
      default: return -1
      }
    }
    func reflected(_ place: Double, _ low: Double, _ high: Double) -> Double {
      let range = high - low
      guard range > 0, place.isFinite else { return low }
      let rest = abs(place - low).truncatingRemainder(dividingBy: 2 * range)
      return low + (rest > range ? 2 * range - rest : rest)
    }
    let steps = image.rowMajorSteps
    let taps = mode == "nearest" ? 1 : mode.hasSuffix("cubic") ? 4 : 2
    let perPoint = Int(pow(Double(taps), Double(rank)))
    try checked([s[0], count, perPoint, s[1]])
    var (places, weights): ([Int], [Float]) = ([], [])
    for n in 0..<s[0] * count {
      var all: [(place: Int, weight: Double)] = [(0, 1)]
      for axis in 0..<rank {
        let (extent, at) = (image[axis], Double(numbers[n * rank + rank - 1 - axis]))
        var place =
          isAligned ? (at + 1) / 2 * Double(extent - 1) : ((at + 1) * Double(extent) - 1) / 2
        if !place.isFinite { place = -1e9 }
        place = min(max(place, -1e9), 1e9)
        if border == "border" && taps < 4 { place = min(max(place, 0), Double(extent - 1)) }
        if border == "reflection" && taps < 4 {
          place =
            isAligned
            ? reflected(place, 0, Double(extent - 1)) : reflected(place, -0.5, Double(extent) - 0.5)
          place = min(max(place, 0), Double(extent - 1))
        }
        let first =
          taps == 1 ? place.rounded(.toNearestOrEven) : place.rounded(.down) - (taps == 4 ? 1 : 0)
        let own = (0..<taps).map { tap -> (Int, Double) in
          let t = abs(place - first - Double(tap))
          let weight =
            taps == 1
            ? 1
            : taps == 2
              ? 1 - t : t <= 1 ? (1.25 * t - 2.25) * t * t + 1 : (((t - 5) * t + 8) * t - 4) * -0.75
          return (index(first + Double(tap), extent), weight)
        }
        all = all.flatMap { one in
          own.map { (one.place < 0 || $0 < 0 ? -1 : one.place + $0 * steps[axis], one.weight * $1) }
        }
      }
      places += all.map(\.place)
      weights += all.map { $0.place < 0 ? 0 : Float($0.weight) }
    }
    // Channels last: rows of an image's pixels.
    let size = image.reduce(1, *)
    let rows = x.permuted([0] + (2..<s.count) + [1]).reshaped([s[0] * size, s[1]])
    let sources = places.enumerated().map { n, place in
      n / (count * perPoint) * size + max(0, place)
    }
    let mixed =
      rows.gathered(sources).reshaped([s[0] * count, perPoint, s[1]])
      * Variable(Tensor(weights, shape: [s[0] * count, perPoint, 1]))
    return mixed.sum([1]).reshaped([s[0]] + g[1..<g.count - 1] + [s[1]])
      .permuted([0, rank + 1] + (1...rank))
  }

  /// Regions of images at one size, each number the mean or maximum of samples between pixels (He 2017).
  fileprivate func aligned() throws -> Variable {
    let (x, boxes, batch) = (try float(0), try float(1), try integers(2).elements)
    let s = x.shape.extents
    let (height, width) = (int("output_height") ?? 1, int("output_width") ?? 1)
    try require(
      s.count == 4 && !s.contains(0) && boxes.shape.extents == [batch.count, 4]
        && batch.allSatisfy { 0..<s[0] ~= $0 } && height > 0 && width > 0,
      "regions of \(boxes.shape) in \(s)")
    let (scale, ratio) = (number("spatial_scale") ?? 1, int("sampling_ratio") ?? 0)
    let isMaximum = try choice("mode", ["avg", "max"]) == "max"
    try checked([batch.count, height, width, s[1]])
    let shift: Float =
      (string("coordinate_transformation_mode")
        ?? (node.opset < 16 ? "output_half_pixel" : "half_pixel"))
        == "half_pixel" ? 0.5 : 0
    let rows = x.permuted([0, 2, 3, 1]).reshaped([s[0] * s[2] * s[3], s[1]])
    let corners = boxes.value.elements
    try require(
      corners.allSatisfy { abs($0 * scale) < 1e6 } && ratio < 1 << 20 && height < 1 << 20
        && width < 1 << 20, "a region that is nowhere")
    var results: [Variable] = []
    for (n, image) in batch.enumerated() {
      let c = corners[4 * n..<4 * n + 4].map { $0 * scale - shift }
      var (w, h) = (c[2] - c[0], c[3] - c[1])
      if shift == 0 { (w, h) = (max(w, 1), max(h, 1)) }
      let (binW, binH) = (w / Float(width), h / Float(height))
      let across = ratio > 0 ? ratio : max(1, Int(ceilf(binW)))
      let down = ratio > 0 ? ratio : max(1, Int(ceilf(binH)))
      try checked([batch.count, height, width, across, down, 4])
      try checked([height, width, across, down, 4, s[1]])
      var (places, weights): ([Int], [Float]) = ([], [])
      for bin in 0..<height * width {
        for sample in 0..<across * down {
          let y = c[1] + (Float(bin / width) + (Float(sample / across) + 0.5) / Float(down)) * binH
          let x =
            c[0] + (Float(bin % width) + (Float(sample % across) + 0.5) / Float(across)) * binW
          let isOutside = y < -1 || x < -1 || y > Float(s[2]) || x > Float(s[3])
          let (py, px) = (min(max(y, 0), Float(s[2] - 1)), min(max(x, 0), Float(s[3] - 1)))
          let (top, left) = (Int(py), Int(px))
          let (fy, fx) = (py - Float(top), px - Float(left))
          for (dy, dx) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let (row, column) = (min(top + dy, s[2] - 1), min(left + dx, s[3] - 1))
            places.append((image * s[2] + row) * s[3] + column)
            weights.append(isOutside ? 0 : (dy == 0 ? 1 - fy : fy) * (dx == 0 ? 1 - fx : fx))
          }
        }
      }
      let samples = across * down
      let parts = rows.gathered(places) * Variable(Tensor(weights, shape: [weights.count, 1]))
      let bins =
        isMaximum
        ? parts.reshaped([height * width, samples * 4, s[1]]).maximum(1)
        : parts.reshaped([height * width, samples * 4, s[1]]).sum([1]) * (1 / Float(samples))
      results.append(bins.permuted([1, 0]).reshaped([1, s[1], height, width]))
    }
    return results.isEmpty ? Variable(.zeros([0, s[1], height, width])) : .concatenated(results)
  }
}
