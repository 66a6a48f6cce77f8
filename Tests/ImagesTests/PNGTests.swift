import Foundation
import Images
import TensorCore
import Testing

private let fixtures =
  URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Fixtures/"

/// The pattern that the fixtures' writer put into them, 5 wide and 6 high.
private let gray = pattern { x, y in (x * 40 + y * 13) % 256 }

private func pattern(_ value: (Int, Int) -> Int) -> [UInt16] {
  (0..<30).map { UInt16(value($0 % 5, $0 / 5)) }
}

@Suite struct PNGTests {
  @Test(
    "Every kind of gray file is read: bits, depth, interlace",
    arguments: ["gray8", "interlaced", "gray1", "gray2", "gray4", "gray16"])
  func grayFiles(name: String) throws {
    let image = try Image(path: fixtures + name + ".png")
    #expect(image.width == 5 && image.height == 6 && image.channels == 1)
    let expected: [UInt16] =
      switch name {
      case "gray1": pattern { ($0 + $1) % 2 * 255 }
      case "gray2": pattern { ($0 + $1) % 4 * 85 }
      case "gray4": pattern { ($0 + $1) % 16 * 17 }
      case "gray16": gray.map { $0 * 257 + 3 }
      default: gray
      }
    #expect(image.samples == expected)
    #expect(image.bitDepth == (name == "gray16" ? 16 : 8))
  }

