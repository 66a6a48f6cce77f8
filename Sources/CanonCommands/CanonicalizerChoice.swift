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
  /// Below which margin a pose is not acted on, where the model was calibrated.
  var minMargin: Double? { loaded?.file.figures[Calibrate.figure] }
  /// By how much poses turn at most, in radians, where others are left as they came.
  let window: Double?
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
        "--group is for the names pca, pca-sign and gradient, and not for \(name); among settings it is a key: {kind: pca, group: C4}."
      )
    }
    let keys = group.map { ", group: '\($0)'" } ?? ""
    let word = name.hasPrefix("{") ? name : "{kind: \(name)\(keys)}"
    self.name = group == nil ? name : word
    if name.hasPrefix("{") || isHeuristic {
      let (images, steps) = try CanonicalizerChoice.steps(word)
      (domain, loaded, window, poses) = (images, nil, steps.window, { steps.poses(of: $0) })
      return
    }
    try CanonicalizerChoice.requireKnown(name)
    let loaded = try LoadedModel(name)
    let model = loaded.model
    window = model.canonicalized?.steps.window
    (domain, self.loaded, poses) = (loaded.domain, loaded, { model.poses(of: $0) })
  }

  /// - Throws: `CommandError` for a name that is neither a model's nor a canonicalizer's.
  static func requireKnown(_ name: String) throws {
    guard FileManager.default.fileExists(atPath: name) || ShippedModels.path(of: name) != nil else {
      let shipped = ShippedModels.names
      let known = shipped + CanonicalizerChoice.heuristics
      let question = nearest(name, in: known).map { " Did you mean '\($0)'?" } ?? ""
      throw CommandError(
        "\(name) is neither a model nor one of the canonicalizers "
          + "\(CanonicalizerChoice.heuristics.joined(separator: ", "))"
          + (shipped.isEmpty
            ? ", and there are no models beside the program, or in the folder CANON_MODELS"
            : ", and no model of the name comes with canon (\(shipped.map(\.visible).joined(separator: ", ")))")
          + ".\(question)")
    }
  }

  private static func steps(_ yaml: String) throws -> (ImageDomain, Steps) {
    var keys = try Keys(text: yaml, source: "the canonicalizer")
    let type = try keys.options(
      among: Canon.catalog.canonicalizers.filter { !$0.isLearned }, kind: { $0.kind },
      default: IdentityOptions.kind)
    // It sees an image of a size that shows its shape, in gray.
    let images = ImageDomain(size: type.sideAlone)
    var step = CanonicalizedOptions.StepOptions(type.init())
    try step.read(&keys, for: images)
    try keys.finish()
    return (images, Steps([Step(try step.make(CanonicalizerBuild(domain: images)))], of: images))
  }
}
