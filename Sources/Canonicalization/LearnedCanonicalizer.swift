public import Autodiff
import Layers
public import Symmetry
public import TensorCore

/// A learned canonicalizer for the rotations *C*ₙ, or rotations and reflections *D*ₙ, of images
/// (Kaba et al., Equivariance with Learned Canonicalization Functions, ICML 2023).
///
/// A lifting convolution and group convolutions score every element of the group, and the best is
/// the pose. The scores of a turned image are the turned scores. One layer with a kernel as large
/// as the image is a matched filter: each score is the product of the image with a turned template.
public struct LearnedCanonicalizer<Group: FiniteGroup & PlanarGroup>: ScoringCanonicalizer {
  public typealias Architecture = ScoringArchitecture
  public typealias PoseGroup = Group
  public let action: ImageAction<Group>
  public let architecture: Architecture
  public let gradient: PoseGradient
  public let temperature: Float
  public let isFrozen: Bool
  public let alignment: ClassAlignment?
  private let network: ScoringNetwork<Group>
  private let mask: Tensor

  /// Creates a canonicalizer with random weights.
  ///
  /// - Precondition: The kernels fit into the image.
  public init(
    _ group: Group, _ architecture: Architecture, gradient: PoseGradient = .straightThrough,
    temperature: Float = 1, isFrozen: Bool = false, alignment: ClassAlignment? = nil,
    border: BorderPolicy = .zero,
    using random: inout RandomStream
  ) {
    action = ImageAction(group, border: border)
    self.architecture = architecture
    self.gradient = gradient
    self.temperature = temperature
    self.isFrozen = isFrozen
    self.alignment = alignment
    mask = discMask(height: architecture.size, width: architecture.size)
    network = ScoringNetwork(group, architecture, using: &random)
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    network.parameters + (alignment?.parameters ?? [])
  }

  /// - Precondition: Images have the architecture's size and channels.
  public func scores(_ batch: Variable, on tape: Tape) -> Variable {
    let a = architecture
    precondition(
      Array(batch.shape.extents.dropFirst()) == [a.size, a.size, a.inputChannels],
      "images \(batch.shape) for a canonicalizer of \(a.size) × \(a.size) × \(a.inputChannels)")
    return network.scores(batch * Variable(mask), on: tape)
  }
}
