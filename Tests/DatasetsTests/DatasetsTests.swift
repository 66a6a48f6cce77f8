import Datasets
import Foundation
import Images
import Symmetry
import TensorCore
import Testing

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  .deletingLastPathComponent().deletingLastPathComponent().path

private func temporary(_ name: String, _ bytes: [UInt8]) throws -> String {
  let path = FileManager.default.temporaryDirectory.path + "/canon-\(name)"
  try Data(bytes).write(to: URL(fileURLWithPath: path))
  return path
}

@Suite struct DatasetsTests {
  @Test("An IDX file is read, plain") func idx() throws {
    let path = try temporary("a.idx", [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3] + Array(1...6))
    let file = try IDX(path: path)
    #expect(file.extents == [2, 3] && file.bytes == Array(1...6))
  }

  @Test(
    "A malformed IDX file is an error that names it",
    arguments: [[], [0, 0, 9, 1, 0, 0, 0, 0], [0, 0, 8, 1, 0, 0], [0, 0, 8, 1, 0, 0, 0, 5, 1]]
      as [[UInt8]])
  func malformed(bytes: [UInt8]) throws {
    let path = try temporary("bad\(bytes.count).idx", bytes)
    let error = #expect(throws: DatasetError.self) { try IDX(path: path) }
    #expect(error.map { "\($0)" }?.contains(path) == true)
  }

