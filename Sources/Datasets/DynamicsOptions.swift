public import Settings
public import Symmetry
public import TensorCore

/// The settings of `{kind: dynamics}`: states of a body in the plane, and by how much each has changed after a time.
public struct DynamicsOptions: RuledOptions {
  public static let kind = "dynamics"
  public static let summary =
    "A damped oscillator or a pendulum in the plane, whose symmetry under turns is broken by so much; what it does next is to be told."
  public var system = PlanarDynamics.System.oscillator
  public var breaking: Float = 0
  public var count = 256
  public var time: Float = 1
  public init() {}

  private var dynamics: PlanarDynamics { PlanarDynamics(system, breaking: Double(breaking)) }

  public var domain: any Domain {
    SetDomain(members: 1, dimension: 2, columns: [.point, .vector])
  }
  public var task: String { "flow" }
  public var symmetries: [String] { ["SO2"] }

  public mutating func read(_ keys: inout Keys, input: inout Keys) throws(SettingsError) {
    try keys.read("system", &system, "what moves")
    try keys.read(
      "breaking", &breaking, in: 0...100,
      "what breaks the symmetry: stiffness along one axis, or the pendulum's weight")
    try keys.read(
      "count", &count, in: 8...1_000_000, "states to train on; a quarter of them to validate")
    try keys.read("time", &time, in: 0.01...100, "after which the next state is told")
  }

  public func next(_ states: Tensor) -> Tensor { dynamics.states(after: Double(time), states) }

  private func part(_ count: Int, seed: UInt64) -> Examples {
    let starts = dynamics.starts(count, seed: seed)
    return Examples(inputs: starts, ["change": next(starts) - starts])
  }

  public func load(seed: UInt64) throws -> Dataset {
    Dataset(train: part(count, seed: 1), valid: part(max(8, count / 4), seed: 2))
  }

  public func test(seed: UInt64) throws -> Examples? { part(1000, seed: 3) }
}
