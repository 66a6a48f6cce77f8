public import Symmetry
public import TensorCore

/// How often a predicted code is nearest to the code of what was predicted, among those of a batch of 32
/// (arXiv 2207.03116, section 5).
///
/// A last batch of fewer is left out where there are several: among fewer it is easier.
public struct HitRate: Sendable, Equatable {
  /// Among how many codes one is to be found.
  public static let batch = 32

  public let hits, count: Int
  public var value: Double { count > 0 ? Double(hits) / Double(count) : .nan }

  /// Half of Wilson's interval of one standard error.
  public var sampling: Double {
    let n = Double(max(1, count))
    return (value * (1 - value) / n + 0.25 / (n * n)).squareRoot() / (1 + 1 / n)
  }

  /// Compares rows of codes; one that is not a number hits nothing.
  public init(predicted: Tensor, actual: Tensor) {
    require(predicted.shape == actual.shape, "codes \(predicted.shape) and \(actual.shape)")
    let (rows, width) = (predicted.shape[0], predicted.shape[1])
    let (a, b) = (predicted.elements, actual.elements)
    var (hits, count) = (0, 0)
    for start in stride(from: 0, to: rows, by: HitRate.batch) {
      let end = min(rows, start + HitRate.batch)
      if end - start < HitRate.batch && start > 0 { break }
      for n in start..<end {
        var (nearest, least) = (-1, Float.infinity)
        for m in start..<end {
          let distance = (0..<width).reduce(Float(0)) { sum, i in
            let difference = a[n * width + i] - b[m * width + i]
            return sum + difference * difference
          }
          if distance < least { (nearest, least) = (m, distance) }
        }
        hits += nearest == n ? 1 : 0
        count += 1
      }
    }
    (self.hits, self.count) = (hits, count)
  }
}

/// How far found poses are from actual ones, after the translation from the right by which each orbit's frame
/// differs: what an encoder is free to choose.
///
/// An orbit with a single example is left out: there nothing is left to be
/// wrong.
public struct PoseErrors: Sendable {
  /// Distances in the group, smallest first; infinite where a pose is no number.
  public let sorted: [Double]

  public init(
    found: [AmbientGroup.Element], actual: [AmbientGroup.Element], orbits: [Int],
    in group: AmbientGroup
  ) {
    let places = Dictionary(grouping: found.indices) { orbits[$0] }.filter { $0.value.count > 1 }
    sorted = places.values.flatMap { indices -> [Double] in
      // h(x) = g h₀: the mean of g⁻¹ h(x) is the frame.
      let frames = indices.map { group.compose(group.inverse(actual[$0]), found[$0]) }
      let frame = group.mean(frames)
      return frames.map {
        let distance = group.distance($0, frame)
        return distance.isNaN ? .infinity : distance
      }
    }.sorted()
  }

  /// How many orbits have a single example.
  public static func single(_ orbits: [Int]) -> Int {
    Dictionary(orbits.map { ($0, 1) }, uniquingKeysWith: +).values.count { $0 == 1 }
  }

  /// The error that so many are below.
  public func quantile(_ fraction: Double) -> Double {
    sorted.isEmpty
      ? .nan : sorted[min(sorted.count - 1, Int(fraction * Double(sorted.count)))]
  }
}
