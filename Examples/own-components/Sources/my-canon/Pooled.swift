import Canon

/// A backbone of one's own, of the layers that are there: `{kind: pooled, cell: 2, width: 32}`.
struct PooledOptions: BackboneOptions {
  static let kind = "pooled"
  static let summary = "Means over cells of pixels, then two layers."
  var cell = 2
  var width = 32

  mutating func read(
    _ keys: inout Keys, for domain: any Domain, output: [Int]
  ) throws(SettingsError) {
    let images = try keys.images(domain, Self.kind)
    try keys.read("cell", &cell, in: 1...images.size, "side of a cell, in pixels")
    try keys.read("width", &width, in: 1...4096, "hidden units")
    if images.size % cell != 0 {
      throw keys.failure("cells of \(cell) pixels do not fill images of \(images.size)")
    }
  }

  func make(
    input: [Int], output: [Int], using random: inout RandomStream
  ) throws(SettingsError) -> any Layer {
    let cells = input[0] / cell * (input[1] / cell) * input[2]
    return Sequential([
      Function.averagePool(cell), Function.flatten,
      Linear(cells, width, using: &random), Function.relu,
      Linear(width, output.reduce(1, *), using: &random),
    ])
  }
}
