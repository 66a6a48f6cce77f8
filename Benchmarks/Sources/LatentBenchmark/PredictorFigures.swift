import Datasets
import Foundation
import Symmetry
import TensorCore
import Training

/// What is measured of a model that predicts: its error, how far it and its data are from equivariance, what it tells of
/// many steps, and of images that are turned.
struct PredictorFigures {
  let model: any Predictor
  let data: any DatasetOptions
  let examples: Examples
  /// The figures that a task shows: only these are measured.
  let wanted: [String]

  func measured() throws -> [(name: String, value: Double)] {
    var all: [(name: String, value: Double)] = []
    let quality = model.quality(on: examples)
    if let error = quality.error {
      all.append(("error", error))
    } else {
      all.append(("root mean squared error", quality.loss.squareRoot()))
    }
    for name in wanted {
      if name.hasPrefix("error at "), let angle = Double(name.dropFirst(9).dropLast()) {
        all.append((name, errorOfTurned(by: angle)))
      }
      if name.hasPrefix("error after "), let steps = Int(name.dropFirst(12).prefix { $0 != " " }),
        let ruled = data as? any RuledOptions
      {
        all.append((name, rollout(steps, ruled)))
      }
    }
    if wanted.contains(where: { $0.hasPrefix("ε") }) { all += epsilons() }
    return all
  }

  /// The rate of wrong classes of inputs that are all turned by an angle, in degrees.
  private func errorOfTurned(by degrees: Double) -> Double {
    let turn = Motion(isometry: PlanarIsometry(residual: degrees * .pi / 180))
    let examples = examples.prefix(4000)
    var (wrong, count) = (0, 0)
    for start in stride(from: 0, to: examples.count, by: 512) {
      let part = examples.selecting(start..<min(examples.count, start + 512))
      let moved = model.domain.inputs.act(
        [Motion](repeating: degrees == 0 ? Motion() : turn, count: part.count), on: part.inputs)
      let found = model.predict(moved).output.largestColumn()
      wrong += zip(found, part.labels).count { $0 != $1 }
      count += part.count
    }
    return Double(wrong) / Double(max(1, count))
  }

  /// The root mean square of the distance of states after so many steps from what the rule makes of them.
  private func rollout(_ steps: Int, _ ruled: any RuledOptions) -> Double {
    let first = examples.prefix(256).inputs
    guard let told = model.rollout(from: first, steps: steps).last,
      let right = ruled.states(after: first, steps: steps).last
    else { return .nan }
    return Double((told - right).squared().mean().scalar).squareRoot()
  }

  private func epsilons() -> [(name: String, value: Double)] {
    let factors = data.symmetries.compactMap { model.domain.group(named: $0) }
    let group = MotionGroup(factors)
    let elements =
      group.elements.map { Array($0.dropFirst()) }
      ?? group.algebra.map { algebra in
        var random = RandomStream(seed: 0, name: "window")
        return algebra.window.samples(16, using: &random).map(algebra.exponential)
      } ?? []
    let states = examples.prefix(256).inputs
    func error(_ function: (Tensor) -> Tensor) -> EquivarianceError {
      EquivarianceError(
        of: function, on: states, under: elements, moving: model.domain.inputs,
        outputs: model.outputs)
    }
    let own = error { model.predict($0).output }
    var all = [("ε of the model", own.mean), ("ε of the model, relative", own.relative)]
    if let ruled = data as? any RuledOptions {
      let rule = error { ruled.next($0) - $0 }
      all += [("ε of the data", rule.mean), ("ε of the data, relative", rule.relative)]
    }
    return all
  }
}
