import Autodiff
import Layers
import Symmetry
import TensorCore

/// A group convolution of single pixels by the plain kernel and by the group's Fourier transform.
struct GroupRow: Codable {
  var order, channels: Int
  /// Milliseconds an image of 24 × 24: the value, and the value with both gradients.
  var plain, fourier: [Double]
}

/// What the convolution on *C*ₙ costs as *n* grows; both ways in turn.
func groupRows(runs: Int) -> [GroupRow] {
  var random = RandomStream(seed: 1, name: "groups")
  var rows: [GroupRow] = []
  for channels in [8, 16, 32] {
    for order in [4, 8, 16, 32, 64] {
      let batch = max(2, 8192 / (order * channels))
      let x = Tensor.uniform([batch, 24, 24, order * channels], from: -1, to: 1, using: &random)
      let layers = [false, true].map {
        GroupConvolution(
          Cyclic(order), channels, channels, usesFourierTransform: $0, using: &random)
      }
      func value(_ layer: GroupConvolution<Cyclic>) -> Double {
        let (tape, input) = (Tape.inference(), Variable(x))
        let operand = layer.operand(on: tape)
        return seconds { _ = layer.apply(operand, to: input) }
      }
      func gradients(_ layer: GroupConvolution<Cyclic>) -> Double {
        let (tape, input) = (
          Tape.training(random: random), Variable(x, requiresGradient: true)
        )
        return seconds {
          let y = layer(input, on: tape)
          _ = Gradients(of: y, weights: y.value)
        }
      }
      let times = (0..<max(5, runs / 3)).map { _ in
        layers.map { [value($0), gradients($0)] }
      }.dropFirst(2)
      func medians(_ way: Int) -> [Double] {
        (0..<2).map { n in Times(times.map { $0[way][n] }).median * 1e3 / Double(batch) }
      }
      rows.append(
        GroupRow(order: order, channels: channels, plain: medians(0), fourier: medians(1)))
    }
  }
  return rows
}
