import ArgumentParser
import Datasets
import Foundation
import Layers
import ONNX
import Symmetry
import TensorCore

/// The numbers of pixels that a network wants.
enum Normalization: String, ExpressibleByArgument, CaseIterable {
  /// 0 to 1, as they are here.
  case none
  /// The mean and the deviation of ImageNet, as torchvision's and timm's networks want them.
  case imagenet
  /// −1 to 1.
  case symmetric
  /// 0 to 255.
  case bytes

  var mean: [Float] {
    switch self {
    case .imagenet: ImageConventions.imageNet.mean
    case .symmetric: [0.5]
    case .none, .bytes: [0]
    }
  }

  var deviation: [Float] {
    switch self {
    case .imagenet: ImageConventions.imageNet.deviation
    case .symmetric: [0.5]
    case .none: [1]
    case .bytes: [1 / 255]
    }
  }
}

/// A network of an ONNX file that takes images, as commands see it.
struct ImportedNetwork {
  let model: ONNXModel
  let images: ImageDomain
  let isChannelsFirst: Bool

  /// What the order of axes is taken for, in a file that does not say it.
  private static let channelCounts = [1, 3]

  /// Reads the file, and finds out which images it takes.
  ///
  /// - Parameter size: Their side, where the file leaves it free.
  /// - Throws: `ONNXError`, or `CommandError` for a network that takes anything but square images.
  init(_ path: String, size: Int?) throws {
    model = try ONNXModel(path: path)
    guard model.inputs.count == 1, let port = model.inputs.first, port.type == .float,
      let shape = port.shape, shape.count == 4
    else {
      let inputs = model.inputs.map { "'\($0.name)' \($0.text)" }.joined(separator: ", ")
      throw CommandError(
        "\(path) takes \(inputs.isEmpty ? "nothing" : inputs), and one input of images of floats is supported, [batch, channels, height, width] or channels last."
      )
    }
    func isChannels(_ extent: Int?) -> Bool { extent.map(Self.channelCounts.contains) ?? false }
    isChannelsFirst = isChannels(shape[1]) || !isChannels(shape[3])
    let sides = isChannelsFirst ? [shape[2], shape[3]] : [shape[1], shape[2]]
    guard let channels = isChannelsFirst ? shape[1] : shape[3],
      Self.channelCounts.contains(channels)
    else {
      throw CommandError(
        "\(path) takes \(port.text): images here have 1 or 3 channels\((isChannelsFirst ? shape[1] : shape[3]) == nil ? ", and it does not say which" : "")."
      )
    }
    let known = sides.compactMap { $0 }
    guard Set(known).count <= 1 else {
      throw CommandError("\(path) takes \(port.text), and images here are square.")
    }
    guard let side = known.first ?? size else {
      throw CommandError(
        "\(path) takes images of any size: say with --size which ones it shall get.")
    }
    guard size == nil || size == side else {
      throw CommandError("\(path) takes images of \(side) pixels, not --size \(size ?? 0).")
    }
    guard (8...1024).contains(side) else {
      throw CommandError(
        "\(path) takes images of \(side) × \(side) pixels; images of 8 to 1024 are supported."
      )
    }
    images = ImageDomain(size: side, channels: channels)
  }

  /// - Throws: `ValidationError` where one is given, and the other is not.
  static func requireBoth(_ mean: String?, _ deviation: String?) throws {
    guard (mean == nil) == (deviation == nil) else {
      throw ValidationError(
        "--mean and --deviation go together: --\(mean == nil ? "mean" : "deviation") is missing.")
    }
  }

  /// The numbers of `--mean` and `--deviation`, one for each channel or for all; `nil` where both are missing.
  ///
  /// - Throws: `ValidationError`.
  static func pixels(
    _ mean: String?, _ deviation: String?, _ network: ImportedNetwork
  ) throws -> (mean: [Float], deviation: [Float])? {
    guard let mean, let deviation else { return nil }
    func numbers(_ text: String, _ name: String, _ isUsable: (Float) -> Bool) throws -> [Float] {
      let found = text.split(separator: ",").map {
        Float($0.trimmingCharacters(in: .whitespaces)) ?? .nan
      }
      let channels = network.images.channels
      guard [1, channels].contains(found.count), found.allSatisfy({ abs($0) < 1e6 && isUsable($0) })
      else {
        throw ValidationError(
          "\(name) is '\(text)' but must be \(channels == 1 ? "one number, for images in gray" : "one number, or three like 0.485,0.456,0.406")\(name == "--mean" ? "" : ", positive")."
        )
      }
      return found
    }
    return (
      try numbers(mean, "--mean") { _ in true }, try numbers(deviation, "--deviation") { $0 > 1e-6 }
    )
  }

