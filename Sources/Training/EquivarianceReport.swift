import Canonicalization
public import Symmetry
public import TensorCore

/// How far a model is from equivariance, measured on inputs.
public enum EquivarianceReport {
  /// The deviations of one quantity over some inputs.
  public struct Deviation: Sendable, Equatable {
    public let maximum, mean: Double
    /// The input with the largest deviation.
    public let worst: Int

    /// A deviation that is not a number is the largest of all.
    init(_ values: [Double]) {
      let worst = values.indices.reduce(0) { best, n in
        if values[best].isNaN { return best }
        return values[n].isNaN || values[n] > values[best] ? n : best
      }
      self.worst = worst
      maximum = values.isEmpty ? 0 : values[worst]
      mean = values.reduce(0, +) / Double(max(1, values.count))
    }
  }

  /// The deviations under one element of the claimed group.
  public struct Row: Sendable {
    public let element: Motion
    /// Between *h*(*g*·*x*) and *g* *h*(*x*), or the nearest of its ties, in the group's metric: radians for
    /// rotations.
    public let pose: Deviation
    /// The largest difference between the forms' numbers.
    public let form: Deviation
    /// The largest difference between φ(*g*·*x*) and *g*·φ(*x*).
    public let output: Deviation
    /// The fraction of inputs of which *g*·*x* is told to be of another class than *x*; `nil` of models without classes.
    public let otherClass: Double?
  }

  /// Measures a model under one element.
  public static func row(for g: Motion, _ model: some Predictor, _ inputs: Tensor) -> Row {
    let group = model.claims
    var (pose, form, output): ([Double], [Double], [Double]) = ([], [], [])
    let classes = model.task.presentation == .classes ? model.classNames.count : 0
    var others = 0
    model.forEachBatch(of: inputs) { range, plain in
      let copies = [Motion](repeating: g, count: range.count)
      let moved = model.predict(model.domain.inputs.act(copies, on: inputs.sliced(range)))
      let expected = model.outputs.act(copies, on: plain.output)
      for n in 0..<range.count {
        let distances = plain.poses[n].candidates.map {
          group.distance(moved.poses[n].element, group.compose(g, $0))
        }
        // A margin that is no number is that of a pose which nothing told.
        pose.append(
          plain.poses[n].margin.isNaN || moved.poses[n].margin.isNaN ? .nan : distances.min() ?? 0)
      }
      form += largestDifference(moved.forms, plain.forms)
      output += largestDifference(moved.output, expected)
      if classes > 0 {
        let best = [moved.output, expected].map {
          $0.sliced(0..<classes, axis: 1).largestColumn()
        }
        others += zip(best[0], best[1]).count { $0 != $1 }
      }
    }
    return Row(
      element: g, pose: Deviation(pose), form: Deviation(form), output: Deviation(output),
      otherClass: classes > 0 ? Double(others) / Double(max(1, output.count)) : nil)
  }

  private static func largestDifference(_ a: Tensor, _ b: Tensor) -> [Double] {
    let size = a.shape.count / max(1, a.shape[0])
    let numbers = (a - b).absolute().elements
    return (0..<a.shape[0]).map { n in
      numbers[n * size..<(n + 1) * size].reduce(0.0) { largerOrNaN($0, Double($1)) }
    }
  }
}
