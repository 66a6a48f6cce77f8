import Glibc
public import TensorCore

/// A generator of affine maps of the plane that was found in pairs of images.
public struct FoundGenerator: Sendable {
  /// The rows of (*A*, *t*), of length 1, its first number that is not small positive; lengths in halves of the smaller side, *y* down.
  public let tangent: [Double]
  /// How far along it each of its pairs lies: *y* = exp(amount · tangent)·*x*.
  public let amounts: [Double]
  /// The pairs that it explains better than the others do, by their places.
  public let pairs: [Int]
  /// 1 − Σ|*y* − exp(…)·*x*|² / Σ|*y* − *x*|² over these pairs: 1 where it explains all, 0 where it explains nothing.
  public let explained: Double
  /// The same of pairs that do not belong together, each *x* with the *y* of the next: what a generator seems to explain by moving
  /// pictures out of sight.
  public let null: Double

  /// The group of its elements.
  public var group: PlanarAffine { PlanarAffine([.found(tangent)]) }

  /// The angle between two generators as vectors of six numbers, up to scale and sign, in radians: 0…π/2.
  public static func angle(_ a: [Double], _ b: [Double]) -> Double {
    func dot(_ a: [Double], _ b: [Double]) -> Double {
      zip(a, b).reduce(0) { $0 + $1.0 * $1.1 }
    }
    return acos(min(1, abs(dot(a, b)) / (dot(a, a) * dot(b, b)).squareRoot()))
  }
}

/// Why no generator can be found, in a sentence.
public struct DiscoveryError: Error, CustomStringConvertible {
  public let description: String
}

/// Finds the generators of pairs of images that were moved by unknown amounts along them.
///
/// It minimizes Σᵢ min over *t* of |*yᵢ* − exp(*t A*)·*xᵢ*|² over *A*. Each amount is found by a search along the orbit, and *A* by
/// Gauss–Newton steps from which the amounts are eliminated (variable projection: Golub & Pereyra 1973), first on blurred images,
/// then on sharper ones. It begins with those of the known directions that explain the pairs best. With several generators each pair
/// belongs to the one that explains it best.
public struct GeneratorDiscovery: Sendable {
  /// How many generators there are.
  public let count: Int
  public let border: BorderPolicy

  /// - Precondition: `count` is from 1 to 6.
  public init(count: Int = 1, border: BorderPolicy = .zero) {
    require((1...6).contains(count), "\(count) generators of affine maps of the plane")
    (self.count, self.border) = (count, border)
  }

  /// Directions to begin with, of length 1.
  private static let starts: [[Double]] = [
    PlanarAffine.Generator.rotation, .horizontalShift, .verticalShift, .scaling, .stretch,
    .diagonalStretch,
  ].map { normalized($0.tangent) }

  /// The generators of pairs, those with the most pairs first.
  ///
  /// - Parameters:
  ///   - x: `[count, height, width, channels]`.
  ///   - y: The same, moved.
  /// - Throws: `DiscoveryError` where the pairs are too few, no numbers, do not differ, or are not explained by any generator.
  public func generators(of x: Tensor, _ y: Tensor) throws(DiscoveryError) -> [FoundGenerator] {
    guard x.shape == y.shape, x.shape.rank == 4 else {
      throw DiscoveryError(
        description: "pairs are images of one shape, and these are \(x.shape) and \(y.shape)")
    }
    let pairs = x.shape[0]
    guard pairs >= 4 * count else {
      throw DiscoveryError(
        description: "\(pairs) pairs are too few for \(count) generators: \(4 * count) are needed")
    }
    let apart = (y - x).memberSquares
    guard apart.allSatisfy(\.isFinite) else {
      let place = apart.firstIndex { !$0.isFinite } ?? 0
      throw DiscoveryError(description: "pair \(place) holds numbers that are none")
    }
    guard apart.contains(where: { $0 > 0 }) else {
      throw DiscoveryError(description: "no pair differs: there is nothing to explain")
    }
    let blurs = [4, 1, 0]
    var found = chosenStarts(x.blurred(blurs[0]), y.blurred(blurs[0]))
    var owners: [Int] = []
    for blur in blurs {
      let (bx, by) = (x.blurred(blur), y.blurred(blur))
      for _ in 0..<(blur == 0 ? 12 : 8) {
        let fits = found.map { fit($0, bx, by) }
        owners = (0..<pairs).map { n in
          fits.indices.reduce(0) { fits[$1].squares[n] < fits[$0].squares[n] ? $1 : $0 }
        }
        found = found.enumerated().map { k, tangent in
          let own = owners.indices.filter { owners[$0] == k }
          return own.isEmpty
            ? tangent
            : improved(
              tangent, bx.gathered(own), by.gathered(own), own.map { fits[k].amounts[$0] })
        }
      }
    }
    return try result(found, owners, x, y, apart)
  }

