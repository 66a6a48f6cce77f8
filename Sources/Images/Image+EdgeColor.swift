extension Image {
  /// The color of the picture's own edge, in 0…1 a channel: the median of each; nothing where it has alpha.
  ///
  /// What lies beside a page that is turned is paper then, and beside a dark picture dark.
  public var edgeColor: [Float] {
    guard channels % 2 == 1 else { return [Float](repeating: 0, count: channels) }
    var edge: [Int] = []
    for x in 0..<width { edge += [x, (height - 1) * width + x] }
    for y in 0..<height { edge += [y * width, y * width + width - 1] }
    return (0..<channels).map { c in
      let values = edge.map { samples[$0 * channels + c] }.sorted()
      return Float(values[values.count / 2]) / Float(maximum)
    }
  }
}
