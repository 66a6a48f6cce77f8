import Canonicalization
import Datasets
import Foundation
import Settings
import Symmetry
import TensorCore
import Training

/// What inputs are canonicalized by: a trained model, or a canonicalizer that needs no training, by name.
struct CanonicalizerChoice {
  let domain: any ReadableDomain
  /// The whole model, where there is one.
  let loaded: LoadedModel?
  /// Finds the poses of a batch.
  let poses: @Sendable (Tensor) -> [Pose<Motion>]

  /// The names of those that need no training.
  static var heuristics: [String] {
    Canon.catalog.canonicalizers.filter { !$0.isLearned }.map { $0.kind }
  }

  /// - Throws: `SettingsError` for a name with wrong settings, `WeightsError` where no model can be read.
  init(_ name: String) throws {
    let word = name.hasPrefix("{") ? name : "{kind: \(name)}"
    if name.hasPrefix("{") || CanonicalizerChoice.heuristics.contains(name) {
      // It sees an image of a size that shows its shape, in gray.
      let images = ImageDomain(size: 64)
      let steps = try CanonicalizerChoice.steps(word, images)
      (domain, loaded, poses) = (images, nil, { steps.poses(of: $0) })
      return
    }
    guard FileManager.default.fileExists(atPath: name) else {
      let question =
        nearest(name, in: CanonicalizerChoice.heuristics).map { " Did you mean '\($0)'?" } ?? ""
      throw CommandError(
        "\(name) is neither a model nor one of the canonicalizers "
          + "\(CanonicalizerChoice.heuristics.joined(separator: ", ")).\(question)")
    }
    let loaded = try LoadedModel(name)
    let model = loaded.model
    (domain, self.loaded, poses) = (loaded.domain, loaded, { model.poses(of: $0) })
  }

  private static func steps(_ yaml: String, _ images: ImageDomain) throws -> Steps {
    var keys = try Keys(text: yaml, source: "the canonicalizer")
    let type = try keys.options(
      among: Canon.catalog.canonicalizers.filter { !$0.isLearned }, kind: { $0.kind },
      default: IdentityOptions.kind)
    var options = type.init()
    try options.read(&keys, for: images)
    try keys.finish()
    return Steps([Step(try options.make(CanonicalizerBuild(domain: images)))], of: images)
  }
}
