import Autodiff
public import Layers
public import Settings
public import Symmetry
public import TensorCore

/// The settings of `{kind: onnx}`: a network that was trained elsewhere, from its file.
///
/// Its weights are those of the file; a model file carries the rest of the network beside what they have become, so that
/// it does not need the file again.
public struct ONNXOptions: BackboneOptions {
  public static let kind = "onnx"
  public static let summary =
    "A network of an ONNX file, trained elsewhere: its weights are the start."
  public var path = ""
  public var output = ""
  public var layout = "auto"
  public var mean: [Float] = [0]
  public var deviation: [Float] = [1]
  public var colors = "rgb"
  /// Whether its images are of numbers from 0 to 1, not of their logits, where no sigmoid ends it.
  public var pixels = false
  public var structure: [UInt8]?
  /// Whether scores of classes are wanted, how many the data say.
  private var tellsClasses = false
  public init() {}

  public var hasWeights: Bool { true }

  public mutating func read(
    _ keys: inout Keys, for domain: any Domain, output: [Int]
  ) throws(SettingsError) {
    try keys.read("path", &path, "the .onnx file")
    try keys.read("output", &self.output, "the output that is taken; the first where none is named")
    guard !path.isEmpty || keys.lists else { throw keys.failure("'onnx' needs a 'path'") }
    tellsClasses = output == [0]
    guard let images = domain as? ImageDomain else { return }
    try keys.read(
      "layout", &layout, among: ["auto", "channels-first", "channels-last"],
      "of the images that it takes")
    try keys.read("mean", &mean, "taken from the numbers 0 to 1 of each channel, or of all")
    try keys.read("deviation", &deviation, "that they are divided by")
    try keys.read("colors", &colors, among: ["rgb", "bgr"], "the order of color channels")
    try keys.read("pixels", &pixels, "its images are of numbers from 0 to 1, not of their logits")
    guard [mean, deviation].allSatisfy({ [1, images.channels].contains($0.count) }) else {
      throw keys.failure(
        "'mean' and 'deviation' are one number, or \(images.channels): one for each channel")
    }
    guard deviation.allSatisfy({ $0 > 0 }) else {
      throw keys.failure("'deviation' must be positive, not \(deviation)")
    }
  }

  public func make(
    input: [Int], output wanted: [Int], using random: inout RandomStream
  ) throws(SettingsError) -> any Layer {
    do throws(ONNXError) {
      let model =
        if let structure { try ONNXModel(structure: structure, path: path) } else {
          try ONNXModel(path: path)
        }
      let layer = try ONNXLayer(
        model, input: input, input.count == 3 ? try conventions(model, input) : nil,
        output: output.isEmpty ? nil : output,
        // Scores of classes become probabilities by a softmax, and images by a sigmoid: not twice.
        asScores: tellsClasses || wanted.count == 3 && wanted[2] != 2, isMask: !tellsClasses)
      if let wrong = model.parameters.first(where: {
        !$0.parameter.value.isFinite
      }) {
        throw ONNXError(
          "\(path): its '\(wrong.name)' holds values that are not numbers, which no model file keeps."
        )
      }
      // A model file has it in its header, of which 100 MB are read.
      guard model.structure.count <= 64 << 20 else {
        throw ONNXError(
          "\(path) has \(model.structure.count >> 20) MiB beside its weights of floats, as in constants or whole numbers: a model file carries 64 at most."
        )
      }
      guard layer.output.reduce(1, *) == wanted.reduce(1, *) else {
        let classes =
          tellsClasses && wanted.count == 1 ? ", one for each class of the data" : ""
        throw ONNXError("\(path) gives \(layer.output), and the task wants \(wanted)\(classes).")
      }
      let index = model.outputs.firstIndex { $0.name == self.output } ?? 0
      return pixels && !model.ends(at: index, in: "Sigmoid") ? PixelLogits(network: layer) : layer
    } catch {
      // A sentence without its full stop.
      throw SettingsError("backbone", line: nil, String(error.description.dropLast()))
    }
  }

  /// What its images are to be, by the shape that the file says where nothing else is said.
  private func conventions(_ model: ONNXModel, _ input: [Int]) throws(ONNXError) -> ImageConventions
  {
    var isFirst = layout != "channels-last"
    if layout == "auto", let shape = model.inputs.first?.shape, shape.count == 4 {
      let (first, last) = (shape[1], shape[3])
      let (fitsFirst, fitsLast) = (
        first == nil || first == input[2], last == nil || last == input[2]
      )
      guard fitsFirst || fitsLast else {
        throw ONNXError(
          "\(path) takes \(model.inputs[0].text), and images have \(input[2]) channels.")
      }
      // The format's own order, where both would do.
      isFirst = fitsFirst && !(first == nil && last == input[2])
    }
    return ImageConventions(
      isChannelsFirst: isFirst, mean: mean, deviation: deviation, isBGR: colors == "bgr")
  }
}
