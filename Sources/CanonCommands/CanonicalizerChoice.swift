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
  let model: (any Predictor)?
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
      (domain, model, poses) = (images, nil, { steps.poses(of: $0) })
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
    (domain, self.model, poses) = (loaded.domain, model, { model.poses(of: $0) })
  }

  private static func steps(_ yaml: String, _ images: ImageDomain) throws -> Steps {
    var keys = try Keys(text: "canonicalizer: \(yaml)", source: "the canonicalizer")
    var made: [Step] = []
    try keys.list("canonicalizer", count: 0) { (inner, _) throws(SettingsError) in
      let type = try inner.options(
        among: Canon.catalog.canonicalizers.filter { !$0.isLearned }, kind: { $0.kind },
        default: "identity")
      var options = type.init()
      try options.read(&inner, for: images)
      made.append(Step(try options.make(CanonicalizerBuild(domain: images))))
    }
    return Steps(made, of: images)
  }
}
