public import Autodiff
public import Datasets
import Layers
public import Settings
public import Symmetry
public import TensorCore

/// The side of the images of a domain, 1 for others.
private func side(_ domain: any Domain) -> Int { domain.shape.first ?? 1 }

/// `task: keypoints`: places in an image.
public struct KeypointTask: Objective {
  public static let kind = "keypoints"
  public static let summary = "Places in an image, in pixels."
  public var points = 2
  private var size = 28
  public init() {}

  public mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {
    size = try keys.images(domain, Self.kind).size
    try keys.read("points", &points, in: 1...1024, "how many places")
  }

  public func outputShape(for domain: any Domain, classes: Int) -> [Int] { [points, 2] }
  public func quantity(for domain: any Domain, classes: Int) -> any Quantity {
    Keypoints(size: side(domain))
  }

  public func targets(
    in examples: Examples, for domain: any Domain, classes: Int
  ) throws(DatasetError) -> Tensor {
    try tensor("keypoints", in: examples, shape: [points, 2])
  }

  public func losses(of output: Variable, _ targets: Variable) -> Variable {
    Loss.meanSquaredError.perMember(output, inUnits(targets, size))
  }

  public func result(of output: Variable) -> Variable { inPixels(output, size) }
  public var presentation: Presentation { .numbers("keypoints") }
}

/// `task: detect`: a box around the object, and its class.
public struct DetectionTask: Objective {
  public static let kind = "detect"
  public static let summary =
    "A box around the object, in pixels, and its class; exact under quarter turns and flips."
  /// The weight of the boxes' loss beside that of the classes.
  public var boxWeight: Float = 5
  private var size = 28
  public init() {}

  public mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {
    size = try keys.images(domain, Self.kind).size
    try keys.read("boxWeight", &boxWeight, in: 0...1e4, "weight of the boxes' loss")
  }

  public func outputShape(for domain: any Domain, classes: Int) -> [Int] { [classes + 4] }
  public func quantity(for domain: any Domain, classes: Int) -> any Quantity {
    Parts([(Scores(), [classes]), (Boxes(size: side(domain)), [1, 4])])
  }

  public func targets(
    in examples: Examples, for domain: any Domain, classes: Int
  ) throws(DatasetError) -> Tensor {
    let boxes = try tensor("boxes", in: examples, shape: [1, 4])
    return .concatenated(
      [
        try classTargets(in: examples, classes: classes),
        boxes.reshaped([examples.count, 4]),
      ], axis: 1)
  }

  public func losses(of output: Variable, _ targets: Variable) -> Variable {
    let classes = output.shape[1] - 4
    let (scores, boxes) = (0..<classes, classes..<classes + 4)
    let found = Loss.crossEntropy().perMember(
      output.sliced(scores, axis: 1), targets.sliced(scores, axis: 1))
    let placed = Loss.meanSquaredError.perMember(
      output.sliced(boxes, axis: 1), inUnits(targets.sliced(boxes, axis: 1), size))
    return found + placed * boxWeight
  }

  public func result(of output: Variable) -> Variable {
    let classes = output.shape[1] - 4
    return .concatenated(
      [
        output.sliced(0..<classes, axis: 1).softmax(),
        inPixels(output.sliced(classes..<classes + 4, axis: 1), size),
      ], axis: 1)
  }

  /// The error is that of the classes, the loss the mean squared error of the boxes, in pixels².
  public func measure(_ results: Tensor, _ targets: Tensor, into meter: inout QualityMeter) {
    let classes = results.shape[1] - 4
    let (scores, boxes) = (0..<classes, classes..<classes + 4)
    meter.add(
      probabilities: results.sliced(scores, axis: 1),
      labels: targets.sliced(scores, axis: 1).largestColumn())
    meter.add(
      outputs: results.sliced(boxes, axis: 1), targets: targets.sliced(boxes, axis: 1))
  }

  public var presentation: Presentation { .classes }
}

/// `task: vectors`: a direction in the plane.
public struct VectorTask: Objective {
  public static let kind = "vectors"
  public static let summary =
    "A vector of the plane, such as a heading, which turns with the image."
  public init() {}

  public mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {
    _ = try keys.images(domain, Self.kind)
  }

  public func outputShape(for domain: any Domain, classes: Int) -> [Int] { [2] }
  public func quantity(for domain: any Domain, classes: Int) -> any Quantity { Vectors() }

  public func targets(
    in examples: Examples, for domain: any Domain, classes: Int
  ) throws(DatasetError) -> Tensor { try tensor("vectors", in: examples, shape: [2]) }

  public var presentation: Presentation { .numbers("vectors") }
}

/// `task: forecast`: how far each member of a set moves.
public struct ForecastTask: Objective {
  public static let kind = "forecast"
  public static let summary = "Where each member of a set will be."
  public init() {}

  public mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {
    _ = try keys.sets(domain, Self.kind)
  }

  public func outputShape(for domain: any Domain, classes: Int) -> [Int] {
    (domain as? SetDomain).map { [$0.members, $0.dimension] } ?? [0, 0]
  }
  public func quantity(for domain: any Domain, classes: Int) -> any Quantity {
    Members([.vector], dimension: (domain as? SetDomain)?.dimension ?? 1)
  }

  public func targets(
    in examples: Examples, for domain: any Domain, classes: Int
  ) throws(DatasetError) -> Tensor {
    try tensor(
      "displacements", in: examples, shape: outputShape(for: domain, classes: classes))
  }

  public var presentation: Presentation { .numbers("positions") }

  /// The places, from how far they move.
  public func written(_ results: Tensor, for inputs: Tensor) -> Tensor {
    inputs.sliced(0..<results.shape[2], axis: 2) + results
  }
}

// Networks work in halves of the side from the middle; people in pixels.
private func inUnits(_ pixels: Variable, _ size: Int) -> Variable {
  let half: Float = Float(size) / 2
  return (pixels - (half - 0.5)) * (1 / half)
}

private func inPixels(_ units: Variable, _ size: Int) -> Variable {
  let half: Float = Float(size) / 2
  return units * half + (half - 0.5)
}
