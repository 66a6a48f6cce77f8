public import Autodiff
public import Datasets
import Layers
import Settings
public import Symmetry
public import TensorCore

/// A task whose output is an image, in the pose of the input.
public protocol ImageTask: Objective {
  /// The tensor of the examples that is the target.
  static var target: String { get }
  /// The channels of the output; `nil` for those of the input.
  static var channels: Int? { get }
}

extension ImageTask {
  public func outputShape(for domain: any Domain, classes: Int) -> [Int] {
    domain.shape.dropLast() + [Self.channels ?? domain.shape.last ?? 1]
  }

  public func targets(
    in examples: Examples, for domain: any Domain, classes: Int
  ) throws(DatasetError) -> Tensor {
    try tensor(Self.target, in: examples, shape: outputShape(for: domain, classes: classes))
  }
}

/// `task: restore`: an image, in the pose of the input.
public struct RestorationTask: ImageTask {
  public static let kind = "restore"
  public static let summary = "The image, from a noisy or partly erased one."
  public static let target = "image"
  public static let channels: Int? = nil
  public init() {}

  public func quantity(for domain: any Domain, classes: Int) -> any Quantity { domain.inputs }
  public func losses(of output: Variable, _ targets: Variable) -> Variable {
    Loss.binaryCrossEntropy.perMember(output, targets)
  }
  public func result(of output: Variable) -> Variable { output.sigmoid() }
  public var presentation: Presentation { .images }
}

/// `task: segment`: what belongs to the object, pixel by pixel.
public struct SegmentationTask: ImageTask {
  public static let kind = "segment"
  public static let summary = "A mask: the probability of each pixel to belong to the object."
  public static let target = "mask"
  public static let channels: Int? = 1
  public init() {}

  public func quantity(for domain: any Domain, classes: Int) -> any Quantity { Pixels() }
  public func losses(of output: Variable, _ targets: Variable) -> Variable {
    Loss.binaryCrossEntropy.perMember(output, targets)
  }
  public func result(of output: Variable) -> Variable { output.sigmoid() }
  public var presentation: Presentation { .images }
}

/// `task: field`: a vector at each pixel.
public struct VectorFieldTask: ImageTask {
  public static let kind = "field"
  public static let summary = "A vector at each pixel, which turns with the image."
  public static let target = "field"
  public static let channels: Int? = 2
  public init() {}

  public func quantity(for domain: any Domain, classes: Int) -> any Quantity { VectorField() }
  public var presentation: Presentation { .numbers("field") }
}
