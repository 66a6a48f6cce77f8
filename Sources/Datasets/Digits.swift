import CZlib
import Symmetry
public import TensorCore

/// Images with class labels, all of one size, in memory.
public struct LabeledImages: Sendable {
  /// `[count, height, width, channels]`, in 0…1.
  public let images: Tensor
  public let labels: [Int]
  public let classNames: [String]

  public init(images: Tensor, labels: [Int], classNames: [String]) {
    require(images.shape[0] == labels.count, "\(labels.count) labels for \(images.shape)")
    self.images = images
    self.labels = labels
    self.classNames = classNames
  }

  public var count: Int { labels.count }
}

/// The MNIST digits (LeCun, Cortes & Burges), and rotated MNIST made of them.
///
/// They are kept as bytes, and made into images a part at a time.
public struct Digits: Sendable {
  /// Disjoint parts of the shuffled digits; the last 8,000 are used by nothing.
  public enum Part: Sendable, CaseIterable {
    /// 10,000, 2,000 and 50,000 digits.
    case train, valid, test

    var range: Range<Int> {
      switch self {
      case .train: 0..<10_000
      case .valid: 10_000..<12_000
      case .test: 12_000..<62_000
      }
    }
  }

  private let pixels: [UInt8]
  /// The digits, the training set's 60,000 before the test set's 10,000.
  public let labels: [Int]
  public static let classNames = (0..<10).map { "\($0)" }

  /// Whether a folder's labels are those of MNIST: other data are kept under the same names.
  static func isFolder(_ path: String) -> Bool {
    // CRC-32 of the labels of the training and the test set.
    [("train", 0xba07e8ef as UInt), ("t10k", 0xee8604d9)].allSatisfy { part, sum in
      (try? load(path, "\(part)-labels-idx1-ubyte")).map { checksum($0.bytes) == sum } ?? false
    }
  }

  private static func checksum(_ bytes: [UInt8]) -> UInt {
    unsafe UInt(crc32(0, bytes, UInt32(bytes.count)))
  }

  /// Reads all 70,000 digits.
  ///
  /// - Parameter folder: Holds the four IDX files, plain or with `.gz`.
  /// - Throws: `DatasetError`.
  public init(folder: String) throws(DatasetError) {
    var pixels: [UInt8] = []
    var labels: [Int] = []
    for part in ["train", "t10k"] {
      let images = try Digits.load(folder, "\(part)-images-idx3-ubyte")
      let names = try Digits.load(folder, "\(part)-labels-idx1-ubyte")
      guard images.extents.count == 3, images.extents[1...] == [28, 28],
        names.extents == [images.extents[0]], names.bytes.allSatisfy({ $0 < 10 })
      else {
        throw .malformed(
          path: folder, reason: "\(part) has images \(images.extents) and labels \(names.extents)")
      }
      pixels += images.bytes
      labels += names.bytes.map(Int.init)
    }
    guard labels.count >= Part.test.range.upperBound else {
      throw .malformed(
        path: folder,
        reason:
          "it holds \(labels.count) digits, and MNIST's parts are of \(Part.test.range.upperBound); "
          + "fewer can be read as data of kind 'idx'")
    }
    self.pixels = pixels
    self.labels = labels
  }

  private static func load(_ folder: String, _ name: String) throws(DatasetError) -> IDX {
    do { return try IDX(path: "\(folder)/\(name).gz") } catch .unreadable {
      return try IDX(path: "\(folder)/\(name)")
    }
  }

  /// Some of the digits as they were written, `[count, 28, 28, 1]` in 0…1.
  ///
  /// - Precondition: Each index is below 70,000.
  public func images(_ indices: [Int]) -> Tensor {
    let size = 28 * 28
    return unsafe Tensor([indices.count, 28, 28, 1]) { target in
      for (row, index) in indices.enumerated() {
        for i in 0..<size { unsafe target[row * size + i] = Float(pixels[index * size + i]) / 255 }
      }
    }
  }

  /// A part of rotated MNIST: digits in shuffled order, each turned once by an angle of its own,
  /// uniform on the circle, bilinearly.
  ///
  /// Order and angles follow from the seed alone. With `isUpright` the digits are left as they are,
  /// in the same order: the floor. A `variant` changes them, in ways that follow from the seed too.
  public func rotated(
    _ part: Part, seed: UInt64 = 0, isUpright: Bool = false, variant: DigitVariant = .plain
  ) -> LabeledImages {
    var shuffle = RandomStream(seed: seed, name: "rotated-mnist/order")
    var angles = RandomStream(seed: seed, name: "rotated-mnist/angles")
    let order = Array(labels.indices.shuffled(using: &shuffle))
    let elements = order.map { _ in SO2().sample(using: &angles) }
    let classNames = variant.classNames
    let kept = part.range.filter { classNames.contains("\(labels[order[$0]])") }
    let action = ImageAction(SO2())
    var changes = RandomStream(seed: seed, name: "rotated-mnist/\(variant)/\(part)")
    var chosen = images(kept.map { order[$0] })
    if variant != .plain {
      chosen = changed(chosen) { digit in
        variant.change(digit, 28, using: &changes) { random in
          let place = part.range.lowerBound + Int(random.uniform() * Float(part.range.count - 1))
          return images([order[place]]).elements
        }
      }
    }
    var moved = isUpright ? chosen : action.act(kept.map { elements[$0] }, on: chosen)
    if variant == .offCenter { moved = changed(moved) { variant.shift($0, 28, using: &changes) } }
    return LabeledImages(
      images: moved, labels: kept.map { classNames.firstIndex(of: "\(labels[order[$0]])") ?? 0 },
      classNames: classNames)
  }

  /// Images with each one's pixels changed, one after the other.
  private func changed(_ images: Tensor, _ change: ([Float]) -> [Float]) -> Tensor {
    let (pixels, size) = (images.elements, 28 * 28)
    let all = (0..<images.shape[0]).flatMap { n in change(Array(pixels[n * size..<(n + 1) * size]))
    }
    return Tensor(all, shape: images.shape)
  }
}
