public import Datasets
import Foundation
import Images
import Layers
import Symmetry
public import TensorCore

/// Inputs with what a model should make of them.
public struct Examples: Sendable {
  /// `[count, size, size, channels]`.
  public let inputs: Tensor
  /// One-hot classes `[count, classes]`, or images.
  public let targets: Tensor
  /// The classes; empty for an image-valued task.
  public let labels: [Int]

  public init(inputs: Tensor, targets: Tensor, labels: [Int] = []) {
    self.inputs = inputs
    self.targets = targets
    self.labels = labels
  }

  public var count: Int { inputs.shape[0] }

  /// Some of the examples, in order.
  public func selecting(_ range: Range<Int>) -> Examples {
    Examples(
      inputs: inputs.sliced(range), targets: targets.sliced(range),
      labels: labels.isEmpty ? [] : Array(labels[range]))
  }
}

/// The data that a run learns from, read and split as its configuration says.
public struct TrainingData: Sendable {
  public let train, valid: Examples
  public let classNames: [String]

  /// Takes data that are in memory; `classNames` is empty for an image-valued task.
  public init(train: Examples, valid: Examples, classNames: [String]) {
    self.train = train
    self.valid = valid
    self.classNames = classNames
  }

  /// Reads the data.
  ///
  /// - Throws: `DatasetError` or `ImageError`.
  public init(_ configuration: RunConfiguration) throws {
    let data = configuration.data
    let seed = UInt64(configuration.seed)
    if data.kind.dimension != nil {
      let parts = try PointData(configuration)
      let all = parts.examples(.train)
      train = data.limit > 0 ? all.selecting(0..<min(data.limit, all.count)) : all
      (valid, classNames) = (parts.examples(.valid), parts.classNames)
      return
    }
    switch data.kind {
    case .rotatedMNIST, .uprightMNIST:
      let digits = try Digits(folder: data.path)
      classNames = data.task == .classify ? data.variant.classNames : []
      let all = Examples(digits, .train, configuration)
      train = data.limit > 0 ? all.selecting(0..<min(data.limit, all.count)) : all
      valid = Examples(digits, .valid, configuration)
    default:
      let (all, names) = try TrainingData.load(configuration)
      var random = RandomStream(seed: seed, name: "split")
      let order = Array(0..<all.count).shuffled(using: &random)
      let held = max(1, Int(Float(all.count) * data.valid))
      guard all.count - held >= configuration.training.batch else {
        throw DatasetError.malformed(
          path: data.path,
          reason: "it has \(all.count) examples, too few for a batch of "
            + "\(configuration.training.batch) beside \(held) for validation")
      }
      func pick(_ part: ArraySlice<Int>) -> Examples {
        Examples(
          inputs: all.inputs.gathered(Array(part)), targets: all.targets.gathered(Array(part)),
          labels: all.labels.isEmpty ? [] : part.map { all.labels[$0] })
      }
      valid = pick(order.prefix(held))
      let rest = order.dropFirst(held)
      train = pick(data.limit > 0 ? rest.prefix(data.limit) : rest)
      classNames = names
    }
  }

  /// The examples that nothing is selected on; `nil` where the data have no test part.
  ///
  /// - Throws: `DatasetError`.
  public static func test(_ configuration: RunConfiguration) throws -> Examples? {
    if configuration.data.kind.dimension != nil {
      return try PointData(configuration).examples(.test)
    }
    guard configuration.data.kind.isMNIST else { return nil }
    return Examples(try Digits(folder: configuration.data.path), .test, configuration)
  }

