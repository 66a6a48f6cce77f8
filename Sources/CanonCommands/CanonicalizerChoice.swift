import Canonicalization
import Foundation
import TensorCore
import Training

/// A trained model's canonicalizer, or a heuristic by name.
struct CanonicalizerChoice {
  /// Finds the poses of a batch.
  let poses: @Sendable (Tensor) -> [ImagePose]
  let input: RunConfiguration.Input
  let border: BorderPolicy
  /// The whole model, where it makes images.
  let imageModel: ImageModel?

  /// The heuristics' names.
  static let heuristics = RunConfiguration.Canonicalizer.Kind.allCases
    .filter { !$0.isLearned }.map(\.rawValue)

  /// - Throws: `WeightsError`, where the name is no heuristic's and no model can be read there.
  init(_ name: String) throws {
    var configuration = RunConfiguration()
    if CanonicalizerChoice.heuristics.contains(name),
      let kind = RunConfiguration.Canonicalizer.Kind(rawValue: name)
    {
      // A heuristic sees an image of a size that shows its shape, in gray.
      configuration.input.size = 64
      (border, imageModel) = (.zero, nil)
      input = configuration.input
      let canonicalizer: any ImageCanonicalizer =
        switch kind {
        case .pca: PrincipalAxis(usesThirdMoment: false)
        case .pcaSign: PrincipalAxis()
        case .gradient: GradientOrientation()
        default: IdentityCanonicalizer()
        }
      poses = { canonicalizer.planarPoses(of: $0).map { ImagePose($0) } }
      return
    }
    guard FileManager.default.fileExists(atPath: name) else {
      throw CommandError(
        "\(name) is neither a model nor one of the heuristics "
          + "\(CanonicalizerChoice.heuristics.joined(separator: ", ")).")
    }
    self = CanonicalizerChoice(try ImageModel.load(name).model)
  }

  /// A trained model's canonicalizer.
  init(_ model: ImageModel) {
    poses = { model.poses(of: $0) }
    input = model.configuration.input
    border = model.configuration.canonicalizer.border
    imageModel = model.configuration.data.task == .restore ? model : nil
  }
}
