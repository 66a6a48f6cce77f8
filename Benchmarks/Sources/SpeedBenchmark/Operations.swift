import CBLASReference
import Foundation
import Symmetry
import TensorCore

/// What the machine can do, measured, on all threads together.
struct Roof: Codable {
  /// In floating-point operations, and bytes, per second.
  var arithmetic, bandwidth: Double

  init() {
    arithmetic = Profiler.measuredPeak()
    let count = 1 << 24
    // x + 1 reads and writes once.
    let x = Tensor.ones([count])
    let time = (0..<10).map { _ in seconds { _ = x + 1 } }.min() ?? 1
    bandwidth = Double(2 * 4 * count) / time
  }
}

/// A convolution and its two gradients, by both algorithms.
struct ConvolutionRow: Codable {
  var name: String
  /// Floating-point operations per second by the definition: forward, input and weight gradient.
  var direct, winograd4, winograd7: [Double]
  /// The root mean square error of the forward result against `Double`, relative to the result's.
  var directError, winograd4Error, winograd7Error: Double
}

func convolutionRows(runs: Int) -> [ConvolutionRow] {
  var random = RandomStream(seed: 1, name: "convolutions")
  let cases = [
    (28, 1, 32, 3), (28, 32, 32, 3), (14, 32, 64, 3), (14, 64, 64, 3), (7, 64, 128, 3),
    (28, 32, 32, 5), (14, 64, 64, 5), (14, 128, 128, 3), (24, 64, 64, 1), (24, 128, 128, 1),
    (28, 1, 128, 5), (28, 8, 8, 3), (28, 16, 16, 3),
  ]
  return cases.map { side, inputs, outputs, kernel in
    let g = ConvolutionGeometry(padding: kernel / 2)
    let x = Tensor.uniform([128, side, side, inputs], from: -1, to: 1, using: &random)
    let w = Tensor.uniform([kernel, kernel, inputs, outputs], from: -0.1, to: 0.1, using: &random)
    let dy = x.convolved(with: w, g, algorithm: .direct)
    let work = Double(2 * dy.shape.count * kernel * kernel * inputs)
    func rates(_ algorithm: ConvolutionAlgorithm) -> [Double] {
      let products: [() -> Tensor] = [
        { x.convolved(with: w, g, algorithm: algorithm) },
        { dy.convolutionInputGradient(weight: w, inputShape: x.shape, g, algorithm: algorithm) },
        { dy.convolutionWeightGradient(input: x, weightShape: w.shape, g, algorithm: algorithm) },
      ]
      return products.map { product in
        work / Times((0..<runs + 3).map { _ in seconds { _ = product() } }.suffix(runs)).median
      }
    }
    let exact = reference(x[0].elements, w.elements, side, inputs, outputs, kernel)
    func error(_ algorithm: ConvolutionAlgorithm) -> Double {
      let found = x.sliced(0..<1).convolved(with: w, g, algorithm: algorithm).elements
      let square = zip(found, exact).reduce(0.0) { $0 + pow(Double($1.0) - $1.1, 2) }
      return (square / exact.reduce(0.0) { $0 + $1 * $1 }).squareRoot()
    }
    return ConvolutionRow(
      name: "\(side)×\(side), \(inputs) → \(outputs), \(kernel)×\(kernel)", direct: rates(.direct),
      winograd4: kernel == 3 ? rates(.winograd4) : [],
      winograd7: kernel == 3 ? rates(.winograd7) : [], directError: error(.direct),
      winograd4Error: error(.winograd4), winograd7Error: error(.winograd7))
  }
}

/// The convolution of one image with padding k / 2, by the definition, in `Double`.
private func reference(
  _ x: [Float], _ w: [Float], _ side: Int, _ inputs: Int, _ outputs: Int, _ kernel: Int
) -> [Double] {
  var y = [Double](repeating: 0, count: side * side * outputs)
  for i in 0..<side * side {
    for tap in 0..<kernel * kernel {
      let (r, q) = (i / side + tap / kernel - kernel / 2, i % side + tap % kernel - kernel / 2)
      guard 0..<side ~= r, 0..<side ~= q else { continue }
      for c in 0..<inputs {
        let value = Double(x[(r * side + q) * inputs + c])
        for o in 0..<outputs {
          y[i * outputs + o] += value * Double(w[(tap * inputs + c) * outputs + o])
        }
      }
    }
  }
  return y
}

/// The matrix product against OpenBLAS called from C, in turn.
func productRow(runs: Int) -> Row {
  var random = RandomStream(seed: 2, name: "product")
  let n = 1024
  let (a, b) = (Tensor.uniform([n, n], using: &random), Tensor.uniform([n, n], using: &random))
  let (x, y) = (a.elements, b.elements)
  var c = [Float](repeating: 0, count: n * n)
  var (mine, blas): ([Double], [Double]) = ([], [])
  for run in 0..<3 * runs + 3 {
    let own = steady { seconds { _ = a.matmul(b) } } ?? 0
    let other =
      steady { seconds { reference_product(Int32(Parallel.threadCount), Int32(n), x, y, &c) } } ?? 0
    // OpenBLAS's threads keep spinning for a while after their work.
    Thread.sleep(forTimeInterval: 0.1)
    if run >= 3 {
      mine.append(own)
      blas.append(other)
    }
  }
  let (canon, other) = (Times(mine), Times(blas))
  return Row(
    name: "matrix product 1024³", canon: canon, peer: other, ratio: other.median / canon.median,
    bar: 0.97, note: "OpenBLAS called from C, \(Parallel.threadCount) threads")
}

/// Bilinear rotation of 128 images of 224 × 224 × 3.
func rotationRows(runs: Int, peer: Peer?) -> [Row] {
  var random = RandomStream(seed: 3, name: "rotation")
  let images = Tensor.uniform([128, 224, 224, 3], using: &random)
  let action = ImageAction(SO2())
  let turns = (0..<128).map { _ in action.group.sample(using: &random) }
  return [("grid_sample", "0", 2.5), ("affine_grid + grid_sample", "1", 2.5)].map {
    name, grid, bar in
    compare(
      "rotation, 128 × 224 × 224 × 3, \(name)", runs: runs, bar: bar, peer: peer,
      ["rotate 0 \(grid)", "rotate 1 \(grid)"]
    ) { _ = action.act(turns, on: images) }
  }
}

/// Functions of each of 2²⁰ numbers.
func functionRows(runs: Int, peer: Peer?) -> [Row] {
  var random = RandomStream(seed: 4, name: "functions")
  let x = Tensor.uniform([1 << 20], from: 0.1, to: 4, using: &random)
  let functions: [(String, (Tensor) -> Tensor)] = [
    ("exp", { $0.exponential() }), ("log", { $0.logarithm() }),
    ("tanh", { $0.hyperbolicTangent() }), ("sigmoid", { $0.sigmoid() }),
    ("softplus", { $0.softplus() }), ("silu", { $0.swish() }), ("gelu", { $0.gelu() }),
  ]
  return functions.map { name, function in
    compare("\(name) of 2²⁰ numbers", runs: runs, peer: peer, ["function \(name)"]) {
      _ = function(x)
    }
  }
}
