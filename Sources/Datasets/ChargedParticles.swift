import Glibc
public import TensorCore

/// Systems of charged particles that attract and repel each other in space, simulated.
///
/// The N-body task of the literature on equivariant networks (Kipf et al. 2018, arXiv 1802.04687, in
/// space as by Satorras et al. 2021, arXiv 2102.09844).
///
/// Charges are ±1, places normal with deviation 1, velocities of length 0.5 in a uniform direction;
/// the force between two is *q* *q*′ *r* / |*r*|³, and a component of the sum at most 100. Leapfrog
/// steps of 0.001; a frame is 100 steps.
public struct ChargedParticles: Sendable {
  /// `[systems, particles, 7]`: position, velocity and charge of each at the first frame.
  public let states: Tensor
  /// `[systems, particles, 3]`: the positions at the last frame.
  public let targets: Tensor

  private static let (step, largestForce, stepsPerFrame) = (0.001, 100.0, 100)

  /// Simulates systems.
  ///
  /// - Parameters:
  ///   - count: How many systems; the first are the same whatever their number.
  ///   - particles: How many are in a system.
  ///   - first: The frame that `states` shows.
  ///   - last: The frame that `targets` shows.
  ///   - seed: What the systems follow from.
  /// - Complexity: O(systems · frames · particles²), in parallel.
  public init(
    count: Int, particles: Int = 5, first: Int = 30, last: Int = 40, seed: UInt64 = 0
  ) {
    let systems = Parallel.map(Array(0..<count)) { number in
      var random = RandomStream(seed: seed, name: "system/\(number)")
      return ChargedParticles.simulate(particles, first, last, using: &random)
    }
    states = Tensor(systems.flatMap(\.state), shape: [count, particles, 7])
    targets = Tensor(systems.flatMap(\.target), shape: [count, particles, 3])
  }

  private static func simulate(
    _ count: Int, _ first: Int, _ last: Int, using random: inout RandomStream
  ) -> (state: [Float], target: [Float]) {
    let charges = (0..<count).map { _ in random.uniform() < 0.5 ? -1.0 : 1.0 }
    var place = (0..<count).map { _ in SIMD3(random.normal(), random.normal(), random.normal()) }
    var velocity = (0..<count).map { _ -> SIMD3<Double> in
      let v = SIMD3(random.normal(), random.normal(), random.normal())
      return v * (0.5 / (v * v).sum().squareRoot())
    }
    var state: [Float] = []
    for done in 0... {
      if done == first * stepsPerFrame {
        state = (0..<count).flatMap { i -> [Float] in
          let (p, v) = (place[i], velocity[i])
          return [p.x, p.y, p.z, v.x, v.y, v.z, charges[i]].map { Float($0) }
        }
      }
      if done == last * stepsPerFrame { break }
      for i in 0..<count {
        var force = SIMD3<Double>()
        for j in 0..<count where j != i {
          let apart = place[i] - place[j]
          let square = (apart * apart).sum()
          force += apart * (charges[i] * charges[j] / (square * square.squareRoot()))
        }
        force.clamp(
          lowerBound: SIMD3(repeating: -largestForce), upperBound: SIMD3(repeating: largestForce))
        velocity[i] += step * force
      }
      for i in 0..<count { place[i] += step * velocity[i] }
    }
    return (state, place.flatMap { [Float($0.x), Float($0.y), Float($0.z)] })
  }
}
