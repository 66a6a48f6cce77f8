import Symmetry
import TensorCore
import Testing

/// Vectors of the plane stretched along *y* by a factor: what does not commute with turns.
private func stretched(by factor: Float) -> (Tensor) -> Tensor {
  { $0 * Tensor([1, factor]) }
}

private func quarter(_ turns: Int) -> Motion {
  Motion(isometry: PlanarIsometry(quarterTurns: turns))
}

@Suite struct EquivarianceErrorTests {
  private let vectors = Tensor([1, 0, 0, 2, 3, 4], shape: [3, 2])

  @Test("What commutes with the group has no error, and what does not the one that a hand computes")
  func byHand() {
    let none = EquivarianceError(
      of: { $0 * 3 }, on: vectors, under: (0..<4).map(quarter), moving: Vectors(),
      outputs: Vectors())
    #expect(none.largest == 0 && none.mean == 0 && none.relative == 0)
    // f(g x) − g f(x) = (S R − R S) x, a reflection of x times (factor − 1): as long as x for a factor of 2.
    let some = EquivarianceError(
      of: stretched(by: 2), on: vectors, under: [quarter(0), quarter(1)], moving: Vectors(),
      outputs: Vectors(), batch: 2)
    #expect(some.distances == [[0, 0, 0], [1, 2, 5]])
    #expect(some.mean == 8.0 / 6 && some.largest == 5 && some.quantile(0.5) == 1)
    #expect(some.curve.map(\.mean) == [0, 8.0 / 3])
    let lengths = [1.0, 4, 73.0.squareRoot()]
    #expect(zip(some.lengths, lengths).allSatisfy { abs($0 - $1) < 1e-6 })
    #expect(abs(some.relative - 8.0 / 6 / (lengths.reduce(0, +) / 3)) < 1e-6)
    #expect(try! #require(some.worst) == (1, 2))
  }

  @Test("What is not a number is never a figure") func notNumbers() {
    let error = EquivarianceError(
      of: { $0 * .nan }, on: vectors, under: [quarter(1)], moving: Vectors(), outputs: Vectors())
    #expect(error.mean.isNaN && error.largest.isNaN && error.relative.isNaN)
    let empty = EquivarianceError(
      of: { $0 }, on: .zeros([0, 2]), under: [quarter(1)], moving: Vectors(), outputs: Vectors())
    #expect(empty.mean.isNaN && empty.largest.isNaN && empty.worst == nil)
    let partly = EquivarianceError(distances: [[1, .nan, 3]], lengths: [1, 1, 1])
    #expect(partly.largest.isNaN && partly.worst?.input == 1)
  }

  @Test("Pairs an element apart have the error of their noise") func pairs() {
    let turns = [quarter(1), quarter(2), quarter(0)]
    let moved = Vectors().act(turns, on: vectors)
    let error = EquivarianceError(
      ofPairs: vectors, moved + Tensor([0.5, 0, 0, 0, 0, -1], shape: [3, 2]), apart: turns,
      moving: Vectors())
    #expect(error.distances == [[0.5, 0, 1]] && error.largest == 1)
  }

  @Test("A window has its volume, ends and middles") func windows() {
    let window = AlgebraWindow([2, 0, 0.5])
    #expect(window.volume == 4)
    #expect(window.line(along: 0, 3) == [[-2, 0, 0], [0, 0, 0], [2, 0, 0]])
    let grid = window.grid(2)
    #expect(grid == [[-1, 0, -0.25], [-1, 0, 0.25], [1, 0, -0.25], [1, 0, 0.25]])
    // The midpoint rule is exact for what is linear, and off by r³/(3 n²) for the square.
    let mean = window.grid(10).map { $0[0] * $0[0] }.reduce(0, +) / 100
    #expect(abs(mean - (4.0 / 3 - 4.0 / 3 / 100)) < 1e-12)
    var random = RandomStream(seed: 1, name: "window")
    let drawn = window.samples(500, using: &random)
    #expect(drawn.allSatisfy { abs($0[0]) <= 2 && $0[1] == 0 && abs($0[2]) <= 0.5 })
    let deviation = 2 / 3.0.squareRoot() / 500.0.squareRoot()
    #expect(abs(drawn.map { $0[0] }.reduce(0, +) / 500) < 4 * deviation)
  }

  @Test("Long ways around lead back, and reflections are in no reach of an algebra") func reach()
    throws
  {
    let turns = PlanarAffine([.rotation])
    for times in [1.0, 30, 150] {
      #expect(turns.distance(turns.exp([2 * .pi * times]), .identity(2)) < 1e-6 * times)
    }
    let sets = SetDomain(members: 3, dimension: 2)
    #expect(sets.group(named: "O2")?.algebra == nil && sets.group(named: "SO2")?.algebra != nil)
    // Lengths whose squares are beyond a `Float`.
    let error = EquivarianceError(
      of: { $0 * 1e25 }, on: vectors, under: [quarter(1)], moving: Vectors(), outputs: Scores())
    #expect(error.largest.isFinite && error.largest > 1e25)
  }

  @Test("Factors that are Lie groups have an algebra together, others none") func algebras() throws
  {
    let images = ImageDomain()
    let turn = try #require(images.group(named: "SO2"))
    let rigid = try #require(images.group(named: "SE2"))
    let both = try #require(MotionGroup([turn, rigid]).algebra)
    #expect(both.window.radii == [.pi, .pi, 0.3, 0.3])
    let motion = both.exponential([0.2, 0.3, 0, 0])
    #expect(abs(motion.planarMap.nearestAngle - 0.5) < 1e-9)
    let finite = try #require(images.group(named: "C4"))
    #expect(MotionGroup([turn, finite]).algebra == nil && MotionGroup([]).algebra == nil)
    // The same for an affine group's own law: exp(−a) undoes exp(a).
    for name in ["SL2", "GL2", "scalings", "T2", "similarity", "affine"] {
      let algebra = try #require(images.group(named: name)?.algebra)
      let a = algebra.window.radii.enumerated().map { 0.2 / Double($0.offset + 1) }
      let there = algebra.exponential(a).planarMap
      let back = algebra.exponential(a.map { -$0 }).planarMap
      let product = there.after(back)
      #expect(PlanarAffine.all.distance(product, .identity(2)) < 1e-9, "\(name)")
      if name == "SL2" { #expect(abs(there.determinant - 1) < 1e-9) }
    }
  }
}
