import Foundation
import Images
import TensorCore
import Testing

private let colors = {
  var samples: [UInt16] = []
  for i in 0..<24 * 16 * 3 {
    let (column, channel) = (i % 72 / 3, i % 3)
    samples.append(UInt16(column * 10 + channel * 5))
  }
  var image = Image(width: 24, height: 16, channels: 3, samples: samples)
  image.metadata.append("tEXt", Array("Comment\0made by hand".utf8))
  return image
}()

@Suite struct JPEGTests {
  /// As another decoder of the same library gives them.
  @Test(
    "Files of other programs: progressive color, gray, inks",
    arguments: [
      ("progressive", 3, [[0, 0, 60], [92, 115, 61], [255, 255, 62]], 0),
      ("gray", 1, [[7], [102], [234]], 0),
      ("cmyk", 3, [[0, 0, 60], [93, 115, 60], [255, 255, 60]], 2),
    ] as [(String, Int, [[Int]], Int)])
  func foreign(name: String, channels: Int, expected: [[Int]], tolerance: Int) throws {
    let image = try JPEGCodec.read(fixture("\(name).jpg"))
    #expect(image.width == 20 && image.height == 12 && image.channels == channels)
    #expect(Image.sampleCount(path: fixture("\(name).jpg")) == 240 * channels)
    for ((x, y), values) in zip([(0, 0), (7, 5), (19, 11)], expected) {
      for (c, value) in values.enumerated() {
        let found = Int(image.samples[(y * 20 + x) * channels + c])
        #expect(abs(found - value) <= tolerance, "\(name) at \(x), \(y), \(c)")
      }
    }
  }

  @Test("The profile of inks is not that of the colors that they become") func inks() throws {
    let other = [UInt8](try Data(contentsOf: URL(fileURLWithPath: fixture("progressive.jpg"))))
    let at = try #require(other.indices.first { other[$0...].starts(with: [0xFF, 0xE2]) })
    let segment = other[at..<at + 2 + Int(other[at + 2]) << 8 + Int(other[at + 3])]
    #expect(segment.count > 588)
    var file = [UInt8](try Data(contentsOf: URL(fileURLWithPath: fixture("cmyk.jpg"))))
    file.insert(contentsOf: segment, at: 2)
    #expect(try Image(bytes: file).metadata.profile == nil)
    var color = [UInt8](try Data(contentsOf: URL(fileURLWithPath: fixture("gray.jpg"))))
    color.insert(contentsOf: segment, at: 2)
    #expect(try Image(bytes: color).metadata.profile?.count == 588)
  }

