public import Images
public import Symmetry
public import TensorCore

/// A few inputs that were read, with their names.
public struct InputLot: Sendable {
  public let names: [String]
  /// `[count, …]`, as a model sees them.
  public let inputs: Tensor
  /// The images as they are, where inputs are images.
  public let images: [Image]
  /// Why others of the lot could not be read.
  public let errors: [ImageError]

  public init(
    names: [String], inputs: Tensor, images: [Image] = [], errors: [ImageError] = []
  ) {
    (self.names, self.inputs, self.images, self.errors) = (names, inputs, images, errors)
  }
}

/// Inputs at a path, read a lot at a time: memory is bounded whatever there is.
public protocol InputSource: Sendable {
  /// The names of all inputs, in order.
  var names: [String] { get }

  /// The folder that they lie in, if they do.
  var folder: String? { get }

  /// The pictures that lie there in formats that are not read.
  var unread: [String] { get }

  /// What looks like an input and is none, which is of no lot but the first one of all inputs.
  var errors: [ImageError] { get }

  /// What an input is called where people or programs read of it: by its name, or as a list named it.
  func label(of name: String) -> String

  /// The same inputs, those of a list of files named by where they lie, whatever else it holds: what is made of them gets
  /// these names.
  var namedByPlace: any InputSource { get }

  /// Some of the inputs, without the errors of others.
  func selecting(_ places: [Int]) -> any InputSource

  /// Works on several lots at once, and hands the results over in order.
  func forEachLot<Made: Sendable>(
    _ make: @escaping @Sendable (InputLot) throws -> Made, use: (Made) throws -> Void
  ) throws
}

extension InputSource {
  public var unread: [String] { [] }
  public var errors: [ImageError] { [] }
  public func label(of name: String) -> String { name }
  public var namedByPlace: any InputSource { self }
}

/// A domain whose inputs are read from files, and shown.
///
/// Commands ask it, and know nothing of images or points themselves.
public protocol ReadableDomain: Domain {
  /// What one input, several, and an input's name are called.
  var noun: (one: String, many: String, name: String) { get }

  /// Finds the inputs at a path.
  ///
  /// - Throws: A sentence for a path that holds none.
  func open(_ path: String) throws -> any InputSource

  /// Reads all inputs at a path, with what is known of them: classes by name, targets.
  ///
  /// `classNames`: The classes that a model knows.
  /// - Throws: A sentence for a path that holds none.
  func examples(
    at path: String, classNames: [String]
  ) throws -> (Examples, names: [String], errors: [ImageError])

  /// Shows an input, `shape`.
  func picture(of input: Tensor) -> Image

  /// Further poses in which inputs are shown and measured: first those that move numbers exactly, and then
  /// so many that do not.
  func poses(_ count: Int) -> (
    exact: [Motion], others: [Motion], words: (exact: String, others: String)
  )
}

extension ImageDomain: ReadableDomain {
  public var noun: (one: String, many: String, name: String) { ("image", "images", "file") }

  public func open(_ path: String) throws -> any InputSource {
    if path.hasSuffix(".safetensors") {
      return TensorSource(try Examples(tensorsAt: path, for: self).inputs)
    }
    if IDX.isFile(path) { return TensorSource(try images(inIDX: path)) }
    return source(try ImageFolder(path: path))
  }

  /// The images of a folder.
  public func source(_ folder: ImageFolder) -> any InputSource {
    ImageSource(folder: folder, domain: self)
  }

  public func examples(
    at path: String, classNames: [String]
  ) throws -> (Examples, names: [String], errors: [ImageError]) {
    if path.hasSuffix(".safetensors") {
      let all = try Examples(tensorsAt: path, for: self)
      return (all, (0..<all.count).map { "\($0)" }, [])
    }
    let (inputs, names, errors) = try images(at: path)
    let labels = names.compactMap { file in
      ImageFolder.className(of: file).flatMap { name in
        classNames.firstIndex { $0.isSameName(as: name) }
      }
    }
    return (
      Examples(inputs: inputs, labels: labels.count == names.count ? labels : []), names, errors
    )
  }

  public func picture(of input: Tensor) -> Image { Image(input) }

  public func poses(
    _ count: Int
  ) -> (exact: [Motion], others: [Motion], words: (exact: String, others: String)) {
    let exact = (1..<4).map { Motion(isometry: PlanarIsometry(quarterTurns: $0)) }
    let others = (0..<count).map {
      Motion(
        isometry: PlanarIsometry(
          residual: 2 * .pi * (Double($0) + 0.5) / Double(max(1, count)) + 0.1))
    }
    return (exact, others, ("quarter turns", "other angles"))
  }
}

/// Images of a folder, as a model sees them and as they are.
private struct ImageSource: InputSource {
  let files: ImageFolder
  let domain: ImageDomain

  init(folder: ImageFolder, domain: ImageDomain) { (files, self.domain) = (folder, domain) }

  var names: [String] { files.files }
  var folder: String? { files.path }
  var unread: [String] { files.unread }
  var errors: [ImageError] { files.errors }

