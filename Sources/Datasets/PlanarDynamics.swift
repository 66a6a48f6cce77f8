import Glibc
public import TensorCore

/// Motions of a body in the plane that turns of the plane leave nearly alone: how far from it, one number says.
///
/// States are places and velocities, (*x*, *y*, *u*, *v*). Integrated by the classical Runge–Kutta method in `Double`, in steps
/// of 0.01.
public struct PlanarDynamics: Sendable, Hashable {
  public enum System: String, CaseIterable, Sendable {
    /// A damped oscillator about the origin, hardening, with a force across its velocity as of a magnet: turns of the plane
    /// commute with all of it. `breaking` adds a force (−*x*, *y*) by so much: stiff along one axis, soft along the other.
    case oscillator
    /// A damped body on a circle about the origin. `breaking` is its weight, which pulls down: without it, a rotor, turns commute.
    case pendulum
  }

  public let system: System
  /// How strong what breaks the symmetry is.
  public let breaking: Double

  public init(_ system: System, breaking: Double) {
    (self.system, self.breaking) = (system, breaking)
  }

  private static let step = 0.01

  /// The acceleration in a state.
  private func acceleration(_ s: SIMD4<Double>) -> SIMD2<Double> {
    let (place, velocity) = (s.lowHalf, s.highHalf)
    switch system {
    case .oscillator:
      let square = (place * place).sum()
      let across = SIMD2(-velocity.y, velocity.x)
      return place * -(1 + 0.5 * square) - 0.2 * velocity + 0.5 * across
        + breaking * SIMD2(-place.x, place.y)
    case .pendulum:
      // What holds it on its circle is added: −|v|² x and the part of the weight along the rod.
      let weight = SIMD2(0, -breaking)
      let along = (weight * place).sum() / (place * place).sum()
      let held = (velocity * velocity).sum() / (place * place).sum()
      return weight - along * place - held * place - 0.1 * velocity
    }
  }

  private func change(_ s: SIMD4<Double>) -> SIMD4<Double> {
    SIMD4(lowHalf: s.highHalf, highHalf: acceleration(s))
  }

  /// The state after some time.
  private func after(_ time: Double, _ start: SIMD4<Double>) -> SIMD4<Double> {
    let count = max(1, Int((time / PlanarDynamics.step).rounded(.up)))
    let h = time / Double(count)
    var s = start
    for _ in 0..<count {
      let a = change(s)
      let b = change(s + h / 2 * a)
      let c = change(s + h / 2 * b)
      let d = change(s + h * c)
      let sum = a + 2 * b + 2 * c + d
      s += h / 6 * sum
    }
    return s
  }

  /// The states after some time, `[count, …, 4]` → the same.
  ///
  /// - Complexity: O(states · time), in parallel.
  public func states(after time: Double, _ states: Tensor) -> Tensor {
    let numbers = states.elements.map { Double($0) }
    let moved = Parallel.map(Array(0..<numbers.count / 4)) { n -> [Float] in
      let s = after(
        time, SIMD4(numbers[4 * n], numbers[4 * n + 1], numbers[4 * n + 2], numbers[4 * n + 3]))
      return (0..<4).map { Float(s[$0]) }
    }
    return Tensor(moved.flatMap { $0 }, shape: states.shape)
  }

  /// States to begin with, `[count, 1, 4]`, in all directions alike.
  public func starts(_ count: Int, seed: UInt64) -> Tensor {
    let numbers = (0..<count).flatMap { n -> [Float] in
      var random = RandomStream(seed: seed, name: "\(system)/\(n)")
      switch system {
      case .oscillator:
        return (0..<4).map { _ in Float(random.normal()) }
      case .pendulum:
        let (angle, speed) = (2 * .pi * random.uniformDouble(), 1.5 * random.normal())
        return [cos(angle), sin(angle), -speed * sin(angle), speed * cos(angle)].map { Float($0) }
      }
    }
    return Tensor(numbers, shape: [count, 1, 4])
  }
}
