// The command with a canonicalizer of one's own: `OwnCommand train my.yaml` knows {kind: bright-left}.
import CanonCommands
import Canonicalization
import Layers
import Settings
import Symmetry
import TensorCore

/// Flips an image so that its brighter half is on the left.
struct BrightLeft: ImageCanonicalizer {
  typealias PoseGroup = Dihedral
  let action = ImageAction(Dihedral(1))

  func poses(of batch: Tensor) -> [Pose<Dihedral.Element>] {
    action.group.exactPoses(of: batch) { images in
      let half = images.shape[2] / 2
      let left = images.sliced(0..<half, axis: 2).mean([1, 2, 3])
      let right = images.sliced(images.shape[2] - half..<images.shape[2], axis: 2).mean([1, 2, 3])
      return zip(left.elements, right.elements).map { left, right in
        let elements = action.group.elements
        return Pose(
          elements[left < right ? 1 : 0], margin: abs(left - right),
          ties: left == right ? [elements[1]] : [])
      }
    }
  }
}

struct BrightLeftOptions: CanonicalizerOptions {
  static let kind = "bright-left"
  static let summary = "Flips an image so that its brighter half is on the left."

  mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {
    _ = try keys.images(domain, Self.kind)
  }

  func make(_ build: CanonicalizerBuild) throws(SettingsError) -> any TrainableCanonicalizer {
    BrightLeft()
  }
}

Canon.main(adding: [BrightLeftOptions.self])
