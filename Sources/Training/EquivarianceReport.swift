import Canonicalization
public import Symmetry
public import TensorCore

/// How far a model is from equivariance, measured on images.
public enum EquivarianceReport {
  /// The deviations of one quantity over some images.
  public struct Deviation: Sendable, Equatable {
    public let maximum, mean: Double
    /// The image with the largest deviation.
    public let worst: Int

    init(_ values: [Double]) {
      let worst = values.indices.reduce(0) { values[$1] > values[$0] ? $1 : $0 }
      self.worst = worst
      maximum = values.isEmpty ? 0 : values[worst]
      mean = values.reduce(0, +) / Double(max(1, values.count))
    }
  }

  /// The deviations under one group element.
  public struct Row: Sendable {
    public let element: PlanarIsometry
    /// Between *h*(*g*·*x*) and *g* *h*(*x*), or the nearest of its ties, in degrees.
    public let pose: Deviation
    /// The largest difference between the forms' pixels.
    public let form: Deviation
    /// The largest difference between φ(*g*·*x*) and *g*·φ(*x*).
    public let output: Deviation
  }

  /// Measures a model under one element.
  public static func row(
    for g: PlanarIsometry, _ model: ImageModel, _ images: Tensor
  ) -> Row {
    let group = O2()
    var (pose, form, output): ([Double], [Double], [Double]) = ([], [], [])
    model.forEachBatch(of: images) { range, plain in
      let copies = [PlanarIsometry](repeating: g, count: range.count)
      let moved = model.predict(model.action.act(copies, on: images.sliced(range)))
      let expected =
        model.configuration.data.task == .classify
        ? plain.output : model.action.act(copies, on: plain.output)
      for n in 0..<range.count {
        let best = [plain.poses[n].element] + plain.poses[n].ties
        let distances = best.map {
          group.distance(moved.poses[n].element, group.compose(g, $0)) * 180 / .pi
        }
        pose.append(distances.min() ?? 0)
      }
      form += largestDifference(moved.forms, plain.forms)
      output += largestDifference(moved.output, expected)
    }
    return Row(
      element: g, pose: Deviation(pose), form: Deviation(form), output: Deviation(output))
  }

  private static func largestDifference(_ a: Tensor, _ b: Tensor) -> [Double] {
    (a - b).absolute().reshaped([a.shape[0], -1]).maximum(1).elements.map(Double.init)
  }
}

extension ImageModel {
  /// The elements of the canonicalizer's group, or evenly spaced rotations where it is continuous.
  public func groupElements(rotations: Int) -> [PlanarIsometry] {
    let settings = configuration.canonicalizer
    let isFinite = settings.kind.isFinite || settings.kind == .adaptive
    let order = isFinite ? Int(settings.group.dropFirst()) ?? 1 : rotations
    if isFinite && settings.group.hasPrefix("D") {
      let group = Dihedral(order)
      return group.elements.map(group.isometry)
    }
    let group = Cyclic(order)
    return group.elements.map(group.isometry)
  }
}
