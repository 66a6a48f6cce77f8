import Foundation
import Images
import TensorCore
import Testing

private let fixtures =
  URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Fixtures/"

private func temporary(_ name: String) -> String {
  FileManager.default.temporaryDirectory.path + "/canon-metadata-\(name)"
}

private func big(_ number: UInt32) -> [UInt8] {
  (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * UInt32($0))) }
}

/// CRC-32, as PNG has it.
private func checksum(_ bytes: [UInt8]) -> UInt32 {
  var sum: UInt32 = 0xFFFF_FFFF
  for byte in bytes {
    sum ^= UInt32(byte)
    for _ in 0..<8 { sum = sum & 1 == 1 ? 0xEDB8_8320 ^ (sum >> 1) : sum >> 1 }
  }
  return ~sum
}

private func chunk(_ type: String, _ data: [UInt8], length: UInt32? = nil) -> [UInt8] {
  let body = Array(type.utf8) + data
  return big(length ?? UInt32(data.count)) + body + big(checksum(body))
}

/// EXIF of one entry: the orientation.
private func exif(_ orientation: UInt8, isLittle: Bool) -> [UInt8] {
  isLittle
    ? [
      0x49, 0x49, 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0, 0, 0, 0,
      0,
    ]
    : [
      0x4D, 0x4D, 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0,
      0,
    ]
}

@Suite struct MetadataTests {
  @Test("Of doubled chunks the first counts, and color after the pixels does not") func void()
    throws
  {
    let path = temporary("void.png")
    try Image(width: 2, height: 2, channels: 1, samples: [1, 2, 3, 4]).write(to: path)
    let file = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    let text = chunk("tEXt", Array("A\u{0}b".utf8))
    let first =
      chunk("gAMA", big(45455)) + chunk("gAMA", big(1)) + text + text
      + chunk("eXIf", exif(6, isLittle: true)) + chunk("eXIf", exif(3, isLittle: true))
    let after = chunk("cHRM", (0..<32).map { UInt8($0) }) + text
    // The header ends at 33; the end's chunk has 12 bytes.
    let whole = file[..<33] + first + file[33..<file.count - 12] + after + file.suffix(12)
    try Data(whole).write(to: URL(fileURLWithPath: path))
    let metadata = try Image(path: path).metadata
    #expect(metadata.types == ["gAMA", "tEXt", "tEXt", "eXIf", "tEXt"])
    #expect(metadata["gAMA"] == big(45455))
  }

