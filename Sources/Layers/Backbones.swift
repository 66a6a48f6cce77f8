public import Autodiff
public import TensorCore

/// Ready-made plain networks to put behind a canonicalizer.
public enum Backbone {
  /// A multilayer perceptron on flattened inputs: hidden layers with ReLU, then scores.
  public static func mlp(
    inputs: Int, hidden: [Int] = [512, 512], outputs: Int, using random: inout RandomStream
  ) -> Sequential {
    var layers: [any Layer] = [Function.flatten]
    var width = inputs
    for next in hidden {
      layers += [Linear(width, next, using: &random), Function.relu]
      width = next
    }
    return Sequential(layers + [Linear(width, outputs, using: &random)])
  }

  /// The seven-layer network of the canonicalization paper, for images of 28 × 28 pixels.
  ///
  /// Kaba et al., ICML 2023: 3×3-32, 3×3-32,
  /// 5×5/2-64, 3×3-64, 3×3-64, 5×5/2-128, each with batch norm and ReLU, channel dropout 0.4 after
  /// the strided ones, then a linear layer.
  ///
  /// - Precondition: `size` is at least 22, the smallest image that leaves a pixel at the end.
  public static func paperCNN(
    size: Int = 28, channels: Int = 1, classes: Int, using random: inout RandomStream
  ) -> Sequential {
    let plan = [
      (32, 3, 1), (32, 3, 1), (64, 5, 2), (64, 3, 1), (64, 3, 1), (128, 5, 2),
    ]
    var layers: [any Layer] = []
    var (width, side) = (channels, size)
    for (outputs, kernel, stride) in plan {
      let geometry = ConvolutionGeometry(stride: stride, padding: stride == 2 ? 1 : 0)
      layers.append(Convolution(width, outputs, kernel: kernel, geometry, using: &random))
      layers.append(BatchNorm(outputs, relu: true))
      if stride == 2 { layers.append(Dropout(0.4, wholeChannels: true)) }
      (width, side) = (outputs, geometry.outputExtent(side, kernel: kernel))
    }
    require(side > 0, "images of \(size) pixels are too small for the paper's network")
    layers.append(Function.flatten)
    return Sequential(layers + [Linear(side * side * width, classes, using: &random)])
  }

  /// A small network for images of any size: 3×3 convolutions with batch norm and ReLU in three
  /// stages of doubling width, halved by pooling, then a global mean and a linear layer.
  public static func smallCNN(
    channels: Int = 1, width: Int = 32, classes: Int, using random: inout RandomStream
  ) -> Sequential {
    func block(_ inputs: Int, _ outputs: Int) -> [any Layer] {
      [
        Convolution(
          inputs, outputs, kernel: 3, ConvolutionGeometry(padding: 1), hasBias: false,
          using: &random),
        BatchNorm(outputs, relu: true),
      ]
    }
    return Sequential(
      block(channels, width) + block(width, width) + [Function.maxPool(2)]
        + block(width, 2 * width) + block(2 * width, 2 * width) + [Function.maxPool(2)]
        + block(2 * width, 4 * width)
        + [Function.globalAveragePool, Linear(4 * width, classes, using: &random)])
  }

  /// A network that keeps places: four 3×3 convolutions with batch norm and ReLU, of stride 1 and then 2, of single
  /// and double width, and two linear layers that know where they see what.
  public static func poseCNN(
    size: Int = 28, channels: Int = 1, width: Int = 32, stride: Int = 1, hidden: Int = 128,
    outputs: Int, using random: inout RandomStream
  ) -> Sequential {
    var layers: [any Layer] = []
    var (inputs, side) = (channels, size)
    for (stride, factor) in [(stride, 1), (2, 1), (2, 2), (stride > 1 ? 1 : 2, 2)] {
      // A stage that begins by halving sees as much as one that has looked once before.
      let kernel = stride > 1 && inputs == channels ? 5 : 3
      let geometry = ConvolutionGeometry(stride: stride, padding: kernel / 2)
      layers += [
        Convolution(
          inputs, factor * width, kernel: kernel, geometry, hasBias: false, using: &random),
        BatchNorm(factor * width, relu: true),
      ]
      (inputs, side) = (factor * width, geometry.outputExtent(side, kernel: kernel))
    }
    return Sequential(
      layers + [
        Function.flatten, Linear(side * side * inputs, hidden, using: &random), Function.relu,
        Linear(hidden, outputs, using: &random),
      ])
  }

  /// A network for parts of a page, of 64 pixels or so.
  ///
  /// Five convolutions with batch norm and ReLU, of stride 2 the first, second and fourth, then the mean over all
  /// places. What it sees at one place is 41 pixels wide.
  public static func letterCNN(
    channels: Int = 1, width: Int = 16, outputs: Int, using random: inout RandomStream
  ) -> Sequential {
    var layers: [any Layer] = []
    var inputs = channels
    for (next, kernel, stride) in [
      (width, 5, 2), (2 * width, 3, 2), (4 * width, 3, 1), (4 * width, 3, 2), (4 * width, 3, 1),
    ] {
      layers += [
        Convolution(
          inputs, next, kernel: kernel, ConvolutionGeometry(stride: stride, padding: kernel / 2),
          hasBias: false, using: &random),
        BatchNorm(next, relu: true),
      ]
      inputs = next
    }
    return Sequential(
      layers + [Function.globalAveragePool, Linear(4 * width, outputs, using: &random)])
  }

