import Autodiff
import Layers
import TensorCore

/// A network that gives the numbers of images, 0 to 1, as one that gives their logits: what `restore` takes a sigmoid of.
struct PixelLogits: Layer {
  /// Nearer to 0 and to 1 nothing is told apart: a 250th of a step of 8 bits.
  private static let least: Float = 1.6e-5
  let network: ONNXLayer

  var parameters: [(name: String, parameter: Parameter)] { network.parameters }
  var structure: [UInt8]? { network.structure }

  func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    let most = 1 - Self.least
    let above = (network(input, on: tape) - Self.least).relu() + Self.least
    let y = (above * -1 + most).relu() * -1 + most
    return y.log() - (y * -1 + 1).log()
  }
}