  func label(of name: String) -> String { files.label(of: name) }

  var namedByPlace: any InputSource { ImageSource(folder: files.namedByPlace, domain: domain) }

  func selecting(_ places: [Int]) -> any InputSource {
    ImageSource(folder: files.selecting(places), domain: domain)
  }

  func forEachLot<Made: Sendable>(
    _ make: @escaping @Sendable (InputLot) throws -> Made, use: (Made) throws -> Void
  ) throws {
    if !files.errors.isEmpty {
      let nothing = Tensor.zeros(Shape([0] + domain.shape))
      try use(try make(InputLot(names: [], inputs: nothing, errors: files.errors)))
    }
    try files.forEachLot(
      { items in
        var (names, images, errors): ([String], [Image], [ImageError]) = ([], [], [])
        for item in items {
          switch item.image {
          case .success(let image):
            names.append(item.file)
            images.append(image)
          case .failure(let error): errors.append(error)
          }
        }
        let inputs: Tensor =
          images.isEmpty
          ? .zeros(Shape([0] + domain.shape))
          : .concatenated(
            Parallel.map(images) { $0.modelInput(size: domain.size, channels: domain.channels) })
        return try make(InputLot(names: names, inputs: inputs, images: images, errors: errors))
      }, use: use)
  }
}

extension SetDomain: ReadableDomain {
  public var noun: (one: String, many: String, name: String) { ("set", "sets", "set") }

  public func open(_ path: String) throws -> any InputSource {
    guard path.hasSuffix(".safetensors") else {
      throw DatasetError.unreadable(
        path: path, reason: "sets of points come from a .safetensors file with a tensor 'points'")
    }
    return TensorSource(try Examples(tensorsAt: path, for: self).inputs)
  }

  public func examples(
    at path: String, classNames: [String]
  ) throws -> (Examples, names: [String], errors: [ImageError]) {
    guard path.hasSuffix(".safetensors") else {
      throw DatasetError.unreadable(
        path: path, reason: "sets of points come from a .safetensors file with a tensor 'points'")
    }
    let all = try Examples(tensorsAt: path, for: self)
    return (all, (0..<all.count).map { "\($0)" }, [])
  }

  public func poses(
    _ count: Int
  ) -> (exact: [Motion], others: [Motion], words: (exact: String, others: String)) {
    var random = RandomStream(seed: 0, name: "poses")
    let group = Euclidean.so(dimension)
    let orders = Symmetric(members)
    return (
      (0..<3).map { _ in Motion(permutation: orders.sample(using: &random)) },
      (0..<count).map { _ in Motion(map: group.sample(using: &random), isOrthogonal: true) },
      ("orders", "rotations")
    )
  }

  /// The first two coordinates of the points, *x* to the right and *y* up; the later a member comes, the
  /// brighter it is.
  public func picture(of input: Tensor) -> Image {
    let side = 56
    let (members, width) = (input.shape[0], input.shape[1])
    // Beyond that, sums of squares would not be numbers.
    let numbers = input.elements.map { $0.isFinite ? min(max($0, -1e15), 1e15) : 0 }
    let axes = min(2, dimension)
    let center = (0..<axes).map { c in
      (0..<members).reduce(Float(0)) { $0 + numbers[$1 * width + c] } / Float(max(1, members))
    }
    let reach = numbers.indices.filter { $0 % width < axes }.reduce(Float(1e-6)) {
      max($0, abs(numbers[$1] - center[$1 % width]))
    }
    var pixels = [UInt16](repeating: 0, count: side * side)
    for i in 0..<members {
      let place = (0..<2).map { c in
        c < axes ? (numbers[i * width + c] - center[c]) / reach * 0.45 + 0.5 : 0.5
      }
      let (x, y) = (Int(place[0] * Float(side - 2)), Int((1 - place[1]) * Float(side - 2)))
      let brightness = UInt16(105 + 150 * (i + 1) / members)
      for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        pixels[(y + dy) * side + x + dx] = brightness
      }
    }
    return Image(width: side, height: side, channels: 1, samples: pixels)
  }
}

/// Inputs in memory, named by their numbers.
public struct TensorSource: InputSource {
  private let inputs: Tensor
  public let names: [String]
  public var folder: String? { nil }

  public init(_ inputs: Tensor) { self.init(inputs, (0..<inputs.shape[0]).map { "\($0)" }) }

  private init(_ inputs: Tensor, _ names: [String]) { (self.inputs, self.names) = (inputs, names) }

  public func selecting(_ places: [Int]) -> any InputSource {
    TensorSource(inputs.gathered(places), places.map { names[$0] })
  }

  public func forEachLot<Made: Sendable>(
    _ make: @escaping @Sendable (InputLot) throws -> Made, use: (Made) throws -> Void
  ) throws {
    for start in stride(from: 0, to: names.count, by: 256) {
      let range = start..<min(names.count, start + 256)
      try use(
        try make(
          InputLot(
            names: Array(names[range]), inputs: inputs.sliced(range), images: [], errors: [])))
    }
  }
}
