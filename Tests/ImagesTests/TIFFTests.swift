import Foundation
import Images
import TensorCore
import Testing

/// The samples at a place of a fixture of 20 × 12 pixels.
private func samples(_ image: Image, _ x: Int, _ y: Int) -> [Int] {
  (0..<image.channels).map { Int(image.samples[(y * image.width + x) * image.channels + $0]) }
}

@Suite struct TIFFTests {
  /// Written by tifffile and Pillow, of one gradient: red 12x, green 20y, blue 8(x + y).
  @Test(
    "Files of other programs: strips, tiles, planes, palettes, inks, JPEG inside, alpha",
    arguments: [
      ("tiled", [84, 100, 96], 0), ("planar", [84, 100, 96], 0), ("palette", [84, 100, 96], 0),
      ("jpeg", [83, 100, 95], 2), ("cmyk", [84, 100, 96], 2), ("straight", [84, 100, 96, 128], 0),
      ("premultiplied", [84, 100, 96, 128], 1), ("big-endian16", [90 * 257 + 3], 0),
    ] as [(String, [Int], Int)])
  func foreign(name: String, expected: [Int], tolerance: Int) throws {
    let path = fixture("\(name).tif")
    let image = try Image(path: path)
    #expect(image.width == 20 && image.height == 12 && image.channels == expected.count)
    #expect(image.bitDepth == (name == "big-endian16" ? 16 : 8))
    #expect(Image.sampleCount(path: path) == 240 * expected.count)
    for (found, value) in zip(samples(image, 7, 5), expected) {
      #expect(abs(found - value) <= tolerance, "\(name)")
    }
  }

  @Test("Orientation is honored; profile, resolution, XMP and texts are kept, and written again")
  func metadata() throws {
    let raw = try TIFFCodec.read(fixture("described.tif"))
    #expect(raw.width == 20 && raw.metadata.orientation == 6)
    let image = try Image(path: fixture("described.tif"))
    // Orientation 6: the first row is the right column.
    #expect(image.width == 12 && image.height == 20 && image.metadata.orientation == 1)
    #expect(samples(image, 11, 0) == samples(raw, 0, 0))
    #expect(Set(image.metadata.types) == ["iCCP", "pHYs", "eXIf", "iTXt", "tEXt"])
    #expect(image.metadata.profile?.count == 588)
    let path = temporaryFile("again.tif")
    try image.write(to: path)
    let again = try Image(path: path)
    #expect(again.samples == image.samples && again.metadata.profile == image.metadata.profile)
    for type in ["pHYs", "iTXt", "tEXt"] {
      #expect(again.metadata[type] == image.metadata[type], "\(type)")
    }
  }

  @Test("Black and white stay of one bit, everything else what it is: written without loss")
  func written() throws {
    let scan = try Image(path: fixture("bilevel.tif"))
    #expect(scan.channels == 1 && Set(scan.samples) == [0, 255])
    let path = temporaryFile("scan.tif")
    try scan.write(to: path)
    #expect(try Image(path: path) == scan)
    // Group 4, as the fixture: gray of 8 bits would be no smaller than it is without compression.
    let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
    #expect((size ?? 1000) < 400)
    var random = RandomStream(seed: 1, name: "tiff")
    for (channels, depth) in [(1, 8), (1, 16), (2, 8), (3, 8), (3, 16), (4, 8), (4, 16)] {
      let image = Image(
        width: 13, height: 9, channels: channels, bitDepth: depth,
        samples: (0..<117 * channels).map { _ in
          UInt16.random(in: 0...(depth == 8 ? 255 : 65535), using: &random)
        })
      try image.write(to: path)
      #expect(try Image(path: path) == image, "\(channels) channels of \(depth) bits")
    }
  }

  @Test("Each page of a file is a picture of its own, named below it")
  func pages() throws {
    let folder = temporaryFile("scans")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let path = "\(folder)/scan.tif"
    try FileManager.default.copyItem(atPath: fixture("pages.tif"), toPath: path)
    let names = ImageCodecs.pages(of: "scan.tif", in: folder)
    #expect(names == ["scan.tif/1.tif", "scan.tif/2.tif", "scan.tif/3.tif"])
    let images = try names.map { try Image(path: "\(folder)/\($0)") }
    #expect(images.map(\.channels) == [1, 3, 1])
    #expect(samples(images[0], 7, 5) == [90])
    #expect(samples(images[1], 7, 5) == [84, 100, 96])
    // White is 0 there, of the gradient inverted.
    #expect(images[2].samples == images[0].samples)
    #expect(Image.sampleCount(path: "\(folder)/scan.tif/2.tif") == 720)
    #expect(throws: ImageError.self) { try Image(path: "\(folder)/scan.tif/4.tif") }
    #expect(throws: ImageError.self) { try Image(path: "\(folder)/scan.tif/0.tif") }
    #expect(ImageCodecs.pages(of: "bilevel.tif", in: fixture("")) == ["bilevel.tif"])
  }

  @Test("What cannot be read is said in a sentence")
  func refusals() throws {
    func reading(_ path: String) -> String { reason { _ = try Image(path: path) } }
    #expect(reading(fixture("float.tif")).contains("no whole numbers"))
    #expect(reading(fixture("truncated.tif")).contains("cannot be read as an image"))
    let junk = temporaryFile("junk.tif")
    for bytes: [UInt8] in [
      [], [0x49, 0x49, 0x2A, 0], [0x49, 0x49, 0x2A, 0, 8, 0, 0, 0, 0xFF, 0xFF],
      [0x4D, 0x4D, 0, 0x2A, 0, 0, 0, 8, 0, 0],
    ] {
      try Data(bytes).write(to: URL(fileURLWithPath: junk))
      #expect(reading(junk).contains("cannot be read as an image"), "\(bytes)")
      #expect(Image.sampleCount(path: junk) == nil)
    }
    #expect(reading(junk + "-none.tif").contains("No such file"))
  }

  @Test("No change of a byte of a file's head is a trap")
  func damaged() throws {
    for name in ["pages", "tiled", "described", "bilevel"] {
      let whole = [UInt8](try Data(contentsOf: URL(fileURLWithPath: fixture("\(name).tif"))))
      let path = temporaryFile("damaged.tif")
      defer { unsafe unlink(path) }
      for at in stride(from: 0, to: whole.count, by: max(1, whole.count / 120)) {
        var bytes = whole
        bytes[at] ^= 0xFF
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        let count = Image.sampleCount(path: path)
        if let image = try? Image(path: path) { #expect(image.samples.count == count) }
        _ = ImageCodecs.pages(of: path, in: "")
      }
    }
  }
}