  /// What it gives for images of some conventions.
  func layer(
    mean: [Float], deviation: [Float], isBGR: Bool, output: String?
  ) throws -> ONNXLayer {
    let channels = images.channels
    // ImageNet's numbers are of colors: their mean, of gray.
    func fitting(_ numbers: [Float]) -> [Float] {
      channels == 1 && numbers.count == 3 ? [numbers.reduce(0, +) / 3] : numbers
    }
    return try ONNXLayer(
      model, input: images.shape,
      ImageConventions(
        isChannelsFirst: isChannelsFirst, mean: fitting(mean), deviation: fitting(deviation),
        isBGR: isBGR), output: output, asScores: true)
  }

  /// What a network says of an image that is given to it in one of the usual ways.
  struct Reading: Encodable {
    let normalization, colors, `class`: String
    /// Nothing where the network gives no numbers.
    let probability: Double?
  }

  /// The class of an image, however it may be that the network wants it.
  ///
  /// - Parameter own: Another mean and deviation to try first.
  /// - Throws: `CommandError` where it gives no classes, or the image cannot be read.
  func readings(
    of path: String, classNames: [String], output: String?,
    own: (mean: [Float], deviation: [Float])? = nil
  ) throws -> [Reading] {
    let image = try one(path)
    let usual = Normalization.allCases.map {
      (name: $0.rawValue, mean: $0.mean, deviation: $0.deviation)
    }
    let mine = own.map { [(name: "own", mean: $0.mean, deviation: $0.deviation)] } ?? []
    return try (mine + usual).flatMap { way in
      try (images.channels == 3 ? [false, true] : [false]).map { isBGR in
        let layer = try layer(
          mean: way.mean, deviation: way.deviation, isBGR: isBGR, output: output)
        let count = layer.output.reduce(1, *)
        guard count > 1, layer.output.filter({ $0 > 1 }).count == 1 else {
          throw CommandError("\(model.path) gives \(layer.output), which are no scores of classes.")
        }
        guard classNames.isEmpty || classNames.count == count else {
          throw CommandError(
            "\(classNames.count) classes are named, and \(model.path) tells \(count).")
        }
        let probabilities = layer.predict(image).reshaped([1, count]).softmax()
        let best = probabilities.largestColumn()[0]
        let probability = Double(probabilities.elements[best])
        let name = classNames.indices.contains(best) ? classNames[best] : "\(best)"
        return Reading(
          normalization: way.name, colors: isBGR ? "bgr" : "rgb",
          class: probability.isFinite ? name : "none: its scores are no numbers",
          probability: probability.isFinite ? probability : nil)
      }
    }
  }

  /// One image, as a batch.
  func one(_ path: String) throws -> Tensor {
    guard !Files.isFolder(path) else { throw CommandError("\(path) is a folder; name an image.") }
    let (examples, _, errors) = try images.examples(at: path, classNames: [])
    if let error = errors.first { throw CommandError("\(error)") }
    return examples.inputs.sliced(0..<1)
  }

  /// Names of classes, one a line.
  static func classNames(in path: String) throws -> [String] {
    guard let bytes = Files.bytes(of: path) else {
      throw CommandError(
        "\(path) cannot be read: a file with the name of a class on each line is wanted.")
    }
    let text = String(decoding: bytes, as: UTF8.self)
    // Without a mark of the byte order.
    var lines = (text.first == "\u{FEFF}" ? text.dropFirst() : Substring(text)).split(
      omittingEmptySubsequences: false, whereSeparator: \.isNewline
    ).map { $0.trimmingCharacters(in: .whitespaces) }
    while lines.last == "" { lines.removeLast() }
    guard !lines.contains(""), Set(lines).count == lines.count else {
      throw CommandError(
        "\(path) has an empty line, or a name twice; each class has one of its own.")
    }
    return lines
  }
}
