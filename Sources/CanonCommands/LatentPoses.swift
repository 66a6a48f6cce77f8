import Canonicalization
import Datasets
import Settings
import Symmetry
import Training

extension Poses {
  /// How the pose of one input goes as it is moved once around.
  private struct TraceLine: Codable {
    var orbit, winding: Int
    var largestJumpDegrees, lipschitz: Double
  }

  /// Moves inputs once around, and says how their poses follow.
  func trace(_ model: OrbitModel, _ file: ModelFile) throws {
    guard data == "test", recenter == nil else {
      throw CommandError(
        "\(self.model) is traced along orbits of its test part: name the word test, and leave --recenter away."
      )
    }
    let kind = type(of: file.configuration.data).kind
    guard let paired = file.configuration.data as? any PairedOptions else {
      throw CommandError("Data of kind '\(kind)' say of no input how it looks once around.")
    }
    let orbits = try paired.orbits(traced, steps: 720)
    let traces = orbits.compactMap(model.trace)
    guard !traces.isEmpty else {
      throw CommandError(
        "\(self.model) has no pose that goes around: its group is \(model.space.group.name), or its action is learned."
      )
    }
    let lines = traces.enumerated().map { n, trace in
      TraceLine(
        orbit: n, winding: trace.winding, largestJumpDegrees: trace.largestJump * 180 / .pi,
        lipschitz: trace.lipschitz)
    }
    if json {
      try lines.forEach { try emit($0.jsonLine) }
    } else {
      try emit(
        table(
          ["orbit", "winding", "largest jump", "Lipschitz"],
          lines.map { line in
            [
              "\(line.orbit)", "\(line.winding)", "\(line.largestJumpDegrees.formatted(2))°",
              line.lipschitz.formatted(1),
            ]
          }))
    }
    if !common.quiet && !json {
      note(
        "The poses of \(traces.count { $0.winding == 1 }) of \(traces.count) orbits go once around as the input does. Half a degree changes one by "
          + "\((lines.map(\.largestJumpDegrees).max() ?? 0).formatted(1))° at most.")
    }
  }
}
