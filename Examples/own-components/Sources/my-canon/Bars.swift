import Canon
import Foundation

/// A data set of one's own: `{kind: bars, count: 600}`, bars with a bright end, and the axis along them.
struct BarsOptions: DatasetOptions {
  static let kind = "bars"
  static let summary = "Bars with a bright end, and the axis along them as (cos 2α, sin 2α)."
  var count = 600
  var images = ImageDomain(size: 16)

  var domain: any Domain { images }
  var task: String { AxisTask.kind }
  var symmetries: [String] { ["D2"] }

  mutating func read(_ keys: inout Keys, input: inout Keys) throws(SettingsError) {
    try keys.read("count", &count, in: 10...100_000, "how many are drawn to train on")
    try input.read(&images)
  }

  func load(seed: UInt64) throws -> Dataset {
    Dataset(train: bars(count, "train", seed), valid: bars(count / 4, "valid", seed))
  }

  func test(seed: UInt64) throws -> Examples? { bars(count / 2, "test", seed) }

  private func bars(_ count: Int, _ name: String, _ seed: UInt64) -> Examples {
    var random = RandomStream(seed: seed, name: "bars/\(name)")
    let (size, channels) = (images.size, images.channels)
    var (pixels, axes): ([Float], [Float]) = ([], [])
    for _ in 0..<count {
      let angle = 2 * Float.pi * random.uniform()
      let (c, s) = (cos(angle), sin(angle))
      for i in 0..<size * size {
        let middle = Float(size - 1) / 2
        let (x, y) = ((Float(i % size) - middle) / middle, (middle - Float(i / size)) / middle)
        let (along, across) = (x * c + y * s, y * c - x * s)
        let value: Float = abs(across) < 0.25 && abs(along) < 0.9 ? (along > 0.4 ? 1 : 0.4) : 0
        pixels += [Float](repeating: value, count: channels)
      }
      axes += [cos(2 * angle), sin(2 * angle)]
    }
    return Examples(
      inputs: Tensor(pixels, shape: [count, size, size, channels]),
      ["axis": Tensor(axes, shape: [count, 2])])
  }
}
