import Foundation
import Images
import TensorCore
import Training

/// How a cost grows along one axis.
struct Curve: Codable {
  var name, axis, unit: String
  var points: [Point]

  struct Point: Codable {
    var x: Double
    var y: Double
  }
}

/// Times, in milliseconds, of the C8 model (or another group) as one thing grows.
func scalingCurves(runs: Int) throws -> [Curve] {
  func median(_ body: () throws -> Void) rethrows -> Double {
    let first = try seconds(body)
    let count = max(5, min(runs, Int(2 / max(first, 1e-6))))
    return Times(try (0..<count + 1).map { _ in try seconds(body) }.suffix(count)).median * 1e3
  }
  func curve(
    _ name: String, _ axis: String, _ unit: String, _ values: [Int], _ time: (Int) throws -> Double
  ) rethrows -> Curve {
    Curve(
      name: name, axis: axis, unit: unit,
      points: try values.map { value in
        let y = try time(value)
        FileHandle.standardError.write(
          Data("\(name), \(axis) \(value): \(String(format: "%.3f", y)) \(unit)\n".utf8))
        return Curve.Point(x: Double(value), y: y)
      })
  }
  let threads = Parallel.threadCount
  defer { Parallel.threadCount = threads }
  return [
    try curve("side", "image side", "ms per image", [28, 56, 112, 224, 512]) { side in
      let trainer = try benchmarkTrainer(order: 8, size: side, batch: 2)
      return median { _ = trainer.predict(trainer.data.train.inputs) } / 2
    },
    try curve("group", "group order", "ms per batch of 128", [1, 2, 4, 8, 16, 32, 64]) { order in
      let trainer = try benchmarkTrainer(order: order)
      return median { _ = trainer.predict(trainer.data.train.inputs) }
    },
    try curve("batch", "batch", "ms per batch", [1, 4, 16, 64, 256, 1024]) { count in
      let trainer = try benchmarkTrainer(order: 8, batch: max(2, count))
      let images = trainer.data.train.inputs.sliced(0..<count)
      return median { _ = trainer.predict(images) }
    },
    try curve("threads", "threads", "ms per training step", Array(1...threads)) { count in
      Parallel.threadCount = count
      var trainer = try benchmarkTrainer(order: 8)
      return try median { try trainer.advance() }
    },
  ]
}

extension Curve {
  /// The curve on logarithmic axes, with its values written beside its points.
  var picture: Image {
    let (width, height, left, bottom, top) = (640, 400, 40, 50, 50)
    var canvas = Canvas(width: width, height: height)
    let (xs, ys) = (points.map { log2($0.x) }, points.map { log2($0.y) })
    func scale(_ values: [Double], _ from: Int, _ to: Int) -> [Int] {
      let (low, high) = (values.min() ?? 0, values.max() ?? 1)
      return values.map { value in
        from
          + Int((Double(to - from) * (high > low ? (value - low) / (high - low) : 0.5)).rounded())
      }
    }
    let px = scale(xs, left + 30, width - 90), py = scale(ys, height - bottom - 30, top + 30)
    canvas.line((left, height - bottom), (width - 20, height - bottom), 0.5)
    canvas.line((left, top), (left, height - bottom), 0.5)
    canvas.write("\(unit)", at: (left, 14))
    canvas.write("\(axis)", at: (width / 2 - 40, height - 20))
    for i in points.indices {
      if i > 0 { canvas.line((px[i - 1], py[i - 1]), (px[i], py[i]), 0.2) }
      canvas.dot((px[i], py[i]))
      canvas.write(String(format: "%g", points[i].x), at: (px[i] - 8, height - bottom + 8))
      let y = points[i].y
      canvas.write(String(format: y < 10 ? "%.2f" : "%.0f", y), at: (px[i] + 8, py[i] - 4))
    }
    return canvas.image
  }
}