  @Test("Color, palette and transparency are read") func colorFiles() throws {
    let rgb = gray.flatMap { [$0, 255 - $0, $0 * 3 % 256] }
    #expect(try Image(path: fixtures + "rgb8.png").samples == rgb)
    let rgba = try Image(path: fixtures + "rgba8.png")
    #expect(rgba.channels == 4 && rgba.samples[3] == gray[0] / 2 && rgba.samples[4] == rgb[3])
    #expect(try Image(path: fixtures + "graya8.png").samples == gray.flatMap { [$0, 255 - $0] })
    let palette = try Image(path: fixtures + "palette.png")
    #expect(palette.channels == 3 && Array(palette.samples[9..<12]) == [9, 8, 7])
    let transparent = try Image(path: fixtures + "palette-trns.png")
    #expect(
      transparent.channels == 4 && transparent.samples[3] == 255 && transparent.samples[7] == 0)
  }

  @Test(
    "A bad file is an error with path and remedy, never a crash",
    arguments: ["missing", "empty", "text", "truncated", "corrupt", "huge"])
  func badFiles(name: String) {
    let error = #expect(throws: ImageError.self) { try Image(path: fixtures + name + ".png") }
    let text = error.map { "\($0)" } ?? ""
    #expect(text.contains(name + ".png") && text.hasSuffix("."))
    if name == "huge" { #expect(text.contains("60000 × 60000")) }
  }

  @Test(
    "What is written is read back, for every depth and number of channels",
    arguments: [8, 16], [1, 2, 3, 4])
  func roundTrip(bitDepth: Int, channels: Int) throws {
    var random = RandomStream(seed: 1, name: "png")
    let samples = (0..<7 * 3 * channels).map { _ in
      UInt16.random(in: 0...(bitDepth == 8 ? 255 : 65535), using: &random)
    }
    let image = Image(width: 7, height: 3, channels: channels, bitDepth: bitDepth, samples: samples)
    let path =
      FileManager.default.temporaryDirectory.path + "/canon-png-\(bitDepth)-\(channels).png"
    try image.write(to: path)
    #expect(try Image(path: path) == image)
    #expect(Image(image.tensor[0], bitDepth: bitDepth) == image)
    try FileManager.default.removeItem(atPath: path)
  }

  @Test("Large pictures are written small, whether parts of them repeat or not, and read back")
  func large() throws {
    let (width, height) = (1100, 1000)
    func hash(_ i: Int) -> UInt32 {
      let a = (UInt32(i) ^ UInt32(i) >> 15) &* 2_246_822_519
      return (a ^ a >> 13) &* 3_266_489_917
    }
    let tile = (0..<64 * 64).map { UInt16(hash($0) >> 24) }
    let noise = (0..<width * height).map { UInt16(hash($0) >> 28) }
    let patterned = (0..<width * height).map { tile[$0 / width % 64 * 64 + $0 % width % 64] }
    // It repeats further down than a few rows, and is even noise within each.
    let far = (0..<width * height).map { UInt16(hash($0 / width % 24 * width + $0 % width) >> 24) }
    let ramp = (0..<width * height).map { UInt16($0 % width / 5) }
    // 4 of 8 bits are noise; of the others hardly anything is new.
    for (samples, most) in [(noise, 0.6), (patterned, 0.1), (far, 0.1), (ramp, 0.01)] {
      let image = Image(width: width, height: height, channels: 1, samples: samples)
      let path = temporaryFile("large.png")
      defer { try? FileManager.default.removeItem(atPath: path) }
      try image.write(to: path)
      #expect(try Image(path: path) == image)
      let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? .max
      #expect(Double(size) < most * Double(width * height), "\(size)")
    }
  }

  @Test("What is made in memory is what is written as a stream", arguments: [8, 16])
  func encoded(bitDepth: Int) throws {
    for channels in 1...4 {
      var image = Image(
        width: 9, height: 7, channels: channels, bitDepth: bitDepth,
        samples: (0..<63 * channels).map { UInt16($0 * 31 % (1 << bitDepth)) })
      image.metadata = try Image(path: fixtures + "gray8.png").metadata
      let path = temporaryFile("encoded-\(bitDepth).png")
      defer { try? FileManager.default.removeItem(atPath: path) }
      try PNGCodec.write(image, to: path)
      #expect(Files.bytes(of: path) == PNGCodec.encoded(image))
      // Over a file, and into a new one.
      for _ in 0..<2 {
        try image.write(to: path)
        #expect(Files.bytes(of: path) == PNGCodec.encoded(image))
        try FileManager.default.removeItem(atPath: path)
      }
    }
  }

  @Test("Samples are rounded as numbers are, halves up, and what is no number is 0")
  func rounded() {
    for maximum in [255, 65_535] as [Float] {
      for half in stride(from: 0, through: Int(2 * maximum), by: maximum > 255 ? 7 : 1) {
        let exact = Float(half) / 2 / maximum
        for value in [exact.nextDown, exact, exact.nextUp] {
          let expected = (min(max(value, 0), 1) * maximum).rounded()
          #expect(Image.sample(of: value, maximum: maximum) == UInt16(expected))
        }
      }
      #expect(Image.sample(of: .nan, maximum: maximum) == 0)
      #expect(Image.sample(of: -.infinity, maximum: maximum) == 0)
      #expect(Image.sample(of: .infinity, maximum: maximum) == UInt16(maximum))
    }
  }

  @Test("A file that cannot be written is an error, and nothing is left") func unwritable() {
    let image = Image(width: 1, height: 1, channels: 1, samples: [0])
    #expect(throws: ImageError.self) { try image.write(to: "/nonexistent/x.png") }
  }

  @Test("The model's input is the exact area average of the centered square") func average() {
    // 4 × 6 to 2: the square is columns 1…4, each output the mean of four pixels.
    let image = Image(width: 6, height: 4, channels: 1, samples: (0..<24).map { UInt16($0 * 10) })
    // Sums 18, 26, 66, 74 of the samples over ten, four samples each.
    let expected = [180, 260, 660, 740].map { Float(Double($0) / 1020) }
    #expect(image.modelInput(size: 2, channels: 1).elements == expected)
    // 6 × 4 stands on its side: the square is rows 1…4.
    let tall = Image(width: 4, height: 6, channels: 1, samples: (0..<24).map { UInt16($0 * 10) })
    let rows = [260, 340, 580, 660].map { Float(Double($0) / 1020) }
    #expect(tall.modelInput(size: 2, channels: 1).elements == rows)
    #expect(image.modelInput(size: 4, channels: 3).shape == [1, 4, 4, 3])
  }

  @Test("Turning an image turns its model input bit for bit") func inputCommutes() {
    var random = RandomStream(seed: 2, name: "input")
    let side = 37
    let samples = (0..<side * side * 4).map { _ in UInt16.random(in: 0...255, using: &random) }
    let image = Image(width: side, height: side, channels: 4, samples: samples)
    let turned = Image(
      width: side, height: side, channels: 4,
      samples: (0..<side * side).flatMap { i in
        let source = (i % side) * side + side - 1 - i / side
        return Array(samples[source * 4..<source * 4 + 4])
      })
    for channels in [1, 3] {
      let (a, b) = (
        image.modelInput(size: 10, channels: channels),
        turned.modelInput(size: 10, channels: channels)
      )
      for i in 0..<100 {
        #expect(b[0][i / 10][i % 10].elements == a[0][i % 10][9 - i / 10].elements)
      }
    }
  }

  @Test("The model's input is the area average of every kind of image, larger and smaller")
  func averages() {
    var random = RandomStream(seed: 3, name: "averages")
    for (channels, depth, size) in [
      (1, 8, 3), (2, 8, 5), (3, 16, 4), (4, 16, 9), (4, 8, 2), (1, 16, 13),
    ] {
      let (width, height) = (9, 7)
      let samples = (0..<width * height * channels).map { _ in
        UInt16.random(in: 0...(depth == 8 ? 255 : 65_535), using: &random)
      }
      let image = Image(
        width: width, height: height, channels: channels, bitDepth: depth, samples: samples)
      let input = image.modelInput(size: size, channels: 3).elements
      let top = Double(image.maximum)
      for i in 0..<size * size {
        // The square is of 7 pixels, columns 1…7.
        func overlap(_ pixel: Int, _ output: Int, _ first: Int) -> Double {
          let (from, to) = (
            Double(7 * output) / Double(size), Double(7 * (output + 1)) / Double(size)
          )
          return max(0, min(Double(pixel - first + 1), to) - max(Double(pixel - first), from))
        }
        for c in 0..<3 {
          var (sum, area) = (0.0, 0.0)
          for y in 0..<height {
            for x in 0..<width {
              let weight = overlap(x, i % size, 1) * overlap(y, i / size, 0)
              let at = (y * width + x) * channels
              let alpha = channels % 2 == 0 ? Double(samples[at + channels - 1]) / top : 1
              sum += weight * alpha * Double(samples[at + (channels >= 3 ? c : 0)]) / top
              area += weight
            }
          }
          #expect(abs(Double(input[3 * i + c]) - sum / area) < 1e-6)
        }
      }
    }
  }

  @Test("Alpha is composited on black") func alpha() {
    let image = Image(width: 1, height: 1, channels: 2, samples: [200, 51])
    #expect(abs(image.modelInput(size: 1, channels: 1).scalar - Float(200) / 255 / 5) < 1e-7)
  }

  @Test("A contact sheet shows images where they were placed") func sheet() {
    var sheet = ContactSheet(rows: 1, columns: 2, cell: 4, gap: 2)
    let white = Image(width: 2, height: 2, channels: 1, samples: [255, 255, 255, 255])
    sheet.place(white, row: 0, column: 1)
    #expect(sheet.image.width == 14 && sheet.image.height == 8)
    #expect(
      sheet.image.samples[(2 * 14 + 8) * 3] == 255 && sheet.image.samples[(2 * 14 + 2) * 3] == 41)
  }

  /// A chunk with its checksum (CRC-32 of ISO 3309, as PNG has it).
  private func chunk(_ name: String, _ data: [UInt8], isBroken: Bool = false) -> [UInt8] {
    func number(_ value: UInt32) -> [UInt8] {
      (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) }
    }
    let bytes = Array(name.utf8) + data
    var sum = UInt32.max
    for byte in bytes {
      sum ^= UInt32(byte)
      for _ in 0..<8 { sum = sum >> 1 ^ (sum & 1 == 1 ? 0xEDB8_8320 : 0) }
    }
    return number(UInt32(data.count)) + bytes + number(isBroken ? sum : ~sum)
  }

  @Test(
    "What a header declares is told from its first bytes as libpng tells it",
    arguments: [[0, 0, 0, 3], [0, 0, 0, 0], [0, 1, 0, 1], [255, 255, 255, 255]] as [[UInt8]])
  func headers(width: [UInt8]) throws {
    let path =
      FileManager.default.temporaryDirectory.path + "/canon-header-\(UUID().uuidString).png"
    let signature: [UInt8] = [137, 80, 78, 71, 13, 10, 26, 10]
    var known = 0
    for color in 0..<8 as Range<UInt8> {
      for depth in [1, 2, 3, 4, 8, 16, 0] as [UInt8] {
        for ends in [[0, 0, 0], [0, 0, 1], [0, 0, 2], [1, 0, 0], [0, 1, 0]] as [[UInt8]] {
          for isBroken in [false, true] {
            let header = chunk(
              "IHDR", width + [0, 0, 0, 5, depth, color] + ends, isBroken: isBroken)
            let rest = chunk("IDAT", [0]) + chunk("IEND", [])
            func count(_ between: [UInt8]) -> Int? {
              #expect(Files.write(signature + header + between + rest, to: path))
              return Image.sampleCount(path: path)
            }
            // A chunk between the two is for libpng to read.
            let (plain, read) = (count([]), count(chunk("gAMA", [0, 0, 177, 143])))
            #expect(plain == read, "color \(color), depth \(depth), \(ends)")
            if plain != nil { known += 1 }
          }
        }
      }
    }
    // Gray of five depths, color and alpha of two each, plain and interlaced.
    #expect(known == (width == [0, 0, 0, 3] || width == [0, 1, 0, 1] ? 22 : 0))
  }

  @Test("A format of one's own is read by its content and written by its ending") func own() throws
  {
    ImageCodecs.register(Netpbm.self)
    let path = FileManager.default.temporaryDirectory.path + "/canon-own.PGM"
    let image = Image(width: 2, height: 2, channels: 1, samples: [0, 7, 200, 255])
    try image.write(to: path)
    #expect(try Image(path: path) == image && Image.sampleCount(path: path) == 4)
    #expect(
      ImageCodecs.isImage(path) && ImageCodecs.isImage("a/b.PNG") && !ImageCodecs.isImage("png"))
    // The content decides, not the name.
    let misnamed = path + ".png"
    try? FileManager.default.removeItem(atPath: misnamed)
    try FileManager.default.moveItem(atPath: path, toPath: misnamed)
    #expect(try Image(path: misnamed) == image)
  }
}

/// Portable graymaps of 8 bits: a header of text, then bytes.
private enum Netpbm: ImageCodec {
  static let endings = ["pgm"]
  static func recognizes(_ bytes: [UInt8]) -> Bool { bytes.starts(with: [0x50, 0x35]) }

  static func read(_ path: String) throws(ImageError) -> Image {
    guard let data = FileManager.default.contents(atPath: path),
      let header = String(data: data.prefix(11), encoding: .ascii)?.split(separator: "\n"),
      header.count == 3
    else { throw .unreadable(path: path, reason: "it is no graymap") }
    let size = header[1].split(separator: " ").compactMap { Int($0) }
    return Image(
      width: size[0], height: size[1], channels: 1, samples: data.dropFirst(11).map(UInt16.init))
  }

  static func sampleCount(_ path: String) -> Int? { (try? read(path))?.samples.count }

  static func write(_ image: Image, to path: String) throws(ImageError) {
    var data = Data("P5\n\(image.width) \(image.height)\n255\n".utf8)
    data.append(contentsOf: image.samples.map { UInt8(truncatingIfNeeded: $0) })
    guard FileManager.default.createFile(atPath: path, contents: data) else {
      throw .unwritable(path: path, reason: "no permission")
    }
  }
}
