import ArgumentParser
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
  /// As a manifest records it.
  let name: String
  /// The whole model, where there is one.
  let loaded: LoadedModel?
  /// Finds the poses of a batch.
  let poses: @Sendable (Tensor) -> [Pose<Motion>]

  /// The names of those that need no training.
  static var heuristics: [String] {
    Canon.catalog.canonicalizers.filter { !$0.isLearned }.map { $0.kind }
  }

  /// - Throws: `SettingsError` for a name with wrong settings, `WeightsError` where no model can be read.
  ///
  /// - Parameter group: To whose rotations poses are kept.
  init(_ name: String, group: String? = nil) throws {
    let isHeuristic = CanonicalizerChoice.heuristics.contains(name)
    guard group == nil || isHeuristic else {
      throw ValidationError(
        "--group is for pca, pca-sign and gradient; \(name) is none of them."
      )
    }
    let keys = group.map { ", group: '\($0)'" } ?? ""
    let word = name.hasPrefix("{") ? name : "{kind: \(name)\(keys)}"
    self.name = group == nil ? name : word
    if name.hasPrefix("{") || isHeuristic {
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
