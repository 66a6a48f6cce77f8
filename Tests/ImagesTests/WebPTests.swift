import Foundation
import Images
import TensorCore
import Testing

@Suite struct WebPTests {
  /// Written by Pillow, of one gradient: red 12x, green 20y, blue 8(x + y).
  @Test("Files of another program, with loss and without; orientation, profile and EXIF are kept")
  func foreign() throws {
    let raw = try WebPCodec.read(fixture("lossy.webp"))
    #expect(raw.width == 20 && raw.height == 12 && raw.channels == 3)
    for (found, value) in zip(raw.samples[(5 * 20 + 7) * 3..<(5 * 20 + 8) * 3], [82, 99, 93]) {
      #expect(abs(Int(found) - value) <= 1)
    }
    let image = try Image(path: fixture("lossy.webp"))
    #expect(image.width == 12 && image.height == 20 && image.metadata.orientation == 1)
    #expect(Set(image.metadata.types) == ["iCCP", "eXIf", "iTXt"])
    let path = temporaryFile("a.webp")
    try image.write(to: path)
    let again = try Image(path: path)
    #expect(again.samples == image.samples)
    for type in ["eXIf", "iTXt"] { #expect(again.metadata[type] == image.metadata[type]) }
    #expect(again.metadata.profile == image.metadata.profile)
    let alpha = try Image(path: fixture("alpha.webp"))
    #expect(Array(alpha.samples[(5 * 20 + 7) * 4..<(5 * 20 + 8) * 4]) == [84, 100, 96, 128])
    #expect(Image.sampleCount(path: fixture("alpha.webp")) == 960)
  }

  @Test("What is written is read as it was, colors under full transparency too")
  func written() throws {
    var random = RandomStream(seed: 1, name: "webp")
    for channels in [3, 4] {
      let image = Image(
        width: 13, height: 9, channels: channels,
        samples: (0..<117 * channels).map { n in
          channels == 4 && n % 8 == 3 ? 0 : UInt16.random(in: 0...255, using: &random)
        })
      let path = temporaryFile("a.webp")
      try image.write(to: path)
      #expect(try Image(path: path) == image)
    }
    let gray = Image(width: 2, height: 1, channels: 1, bitDepth: 16, samples: [0, 65535])
    let path = temporaryFile("a.webp")
    try gray.write(to: path)
    #expect(try Image(path: path).samples == [0, 0, 0, 255, 255, 255])
  }

  @Test("What cannot be read or written is said in a sentence")
  func refusals() throws {
    #expect(reason { _ = try Image(path: fixture("animated.webp")) }.contains("animation"))
    #expect(reason { _ = try Image(path: fixture("truncated.webp")) }.contains("cannot be read"))
    let wide = Image(
      width: 16_384, height: 1, channels: 1, samples: [UInt16](repeating: 0, count: 16_384))
    #expect(reason { try wide.write(to: temporaryFile("a.webp")) }.contains("16383"))
  }
}
