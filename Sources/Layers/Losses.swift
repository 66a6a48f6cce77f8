public import Autodiff
public import TensorCore

/// What a model is trained to make small: a loss per member of a batch.
public enum Loss: Sendable, Equatable {
  /// Cross entropy of softmax scores, against one-hot targets smoothed towards uniform.
  case crossEntropy(labelSmoothing: Float = 0)
  /// The mean squared difference.
  case meanSquaredError
  /// Cross entropy of independent logits against targets in 0…1.
  case binaryCrossEntropy

  /// The loss of each member.
  ///
  /// **Shapes.** `output` `[batch, …]`; `target` of the same shape (one-hot for cross entropy);
  /// result `[batch]`.
  public func perMember(_ output: Variable, _ target: Variable) -> Variable {
    require(output.shape == target.shape, "output \(output.shape), target \(target.shape)")
    switch self {
    case .crossEntropy(let smoothing):
      let uniform = 1 / Float(target.shape[-1])
      // A target of several classes, or of weight, keeps its sum.
      let smoothed =
        smoothing == 0
        ? target
        : target * (1 - smoothing) + target.sum([1], keepingAxes: true) * (smoothing * uniform)
      return -(output.logSoftmax() * smoothed).sum([1])
    case .meanSquaredError:
      return (output - target).squared().reshaped([output.shape[0], -1]).mean([1])
    case .binaryCrossEntropy:
      // −t log σ(x) − (1 − t) log(1 − σ(x)) = softplus(x) − t x
      let all = output.softplus() - output * target
      return all.reshaped([output.shape[0], -1]).mean([1])
    }
  }

  /// The loss of each member against constant targets.
  public func perMember(_ output: Variable, _ target: Tensor) -> Variable {
    perMember(output, Variable(target))
  }
}

extension Tensor {
  /// Class indices as rows of zeros with a one, `[labels.count, classes]`.
  ///
  /// - Precondition: Each label is in `0..<classes`.
  public static func oneHot(_ labels: [Int], classes: Int) -> Tensor {
    var elements = [Float](repeating: 0, count: labels.count * classes)
    for (row, label) in labels.enumerated() {
      require(0..<classes ~= label, "label \(label) of \(classes) classes")
      elements[row * classes + label] = 1
    }
    return Tensor(elements, shape: [labels.count, classes])
  }
}
