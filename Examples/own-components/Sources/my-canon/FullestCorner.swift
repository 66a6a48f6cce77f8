import Canon

/// A canonicalizer of one's own: brings the brightest corner of an image to the top left, exactly.
struct FullestCorner: ImageCanonicalizer {
  typealias PoseGroup = KleinFour
  let action: ImageAction<KleinFour>

  func poses(of batch: Tensor) -> [Pose<KleinFour.Element>] {
    let group = action.group
    // Through exact normal forms the answer turns with the image bit for bit.
    return group.exactPoses(of: batch) { images in
      let (half, elements) = (images.shape[1] / 2, group.elements)
      let corners = elements.map { g -> [Float] in
        let copies = [KleinFour.Element](repeating: group.inverse(g), count: images.shape[0])
        return action.act(copies, on: images)
          .sliced(0..<half, axis: 1).sliced(0..<half, axis: 2).mean([1, 2, 3]).elements
      }
      return (0..<images.shape[0]).map { n in
        let order = elements.indices.sorted { corners[$0][n] > corners[$1][n] }
        return Pose(
          elements[order[0]], margin: corners[order[0]][n] - corners[order[1]][n],
          ties: order.dropFirst().filter { corners[$0][n] == corners[order[0]][n] }
            .map { elements[$0] })
      }
    }
  }
}

/// The settings of `{kind: fullest-corner}`.
struct FullestCornerOptions: CanonicalizerOptions {
  static let kind = "fullest-corner"
  static let summary = "Brings the brightest corner of an image to the top left."
  /// A symmetric image has several poses that are as good: outputs are averaged over them.
  var average: Int { 4 }

  mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {
    _ = try keys.images(domain, Self.kind)
  }

  func make(_ build: CanonicalizerBuild) throws(SettingsError) -> any TrainableCanonicalizer {
    FullestCorner(action: ImageAction(KleinFour(), border: try build.images(Self.kind).border))
  }
}
