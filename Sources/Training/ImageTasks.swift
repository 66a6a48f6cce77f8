public import Autodiff
public import Datasets
import Layers
import Settings
public import Symmetry
public import TensorCore

/// `task: restore`: an image, in the pose of the input.
public struct RestorationTask: Objective {
  public static let kind = "restore"
  public static let summary = "The image, from a noisy or partly erased one."
  public init() {}

  public func outputShape(for domain: any Domain, classes: Int) -> [Int] { domain.shape }
  public func quantity(for domain: any Domain, classes: Int) -> any Quantity { domain.inputs }

  public func targets(
    in examples: Examples, for domain: any Domain, classes: Int
  ) throws(DatasetError) -> Tensor {
    try tensor("image", in: examples, shape: domain.shape)
  }

  public func losses(of output: Variable, _ targets: Variable) -> Variable {
    Loss.binaryCrossEntropy.perMember(output, targets)
  }

  public func result(of output: Tensor) -> Tensor { output.sigmoid() }
  public var presentation: Presentation { .images }
}

/// `task: segment`: what belongs to the object, pixel by pixel.
public struct SegmentationTask: Objective {
  public static let kind = "segment"
  public static let summary = "A mask: the probability of each pixel to belong to the object."
  public init() {}

  public func outputShape(for domain: any Domain, classes: Int) -> [Int] {
    domain.shape.dropLast() + [1]
  }
  public func quantity(for domain: any Domain, classes: Int) -> any Quantity { Pixels() }

  public func targets(
    in examples: Examples, for domain: any Domain, classes: Int
  ) throws(DatasetError) -> Tensor {
    try tensor("mask", in: examples, shape: outputShape(for: domain, classes: classes))
  }

  public func losses(of output: Variable, _ targets: Variable) -> Variable {
    Loss.binaryCrossEntropy.perMember(output, targets)
  }

  public func result(of output: Tensor) -> Tensor { output.sigmoid() }
  public var presentation: Presentation { .images }
}

/// `task: field`: a vector at each pixel.
public struct VectorFieldTask: Objective {
  public static let kind = "field"
  public static let summary = "A vector at each pixel, which turns with the image."
  public init() {}

  public func outputShape(for domain: any Domain, classes: Int) -> [Int] {
    domain.shape.dropLast() + [2]
  }
  public func quantity(for domain: any Domain, classes: Int) -> any Quantity { VectorField() }

  public func targets(
    in examples: Examples, for domain: any Domain, classes: Int
  ) throws(DatasetError) -> Tensor {
    try tensor("field", in: examples, shape: outputShape(for: domain, classes: classes))
  }

  public var presentation: Presentation { .numbers("field") }
}
