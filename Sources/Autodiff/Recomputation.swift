import TensorCore

extension Variable {
  /// A function of each member of a batch on its own, computed a few members at a time, in parallel.
  ///
  /// What the function makes on the way is not kept: going backwards it is made again, from the
  /// members' inputs. Where it fits the cache this is faster than keeping it in memory, and needs
  /// memory for a few members instead of the batch (gradient checkpointing, Chen et al. 2016,
  /// arXiv 1604.06174).
  ///
  /// **Shapes.** self `[batch, …]`; `body` maps `[some, …]` to `[some, …]`.
  ///
  /// - Parameters:
  ///   - weights: What the function needs beside the members, the same for all.
  ///   - members: How many are computed together; the result does not depend on it.
  ///   - body: The function, of some members and the weights; it may not look at other variables.
  public func recomputed(
    with weights: [Variable], members: Int,
    _ body: @escaping @Sendable (_ members: Variable, _ weights: [Variable]) -> Variable
  ) -> Variable {
    if isTraced { return body(self, weights) }
    let parts = stride(from: 0, to: shape[0], by: members).map {
      $0..<min(shape[0], $0 + members)
    }
    let (input, values) = (value, weights.map(\.value))
    let results = Profiler.count("recomputed part", elements: input.shape.count) {
      Parallel.map(parts) { range in
        body(Variable(input.sliced(range)), values.map { Variable($0) }).value
      }
    }
    let needed = ([self] + weights).map(\.requiresGradient)
    return Variable(.concatenated(results), inputs: [self] + weights) { dy in
      let gradients = Profiler.count("recomputed part, gradient", elements: input.shape.count) {
        Parallel.map(parts) { range -> [Tensor?] in
          let leaves = zip([input.sliced(range)] + values, needed).map {
            Variable($0, requiresGradient: $1)
          }
          let result = body(leaves[0], Array(leaves.dropFirst()))
          let found = Gradients(of: result, weights: dy.sliced(range))
          return leaves.map { found[$0] }
        }
      }
      let byInput = needed[0] ? Tensor.concatenated(gradients.compactMap { $0[0] }) : nil
      return [byInput]
        + values.indices.map { index in
          // In the order of the parts, whichever was done first.
          let parts = gradients.compactMap { $0[index + 1] }
          guard var sum = parts.first else { return nil }
          for part in parts.dropFirst() { sum.add(part) }
          return sum
        }
    }
  }
}