  @Test(
    "Extents whose product has no number, or that no memory holds, are refused (correctness 12)")
  func extents() throws {
    func file(_ extents: [UInt32], _ bytes: [UInt8] = []) throws -> String {
      let header: [UInt8] =
        [0, 0, 8, UInt8(extents.count)]
        + extents.flatMap { n in
          (0..<4).map { UInt8(truncatingIfNeeded: n >> (24 - 8 * UInt32($0))) }
        }
      return try temporary("extents.idx", header + bytes)
    }
    for extents in [[0xFFFF_FFFF, 0xFFFF_FFFF, 0xFFFF_FFFF], [0x8000_0000], [1, 2, 4]] as [[UInt32]]
    {
      #expect(throws: DatasetError.self) { try IDX(path: try file(extents)) }
    }
    #expect(try IDX(path: try file([10, 0, 0])).bytes.isEmpty)
    #expect(throws: DatasetError.self) { try IDX(path: try file([2], [1, 2, 3])) }
    let images = ImageDomain(size: 8)
    #expect(throws: DatasetError.self) { try images.open(try file([10, 0, 0])) }
    #expect(
      try images.open(try file([2, 3, 4], [UInt8](repeating: 9, count: 24))).names.count == 2)
  }

  @Test(
    "A few digits are an error with a remedy, and other data under MNIST's names are other data")
  func fewDigits() throws {
    let folder = FileManager.default.temporaryDirectory.path + "/canon-few-digits"
    try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    for (part, count) in [("train", 6), ("t10k", 1)] {
      let header: [UInt8] = [0, 0, 8, 3, 0, 0, 0, UInt8(count), 0, 0, 0, 28, 0, 0, 0, 28]
      try Data(header + [UInt8](repeating: 0, count: 784 * count)).write(
        to: URL(fileURLWithPath: "\(folder)/\(part)-images-idx3-ubyte"))
      try Data([0, 0, 8, 1, 0, 0, 0, UInt8(count)] + [UInt8](repeating: 1, count: count)).write(
        to: URL(fileURLWithPath: "\(folder)/\(part)-labels-idx1-ubyte"))
    }
    let error = #expect(throws: DatasetError.self) { try Digits(folder: folder) }
    #expect(error.map { "\($0)" }?.contains("kind 'idx'") == true)
    #expect(RotatedMNISTOptions().located(at: folder) == nil)
    #expect(RotatedMNISTOptions().located(at: root + "/Benchmarks/Data") != nil)
    // A pair of files elsewhere is what a model of IDX data is measured on.
    let located = try #require(IDXOptions().located(at: folder + "/train-images-idx3-ubyte"))
    #expect(try located.test(seed: 0)?.labels == [1, 1, 1, 1, 1, 1])
    // In their folder, MNIST's test digits.
    let test = try #require(IDXOptions().located(at: folder))
    #expect(try test.test(seed: 0)?.labels == [1])
  }

  @Test("A folder is listed recursively and sorted, PNG files only") func folder() throws {
    let path = FileManager.default.temporaryDirectory.path + "/canon-folder"
    try? FileManager.default.removeItem(atPath: path)
    for file in ["b/2.png", "a/10.PNG", "a/note.txt", "c.png"] {
      let url = URL(fileURLWithPath: "\(path)/\(file)")
      try FileManager.default.createDirectory(
        at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Image(width: 1, height: 1, channels: 1, samples: [7]).write(to: url.path)
    }
    let folder = try ImageFolder(path: path)
    #expect(folder.files == ["a/10.PNG", "b/2.png", "c.png"])
    #expect(folder.files.map(ImageFolder.className) == ["a", "b", nil])
    var seen: [String] = []
    try folder.forEachLot({ $0.map(\.file) }, use: { seen += $0 })
    #expect(seen == folder.files)
    #expect(try ImageFolder(path: "\(path)/c.png").files == ["c.png"])
    #expect(throws: DatasetError.self) { try ImageFolder(path: "\(path)/a/note.txt") }
    #expect(throws: DatasetError.self) { try ImageFolder(path: "\(path)/none") }
  }

  /// FNV-1a of the pixels, rounded to bytes.
  private func checksum(_ images: Tensor) -> UInt64 {
    images.elements.reduce(0xcbf2_9ce4_8422_2325) {
      ($0 ^ UInt64(($1 * 255).rounded())) &* 0x100_0000_01b3
    }
  }

  @Test("Rotated MNIST is what its seed says, and its parts are disjoint") func rotatedMNIST()
    throws
  {
    let digits = try Digits(folder: root + "/Benchmarks/Data")
    #expect(digits.labels.count == 70_000)
    let (train, valid) = (digits.rotated(.train), digits.rotated(.valid))
    let test = digits.rotated(.test)
    #expect([train, valid, test].map(\.count) == [10_000, 2_000, 50_000])
    // Written down from this project's own first run; pixels are rounded to bytes, so that the
    // value is the same on every instruction set.
    #expect(checksum(train.images) == 3_265_118_011_592_834_045)
    #expect(checksum(valid.images) == 13_149_179_597_744_527_446)
    #expect(train.labels.prefix(8).elementsEqual([5, 7, 3, 3, 8, 4, 7, 2]))
    let upright = digits.rotated(.test, isUpright: true)
    #expect(upright.labels == test.labels)
    var shuffle = RandomStream(seed: 0, name: "rotated-mnist/order")
    let order = Array(0..<70_000).shuffled(using: &shuffle)
    #expect(upright.images == digits.images(Array(order[12_000..<62_000])))
    #expect(Set(order).count == 70_000)
  }

  @Test("Harder digits are those that their names say") func variants() throws {
    let digits = try Digits(folder: root + "/Benchmarks/Data")
    let plain = digits.rotated(.valid, isUpright: true)
    func variant(_ v: DigitVariant) -> LabeledImages {
      digits.rotated(.valid, isUpright: true, variant: v)
    }
    for v in DigitVariant.allCases { #expect(variant(v).images == variant(v).images) }
    #expect(variant(.plain).images == plain.images)
    let cluttered = variant(.cluttered).images
    #expect(zip(cluttered.elements, plain.images.elements).allSatisfy { $0 >= $1 })
    #expect(cluttered.mean().scalar > 1.05 * plain.images.mean().scalar)
    let occluded = variant(.occluded).images
    #expect(zip(occluded.elements, plain.images.elements).allSatisfy { $0 == $1 || $0 == 0 })
    #expect(occluded.mean().scalar < 0.8 * plain.images.mean().scalar)
    let symmetric = variant(.nearSymmetric)
    #expect(symmetric.classNames == ["0", "1", "2", "5", "8"])
    let kept = plain.labels.filter { [0, 1, 2, 5, 8].contains($0) }
    #expect(symmetric.labels.map { [0, 1, 2, 5, 8][$0] } == kept)
    // Every shifted digit is the digit at one of the 81 places.
    let shifted = variant(.offCenter).images
    var offsets: Set<Int> = []
    for n in 0..<20 {
      let (moved, own) = (shifted[n].elements, plain.images[n].elements)
      let found = (-4...4).flatMap { dy in (-4...4).map { (dy, $0) } }.first { dy, dx in
        (0..<784).allSatisfy { i in
          let (x, y) = (i % 28 - dx, i / 28 - dy)
          let isInside = (0..<28).contains(x) && (0..<28).contains(y)
          return moved[i] == (isInside ? own[y * 28 + x] : 0)
        }
      }
      #expect(found != nil)
      if let found { offsets.insert(found.0 * 9 + found.1) }
    }
    #expect(offsets.count > 8)
  }
}