  private func result(
    _ found: [[Double]], _ owners: [Int], _ x: Tensor, _ y: Tensor, _ apart: [Double]
  ) throws(DiscoveryError) -> [FoundGenerator] {
    let all = found.enumerated().compactMap { k, tangent -> FoundGenerator? in
      let own = owners.indices.filter { owners[$0] == k }
      guard !own.isEmpty else { return nil }
      let lead = tangent.first { abs($0) > 0.1 } ?? 1
      let signed = tangent.map { lead < 0 ? -$0 : $0 }
      let fit = fit(signed, x.gathered(own), y.gathered(own))
      let (left, whole) = (fit.squares.reduce(0, +), own.reduce(0) { $0 + apart[$1] })
      let others = y.gathered(Array(own.dropFirst()) + own.prefix(1))
      let strange = (others - x.gathered(own)).memberSquares.reduce(0, +)
      let strangeLeft = self.fit(signed, x.gathered(own), others).squares.reduce(0, +)
      return FoundGenerator(
        tangent: signed, amounts: fit.amounts, pairs: own,
        explained: whole > 0 ? 1 - left / whole : 0,
        null: own.count > 1 && strange > 0 ? 1 - strangeLeft / strange : 0)
    }
    guard let best = all.max(by: { $0.explained < $1.explained }),
      best.explained >= best.null + 0.2
    else {
      let (part, null) = all.first.map { ($0.explained, $0.null) } ?? (0, 0)
      throw DiscoveryError(
        description:
          "no generator of affine maps explains the pairs: the best explains \(Int(100 * max(0, part))) % of their differences, and \(Int(100 * max(0, null))) % of pairs that do not belong together"
      )
    }
    return all.filter { $0.explained >= $0.null + 0.2 }.sorted { $0.pairs.count > $1.pairs.count }
  }

  /// Those of the known directions that explain pairs best together, taken one after the other.
  private func chosenStarts(_ x: Tensor, _ y: Tensor) -> [[Double]] {
    let errors = GeneratorDiscovery.starts.map { fit($0, x, y).squares }
    var (chosen, left) = ([Int](), [Double](repeating: .infinity, count: x.shape[0]))
    for _ in 0..<count {
      func together(_ k: Int) -> Double { zip(left, errors[k]).reduce(0) { $0 + min($1.0, $1.1) } }
      let free = errors.indices.filter { !chosen.contains($0) }
      guard let best = free.min(by: { together($0) < together($1) }) else { break }
      chosen.append(best)
      left = zip(left, errors[best]).map { min($0, $1) }
    }
    return chosen.map { GeneratorDiscovery.starts[$0] }
  }

  private func moved(_ x: Tensor, _ tangent: [Double], _ amounts: [Double]) -> Tensor {
    let group = PlanarAffine([.init(tangent)])
    return AffineImageAction(group, border: border).act(amounts.map { group.exp([$0]) }, on: x)
  }

  /// How far along a generator amounts are looked for: half around where it turns, else until lengths or places change by about 1.
  static func reach(_ tangent: [Double]) -> Double {
    // A turn so slow is taken for none.
    if let turn = PlanarAffine.Generator(tangent).turn, turn.half < .pi / 0.02.squareRoot() {
      return turn.half
    }
    return 1 / max(0.3, tangent.map(abs).max() ?? 1)
  }

