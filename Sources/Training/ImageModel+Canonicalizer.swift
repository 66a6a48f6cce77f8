import Canonicalization
import Layers
import Symmetry
import TensorCore

/// The canonicalizers of images that a configuration can name.
extension ImageModel {
  static func canonicalizer(
    _ configuration: RunConfiguration, _ classes: Int
  ) -> any ImageCanonicalizer {
    let c = configuration.canonicalizer
    switch c.kind {
    case .identity, .energy, .adaptive: return IdentityCanonicalizer()
    case .frame: preconditionFailure("a frame is for sets of points, not images")
    case .pca: return PrincipalAxis(usesThirdMoment: false, threshold: 0.5, border: c.border)
    case .pcaSign: return PrincipalAxis(threshold: 0.5, border: c.border)
    case .pcaLearned:
      var random = RandomStream(seed: UInt64(configuration.seed), name: "canonicalizer")
      return ChosenTie(
        PrincipalAxis(usesThirdMoment: false, threshold: 0.5, border: c.border),
        network: Backbone.scorer(
          size: configuration.input.size, channels: configuration.input.channels, width: c.channels,
          features: 1, using: &random))
    case .gradient: return GradientOrientation(border: c.border)
    case .steerable:
      return c.group == "O2"
        ? steerable(O2(), configuration, classes) : steerable(SO2(), configuration, classes)
    case .learned, .orbit:
      let order = Int(c.group.dropFirst()) ?? 1
      return c.group.hasPrefix("D")
        ? chosen(learned(Dihedral(order), configuration, classes), c)
        : chosen(learned(Cyclic(order), configuration, classes), c)
    }
  }

  /// A canonicalizer, with refined poses where they are wanted.
  private static func chosen(
    _ base: any ScoringCanonicalizer, _ c: RunConfiguration.Canonicalizer
  ) -> any ImageCanonicalizer { c.refine ? base.refined() : base }

  /// The step before: an energy's descent, or moments.
  static func normalizer(
    _ configuration: RunConfiguration
  ) -> (any TrainableCanonicalizer<AffineImageAction>)? {
    let (c, input) = (configuration.canonicalizer, configuration.input)
    if c.kind == .energy {
      let group: PlanarAffine =
        switch c.group {
        case "SE2": .rigidMotions
        case "similarity": .similarities
        case "affine": .all
        default: PlanarAffine([.rotation])
        }
      var random = RandomStream(seed: UInt64(configuration.seed), name: "canonicalizer")
      return EnergyDescent(
        AffineImageAction(group, border: c.border),
        energy: Backbone.scorer(
          size: input.size, channels: input.channels, width: c.channels, features: 1,
          using: &random),
        starts: EnergyDescent.turns(c.starts), steps: c.steps)
    }
    var steps: [any TrainableCanonicalizer<AffineImageAction>] = []
    switch c.center {
    case .none: break
    case .mass: steps.append(MomentNormalization(.center, border: c.border))
    case .learned:
      var random = RandomStream(seed: UInt64(configuration.seed), name: "center")
      steps.append(LearnedCenter(channels: input.channels, border: c.border, using: &random))
    }
    if c.scale { steps.append(MomentNormalization(.scale, border: c.border)) }
    return steps.isEmpty ? nil : NormalizationChain(steps, .similarities, border: c.border)
  }

  private static func learned<Group: FiniteGroup & PlanarGroup>(
    _ group: Group, _ configuration: RunConfiguration, _ classes: Int
  ) -> any ScoringCanonicalizer {
    let c = configuration.canonicalizer
    var random = RandomStream(seed: UInt64(configuration.seed), name: "canonicalizer")
    let gradient = c.gradient == .mixture ? PoseGradient.mixture(count: c.poses) : .straightThrough
    let input = configuration.input
    let alignment = alignment(configuration, classes)
    if c.kind == .orbit {
      let network = Backbone.scorer(
        size: input.size, channels: input.channels, width: c.channels, features: c.features,
        using: &random)
      return OrbitCanonicalizer(
        group, network: network, features: c.features, gradient: gradient,
        temperature: c.temperature,
        isFrozen: c.frozen, contrast: c.contrast, alignment: alignment, border: c.border,
        using: &random)
    }
    return LearnedCanonicalizer(
      group,
      .init(
        size: input.size, inputChannels: input.channels,
        kernel: c.kernel, groupKernel: c.groupKernel, channels: c.channels, layers: c.layers,
        hasBatchNorm: c.batchNorm),
      gradient: gradient, temperature: c.temperature, isFrozen: c.frozen, alignment: alignment,
      border: c.border, using: &random)
  }

  private static func steerable<Group: PlanarGroup>(
    _ group: Group, _ configuration: RunConfiguration, _ classes: Int
  ) -> any ImageCanonicalizer where Group.Element == PlanarIsometry {
    let (c, input) = (configuration.canonicalizer, configuration.input)
    var random = RandomStream(seed: UInt64(configuration.seed), name: "canonicalizer")
    return SteerableCanonicalizer(
      group, size: input.size, channels: input.channels, width: c.channels,
      nonlinearity: c.nonlinearity, alignment: alignment(configuration, classes),
      consistency: c.consistency, copies: c.copies, border: c.border, using: &random)
  }

  /// The templates of classes, where the configuration wants them.
  private static func alignment(
    _ configuration: RunConfiguration, _ classes: Int
  ) -> ClassAlignment? {
    let (c, input) = (configuration.canonicalizer, configuration.input)
    guard c.alignment > 0 && classes > 0 else { return nil }
    var random = RandomStream(seed: UInt64(configuration.seed), name: "templates")
    return ClassAlignment(
      classes: classes, size: input.size, channels: input.channels, sharpness: c.alignment,
      using: &random)
  }
}

// The opening of an existential canonicalizer.
extension ScoringCanonicalizer {
  fileprivate func refined() -> any ImageCanonicalizer { RefinedPoses(self) }
}
