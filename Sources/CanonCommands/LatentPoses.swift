import Canonicalization
import Datasets
import Settings
import Symmetry
import TensorCore
import Training

extension Poses {
  /// How the pose of one input goes as it is moved once around.
  private struct TraceLine: Codable {
    var orbit, winding: Int
    var largestJumpDegrees, lipschitz: Double
    /// On the way through an input that a half turn leaves as it is, where there is such a thing.
    var symmetryChangeDegrees, symmetryJumpDegrees: Double?
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
      throw CommandError(
        "Data of kind '\(kind)' do not say how an input looks once around; 'scenes' and 'moved-images' do."
      )
    }
    guard limit == nil else {
      throw CommandError("Orbits are traced, --traced of them: leave --limit away.")
    }
    guard traced > 0 else { throw CommandError("--traced is 0: no orbit is looked at.") }
    let orbits = try paired.orbits(
      traced, steps: 720, seed: UInt64(file.configuration.seed))
    let angles = orbits.compactMap(model.angles)
    if let unusable = angles.firstIndex(where: { !$0.allSatisfy(\.isFinite) }) {
      throw CommandError(
        "What \(self.model) says of orbit \(unusable) is no number: its weights are not usable.")
    }
    let traces = angles.map(OrbitTrace.init(angles:))
    guard !traces.isEmpty else {
      throw CommandError(
        paired.group.factors.contains(.circle)
          ? "\(self.model) has no poses: its action is no multiplication."
          : "No pose of \(self.model) goes around: its group, \(model.space.group.name), has no circle."
      )
    }
    let crossings = paired.isLinear ? orbits.compactMap(model.crossing) : []
    if let unusable = crossings.firstIndex(where: { !$0.largestJump.isFinite }) {
      throw CommandError(
        "What \(self.model) says near orbit \(unusable) is no number: its weights are not usable.")
    }
    let lines = traces.indices.map { n in
      let crossing = n < crossings.count ? crossings[n] : nil
      return TraceLine(
        orbit: n, winding: traces[n].winding,
        largestJumpDegrees: traces[n].largestJump * 180 / .pi, lipschitz: traces[n].lipschitz,
        symmetryChangeDegrees: crossing.map { $0.change * 180 / .pi },
        symmetryJumpDegrees: crossing.map { $0.largestJump * 180 / .pi })
    }
    if json {
      try lines.forEach { try emit($0.jsonLine) }
    } else {
      try emit(
        table(
          ["orbit", "winding", "largest jump", "Lipschitz"]
            + (crossings.isEmpty ? [] : ["past a symmetric input", "at once"]),
          lines.map { line in
            [
              "\(line.orbit)", "\(line.winding)", "\(line.largestJumpDegrees.formatted(2))°",
              line.lipschitz.formatted(1),
            ]
              + [line.symmetryChangeDegrees, line.symmetryJumpDegrees].compactMap {
                $0.map { "\($0.formatted(1))°" }
              }
          }))
    }
    if !common.quiet && !json {
      note(
        "The poses of \(traces.count { $0.winding == 1 }) of \(traces.count) orbits go once around as the input does. Half a degree changes one by "
          + "\((lines.map(\.largestJumpDegrees).max() ?? 0).formatted(1))° at most."
          + (crossings.isEmpty
            ? ""
            : " From an input to itself half a turn on, through their mean, a pose that follows comes 180°, and as much at once as it is exact.")
      )
    }
  }
}
