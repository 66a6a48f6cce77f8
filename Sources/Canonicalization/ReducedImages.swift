public import Autodiff
public import Symmetry
public import TensorCore

/// A canonicalizer that sees images averaged down: it finds poses in small images, and large ones are moved by them.
///
/// Turns and reflections about the middle are the same of any size. Gray is the Rec. 709 luma of color, and color is gray three times.
///
/// **Law.** As exact as the canonicalizer: a number is one sum in double precision, of whole weights, so that quarter turns and
/// reflections of images of 8 or 16 bits turn the small ones bit for bit.
///
/// In training it is taught by its prior alone: the task's gradient does not reach it.
public struct ReducedImages<Base: ImageCanonicalizer>: ImageCanonicalizer {
  public typealias PoseGroup = Base.PoseGroup
  public let base: Base
  /// What it sees.
  public let seen: ImageDomain
  public let action: ImageAction<Base.PoseGroup>

  /// - Parameter border: What lies outside the large images.
  public init(_ base: Base, seeing seen: ImageDomain, border: BorderPolicy) {
    (self.base, self.seen) = (base, seen)
    action = ImageAction(
      base.action.group, interpolation: base.action.interpolation, border: border)
  }

  public var parameters: [(name: String, parameter: Parameter)] { base.parameters }

  public func poses(of batch: Tensor) -> [Pose<Element>] {
    base.poses(of: batch.averaged(to: seen.size, channels: seen.channels))
  }

  public func frames(of batch: Tensor, count: Int) -> [[WeightedPose<Element>]] {
    base.frames(of: batch.averaged(to: seen.size, channels: seen.channels), count: count)
  }

  public func trainingForms(_ batch: Variable, on tape: Tape) -> TrainingForms {
    let small = Variable(batch.value.averaged(to: seen.size, channels: seen.channels))
    var forms = formsAtConstantPoses(batch)
    let seen = base.trainingForms(small, on: tape)
    (forms.priorLoss, forms.priorLossOfTurned) = (seen.priorLoss, seen.priorLossOfTurned)
    return forms
  }
}

extension ImageCanonicalizer {
  /// The canonicalizer of images averaged down to those that it sees.
  public func reduced(seeing seen: ImageDomain, border: BorderPolicy) -> any TrainableCanonicalizer
  {
    ReducedImages(self, seeing: seen, border: border)
  }
}

extension Tensor {
  /// Square images averaged down, or repeated up, to `size` × `size`, in gray or color.
  ///
  /// - Returns: `[batch, size, size, channels]`.
  /// - Precondition: They are `[batch, side, side, 1 or 3]`, and so are the results.
  func averaged(to size: Int, channels: Int) -> Tensor {
    let (count, side, own) = (shape[0], shape[1], shape[3])
    require(
      shape.rank == 4 && shape[2] == side && [1, 3].contains(own) && [1, 3].contains(channels),
      "images of \(shape) averaged to \(channels) channels")
    // Pixel i covers [i·size, (i+1)·size) and result j [j·side, (j+1)·side): all weights are whole.
    let spans = (0..<size).map { j in
      (j * side / size..<((j + 1) * side + size - 1) / size).map { i in
        (place: i, weight: Double(min((i + 1) * size, (j + 1) * side) - max(i * size, j * side)))
      }
    }
    let luma = [0.2126, 0.7152, 0.0722]
    let scale = 1 / Double(side * side)
    let pixels = elements
    let images = Parallel.map(Array(0..<count)) { n -> [Float] in
      var small: [Float] = []
      small.reserveCapacity(size * size * channels)
      for rows in spans {
        var row = [Double](repeating: 0, count: side * own)
        for (y, weight) in rows {
          let start = (n * side + y) * side * own
          for x in row.indices { row[x] += weight * Double(pixels[start + x]) }
        }
        for columns in spans {
          var sums = [Double](repeating: 0, count: own)
          for (x, weight) in columns {
            for c in 0..<own { sums[c] += weight * row[x * own + c] }
          }
          if channels < own { sums = [zip(sums, luma).reduce(0) { $0 + $1.0 * $1.1 }] }
          for c in 0..<channels { small.append(Float(sums[min(c, sums.count - 1)] * scale)) }
        }
      }
      return small
    }
    return Tensor(images.flatMap { $0 }, shape: [count, size, size, channels])
  }
}

extension ReducedImages: ExportableCanonicalizer where Base: ExportableCanonicalizer {
  public func poseVariables(
    of batch: Variable, on tape: Tape
  ) throws(NotExportable) -> PoseVariables {
    try base.poseVariables(of: averaged(batch), on: tape)
  }

  public func frameVariables(
    of batch: Variable, count: Int, on tape: Tape
  ) throws(NotExportable) -> [(pose: PoseVariables, weight: Variable)] {
    try base.frameVariables(of: averaged(batch), count: count, on: tape)
  }

  /// The images averaged down, as two products: of rows, then of columns.
  private func averaged(_ images: Variable) -> Variable {
    let (side, size, own) = (images.shape[1], seen.size, images.shape[3])
    let weights = (0..<size).flatMap { j in
      (0..<side).map { i in
        Float(max(0, min((i + 1) * size, (j + 1) * side) - max(i * size, j * side))) / Float(side)
      }
    }
    let rows = Variable(Tensor(weights, shape: [size, side]))
    let narrow = rows.matmul(images.reshaped([-1, side, side * own])).reshaped(
      [-1, size, side, own])
    let small = rows.matmul(narrow.permuted([0, 2, 1, 3]).reshaped([-1, side, size * own]))
      .reshaped([-1, size, size, own]).permuted([0, 2, 1, 3])
    if seen.channels == own { return small }
    let mixed: [Float] = own == 3 ? [0.2126, 0.7152, 0.0722] : [1, 1, 1]
    return small.matmul(Variable(Tensor(mixed, shape: [own, seen.channels])))
  }
}
