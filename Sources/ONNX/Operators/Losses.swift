import Autodiff
import TensorCore

extension Operators {
  /// Losses of classes, of each position: what training graphs end in.
  static let losses: [String: Body] = [
    "NegativeLogLikelihoodLoss": { [.floats(try $0.likelihoodLoss(of: $0.float(0)))] },
    "SoftmaxCrossEntropyLoss": { call in
      let scores = try call.float(0)
      try call.require(scores.shape.rank >= 2, "scores \(scores.shape) without classes")
      // The classes, axis 1, go last and back.
      let last = [0] + Array(2..<scores.shape.rank) + [1]
      let back = [0, scores.shape.rank - 1] + Array(1..<scores.shape.rank - 1)
      let logarithms = scores.permuted(last).logSoftmax().permuted(back)
      return [.floats(try call.likelihoodLoss(of: logarithms)), .floats(logarithms)]
    },
  ]
}

extension Call {
  /// The loss of logarithms of probabilities `[batch, classes, …]` against classes `[batch, …]`, weighted by class;
  /// those of `ignore_index` count for nothing.
  fileprivate func likelihoodLoss(of x: Variable) throws -> Variable {
    let target = try integers(1)
    let reduction = try choice("reduction", ["mean", "sum", "none"])
    let weights = try optionalFloat(2)?.value.elements
    let ignored = int("ignore_index")
    let extents = x.shape.extents
    try require(
      extents.count >= 2 && target.shape == [extents[0]] + extents.dropFirst(2),
      "classes \(target.shape) for scores \(x.shape)")
    try require(weights == nil || weights?.count == extents[1], "weights for \(extents[1]) classes")
    let (classes, inner) = (extents[1], extents.dropFirst(2).reduce(1, *))
    var (places, scales) = ([Int](), [Float]())
    for (n, label) in target.elements.enumerated() {
      let isIgnored = label == ignored
      try require(isIgnored || 0..<classes ~= label, "class \(label) of \(classes)")
      let (row, position) = n.quotientAndRemainder(dividingBy: max(1, inner))
      places.append((row * classes + (isIgnored ? 0 : label)) * inner + position)
      scales.append(isIgnored ? 0 : weights?[label] ?? 1)
    }
    let picked = x.reshaped([-1]).gathered(places)
    let losses = -(picked * Variable(Tensor(scales, shape: [scales.count])))
    switch reduction {
    case "none": return losses.reshaped(target.shape)
    case "sum": return losses.sum()
    default: return losses.sum() * (1 / scales.reduce(0, +))
    }
  }
}
