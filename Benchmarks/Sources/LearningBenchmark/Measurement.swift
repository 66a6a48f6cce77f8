import Canonicalization
import Foundation
import Layers
import Symmetry
import TensorCore
import Training

/// A model whose invariance can be measured from outside.
protocol Measurable: TrainableModel {
  /// Inputs, each moved by an element drawn for it, and how outputs move with them.
  func moved(
    _ inputs: Tensor, using random: inout RandomStream
  ) -> (inputs: Tensor, move: (Tensor) -> Tensor)
}

extension ImageModel: Measurable {
  func moved(
    _ inputs: Tensor, using random: inout RandomStream
  ) -> (inputs: Tensor, move: (Tensor) -> Tensor) {
    let turns = (0..<inputs.shape[0]).map { _ in SO2().sample(using: &random) }
    return (action.act(turns, on: inputs), { self.action.act(turns, on: $0) })
  }
}

extension PointModel: Measurable {
  /// Upright digits are shuffled alone.
  func moved(
    _ inputs: Tensor, using random: inout RandomStream
  ) -> (inputs: Tensor, move: (Tensor) -> Tensor) {
    let moved = moved(
      inputs, motions: configuration.data.kind != .mnistPoints, using: &random)
    return (moved.inputs, moved.move)
  }
}

extension TrainableModel {
  fileprivate var trainable: Int {
    parameters.filter(\.parameter.isTrainable).map(\.parameter.value.shape.count).reduce(0, +)
  }
}

extension Measurable {
  var canonicalizerParameters: Int { trainable - backbone.trainableCount }

  /// The fraction of classes that change when inputs are moved, or the root mean square of the difference
  /// of outputs.
  func invarianceError(on inputs: Tensor) -> Double {
    var random = RandomStream(seed: 5, name: "benchmark/moves")
    let plain = outputs(for: inputs)
    let (movedInputs, move) = moved(inputs, using: &random)
    let found = outputs(for: movedInputs)
    guard configuration.data.task == .classify else {
      return Double((found - move(plain)).squared().mean().scalar).squareRoot()
    }
    let changed = zip(found.largestColumn(), plain.largestColumn()).count { $0 != $1 }
    return Double(changed) / Double(inputs.shape[0])
  }
}

/// The angles at which the error is measured, in degrees.
let measuredAngles = stride(from: 0.0, to: 360, by: 15).map { $0 }

extension ImageModel {
  /// The error on upright digits that are turned by each of `measuredAngles`.
  func errors(onUpright examples: Examples) -> [Double] {
    measuredAngles.map { angle in
      let turn = PlanarIsometry(residual: angle * .pi / 180)
      let turned = action.act(
        [PlanarIsometry](repeating: turn, count: examples.count), on: examples.inputs)
      let found = outputs(for: turned).largestColumn()
      return Double(zip(found, examples.labels).count { $0 != $1 }) / Double(examples.count)
    }
  }
}