  /// Reads all of a folder, pair of folders or pair of IDX files.
  static func load(_ configuration: RunConfiguration) throws -> (Examples, [String]) {
    let (data, input) = (configuration.data, configuration.input)
    func read(_ path: String) throws -> Tensor {
      try Image(path: path).modelInput(size: input.size, channels: input.channels)
    }
    switch data.kind {
    case .pairs:
      let files = try ImageFolder(path: data.path).files
      let inputs = try files.map { try read("\(data.path)/\($0)") }
      let targets = try files.map { try read("\(data.targets)/\($0)") }
      return (Examples(inputs: .concatenated(inputs), targets: .concatenated(targets)), [])
    case .idx:
      let (images, names) = (try IDX(path: data.path), try IDX(path: data.targets))
      guard images.extents.count == 3, names.extents == [images.extents[0]] else {
        throw DatasetError.malformed(
          path: data.path, reason: "images \(images.extents) and labels \(names.extents) differ")
      }
      let (height, width) = (images.extents[1], images.extents[2])
      let parts = (0..<images.extents[0]).map { n in
        Image(
          width: width, height: height, channels: 1,
          samples: images.bytes[n * height * width..<(n + 1) * height * width].map(UInt16.init)
        ).modelInput(size: input.size, channels: input.channels)
      }
      let classes = (names.bytes.max().map(Int.init) ?? 0) + 1
      let labeled = LabeledImages(
        images: .concatenated(parts), labels: names.bytes.map(Int.init),
        classNames: (0..<classes).map { "\($0)" })
      return (Examples(labeled), labeled.classNames)
    default:
      let files = try ImageFolder(path: data.path).files
      let classes = Array(Set(files.compactMap(ImageFolder.className))).sorted()
      guard classes.count > 1 else {
        throw DatasetError.malformed(
          path: data.path, reason: "one subfolder of PNG files per class is expected")
      }
      let known = files.filter { ImageFolder.className(of: $0) != nil }
      let images = try known.map { try read("\(data.path)/\($0)") }
      let labels = known.map { file in
        classes.firstIndex(of: ImageFolder.className(of: file) ?? "") ?? 0
      }
      let labeled = LabeledImages(
        images: .concatenated(images), labels: labels, classNames: classes)
      return (Examples(labeled), classes)
    }
  }
}

extension Examples {
  /// Images with classes.
  public init(_ labeled: LabeledImages) {
    self.init(
      inputs: labeled.images,
      targets: .oneHot(labeled.labels, classes: labeled.classNames.count), labels: labeled.labels)
  }

  /// A part of MNIST, as a configuration wants it.
  fileprivate init(_ digits: Digits, _ part: Digits.Part, _ configuration: RunConfiguration) {
    let data = configuration.data
    let labeled = digits.rotated(
      part, isUpright: data.kind == .uprightMNIST, variant: data.variant)
    if configuration.data.task == .classify {
      self.init(labeled)
    } else {
      self.init(
        restoring: labeled.images, seed: UInt64(configuration.seed), name: "\(part)")
    }
  }

  /// Clean images as targets; as inputs the same with noise of deviation 0.2 and a strip of a
  /// quarter of the side erased, in a place and direction drawn for each.
  init(restoring clean: Tensor, seed: UInt64, name: String) {
    var random = RandomStream(seed: seed, name: "corruption/\(name)")
    let (count, height, width) = (clean.shape[0], clean.shape[1], clean.shape[2])
    var pixels = clean.elements
    let noise = Tensor.normal(clean.shape, deviation: 0.2, using: &random).elements
    for n in 0..<count {
      let direction = 2 * Float.pi * random.uniform()
      let (c, s) = (cos(direction), sin(direction))
      let middle = (random.uniform() - 0.5) * Float(height) / 2
      for y in 0..<height {
        for x in 0..<width {
          let i = (n * height + y) * width + x
          let along = (Float(x) - Float(width - 1) / 2) * c + (Float(y) - Float(height - 1) / 2) * s
          let kept: Float = abs(along - middle) < Float(height) / 8 ? 0 : pixels[i]
          pixels[i] = min(max(kept + noise[i], 0), 1)
        }
      }
    }
    self.init(inputs: Tensor(pixels, shape: clean.shape), targets: clean)
  }
}
