import Autodiff
import Foundation
import ONNX
import TensorCore
import Testing

/// What a model of ONNX's tests gives, as one number: outputs of floats, weighted.
private struct Weighted {
  let model: ONNXModel
  let inputs: [Value]
  let weights: Tensor

  init?(_ one: BackendCase) throws {
    model = try ONNXModel(path: one.folder + "/model.onnx")
    inputs = try model.inputs.indices.map {
      try Value(tensorAt: "\(one.folder)/test_data_set_0/input_\($0).pb")
    }
    guard case .floats(let y)? = try model.run(inputs).first, y.shape.count > 0,
      y.value.elements.allSatisfy(\.isFinite)
    else { return nil }
    var random = RandomStream(seed: 7, name: one.name)
    weights = .uniform(y.shape, from: -1, to: 1, using: &random)
  }

  func value(_ inputs: [Value]) throws -> Double {
    guard case .floats(let y) = try model.run(inputs)[0] else { return .nan }
    return zip(y.value.elements, weights.elements).reduce(0) { $0 + Double($1.0) * Double($1.1) }
  }
}

@Suite struct GradientTests {
  /// Operators whose value does not change, or jumps, where its inputs change a little; and those that have no gradient by
  /// what they are given.
  private static let steps: Set<String> = [
    "Ceil", "Floor", "Round", "Sign", "Equal", "Less", "Greater", "Mod", "Hardmax", "OneHot",
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Cast", "CastLike",
    "ConstantOfShape",
    "EyeLike", "Range", "GridSample", "RoiAlign", "Constant", "Pow", "Unique",
  ]
  /// Those that are asked where they bend or jump, or at numbers whose rounding is all that a difference shows.
  private static let bends = [
    "test_elu_example", "test_selu_example", "test_thresholdedrelu_example",
    "test_logsoftmax_large_number",
    "test_maxpool_2d_strides", "test_l2normalization_axis_0",
  ]

  @Test("Gradients are the differences of what is computed, for every operator that has them")
  func differences() throws {
    var tried: Set<String> = []
    for one in packedCases {
      guard let operation = one.operators.last, one.operators.count == 1,
        !Self.steps.contains(operation), !Self.bends.contains(one.name),
        let weighted = try Weighted(one)
      else { continue }
      // Weighted reductions of scatters have none.
      if operation.hasPrefix("Scatter"),
        one.name.contains("max") || one.name.contains("min") || one.name.contains("mul")
      {
        continue
      }
      var random = RandomStream(seed: 11, name: one.name)
      let leaves = weighted.inputs.map { value in
        if case .floats(let x) = value {
          Variable(x.value, requiresGradient: true)
        } else {
          nil as Variable?
        }
      }
      guard leaves.contains(where: { $0 != nil }) else { continue }
      let given = zip(weighted.inputs, leaves).map { value, leaf in
        leaf.map { Value.floats($0) } ?? value
      }
      guard case .floats(let y) = try weighted.model.run(given)[0], y.requiresGradient else {
        continue
      }
      let gradients = Gradients(of: y, weights: weighted.weights)
      var along = 0.0
      let step: Float = 2e-3
      var (above, below): ([Value], [Value]) = ([], [])
      for (value, leaf) in zip(weighted.inputs, leaves) {
        // Sizes, scales, bounds and fillers have none.
        guard let leaf, let gradient = gradients[leaf] else {
          above.append(value)
          below.append(value)
          continue
        }
        let x = leaf.value
        let direction = Tensor.uniform(x.shape, from: -1, to: 1, using: &random)
        along += zip(gradient.elements, direction.elements).reduce(0) {
          $0 + Double($1.0) * Double($1.1)
        }
        above.append(.floats(Variable(x + direction * step)))
        below.append(.floats(Variable(x - direction * step)))
      }
      #expect(
        leaves[0].map { gradients[$0] != nil } ?? true,
        "\(one.name) has no gradient by its first input")
      guard let a = try? weighted.value(above), let b = try? weighted.value(below), a.isFinite,
        b.isFinite
      else { continue }
      let difference = (a - b) / Double(2 * step)
      let size = try weighted.value(weighted.inputs)
      let noise = 1e-3 * (abs(size) + Double(weighted.weights.shape.count).squareRoot())
      #expect(
        abs(along - difference) <= 0.05 * abs(difference) + noise + 0.02,
        "\(one.name): \(along), and by differences \(difference)")
      tried.insert(operation)
    }
    #expect(tried.count >= 80, "\(tried.sorted())")
  }
}
