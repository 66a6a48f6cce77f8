public import Autodiff
public import Layers
import TensorCore

/// What a network of images wants them to be; here they are `[batch, height, width, channels]`, 0 to 1, red first.
public struct ImageConventions: Sendable, Equatable {
  /// Whether it takes `[batch, channels, height, width]`.
  public var isChannelsFirst: Bool
  /// Of each channel, or of all: taken away, and divided by.
  public var mean, deviation: [Float]
  /// Whether blue comes first.
  public var isBGR: Bool

  public init(
    isChannelsFirst: Bool = true, mean: [Float] = [0], deviation: [Float] = [1], isBGR: Bool = false
  ) {
    (self.isChannelsFirst, self.mean) = (isChannelsFirst, mean)
    (self.deviation, self.isBGR) = (deviation, isBGR)
  }

  /// What torchvision's and timm's networks that learned from ImageNet take.
  public static let imageNet = ImageConventions(
    mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225])

  /// An image as the network takes it.
  func prepared(_ images: Variable) -> Variable {
    var x = images
    if isBGR {
      x = .concatenated((0..<x.shape[3]).reversed().map { x.sliced($0..<$0 + 1, axis: 3) }, axis: 3)
    }
    if mean.contains(where: { $0 != 0 }) { x = x - Variable(Tensor(mean)) }
    if deviation.contains(where: { $0 != 1 }) { x = x / Variable(Tensor(deviation)) }
    return isChannelsFirst ? x.permuted([0, 3, 1, 2]) : x
  }
}

/// An ONNX network of one input as a layer: a backbone of images, point sets or vectors.
///
///     let network = try ONNXLayer(ONNXModel(path: "resnet18.onnx"), input: [224, 224, 3], .imageNet)
///     let equivariant = Equivariant(canonicalizer, backbone: network)
///
/// It is tried on zeros when it is made, so that what does not fit is said then. What it gives keeps the file's order of
/// axes, but for images of an output: their channels come last, as here.
public struct ONNXLayer: Layer {
  public let model: ONNXModel
  public let conventions: ImageConventions?
  /// Of the output that is taken, without the batch.
  public let output: [Int]
  private let input: [Int]
  private let index: Int
  /// Of how many inputs a batch must be, where the file says it.
  private let batch: Int?

  /// - Parameters:
  ///   - input: The extents of an input here, without the batch: `[height, width, channels]` of an image.
  ///   - conventions: How images are given to it; `nil` for other inputs.
  ///   - output: The name of the output that is taken, by default the first.
  ///   - asScores: Whether the logarithms of probabilities are wanted where it ends in a softmax: scores of classes.
  ///   - isMask: Whether these are of pixels, and end in a sigmoid.
  /// - Throws: `ONNXError` where the network takes several inputs, or others, or gives no floats.
  public init(
    _ model: ONNXModel, input: [Int], _ conventions: ImageConventions? = nil,
    output name: String? = nil, asScores: Bool = false,
    isMask: Bool = false
  ) throws(ONNXError) {
    guard model.inputs.count == 1, model.inputs[0].type == .float else {
      let taken = model.inputs.map { "'\($0.name)' \($0.text)" }.joined(separator: ", ")
      throw ONNXError("\(model.path) takes \(taken), where one input of floats is supported.")
    }
    guard let index = name == nil ? 0 : model.outputs.firstIndex(where: { $0.name == name }),
      index < model.outputs.count
    else {
      let given = model.outputs.map(\.name).joined(separator: ", ")
      throw ONNXError(
        given.isEmpty
          ? "\(model.path) gives nothing."
          : "\(model.path) gives no '\(name ?? "")'; it gives \(given).")
    }
    if let conventions {
      guard input.count == 3,
        [conventions.mean, conventions.deviation].allSatisfy({ [1, input[2]].contains($0.count) })
      else { throw ONNXError("Mean and deviation are of each channel of \(input), or one of all.") }
      guard conventions.deviation.allSatisfy({ $0 > 0 && $0.isFinite }) else {
        throw ONNXError("A deviation must be positive, not \(conventions.deviation).")
      }
    }
    let model =
      asScores ? model.withScores(at: index, before: isMask ? "Sigmoid" : "Softmax") : model
    (self.model, self.conventions, self.input, self.index) = (model, conventions, input, index)
    batch = model.inputs[0].shape?.first.flatMap { $0 }
    let most = MemoryLimit.bytes / 8 / max(1, input.reduce(1, *))
    guard (1...max(1, most)).contains(batch ?? 1) else {
      throw ONNXError(
        "\(model.path) takes \(model.inputs[0].text), a batch that memory is not enough for, or an empty one."
      )
    }
    let isImage = conventions?.isChannelsFirst == true
    let probe = try Self.run(
      model, index, conventions, Variable(.zeros(Shape([batch ?? 1] + input))))
    guard probe.shape.rank > 0, probe.shape[0] == batch ?? 1 else {
      throw ONNXError("\(model.path) gives \(probe.shape), of which the first axis is no batch.")
    }
    let extents = Array(probe.shape.extents.dropFirst())
    output = isImage && extents.count == 3 ? [extents[1], extents[2], extents[0]] : extents
  }

