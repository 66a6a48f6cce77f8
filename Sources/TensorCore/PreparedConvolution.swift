import Synchronization

/// A convolution's kernel in the form that an algorithm reads.
enum ConvolutionKernel: Sendable {
  /// `[height, width, channels / groups, outChannels]`.
  case plain(Tensor)
  /// Winograd's, of tiles of 4 × 4.
  case matrices(Tensor)
  /// As `weightPanels` lays them out.
  case panels(Tensor)
  /// Matrices and panels: which, the size of the images decides.
  case any(Forms)

  /// Each made when it is first read: mostly one of them is.
  final class Forms: Sendable {
    private let weight: Tensor
    private struct Made {
      /// By the tile's size.
      var matrices: [Int: Tensor] = [:]
      /// The sizes for which a brief convolution was asked for.
      var brief: Set<Int> = []
      var panels: Tensor?
    }
    private let made = Mutex(Made())

    init(_ weight: Tensor) { self.weight = weight }

    /// The kernel for a convolution: matrices from the second one on, or where it is of many tiles.
    ///
    /// Of a program that answers for one image they would take a tenth of the time.
    func winograd(_ plan: WinogradPlan) -> WinogradKernel {
      made.withLock { made in
        if let matrices = made.matrices[plan.size] { return .matrices(matrices) }
        if plan.isBrief, made.brief.insert(plan.size).inserted { return .weight(weight) }
        let matrices = WinogradPlan.matrices(weight, tile: plan.size)
        made.matrices[plan.size] = matrices
        return .matrices(matrices)
      }
    }

    var panels: Tensor {
      made.withLock { made in
        let panels = made.panels ?? weight.weightPanels()
        made.panels = panels
        return panels
      }
    }
  }
}

/// A convolution made ready once for many images: its kernel in the form that the fastest algorithm
/// takes.
public struct PreparedConvolution: Sendable {
  private let kernel: ConvolutionKernel
  private let shape: Shape
  private let bias: Tensor?
  private var activation: Activation?
  private let geometry: ConvolutionGeometry
  private let kept = ConvolutionTables.Kept()

  /// Prepares a convolution: see `Tensor.convolved`.
  public init(
    _ weight: Tensor, bias: Tensor? = nil, activation: Activation? = nil,
    _ geometry: ConvolutionGeometry = ConvolutionGeometry()
  ) {
    (shape, self.bias, self.activation) = (weight.shape, bias, activation)
    self.geometry = geometry
    // Of no image: what follows from the kernel alone.
    let plan = ConvolutionPlan([0, 0, 0, shape[2] * geometry.groups], shape, geometry)
    if plan.winogradApplies, plan.winogradPays {
      kernel =
        plan.hasLargeMatrices || plan.largeTilesMayPay
        ? .any(ConvolutionKernel.Forms(weight)) : .matrices(WinogradPlan.matrices(weight, tile: 4))
    } else {
      // Of a narrow one the product reads the weights as they are.
      let isWide = geometry.groups == 1 && shape[3] >= ConvolutionPlan.panel
      kernel =
        isWide && shape.count > 0 ? .panels(weight.weightPanels()) : .plain(weight.contiguous)
    }
  }

  /// The convolution of images.
  ///
  /// - Parameters:
  ///   - images: `[batch, height, width, channels]`.
  ///   - other: Added before the activation.
  /// - Precondition: The channels are the kernel's; `other` has the result's shape.
  public func callAsFunction(_ images: Tensor, adding other: Tensor? = nil) -> Tensor {
    images.convolved(
      with: kernel, of: shape, bias: bias, activation: activation, geometry, kept: kept,
      adding: other)
  }

  /// The shape of the convolution of images of a shape.
  ///
  /// - Precondition: It has four axes, and the kernel's channels.
  public func outputShape(_ images: Shape) -> Shape {
    ConvolutionPlan(images, shape, geometry).outputShape
  }

  /// The same without its activation, and that.
  public var parts: (convolution: PreparedConvolution, activation: Activation?) {
    var plain = self
    plain.activation = nil
    return (plain, activation)
  }
}
