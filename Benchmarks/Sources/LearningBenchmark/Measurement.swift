import Datasets
import Foundation
import Symmetry
import TensorCore
import Training

extension Predictor {
  /// The fraction of classes that change when inputs are moved by the symmetries of the data, or the root mean
  /// square of the difference of outputs.
  func invarianceError(on inputs: Tensor, _ configuration: RunConfiguration) -> Double {
    var random = RandomStream(seed: 5, name: "benchmark/moves")
    let factors = configuration.data.symmetries.compactMap { domain.group(named: $0) }
    var motions = [Motion](repeating: Motion(), count: inputs.shape[0])
    for factor in factors { motions = motions.map { $0.after(factor.sample(&random)) } }
    let plain = outputs(for: inputs)
    let found = outputs(for: domain.inputs.act(motions, on: inputs))
    guard task.presentation == .classes else {
      return Double((found - outputs.act(motions, on: plain)).squared().mean().scalar).squareRoot()
    }
    let changed = zip(found.largestColumn(), plain.largestColumn()).count { $0 != $1 }
    return Double(changed) / Double(inputs.shape[0])
  }

  /// The error on upright digits that are turned by each of `measuredAngles`.
  func errors(onUpright examples: Examples) -> [Double] {
    measuredAngles.map { angle in
      let turn = Motion(isometry: PlanarIsometry(residual: angle * .pi / 180))
      let turned = domain.inputs.act(
        [Motion](repeating: turn, count: examples.count), on: examples.inputs)
      let found = outputs(for: turned).largestColumn()
      return Double(zip(found, examples.labels).count { $0 != $1 }) / Double(examples.count)
    }
  }
}

/// The angles at which the error is measured, in degrees.
let measuredAngles = stride(from: 0.0, to: 360, by: 15).map { $0 }