  @Test("What pixels mean is kept, chunk by chunk, and nothing that does not fit any more")
  func kept() throws {
    let path = temporary("kept.png")
    let plain = Image(width: 2, height: 3, channels: 3, samples: (0..<18).map { UInt16($0 * 14) })
    try plain.write(to: path)
    let file = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    let kept =
      chunk("gAMA", big(45455)) + chunk("cHRM", (0..<32).map { UInt8($0) })
      + chunk("sBIT", [5, 6, 5])
      + chunk("pHYs", big(11811) + big(11811) + [1]) + chunk("tIME", [7, 230, 1, 2, 3, 4, 5])
      + chunk("tEXt", Array("Author\u{0}somebody".utf8))
      + chunk("iTXt", Array("T\u{0}\u{0}\u{0}\u{0}\u{0}é".utf8))
      + chunk("eXIf", exif(1, isLittle: true)) + chunk("iCCP", Array("p\u{0}\u{0}xyz".utf8))
    let dropped = chunk("bKGD", [0, 1, 0, 2, 0, 3]) + chunk("prVt", [1, 2])
    var damaged = chunk("tEXt", Array("Bad\u{0}checksum".utf8))
    damaged[damaged.count - 1] ^= 1
    try Data(file[..<33] + kept + dropped + damaged + file[33...]).write(
      to: URL(fileURLWithPath: path))
    let image = try Image(path: path)
    #expect(image.samples == plain.samples && image.metadata.chunks == kept)
    #expect(image.metadata["pHYs"] == big(11811) + big(11811) + [1])
    #expect(
      image.metadata.types == [
        "gAMA", "cHRM", "sBIT", "pHYs", "tIME", "tEXt", "iTXt", "eXIf", "iCCP",
      ])
    try image.write(to: path)
    #expect(try Image(path: path) == image)
  }

  @Test("EXIF's orientation is honored and reset", arguments: 1...8) func orientation(value: UInt8)
    throws
  {
    let image = Image(width: 3, height: 2, channels: 1, samples: [1, 2, 3, 4, 5, 6])
    // As EXIF 2.3 shows row 0 and column 0 for each value.
    let expected: [[UInt16]] = [
      [1, 2, 3, 4, 5, 6], [3, 2, 1, 6, 5, 4], [6, 5, 4, 3, 2, 1], [4, 5, 6, 1, 2, 3],
      [1, 4, 2, 5, 3, 6], [4, 1, 5, 2, 6, 3], [6, 3, 5, 2, 4, 1], [3, 6, 2, 5, 1, 4],
    ]
    for isLittle in [true, false] {
      var turned = image
      turned.metadata = Metadata(chunks: chunk("eXIf", exif(value, isLittle: isLittle)))
      #expect(turned.metadata.orientation == Int(value))
      let path = temporary("orientation-\(value).png")
      try turned.write(to: path)
      let read = try Image(path: path)
      #expect(read.samples == expected[Int(value) - 1])
      #expect(read.width == (value > 4 ? 2 : 3) && read.metadata.orientation == 1)
      // Sealed: what is written and read again is the same. Resolutions change places with the sides.
      try read.write(to: path)
      #expect(try Image(path: path) == read)
      turned.metadata = Metadata(
        chunks: chunk("pHYs", big(1) + big(2) + [1])
          + chunk("eXIf", [0x45, 0x78, 0x69, 0x66, 0, 0] + exif(value, isLittle: isLittle)))
      try turned.write(to: path)
      let dense = try Image(path: path)
      #expect(dense.samples == expected[Int(value) - 1])
      #expect(dense.metadata["pHYs"] == (value > 4 ? big(2) + big(1) : big(1) + big(2)) + [1])
    }
  }

  @Test("Damaged EXIF says nothing, and no length in it is believed") func damagedEXIF() {
    let good = exif(6, isLittle: false)
    for n in good.indices {
      for byte in [0, 1, 0x7F, 0x80, 0xFF] as [UInt8] {
        var bytes = good
        bytes[n] = byte
        let metadata = Metadata(chunks: chunk("eXIf", bytes))
        #expect((1...8).contains(metadata.orientation))
        #expect(metadata.oriented.chunks.count == metadata.chunks.count)
      }
      #expect((1...8).contains(Metadata(chunks: chunk("eXIf", Array(good[..<n]))).orientation))
    }
    #expect(Metadata(chunks: big(0xFFFF_FFFF) + [1, 2, 3, 4, 5, 6, 7, 8]).types.isEmpty)
  }

  @Test(
    "A length beyond the file, or a size that its data cannot fill, is refused before memory is asked for"
  )
  func lies() throws {
    let path = temporary("lies.png")
    let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
    func header(_ width: UInt32, _ height: UInt32) -> [UInt8] {
      chunk("IHDR", big(width) + big(height) + [8, 0, 0, 0, 0])
    }
    let cases: [([UInt8], String)] = [
      (header(4, 4) + chunk("iTXt", [1, 2, 3], length: 0x7FFF_FFFF), "cut short"),
      (header(4, 4) + chunk("IDAT", [1, 2, 3], length: 0xFFFF_FFFF), "cut short"),
      (
        header(14_000, 14_000) + chunk("IDAT", [UInt8](repeating: 1, count: 100)),
        "holds data for fewer"
      ),
    ]
    for (bytes, reason) in cases {
      try Data(signature + bytes + chunk("IEND", [])).write(to: URL(fileURLWithPath: path))
      let error = #expect(throws: ImageError.self) { try Image(path: path) }
      #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
    }
  }

  @Test("Only regular files are opened") func regular() throws {
    let path = temporary("fifo.png")
    unsafe unlink(path)
    #expect(unsafe mkfifo(path, 0o600) == 0)
    let error = #expect(throws: ImageError.self) { try Image(path: path) }
    #expect(error?.description.contains("no regular file") == true)
    #expect(Image.sampleCount(path: path) == nil)
    // Nor is what is no file replaced by one.
    let image = Image(width: 1, height: 1, channels: 1, samples: [0])
    #expect(throws: ImageError.self) { try image.write(to: path) }
    #expect(
      !Files.isRegular(path) && !Files.isRegular(fixtures)
        && Files.isRegular(fixtures + "gray8.png"))
  }

  @Test("Checksums tell pictures apart by size, depth and samples") func checksums() {
    let image = Image(width: 2, height: 3, channels: 1, samples: [1, 2, 3, 4, 5, 6])
    #expect(image.checksum == image.checksum && image.checksum.count == 8)
    // As docs/formats.md has it, computed apart.
    let header: [[UInt8]] = [2, 3, 1, 8].map { [$0, 0, 0, 0] }
    let samples: [[UInt8]] = (1...6).map { [$0, 0] }
    let bytes = Array((header + samples).joined())
    #expect(UInt32(image.checksum, radix: 16) == checksum(bytes))
    let others = [
      Image(width: 3, height: 2, channels: 1, samples: image.samples),
      Image(width: 2, height: 3, channels: 1, bitDepth: 16, samples: image.samples),
      Image(width: 2, height: 3, channels: 1, samples: [1, 2, 3, 4, 5, 7]),
    ]
    #expect(Set(others.map(\.checksum) + [image.checksum]).count == 4)
  }
}
