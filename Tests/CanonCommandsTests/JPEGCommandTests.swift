import Foundation
import Images
import Testing

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  .deletingLastPathComponent().deletingLastPathComponent().path
private let manager = FileManager.default

@Suite struct JPEGCommandTests {
  @Test("JPEG files are turned without loss, in and back; others become PNG, or are trimmed")
  func jpegs() throws {
    let folder = try pictures("photos", ["b.jpg"])
    for n in 0..<4 { try noise(24, 16, 3, seed: UInt64(n)).write(to: "\(folder)/a\(n).jpg") }
    let (out, back) = (temporary("photos-out"), temporary("photos-back"))
    let result = try canon("canonicalize", "pca-sign", folder, out, "--group", "C4")
    #expect(result.status == 0)
    for n in 0..<4 {
      #expect(manager.fileExists(atPath: "\(out)/a\(n).jpg"))
      #expect(!manager.fileExists(atPath: "\(out)/a\(n).jpg.png"))
    }
    let restored = try canon("restore", out, back)
    #expect(restored.status == 0 && restored.out.contains("5 of them bit for bit"))
    for n in 0..<4 {
      #expect(try Image(path: "\(back)/a\(n).jpg") == Image(path: "\(folder)/a\(n).jpg"))
    }
    // 20 × 17 pixels cannot be turned by every quarter.
    let isKept = manager.fileExists(atPath: "\(out)/b.jpg")
    #expect(isKept != manager.fileExists(atPath: "\(out)/b.jpg.png"))
    let b = try Image(path: "\(back)/b.jpg" + (isKept ? "" : ".png"))
    #expect(try b.samples == Image(path: "\(folder)/b.jpg").samples)
    #expect(isKept || result.err.contains("1 JPEG file is written as PNG"))
    // Of another angle there is no such turn; what the first run wrote goes.
    let other = try canon("canonicalize", "pca-sign", folder, out)
    #expect(other.status == 0 && other.err.contains("5 JPEG files are written as PNG"))
    #expect(!manager.fileExists(atPath: "\(out)/a0.jpg"))
    // What somebody put there since stays, under whatever name.
    try manager.copyItem(atPath: "\(folder)/a0.jpg", toPath: "\(out)/a0.jpg")
    let refused = try canon("canonicalize", "pca-sign", folder, out)
    #expect(refused.status == 1 && refused.err.contains("holds a a0.jpg"))
    #expect(manager.fileExists(atPath: "\(out)/a0.jpg"))
    let trimmed = temporary("photos-trimmed")
    let cut = try canon("canonicalize", "pca-sign", folder, trimmed, "--group", "C4", "--trim")
    #expect(cut.status == 0 && manager.fileExists(atPath: "\(trimmed)/b.jpg"))
    let again = temporary("photos-again")
    let part = try canon("restore", trimmed, again)
    let size = try Image(path: "\(again)/b.jpg")
    let isCut = size.width < 20 || size.height < 17
    #expect(part.out.contains(isCut ? "4 of them bit for bit" : "5 of them bit for bit"))
    #expect(cut.err.contains("of 1 picture some pixels") == isCut)
  }

  @Test("A JPEG file that would become another picture when it is turned is written as PNG")
  func unusualJPEGs() throws {
    let folder = temporary("unusual")
    try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
    // Inks without the mark that says whether they are inverted: what is turned would get it.
    var inks = [UInt8](try contents(root + "/Tests/ImagesTests/Fixtures/cmyk.jpg"))
    let mark = try #require(inks.indices.first { inks[$0] == 0xFF && inks[$0 + 1] == 0xEE })
    inks.removeSubrange(mark..<mark + 2 + Int(inks[mark + 3]))
    try Data(inks).write(to: URL(fileURLWithPath: "\(folder)/inks.jpg"))
    // A side of less than a block, which cannot be trimmed, in a picture that EXIF turns around.
    var small = noise(7, 7, 3)
    small.metadata.append(
      "eXIf",
      [0x49, 0x49, 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0])
    try small.write(to: "\(folder)/small.jpg")
    let out = temporary("unusual-out")
    let result = try canon("canonicalize", "identity", folder, out, "--trim")
    #expect(result.status == 0)
    for name in ["inks.jpg", "small.jpg"] {
      #expect(!manager.fileExists(atPath: "\(out)/\(name)"), "\(name)")
      #expect(
        try Image(path: "\(out)/\(name).png").samples == Image(path: "\(folder)/\(name)").samples)
    }
  }
}
