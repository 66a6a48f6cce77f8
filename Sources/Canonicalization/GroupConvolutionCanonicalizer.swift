public import Autodiff
import Layers
public import Settings
public import Symmetry
public import TensorCore

/// A learned canonicalizer for the rotations *C*ₙ, or rotations and reflections *D*ₙ, of images
/// (Kaba et al., Equivariance with Learned Canonicalization Functions, ICML 2023).
///
/// A lifting convolution and group convolutions score every element of the group, and the best is
/// the pose. The scores of a turned image are the turned scores. One layer with a kernel as large
/// as the image is a matched filter: each score is the product of the image with a turned template.
public struct GroupConvolutionCanonicalizer<Group: FiniteGroup & PlanarGroup>: ScoringCanonicalizer
{
  public typealias Architecture = ScoringArchitecture
  public typealias PoseGroup = Group
  public let action: ImageAction<Group>
  public let architecture: Architecture
  public let gradient: PoseGradient
  public let temperature: Float
  public let alignment: ClassAlignment?
  private let network: ScoringNetwork<Group>
  private let mask: Tensor

  /// Creates a canonicalizer with random weights.
  ///
  /// - Precondition: The kernels fit into the image.
  public init(
    _ group: Group, _ architecture: Architecture, gradient: PoseGradient = .straightThrough,
    temperature: Float = 1, alignment: ClassAlignment? = nil,
    border: BorderPolicy = .zero,
    using random: inout RandomStream
  ) {
    action = ImageAction(group, border: border)
    self.architecture = architecture
    self.gradient = gradient
    self.temperature = temperature
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
    require(
      Array(batch.shape.extents.dropFirst()) == [a.size, a.size, a.inputChannels],
      "images \(batch.shape) for a canonicalizer of \(a.size) × \(a.size) × \(a.inputChannels)")
    return network.scores(batch * Variable(mask), on: tape)
  }
}

extension GroupConvolutionCanonicalizer: ExportableCanonicalizer {}

/// The settings of `{kind: learned}`.
public struct LearnedOptions: CanonicalizerOptions {
  public static let kind = "learned"
  public static let summary =
    "A group convolutional network scores each rotation (and reflection) of an image."
  public static let isLearned = true
  public var group = "C8"
  public var kernel = 5
  public var groupKernel = 1
  public var channels = 16
  public var layers = 3
  public var batchNorm = true
  public var refine = false
  public var average = 1
  public var pose = LearnedPose()
  public var prior: Float { pose.prior }
  public var teaching: [String] { pose.teaching }

  public init() {}

  public mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {
    let images = try keys.images(domain, Self.kind)
    kernel = min(kernel, images.size)
    try keys.readFiniteGroup(&group)
    try keys.read(
      "kernel", &kernel, in: 1...1024,
      "side of the first layer's kernels; the image's with one layer is a matched filter")
    try keys.read("layers", &layers, in: 1...16, "how many layers")
    if layers > 1 || keys.lists {
      try keys.read("groupKernel", &groupKernel, in: 1...64, "side of the later layers' kernels")
    }
    try keys.read("channels", &channels, in: 1...1024, "channels of each layer")
    try keys.read("batchNorm", &batchNorm, "batch norm between layers")
    try keys.read("refine", &refine, "find the pose between the group's elements too")
    if !refine {
      try keys.read("average", &average, in: 1...256, "average outputs over so many best poses")
    }
    try pose.readChoice(&keys)
    try pose.readLosses(&keys)
    if kernel + (layers - 1) * (groupKernel - 1) > images.size {
      throw keys.failure(
        "kernels \(kernel) and \(groupKernel) in \(layers) layers do not fit into "
          + "\(images.size) pixels")
    }
    let order = finitePlanarGroup(group)?.order ?? 1
    try keys.refuse(weights: kernel, kernel, images.channels, channels, order)
    if layers > 1 {
      try keys.refuse(weights: groupKernel, groupKernel, channels, channels, order, order)
    }
  }

  public func make(_ build: CanonicalizerBuild) throws(SettingsError) -> any TrainableCanonicalizer
  {
    let images = try build.images(Self.kind)
    func opened<G: FiniteGroup & PlanarGroup>(_ group: G) -> any TrainableCanonicalizer {
      var random = build.random()
      let base = GroupConvolutionCanonicalizer(
        group,
        .init(
          size: images.size, inputChannels: images.channels, kernel: kernel,
          groupKernel: groupKernel, channels: channels, layers: layers, hasBatchNorm: batchNorm),
        gradient: pose.poseGradient, temperature: pose.temperature,
        alignment: pose.classAlignment(build, images), border: images.border, using: &random)
      return refine ? base.refined() : base
    }
    guard let found = finitePlanarGroup(group) else {
      throw Keys().failure("'group' is '\(group)' but must be like C8 or D4")
    }
    return opened(found)
  }
}
