import Images
public import Settings
public import Symmetry
import TensorCore

extension Keys {
  /// Reads where targets lie, without which there is nothing to learn.
  fileprivate mutating func readTargets(
    _ path: inout String, _ meaning: String, _ kind: String
  ) throws(SettingsError) {
    try read("targets", &path, meaning)
    if path.isEmpty && !lists {
      throw failure("data of kind '\(kind)' need 'targets' beside 'path'")
    }
  }
}

/// The settings of `{kind: folder}`.
public struct FolderOptions: SplitOptions {
  public static let kind = "folder"
  public static let summary = "A folder with one subfolder of images a class."
  public var path = ""
  public var split = Split()
  public var images = ImageDomain()
  public init() {}

  public var domain: any Domain { images }
  public var task: String { "classify" }
  public var symmetries: [String] { ["SO2"] }

  public mutating func read(_ keys: inout Keys, input: inout Keys) throws(SettingsError) {
    try keys.read("path", &path, "the folder")
    try split.read(&keys)
    try input.read(&images)
  }

  public func heap() throws -> Heap {
    let (all, names, errors) = try images.images(at: path)
    let classes = ImageFolder.classes(of: names).map(\.name)
    guard classes.count > 1 else {
      throw DatasetError.malformed(
        path: path, reason: "one subfolder of images per class is expected")
    }
    let order = Dictionary(
      uniqueKeysWithValues: classes.enumerated().map { (Array($1.utf8), $0) })
    let places = names.indices.filter { ImageFolder.className(of: names[$0]) != nil }
    let labels = places.compactMap { place in
      ImageFolder.className(of: names[place]).flatMap { order[Array($0.utf8)] }
    }
    return Heap(
      Examples(inputs: all.gathered(places), labels: labels),
      classNames: classes, errors: errors)
  }
}

/// The settings of `{kind: pairs}`.
public struct PairsOptions: SplitOptions {
  public static let kind = "pairs"
  public static let summary =
    "Two folders with images of the same names: inputs, and images to make of them."
  public var path = ""
  public var targets = ""
  public var split = Split()
  public var images = ImageDomain()
  public init() {}

  public var domain: any Domain { images }
  public var task: String { "restore" }
  public var symmetries: [String] { ["SO2"] }

  public mutating func read(_ keys: inout Keys, input: inout Keys) throws(SettingsError) {
    try keys.read("path", &path, "the folder of inputs")
    try keys.readTargets(&targets, "the folder of targets", Self.kind)
    try split.read(&keys)
    try input.read(&images)
  }

  public func heap() throws -> Heap {
    let (inputs, names, errors) = try images.images(at: path)
    let wanted = ImageFolder(path: targets, files: names)
    let (images, found, missing) = try images.images(of: wanted)
    // A pair is both: of those found, the inputs that have a target.
    let known = Set(found.map { Array($0.utf8) })
    let places = names.indices.filter { known.contains(Array(names[$0].utf8)) }
    guard !places.isEmpty else {
      throw DatasetError.malformed(
        path: targets, reason: "it holds no image of the same name as one in \(path)")
    }
    return Heap(
      Examples(inputs: inputs.gathered(places), ["image": images, "mask": images]),
      errors: errors + missing)
  }
}

/// The settings of `{kind: idx}`.
public struct IDXOptions: SplitOptions {
  public static let kind = "idx"
  public static let summary = "A pair of IDX files: images, and their labels."
  public var path = ""
  public var targets = ""
  public var split = Split()
  public var images = ImageDomain()
  public init() {}

  public var domain: any Domain { images }
  public var task: String { "classify" }
  public var symmetries: [String] { ["SO2"] }

  public mutating func read(_ keys: inout Keys, input: inout Keys) throws(SettingsError) {
    try keys.read("path", &path, "the file of images")
    try keys.readTargets(&targets, "the file of labels", Self.kind)
    try split.read(&keys)
    try input.read(&images)
  }

  /// A file of images elsewhere, with the labels that lie beside it, is all a test part; so are MNIST's in its folder.
  public func located(at path: String) -> (any DatasetOptions)? {
    let test = "\(path)/t10k-images-idx3-ubyte"
    guard let path = [path, test, test + ".gz"].first(where: IDX.isFile) else { return nil }
    var copy = self
    (copy.path, copy.targets, copy.split.test) = (path, IDX.labels(beside: path) ?? "", 1)
    return copy
  }

  public func heap() throws -> Heap {
    let inputs = try images.images(inIDX: path)
    guard !targets.isEmpty else { return Heap(Examples(inputs: inputs)) }
    let names = try IDX(path: targets)
    guard names.extents == [inputs.shape[0]] else {
      throw DatasetError.malformed(
        path: targets, reason: "\(inputs.shape[0]) images have labels \(names.extents)")
    }
    let classes = (names.bytes.max().map(Int.init) ?? 0) + 1
    return Heap(
      Examples(inputs: inputs, labels: names.bytes.map(Int.init)),
      classNames: (0..<classes).map { "\($0)" })
  }
}

extension ImageDomain {
  /// All images of a file in the IDX format, as a model sees them.
  ///
  /// - Throws: `DatasetError`.
  func images(inIDX path: String) throws(DatasetError) -> Tensor {
    let pictures = try IDX(path: path)
    guard pictures.extents.count == 3, pictures.extents.allSatisfy({ $0 > 0 }) else {
      throw .malformed(
        path: path, reason: "images are [count, height, width], not \(pictures.extents)")
    }
    let (height, width) = (pictures.extents[1], pictures.extents[2])
    guard pictures.extents[0] <= MemoryLimit.bytes / (8 * shape.reduce(1, *)) else {
      throw .malformed(
        path: path,
        reason:
          "\(pictures.extents[0]) images of \(text) need more than \(MemoryLimit.bytes >> 20) MiB")
    }
    return .concatenated(
      Parallel.map(Array(0..<pictures.extents[0])) { n in
        Image(
          width: width, height: height, channels: 1,
          samples: pictures.bytes[n * height * width..<(n + 1) * height * width].map(UInt16.init)
        ).modelInput(size: size, channels: channels)
      })
  }

  /// All images of a folder, as a model sees them, with their names and what could not be read.
  func images(of folder: ImageFolder) throws -> (Tensor, names: [String], errors: [ImageError]) {
    var (parts, names, errors): ([Tensor], [String], [ImageError]) = ([], [], [])
    try source(folder).forEachLot({ (names: $0.names, inputs: $0.inputs, errors: $0.errors) }) {
      lot in
      if !lot.names.isEmpty { parts.append(lot.inputs) }
      names += lot.names
      errors += lot.errors
    }
    guard !names.isEmpty else {
      throw DatasetError.malformed(
        path: folder.path,
        reason: errors.first.map { "none of its images can be read: \($0)" } ?? "it holds no images"
      )
    }
    return (.concatenated(parts), names, errors)
  }

  func images(at path: String) throws -> (Tensor, names: [String], errors: [ImageError]) {
    try images(of: try ImageFolder(path: path))
  }
}