  @Test(
    "EXIF's orientation is honored; profile, resolution, comment, XMP and EXIF are kept as PNG's chunks"
  )
  func metadata() throws {
    let image = try Image(path: fixture("progressive.jpg"))
    // Orientation 6: the first row is the right column.
    #expect(image.width == 12 && image.height == 20 && image.metadata.orientation == 1)
    let raw = try JPEGCodec.read(fixture("progressive.jpg"))
    #expect(raw.metadata.orientation == 6)
    #expect(image.samples[11 * 3] == raw.samples[0])
    #expect(Set(image.metadata.types) == ["iCCP", "pHYs", "eXIf", "iTXt", "tEXt"])
    #expect(image.metadata.profile?.count == 588)
    let png = temporaryFile("kept.png")
    try image.write(to: png)
    let again = try Image(path: png)
    #expect(again == image)
    // And back into a JPEG file: resolutions were exchanged with the sides.
    let jpeg = temporaryFile("kept.jpg")
    try image.write(to: jpeg)
    let back = try Image(path: jpeg)
    #expect(back.metadata.profile == image.metadata.profile)
    for type in ["eXIf", "iTXt", "tEXt"] { #expect(back.metadata[type] == image.metadata[type]) }
    #expect(back.metadata["pHYs"] == image.metadata["pHYs"])
  }

  @Test("What is written is read nearly as it was; a name that keeps samples ends in .png")
  func written()
    throws
  {
    let path = temporaryFile("colors.jpeg")
    try colors.write(to: path)
    let read = try Image(path: path)
    #expect(read.width == 24 && read.height == 16 && read.channels == 3)
    let apart = zip(read.samples, colors.samples).map { abs(Int($0) - Int($1)) }
    #expect(apart.max()! <= 8 && apart.reduce(0, +) <= 2 * apart.count)
    #expect(read.metadata["tEXt"] == colors.metadata["tEXt"])
    let deep = Image(
      width: 8, height: 8, channels: 1, bitDepth: 16, samples: (0..<64).map { UInt16($0 * 1000) })
    try deep.write(to: path)
    let shallow = try Image(path: path)
    #expect(zip(shallow.samples, deep.samples).allSatisfy { abs(Int($0) - Int($1) / 257) <= 4 })
    #expect(ImageCodecs.losslessName("a/b.JPG") == "a/b.JPG.png")
    #expect(ImageCodecs.losslessName("a/b.png") == "a/b.png")
  }

  @Test("What cannot be read or written is said in a sentence, and a JPEG file called PNG is read")
  func refusals() throws {
    #expect(reason { _ = try Image(path: fixture("truncated.jpg")) }.contains("end early"))
    let junk = temporaryFile("junk.jpg")
    try Data([0xFF, 0xD8, 0xFF, 0xE0, 0, 1, 2]).write(to: URL(fileURLWithPath: junk))
    #expect(reason { _ = try Image(path: junk) }.contains("cannot be read as an image"))
    #expect(reason { _ = try Image(path: junk + "-none.jpg") }.contains("No such file"))
    #expect(Image.sampleCount(path: junk) == nil)
    let alpha = Image(width: 1, height: 1, channels: 4, samples: [1, 2, 3, 4])
    let out = temporaryFile("alpha.jpg")
    #expect(reason { try alpha.write(to: out) }.contains("no transparency"))
    #expect(!FileManager.default.fileExists(atPath: out))
    let misnamed = temporaryFile("misnamed.png")
    try FileManager.default.copyItem(atPath: fixture("gray.jpg"), toPath: misnamed)
    #expect(try Image(path: misnamed).channels == 1)
  }

  @Test("Files are turned and flipped without loss: what undoes it gives the same pixels back")
  func turns() throws {
    let (path, turned, back) = (
      temporaryFile("a.jpg"), temporaryFile("b.jpg"), temporaryFile("c.jpg")
    )
    var picture = colors
    // 100 and 200 points an inch.
    picture.metadata.append("pHYs", [0, 0, 0x0F, 0x61, 0, 0, 0x1E, 0xC2, 1])
    try picture.write(to: path)
    let image = try Image(path: path)
    for change in Rearrangement.all {
      #expect(try Image.turn(path, by: change, to: turned))
      let (found, expected) = (try Image(path: turned), image.rearranged(change))
      // Columns are transformed before rows, or after them: each rounds, and the colors once more.
      let apart = zip(found.samples, expected.samples).map { abs(Int($0) - Int($1)) }
      #expect(found.width == expected.width && apart.max()! <= 3, "\(change)")
      #expect(found.metadata == expected.metadata)
      #expect(try Image.turn(turned, by: change.inverse, to: back))
      #expect(try Image(path: back) == image)
    }
    // PNG keeps samples as they are: there is nothing that it would do better.
    #expect(try !Image.turn(path, by: .init(flipsX: true), to: temporaryFile("d.png")))
  }

  @Test(
    "A file is turned with what EXIF says, and is upright then; metadata stay; sides of no whole blocks are cut on request"
  )
  func turnsWithMetadata() throws {
    // 20 × 12 pixels, of orientation 6: shown as 12 × 20.
    let (path, turned) = (fixture("progressive.jpg"), temporaryFile("turned.jpg"))
    let image = try Image(path: path)
    #expect(try !Image.turn(path, by: Rearrangement(), to: turned))
    #expect(!FileManager.default.fileExists(atPath: turned))
    // As it is stored it could be kept, but not be brought back to how it is shown.
    let change = Rearrangement(isTransposed: true, flipsX: true)
    #expect(try !Image.turn(path, by: change, to: turned))
    // Of whole blocks it can, and is then as stored.
    var picture = colors
    picture.metadata.append(
      "eXIf",
      [0x49, 0x49, 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0])
    let whole = temporaryFile("whole.jpg")
    try picture.write(to: whole)
    #expect(try Image(path: whole).width == 16)
    #expect(try Image.turn(whole, by: change, to: turned))
    let stored = try JPEGCodec.read(turned)
    #expect(try stored.samples == JPEGCodec.read(whole).samples && stored.metadata.orientation == 1)
    #expect(try Image.turn(path, by: Rearrangement(), trims: true, to: turned))
    let cut = try Image(path: turned)
    #expect(cut.width < 12 && cut.height == 20)
    for type in ["iCCP", "eXIf", "iTXt", "tEXt"] {
      #expect(cut.metadata[type] == image.metadata[type])
    }
    #expect(try !Image.turn(fixture("truncated.jpg"), by: change, trims: true, to: turned))
    let missing = reason { _ = try Image.turn(fixture("none.jpg"), by: change, to: turned) }
    #expect(missing.contains("No such file"))
  }

  @Test("A file cut or changed anywhere ends in an image or a sentence") func mutations() throws {
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: fixture("progressive.jpg"))))
    let path = temporaryFile("mutated.jpg")
    var random = RandomStream(seed: 3, name: "jpeg")
    for n in 0..<400 {
      var some = n % 2 == 0 ? Array(bytes.prefix(Int(random.next() % UInt64(bytes.count)))) : bytes
      for _ in 0..<n % 5 where !some.isEmpty {
        some[Int(random.next() % UInt64(some.count))] = UInt8(truncatingIfNeeded: random.next())
      }
      try Data(some).write(to: URL(fileURLWithPath: path))
      _ = Image.sampleCount(path: path)
      guard let image = try? Image(path: path) else { continue }
      #expect(image.samples.count == image.width * image.height * image.channels)
      _ = (image.metadata.profile, image.metadata.orientation)
    }
  }
}