  /// The amount of each pair that fits best, and what is left of its difference.
  private func fit(
    _ tangent: [Double], _ x: Tensor, _ y: Tensor
  ) -> (amounts: [Double], squares: [Double]) {
    let (pairs, reach) = (x.shape[0], GeneratorDiscovery.reach(tangent))
    func squares(_ amounts: [Double]) -> [Double] {
      (y - moved(x, tangent, amounts)).memberSquares
    }
    var (best, least) = ([Double](repeating: 0, count: pairs), [Double]())
    least = squares(best)
    let nodes = 48
    for k in 0...nodes {
      let place = reach * (2 * Double(k) / Double(nodes) - 1)
      for (n, value) in squares([Double](repeating: place, count: pairs)).enumerated()
      where value < least[n] {
        (best[n], least[n]) = (place, value)
      }
    }
    // Between nodes by halving steps.
    var step = reach / Double(nodes)
    for _ in 0..<9 {
      for sign in [-1.0, 1] {
        let tried = best.map { $0 + sign * step }
        for (n, value) in squares(tried).enumerated() where value < least[n] {
          (best[n], least[n]) = (tried[n], value)
        }
      }
      step /= 2
    }
    return (best, least)
  }

  /// One Gauss–Newton step of a generator at the amounts that fit it; the generator itself where none makes it better.
  private func improved(
    _ tangent: [Double], _ x: Tensor, _ y: Tensor, _ amounts: [Double]
  ) -> [Double] {
    let h = 1e-3
    func difference(_ up: Tensor, _ down: Tensor) -> Tensor {
      (up - down).reshaped([x.shape[0], -1]) * Float(1 / (2 * h))
    }
    let residual = (y - moved(x, tangent, amounts)).reshaped([x.shape[0], -1])
    let along = difference(
      moved(x, tangent, amounts.map { $0 + h }), moved(x, tangent, amounts.map { $0 - h }))
    let square = along.squared().sum([1], keepingAxes: true) + Tensor(1e-12)
    /// Without its part along the orbit, which the amounts take up.
    func projected(_ v: Tensor) -> Tensor {
      v - along * ((v * along).sum([1], keepingAxes: true) / square)
    }
    let columns = (0..<6).map { j in
      func changed(_ by: Double) -> [Double] {
        tangent.enumerated().map { $0 == j ? $1 + by : $1 }
      }
      return projected(
        difference(moved(x, changed(h), amounts), moved(x, changed(-h), amounts)))
    }
    let rest = projected(residual)
    func dot(_ a: Tensor, _ b: Tensor) -> Double { Double((a * b).sum().scalar) }
    var normal = (0..<36).map { dot(columns[$0 / 6], columns[$0 % 6]) }
    let right = columns.map { dot($0, rest) }
    let trace = (0..<6).reduce(0) { $0 + normal[$1 * 7] }
    guard trace > 0 else { return tangent }
    // The scale of the generator is free: what is added keeps the matrix from being singular along it.
    for j in 0..<6 { normal[j * 7] += 1e-3 * trace }
    let step = AffineMap(matrix: normal).inverse.linear(right)
    // Of pixels whose squares are beyond a `Float` nothing follows.
    guard step.allSatisfy(\.isFinite) else { return tangent }
    let before = residual.squared().sum().scalar
    for length in [1.0, 0.5, 0.25, 0.1] {
      let next = normalized(zip(tangent, step).map { $0 + length * $1 })
      let fit = fit(next, x, y)
      if Float(fit.squares.reduce(0, +)) < before { return next }
    }
    return tangent
  }
}

private func normalized(_ tangent: [Double]) -> [Double] {
  let length = tangent.reduce(0) { $0 + $1 * $1 }.squareRoot()
  return tangent.map { $0 / length }
}

extension Tensor {
  /// The sum of squares of each member.
  fileprivate var memberSquares: [Double] {
    reshaped([shape[0], -1]).squared().sum([1]).elements.map { Double($0) }
  }

  /// Images smoothed so many times by (1, 2, 1)/4 along both axes.
  fileprivate func blurred(_ times: Int) -> Tensor {
    var result = self
    for _ in 0..<times {
      for axis in [1, 2] {
        let extent = result.shape[axis]
        let before = Array(shape.extents[..<axis]) + [1] + Array(shape.extents[(axis + 1)...])
        let edge = Tensor.zeros(Shape(before))
        let low = Tensor.concatenated(
          [edge, result.sliced(0..<extent - 1, axis: axis)], axis: axis)
        let high = Tensor.concatenated([result.sliced(1..<extent, axis: axis), edge], axis: axis)
        result = (low + high) * 0.25 + result * 0.5
      }
    }
    return result
  }
}
