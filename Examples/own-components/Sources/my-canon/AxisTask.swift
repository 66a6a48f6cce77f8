import Canon

/// A kind of output of one's own: an axis of the plane, (cos 2α, sin 2α), that half a turn leaves alone.
struct Axes: Quantity {
  func act(_ motions: [Motion], on batch: Tensor) -> Tensor {
    let numbers = batch.elements
    let moved = motions.indices.flatMap { n -> [Float] in
      // The columns of the matrix are where the axes of the image go, y down; α counts y up.
      let m = motions[n].planarMap.matrix.map { Float($0) }
      let (c, s) = (numbers[2 * n], numbers[2 * n + 1])
      let (turnC, turnS) = (m[0] * m[0] - m[2] * m[2], -2 * m[0] * m[2])
      let sense: Float = m[0] * m[3] - m[1] * m[2] < 0 ? -1 : 1
      return [turnC * c - turnS * sense * s, turnS * c + turnC * sense * s]
    }
    return Tensor(moved, shape: batch.shape)
  }
}

/// A task of one's own: `task: axis`.
struct AxisTask: Objective {
  static let kind = "axis"
  static let summary = "The axis along an object, which moves with the image by twice the angle."

  func backbone(for domain: any Domain) -> String { PooledOptions.kind }
  func outputShape(for domain: any Domain, classes: Int) -> [Int] { [2] }
  func quantity(for domain: any Domain, classes: Int) -> any Quantity { Axes() }

  func targets(
    in examples: Examples, for domain: any Domain, classes: Int
  ) throws(DatasetError) -> Tensor { try tensor("axis", in: examples, shape: [2]) }

  var presentation: Presentation { .numbers("axis") }
}
