public import Autodiff
import Symmetry
import TensorCore

/// A network of images that says the same of an image and of its mirror image: the mean of what it says of both.
///
/// In training it sees the image alone: mirrored examples teach it nearly that (`augmentBy: D1`), at half the time.
///
/// **Law.** Bit for bit: the sum of two numbers does not depend on their order.
public struct MirrorAveraged: Layer {
  public let network: any Layer

  public init(_ network: any Layer) { self.network = network }

  public var parameters: [(name: String, parameter: Parameter)] { network.parameters }

  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    guard !tape.isTraining else { return network(input, on: tape) }
    let mirrored = input.warped(byEach: [PlanarIsometry(isReflected: true).samplingMap])
    return (network(input, on: tape) + network(mirrored, on: tape)) * 0.5
  }
}
