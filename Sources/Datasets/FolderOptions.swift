import Images
public import Settings
public import Symmetry
import TensorCore

extension ImageFolder {
  /// Some of the files as a model sees them, `[count, size, size, channels]`.
  func inputs(_ files: [String], _ images: ImageDomain) throws -> Tensor {
    .concatenated(
      try files.map {
        try Image(path: "\(path)/\($0)").modelInput(size: images.size, channels: images.channels)
      })
  }
}

extension Keys {
  /// Reads the fraction that is held out, where the data have no split of their own.
  mutating func readHeld(_ fraction: inout Float) throws(SettingsError) {
    try read("valid", &fraction, in: 0.01...0.9, "the fraction held out for validation")
  }

  /// Reads where targets lie, without which there is nothing to learn.
  fileprivate mutating func readTargets(
    _ path: inout String, _ meaning: String, _ kind: String
  ) throws(SettingsError) {
    try read("targets", &path, meaning)
    if path.isEmpty { throw failure("data of kind '\(kind)' need 'targets' beside 'path'") }
  }
}

/// The settings of `{kind: folder}`.
public struct FolderOptions: DatasetOptions {
  public static let kind = "folder"
  public static let summary = "A folder with one subfolder of PNG files a class."
  public var path = ""
  public var valid: Float = 0.1
  public var images = ImageDomain()
  public init() {}

  public var domain: any Domain { images }
  public var task: String { "classify" }
  public var symmetries: [String] { ["SO2"] }

  public mutating func read(_ keys: inout Keys, input: inout Keys) throws(SettingsError) {
    try keys.read("path", &path, "the folder")
    try keys.readHeld(&valid)
    try input.read(&images)
  }

  public func load(seed: UInt64) throws -> Dataset {
    let folder = try ImageFolder(path: path)
    let classes = Array(Set(folder.files.compactMap(ImageFolder.className))).sorted()
    guard classes.count > 1 else {
      throw DatasetError.malformed(
        path: path, reason: "one subfolder of PNG files per class is expected")
    }
    let known = folder.files.filter { ImageFolder.className(of: $0) != nil }
    let labels = known.map { file in
      classes.firstIndex(of: ImageFolder.className(of: file) ?? "") ?? 0
    }
    return Dataset(
      splitting: Examples(inputs: try folder.inputs(known, images), labels: labels), held: valid,
      seed: seed, classNames: classes)
  }
}

/// The settings of `{kind: pairs}`.
public struct PairsOptions: DatasetOptions {
  public static let kind = "pairs"
  public static let summary =
    "Two folders with PNG files of the same names: inputs, and images to make of them."
  public var path = ""
  public var targets = ""
  public var valid: Float = 0.1
  public var images = ImageDomain()
  public init() {}

  public var domain: any Domain { images }
  public var task: String { "restore" }
  public var symmetries: [String] { ["SO2"] }

  public mutating func read(_ keys: inout Keys, input: inout Keys) throws(SettingsError) {
    try keys.read("path", &path, "the folder of inputs")
    try keys.readTargets(&targets, "the folder of targets", Self.kind)
    try keys.readHeld(&valid)
    try input.read(&images)
  }

  public func load(seed: UInt64) throws -> Dataset {
    let folder = try ImageFolder(path: path)
    let inputs = try folder.inputs(folder.files, images)
    let wanted = try ImageFolder(path: targets, files: folder.files).inputs(folder.files, images)
    return Dataset(
      splitting: Examples(inputs: inputs, ["image": wanted, "mask": wanted]), held: valid,
      seed: seed)
  }
}

/// The settings of `{kind: idx}`.
public struct IDXOptions: DatasetOptions {
  public static let kind = "idx"
  public static let summary = "A pair of IDX files: images, and their labels."
  public var path = ""
  public var targets = ""
  public var valid: Float = 0.1
  public var images = ImageDomain()
  public init() {}

  public var domain: any Domain { images }
  public var task: String { "classify" }
  public var symmetries: [String] { ["SO2"] }

  public mutating func read(_ keys: inout Keys, input: inout Keys) throws(SettingsError) {
    try keys.read("path", &path, "the file of images")
    try keys.readTargets(&targets, "the file of labels", Self.kind)
    try keys.readHeld(&valid)
    try input.read(&images)
  }

  public func load(seed: UInt64) throws -> Dataset {
    let (pictures, names) = (try IDX(path: path), try IDX(path: targets))
    guard pictures.extents.count == 3, pictures.extents.allSatisfy({ $0 > 0 }),
      names.extents == [pictures.extents[0]]
    else {
      throw DatasetError.malformed(
        path: path, reason: "images \(pictures.extents) and labels \(names.extents) differ")
    }
    let (height, width) = (pictures.extents[1], pictures.extents[2])
    let parts = (0..<pictures.extents[0]).map { n in
      Image(
        width: width, height: height, channels: 1,
        samples: pictures.bytes[n * height * width..<(n + 1) * height * width].map(UInt16.init)
      ).modelInput(size: images.size, channels: images.channels)
    }
    let classes = (names.bytes.max().map(Int.init) ?? 0) + 1
    return Dataset(
      splitting: Examples(inputs: .concatenated(parts), labels: names.bytes.map(Int.init)),
      held: valid, seed: seed, classNames: (0..<classes).map { "\($0)" })
  }
}
