public import Autodiff
public import TensorCore

/// The same layers for every point, the maximum over all points, and layers after it.
///
/// In the manner of PointNet (Qi et al. 2017, arXiv 1612.00593).
///
/// **Shapes.** `[batch, points, features]` → `[batch, outputs]`; the order of points does not matter.
public struct PointNet: Layer {
  private let each, all: Sequential

  public init(
    _ features: Int, outputs: Int, widths: [Int] = [64, 128, 256], hidden: Int = 128,
    using random: inout RandomStream
  ) {
    var layers: [any Layer] = []
    var width = features
    for next in widths {
      layers += [Linear(width, next, using: &random), BatchNorm(next, relu: true)]
      width = next
    }
    each = Sequential(layers)
    all = Sequential([
      Linear(width, hidden, using: &random), BatchNorm(hidden, relu: true), Dropout(0.3),
      Linear(hidden, outputs, using: &random),
    ])
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    each.parameters.map { ("each.\($0.name)", $0.parameter) }
      + all.parameters.map { ("all.\($0.name)", $0.parameter) }
  }

  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    all(each(input, on: tape).maximum(1), on: tape)
  }
}

/// Layers for sets that commute with permutations: each member sees itself and the mean of all.
///
/// Zaheer et al. 2017, arXiv 1703.06114.
///
/// **Shapes.** `[batch, members, features]` → `[batch, members, outputs]`.
public struct DeepSets: Layer {
  private let own, shared: [Linear]

  /// Creates layers of `widths` features, with a ReLU between each two.
  public init(_ features: Int, widths: [Int], using random: inout RandomStream) {
    let inputs = [features] + widths.dropLast()
    own = zip(inputs, widths).map { Linear($0, $1, using: &random) }
    shared = zip(inputs, widths).map { Linear($0, $1, using: &random) }
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    [("own", own), ("shared", shared)].flatMap { name, layers in
      layers.enumerated().flatMap { i, layer in
        layer.parameters.map { ("\(name).\(i).\($0.name)", $0.parameter) }
      }
    }
  }

  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    var features = input
    for i in own.indices {
      if i > 0 { features = features.relu() }
      features =
        own[i](features, on: tape) + shared[i](features.mean([1], keepingAxes: true), on: tape)
    }
    return features
  }
}
