import Glibc
public import TensorCore

/// Smoke in a square box of an incompressible fluid, that rises: a small solver in the plane.
///
/// A state is an image of three channels: how dense the smoke is, the vorticity ω, and where smoke flows in, which stays. ω is carried by the
/// velocity **u** = (∂ψ/∂*y*, −∂ψ/∂*x*) with ∇²ψ = −ω and ψ = 0 at the walls (slip), by the semi-Lagrangian method of Stam 1999
/// (*Stable fluids*) with bilinear sampling; the smoke's weight turns it, ∂ω/∂*t* = −b ∂*s*/∂*x*; smoke and vorticity fade. Quarter
/// turns of the box commute with all of it but with the smoke's rise: the buoyancy *b* is what breaks the symmetry. Lengths are
/// pixels, *y* down; a time of 1 is a step of the solver.
public struct SmokePlume: Sendable, Hashable {
  /// Pixels of a side.
  public let size: Int
  /// *b*, per step and unit of density.
  public let buoyancy: Double
  private static let (fading, inflow) = (0.98, 0.3)

  public init(size: Int = 32, buoyancy: Double) {
    (self.size, self.buoyancy) = (size, buoyancy)
  }

  /// The sines of the transform that makes the Laplacian with walls of 0 diagonal; it is its own inverse.
  private var sines: [Double] {
    let n = Double(size + 1)
    return (0..<size * size).map { k in
      (2 / n).squareRoot() * sin(.pi * Double((k / size + 1) * (k % size + 1)) / n)
    }
  }

  /// The product of two square matrices.
  private func product(_ a: [Double], _ b: [Double]) -> [Double] {
    var result = [Double](repeating: 0, count: size * size)
    for i in 0..<size {
      for k in 0..<size {
        let factor = a[i * size + k]
        for j in 0..<size { result[i * size + j] += factor * b[k * size + j] }
      }
    }
    return result
  }

  /// ψ with ∇²ψ = −ω, by sine transforms along both axes.
  private func streamFunction(_ vorticity: [Double], _ sines: [Double]) -> [Double] {
    var spectrum = product(product(sines, vorticity), sines)
    let eigenvalues = (0..<size).map { k in
      2 - 2 * cos(.pi * Double(k + 1) / Double(size + 1))
    }
    for k in spectrum.indices {
      spectrum[k] /= eigenvalues[k / size] + eigenvalues[k % size]
    }
    return product(product(sines, spectrum), sines)
  }

  /// A field's value between pixels, 0 beyond the walls.
  private func sampled(_ field: [Double], _ x: Double, _ y: Double) -> Double {
    let (column, row) = (x.rounded(.down), y.rounded(.down))
    let (fx, fy) = (x - column, y - row)
    func at(_ r: Double, _ c: Double) -> Double {
      // A place that is no number lies beyond the walls too.
      let isInside = r >= 0 && c >= 0 && r < Double(size) && c < Double(size)
      return isInside ? field[Int(r) * size + Int(c)] : 0
    }
    return (1 - fy) * ((1 - fx) * at(row, column) + fx * at(row, column + 1))
      + fy * ((1 - fx) * at(row + 1, column) + fx * at(row + 1, column + 1))
  }

  /// One step of the solver.
  private func step(
    _ smoke: inout [Double], _ vorticity: inout [Double], source: [Double], _ sines: [Double]
  ) {
    let psi = streamFunction(vorticity, sines)
    func value(_ field: [Double], _ row: Int, _ column: Int) -> Double {
      row < 0 || column < 0 || row >= size || column >= size ? 0 : field[row * size + column]
    }
    var (nextSmoke, nextVorticity) = (smoke, vorticity)
    for row in 0..<size {
      for column in 0..<size {
        let k = row * size + column
        // No more than three pixels a step: where the flow is faster, as at a strong vortex, it is held back.
        let u = (value(psi, row + 1, column) - value(psi, row - 1, column)) / 2
        let v = (value(psi, row, column - 1) - value(psi, row, column + 1)) / 2
        let speed = (u * u + v * v).squareRoot()
        let held = speed > 3 ? 3 / speed : 1
        let (x, y) = (Double(column) - u * held, Double(row) - v * held)
        let gradient = (value(smoke, row, column + 1) - value(smoke, row, column - 1)) / 2
        nextSmoke[k] = SmokePlume.fading * sampled(smoke, x, y) + SmokePlume.inflow * source[k]
        nextVorticity[k] =
          SmokePlume.fading * sampled(vorticity, x, y) - buoyancy * gradient
      }
    }
    (smoke, vorticity) = (nextSmoke, nextVorticity)
  }

  /// The states after some steps, `[count, size, size, 3]` → the same.
  ///
  /// - Complexity: O(count · steps · size³), in parallel over states.
  public func states(after steps: Int, _ states: Tensor) -> Tensor {
    let (numbers, pixels) = (states.elements, size * size)
    let sines = sines
    let moved = Parallel.map(Array(0..<states.shape[0])) { n -> [Float] in
      func channel(_ c: Int) -> [Double] {
        (0..<pixels).map { Double(numbers[(n * pixels + $0) * 3 + c]) }
      }
      var (smoke, vorticity) = (channel(0), channel(1))
      let source = channel(2)
      for _ in 0..<steps { step(&smoke, &vorticity, source: source, sines) }
      return (0..<pixels).flatMap { [Float(smoke[$0]), Float(vorticity[$0]), Float(source[$0])] }
    }
    return Tensor(moved.flatMap { $0 }, shape: states.shape)
  }

  /// Boxes to begin with: smoke that has flowed in for a while at a place drawn, among three eddies, `[count, size, size, 3]`.
  ///
  /// What is drawn has no direction that is preferred; where buoyancy is not 0 what the while made of it has.
  public func starts(_ count: Int, seed: UInt64) -> Tensor {
    let states = Parallel.map(Array(0..<count)) { n -> [Float] in
      var random = RandomStream(seed: seed, name: "plume/\(n)")
      let side = Double(size)
      func place() -> (x: Double, y: Double) {
        (
          side * (0.2 + 0.6 * random.uniformDouble()) - 0.5,
          side * (0.2 + 0.6 * random.uniformDouble()) - 0.5
        )
      }
      let inlet = place()
      let eddies = (0..<3).map { _ in (place(), random.normal()) }
      return (0..<size * size).flatMap { k -> [Float] in
        let (x, y) = (Double(k % size), Double(k / size))
        func near(_ p: (x: Double, y: Double), _ radius: Double) -> Double {
          let square = (x - p.x) * (x - p.x) + (y - p.y) * (y - p.y)
          return exp(-square / (2 * radius * radius))
        }
        let vorticity = eddies.reduce(0) { $0 + $1.1 * near($1.0, side / 10) }
        return [0, Float(vorticity), Float(near(inlet, side / 16))]
      }
    }
    let first = Tensor(states.flatMap { $0 }, shape: [count, size, size, 3])
    return self.states(after: 8, first)
  }
}
