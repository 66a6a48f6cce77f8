import Canon
import Foundation

/// What people do without a model: the direction of lines by their profile, what is up by ascenders.
///
/// Of a page whose lines run across, the rows of each line's core (x-height) are found, and the ink just above them is
/// compared with that just below: in Latin, Cyrillic and Greek text more letters have ascenders than descenders
/// (Bloomberg, Kopec & Dasari 1995, doi 10.1117/12.205832).
struct AscenderHeuristic {
  /// The angle of a page, in radians, from its `[1, size, size, 1]`.
  func angle(of input: Tensor) -> Double {
    let lines = TextLines(reach: 20 * .pi / 180)
    let pose = lines.poses(of: input)[0]
    let straight = lines.action.act([lines.action.group.inverse(pose.element)], on: input)
    let (size, pixels) = (straight.shape[1], straight.elements)
    let mean = pixels.reduce(0, +) / Float(pixels.count)
    func dark(_ x: Int, _ y: Int) -> Float {
      // The circle that every turn keeps.
      let (dx, dy) = (Double(2 * x - size), Double(2 * y - size))
      guard dx * dx + dy * dy < 0.9 * Double(size * size) else { return 0 }
      return pixels[y * size + x] < mean - 0.15 ? 1 : 0
    }
    var (rows, columns) = ([Float](repeating: 0, count: size), [Float](repeating: 0, count: size))
    for y in 0..<size {
      for x in 0..<size {
        let d = dark(x, y)
        rows[y] += d
        columns[x] += d
      }
    }
    func steepness(_ p: [Float]) -> Float {
      zip(p, p.dropFirst()).reduce(0) { $0 + ($1.1 - $1.0) * ($1.1 - $1.0) }
    }
    // Lines down the page: it lies on its side; columns are read as rows then.
    let isOnSide = steepness(columns) > steepness(rows)
    let vote = ascenders(isOnSide ? columns : rows)
    var turns = isOnSide ? 3 : 0
    if vote < 0 { turns += 2 }
    let element = lines.action.group.compose(pose.element, PlanarIsometry(quarterTurns: turns))
    return element.angle
  }

  /// Ink above the cores of lines less that below them.
  private func ascenders(_ profile: [Float]) -> Float {
    let limit = (profile.max() ?? 0) * 0.35
    var (vote, start): (Float, Int?) = (0, nil)
    for y in profile.indices {
      let isCore = profile[y] > limit
      if isCore, start == nil { start = y }
      guard !isCore, let from = start else { continue }
      let height = y - from
      start = nil
      guard height >= 2, height < profile.count / 10 else { continue }
      let reach = max(1, height / 2)
      let above = profile[max(0, from - reach)..<from].reduce(0, +)
      let below = profile[y..<min(profile.count, y + reach)].reduce(0, +)
      vote += above - below
    }
    return vote
  }
}