  /// A network for photographs scaled down to `size` pixels, 32 or so.
  ///
  /// 3×3 convolutions with batch norm and ReLU, one of single width before the first halving by pooling, two of double and two
  /// of fourfold width before the next two, one more after them; then a linear layer that knows the place of what it sees.
  ///
  /// - Precondition: `size` is 8 at least.
  public static func photoCNN(
    size: Int = 32, channels: Int = 3, width: Int = 32, outputs: Int,
    using random: inout RandomStream
  ) -> Sequential {
    require(size >= 8, "images of \(size) pixels cannot be halved three times")
    var layers: [any Layer] = []
    var inputs = channels
    for (place, stage) in [[width], [2 * width, 2 * width], [4 * width, 4 * width], [4 * width]]
      .enumerated()
    {
      if place > 0 { layers.append(Function.maxPool(2)) }
      for next in stage {
        layers += [
          Convolution(
            inputs, next, kernel: 3, ConvolutionGeometry(padding: 1), hasBias: false,
            using: &random),
          BatchNorm(next, relu: true),
        ]
        inputs = next
      }
    }
    let side = size / 8
    return Sequential(
      layers + [Function.flatten, Linear(side * side * inputs, outputs, using: &random)])
  }

  /// From codes to images: a linear layer to a quarter of the side, and twice an upsampling with a 3×3 convolution
  /// after it.
  ///
  /// **Shapes.** `[batch, inputs]` → `[batch, size · size · channels]`, row by row.
  /// - Precondition: 4 divides the size.
  public static func decoder(
    inputs: Int, size: Int, channels: Int = 1, width: Int = 16,
    using random: inout RandomStream
  ) -> Sequential {
    require(size % 4 == 0, "a decoder to a side of \(size), which 4 does not divide")
    let (side, wide) = (size / 4, 2 * width)
    let same = ConvolutionGeometry(padding: 1)
    return Sequential([
      Linear(inputs, side * side * wide, using: &random), Function.relu,
      Function { $0.reshaped([$0.shape[0], side, side, wide]).upsampled(2) },
      Convolution(wide, width, kernel: 3, same, using: &random), Function.relu,
      Function { $0.upsampled(2) },
      Convolution(width, channels, kernel: 3, same, using: &random), Function.flatten,
    ])
  }

  /// A small network for scoring many copies of an image: two 5×5 convolutions of stride 2 with
  /// ReLU, and a linear layer that knows the place of what it sees.
  public static func scorer(
    size: Int = 28, channels: Int = 1, width: Int = 8, features: Int,
    using random: inout RandomStream
  ) -> Sequential {
    let geometry = ConvolutionGeometry(stride: 2, padding: 2)
    let side = geometry.outputExtent(geometry.outputExtent(size, kernel: 5), kernel: 5)
    return Sequential([
      Convolution(channels, width, kernel: 5, geometry, using: &random), Function.relu,
      Convolution(width, 2 * width, kernel: 5, geometry, using: &random), Function.relu,
      Function.flatten, Linear(side * side * 2 * width, features, using: &random),
    ])
  }
}

/// A network from images to images: down to a quarter of the side and back.
///
/// The finer maps are joined in on the way up (after Ronneberger et al. 2015, arXiv 1505.04597).
///
/// **Shapes.** `[batch, height, width, channels]` → `[batch, height, width, outputs]`, logits per pixel and
/// channel; height and width divisible by 4.
public struct UNet: Layer {
  private let down1, down2, bottom, up2, up1: Sequential
  private let head: Convolution

  public init(
    channels: Int = 1, outputs: Int? = nil, width: Int = 16, using random: inout RandomStream
  ) {
    func block(_ inputs: Int, _ outputs: Int, _ random: inout RandomStream) -> Sequential {
      Sequential(
        [(inputs, outputs), (outputs, outputs)].flatMap { pair -> [any Layer] in
          [
            Convolution(
              pair.0, pair.1, kernel: 3, ConvolutionGeometry(padding: 1), hasBias: false,
              using: &random),
            BatchNorm(pair.1, relu: true),
          ]
        })
    }
    down1 = block(channels, width, &random)
    down2 = block(width, 2 * width, &random)
    bottom = block(2 * width, 4 * width, &random)
    up2 = block(6 * width, 2 * width, &random)
    up1 = block(3 * width, width, &random)
    head = Convolution(width, outputs ?? channels, kernel: 1, using: &random)
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    let parts: [(String, any Layer)] = [
      ("down1", down1), ("down2", down2), ("bottom", bottom), ("up2", up2), ("up1", up1),
      ("head", head),
    ]
    return parts.flatMap { part in
      part.1.parameters.map { ("\(part.0).\($0.name)", $0.parameter) }
    }
  }

  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    require(
      input.shape[1] % 4 == 0 && input.shape[2] % 4 == 0,
      "a U-Net halves its input twice: \(input.shape)")
    let fine = down1(input, on: tape)
    let middle = down2(fine.maxPooled(size: 2), on: tape)
    let coarse = bottom(middle.maxPooled(size: 2), on: tape)
    let half = up2(.concatenated([coarse.upsampled(2), middle], axis: 3), on: tape)
    return head(up1(.concatenated([half.upsampled(2), fine], axis: 3), on: tape), on: tape)
  }
}
