import Symmetry
public import TensorCore

/// Images with class labels, all of one size, in memory.
public struct LabeledImages: Sendable {
  /// `[count, height, width, channels]`, in 0…1.
  public let images: Tensor
  public let labels: [Int]
  public let classNames: [String]

  public init(images: Tensor, labels: [Int], classNames: [String]) {
    precondition(images.shape[0] == labels.count, "\(labels.count) labels for \(images.shape)")
    self.images = images
    self.labels = labels
    self.classNames = classNames
  }

  public var count: Int { labels.count }
}

/// Training, validation and test parts of a data set, disjoint.
public struct Splits: Sendable {
  public let train, valid, test: LabeledImages

  public init(train: LabeledImages, valid: LabeledImages, test: LabeledImages) {
    self.train = train
    self.valid = valid
    self.test = test
  }
}

/// The MNIST digits (LeCun, Cortes & Burges), and rotated MNIST made of them.
public enum Digits {
  /// All 70,000 digits, the training set before the test set.
  ///
  /// - Parameter folder: Holds the four IDX files, plain or with `.gz`.
  /// - Throws: `DatasetError`.
  public static func mnist(folder: String) throws(DatasetError) -> LabeledImages {
    var pixels: [UInt8] = []
    var labels: [Int] = []
    for part in ["train", "t10k"] {
      let images = try load(folder, "\(part)-images-idx3-ubyte")
      let names = try load(folder, "\(part)-labels-idx1-ubyte")
      guard images.extents.count == 3, images.extents[1...] == [28, 28],
        names.extents == [images.extents[0]], names.bytes.allSatisfy({ $0 < 10 })
      else {
        throw .malformed(
          path: folder, reason: "\(part) has images \(images.extents) and labels \(names.extents)")
      }
      pixels += images.bytes
      labels += names.bytes.map(Int.init)
    }
    let images = Tensor(pixels.map { Float($0) / 255 }, shape: [labels.count, 28, 28, 1])
    return LabeledImages(images: images, labels: labels, classNames: (0..<10).map { "\($0)" })
  }

  private static func load(_ folder: String, _ name: String) throws(DatasetError) -> IDX {
    do { return try IDX(path: "\(folder)/\(name).gz") } catch .unreadable {
      return try IDX(path: "\(folder)/\(name)")
    }
  }

  /// Rotated MNIST: all digits shuffled, 10,000 to train, 2,000 to validate, 50,000 to test, each
  /// turned once by an angle of its own, uniform on the circle, bilinearly.
  ///
  /// Order and angles follow from the seed alone; the last 8,000 digits are used by nothing.
  ///
  /// With `isUpright` the digits are left as they are, in the same order: the floor.
  public static func rotated(
    _ digits: LabeledImages, seed: UInt64 = 0, isUpright: Bool = false
  ) -> Splits {
    var shuffle = RandomStream(seed: seed, name: "rotated-mnist/order")
    var angles = RandomStream(seed: seed, name: "rotated-mnist/angles")
    let order = Array(digits.labels.indices.shuffled(using: &shuffle))
    let elements = order.map { _ in SO2().sample(using: &angles) }
    let action = ImageAction(SO2())
    func part(_ range: Range<Int>) -> LabeledImages {
      let chosen = digits.images.gathered(Array(order[range]))
      return LabeledImages(
        images: isUpright ? chosen : action.act(Array(elements[range]), on: chosen),
        labels: order[range].map { digits.labels[$0] }, classNames: digits.classNames)
    }
    return Splits(
      train: part(0..<10_000), valid: part(10_000..<12_000), test: part(12_000..<62_000))
  }
}