  private static func run(
    _ model: ONNXModel, _ index: Int, _ conventions: ImageConventions?, _ input: Variable,
    on tape: Tape = .inference()
  ) throws(ONNXError) -> Variable {
    let given = conventions?.prepared(input) ?? input
    guard case .floats(let result) = try model.run([.floats(given)], on: tape)[index] else {
      throw ONNXError(
        "\(model.path): '\(model.outputs[index].name)' is not of floats; a network has to end with its scores, before it picks a class of them (ArgMax, TopK)."
      )
    }
    return result
  }

  public var parameters: [(name: String, parameter: Parameter)] { model.parameters }
  public var structure: [UInt8]? { model.structure }

  /// What the network says; NaN where it cannot say anything, as for an index that it computes and that is none.
  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    if input.isTraced { return traced(input, on: tape) }
    let count = input.shape[0]
    let size = batch ?? max(1, count)
    var results: [Variable] = []
    for start in stride(from: 0, to: count, by: size) {
      let part = input.sliced(start..<min(count, start + size))
      let rest = size - part.shape[0]
      // A batch of the size that the file says, the last one filled up.
      let full =
        rest == 0 ? part : .concatenated([part, Variable(.zeros(Shape([rest] + self.input)))])
      let result = try? Self.run(model, index, conventions, full, on: tape)
      guard let result, result.shape.rank > 0, result.shape[0] == size,
        result.shape.count == size * output.reduce(1, *)
      else {
        return Variable(Tensor(repeating: .nan, shape: Shape([count] + output)))
      }
      let isImage = conventions?.isChannelsFirst == true && result.shape.rank == 4
      results.append((isImage ? result.permuted([0, 2, 3, 1]) : result).sliced(0..<part.shape[0]))
    }
    return results.isEmpty
      ? Variable(.zeros(Shape([0] + output)))
      : results.count == 1 ? results[0] : .concatenated(results)
  }

  /// The network as one operation of a computation that is to be written down.
  private func traced(_ input: Variable, on tape: Tape) -> Variable {
    let given = conventions?.prepared(input) ?? input
    let result = callAsFunction(Variable(input.value), on: tape).value
    let isImage = conventions?.isChannelsFirst == true && output.count == 3
    let operation: Operation =
      batch == nil
      ? .own(NetworkCall(model: model, index: index))
      : .unwritable(
        "a network whose file fixes how many inputs a batch has: write it anew with a free one (`dynamic_shapes`, or before `dynamic_axes`, of torch.onnx.export)"
      )
    let called = Variable(
      isImage ? result.permuted([0, 3, 1, 2]) : result, inputs: [given], operation: operation
    ) { _ in [nil] }
    return isImage ? called.permuted([0, 2, 3, 1]) : called
  }
}
