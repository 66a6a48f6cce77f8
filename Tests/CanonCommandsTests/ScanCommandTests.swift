import Foundation
import Images
import Testing

private let manager = FileManager.default

/// Uneven in every direction, so that no two of its turns are alike.
private func gradient(_ width: Int, _ height: Int, times: Int = 1) -> Image {
  Image(
    width: width, height: height, channels: 1,
    samples: (0..<width * height).map { UInt16(($0 % width * 3 + $0 / width * 5) * times % 251) })
}

/// A folder with a file of several pages, and one beside it.
private func scans(_ name: String, pages: Int = 3) throws -> String {
  let folder = temporary(name)
  try manager.createDirectory(atPath: folder + "/parts", withIntermediateDirectories: true)
  let parts = (0..<pages).map { "\(folder)/parts/\($0).tif" }
  for (n, part) in parts.enumerated() { try gradient(40 + n, 30, times: n + 1).write(to: part) }
  #expect(try ImageCodecs.join(parts, to: folder + "/scan.tif"))
  try manager.removeItem(atPath: folder + "/parts")
  try gradient(20, 24).write(to: folder + "/alone.tif")
  return folder
}

private func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(filePath: path)) }

@Suite struct ScanCommandTests {
  @Test("A file of several pages comes back as one, turned and restored, also over an earlier run")
  func pages() throws {
    let folder = try scans("scans")
    let (out, back) = (temporary("scans-out"), temporary("scans-back"))
    for _ in 0..<2 {
      #expect(try canon("canonicalize", "pca-sign", folder, out, "--group", "C4").status == 0)
      #expect(
        try manager.contentsOfDirectory(atPath: out).sorted()
          == [".canon", "alone.tif", "manifest.jsonl", "scan.tif"])
      #expect(try canon("restore", out, back).status == 0)
    }
    for page in 1...3 {
      let name = "scan.tif/\(page).tif"
      #expect(try Image(path: "\(back)/\(name)") == Image(path: "\(folder)/\(name)"), "\(page)")
    }
    #expect(ImageCodecs.pages(of: "scan.tif", in: back).count == 3)
    // Into an archive they go one by one, and come back as one.
    let archive = temporary("scans-out.tar")
    #expect(try canon("canonicalize", "pca-sign", folder, archive, "--group", "C4").status == 0)
    let apart = temporary("scans-apart")
    #expect(try canon("restore", archive, apart).status == 0)
    #expect(ImageCodecs.pages(of: "scan.tif", in: apart).count == 3)
    #expect(
      try Image(path: apart + "/scan.tif/2.tif") == Image(path: folder + "/scan.tif/2.tif"))
  }

  @Test("Pages of a file in an archive are read, and come back as one file")
  func archivedPages() throws {
    let folder = try scans("archived")
    let archive = temporary("archived.tar")
    let writer = try TarWriter(path: archive)
    try writer.add(folder + "/scan.tif", as: "box/scan.tif")
    try writer.add(folder + "/alone.tif", as: "alone.tif")
    try writer.finish()
    #expect(Image.sampleCount(path: archive + "/box/scan.tif/2.tif") == 41 * 30)
    let out = temporary("archived-out")
    #expect(try canon("canonicalize", "identity", archive, out).out.hasPrefix("4 images"))
    #expect(ImageCodecs.pages(of: "scan.tif", in: out + "/box").count == 3)
    for page in 1...3 {
      #expect(
        try Image(path: "\(out)/box/scan.tif/\(page).tif")
          == Image(path: "\(folder)/scan.tif/\(page).tif"))
    }
    #expect(throws: ImageError.self) { try Image(path: archive + "/box/scan.tif/4.tif") }
    #expect(throws: ImageError.self) { try Image(path: archive + "/box/none.tif/1.tif") }
  }

  @Test("Pages left by a run that was stopped are not among those of the next")
  func stopped() throws {
    let folder = try scans("interrupted")
    let out = temporary("interrupted-out")
    try manager.createDirectory(atPath: out + "/scan.tif", withIntermediateDirectories: true)
    let written =
      "The files that are listed here are written, and replaced, by canon.\n\"scan.tif/01.tif\"\n"
    try Data(written.utf8).write(to: URL(filePath: out + "/.canon"))
    try gradient(5, 5).write(to: out + "/scan.tif/01.tif")
    #expect(try canon("canonicalize", "identity", folder, out).status == 0)
    #expect(ImageCodecs.pages(of: "scan.tif", in: out).count == 3)
    // What somebody else put there stays, and the pages stay apart.
    let other = temporary("interrupted-other")
    try manager.createDirectory(atPath: other + "/scan.tif", withIntermediateDirectories: true)
    try Data("kept".utf8).write(to: URL(filePath: other + "/scan.tif/note.txt"))
    #expect(try canon("canonicalize", "identity", folder, other).err.contains("did not write"))
    try gradient(5, 5).write(to: other + "/scan.tif/2024.tif")
    try Data(written.utf8).write(to: URL(filePath: other + "/.canon"))
    try gradient(5, 5).write(to: other + "/scan.tif/01.tif")
    let apart = try canon("canonicalize", "identity", folder, other)
    #expect(apart.status == 0 && apart.err.contains("stay apart"))
    #expect(try bytes(other + "/scan.tif/note.txt") == Data("kept".utf8))
    #expect(try Image(path: other + "/scan.tif/2024.tif") == gradient(5, 5))
    #expect(!manager.fileExists(atPath: other + "/scan.tif/01.tif"))
    #expect(try Image(path: other + "/scan.tif/3.tif") == gradient(42, 30, times: 3))
  }

  @Test(
    "A page that cannot be read is said, and keeps the others apart; the next run of a whole file is not in the way"
  )
  func damagedPages() throws {
    let folder = try scans("damaged")
    let whole = try bytes(folder + "/scan.tif")
    let out = temporary("damaged-out")
    // The way to the third page leads out of the file.
    var cut = Array(whole)
    let ends = cut.indices.dropLast(4).filter { at in
      // A directory's last four bytes are the place of the next one: that of the second page is the last but one.
      let next = cut[at..<at + 4].enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
      return next > at && next + 2 < cut.count && (8...30).contains(Int(cut[next]))
        && cut[next + 1] == 0
        && cut[next + 2] == 0xFE && cut[next + 3] == 0
    }
    let last = try #require(ends.last)
    for k in 0..<4 { cut[last + k] = k == 3 ? 0x70 : 0 }
    try Data(cut).write(to: URL(filePath: folder + "/scan.tif"))
    let result = try canon("canonicalize", "identity", folder, out)
    #expect(result.status == 2 && result.err.contains("scan.tif/3.tif"))
    #expect(try Image(path: out + "/scan.tif/2.tif") == gradient(41, 30, times: 2))
    // A file of one page, and one of three, where the folder of two is.
    try gradient(50, 30).write(to: folder + "/scan.tif")
    #expect(try canon("canonicalize", "identity", folder, out).status == 0)
    #expect(try Image(path: out + "/scan.tif") == gradient(50, 30))
    try whole.write(to: URL(filePath: folder + "/scan.tif"))
    #expect(try canon("canonicalize", "identity", folder, out).status == 0)
    #expect(ImageCodecs.pages(of: "scan.tif", in: out).count == 3)
  }

  @Test("Several pages under the name of another format are refused, not cut to the first one")
  func disguised() throws {
    let folder = try scans("disguised")
    try manager.moveItem(atPath: folder + "/scan.tif", toPath: folder + "/scan.png")
    let result = try canon("canonicalize", "identity", folder, temporary("disguised-out"))
    #expect(result.status == 2 && result.err.contains("it has 3 pages"))
  }

  @Test("What is left alone is the file that it was, byte for byte, and is so after restoring")
  func untouched() throws {
    let folder = temporary("untouched")
    try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
    // 37 pixels are no whole number of blocks; EXIF turns the picture.
    var photo = gradient(37, 50)
    photo.metadata.append(
      "eXIf",
      Array("MM".utf8) + [
        0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0,
      ])
    try photo.writeJPEG(to: folder + "/turned.jpg", quality: 90)
    #expect(try Image(path: folder + "/turned.jpg").width == 50)
    try gradient(31, 40).write(to: folder + "/plain.png")
    let (out, back) = (temporary("untouched-out"), temporary("untouched-back"))
    let result = try canon("canonicalize", "pca-sign", folder, out, "--min-margin", "inf")
    #expect(result.status == 0 && result.err.contains("2 images are left as they were"))
    #expect(try canon("restore", out, back).status == 0)
    for name in ["turned.jpg", "plain.png"] {
      #expect(try bytes("\(out)/\(name)") == bytes("\(folder)/\(name)"), "\(name)")
      #expect(try bytes("\(back)/\(name)") == bytes("\(folder)/\(name)"), "\(name)")
    }
  }

  @Test("Outputs are not named as files, and not mixed with the originals")
  func places() throws {
    let folder = temporary("places")
    try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try gradient(37, 50).writeJPEG(to: folder + "/photo.jpg", quality: 90)
    for name in ["out.zip", "out.tar.gz", "out.tif", "out.PNG"] {
      let result = try canon("canonicalize", "identity", folder, temporaryPath(name))
      #expect(result.status == 1 && result.err.contains("is the name of a file"), "\(name)")
    }
    #expect(try canon("canonicalize", "identity", folder, temporary("v1.2")).status == 0)
    let out = temporary("places-out")
    #expect(
      try canon("canonicalize", "pca-sign", folder, out, "--min-margin", "0").status == 0)
    #expect(try manager.contentsOfDirectory(atPath: out).contains("photo.jpg.png"))
    let mixed = try canon("restore", out, folder)
    #expect(mixed.status == 1 && mixed.err.contains("photo.jpg"))
    #expect(try manager.contentsOfDirectory(atPath: folder) == ["photo.jpg"])
    // Also where an earlier one wrote there: what it did not write is not its own.
    let one = temporary("places-one")
    try manager.createDirectory(atPath: one, withIntermediateDirectories: true)
    try gradient(20, 24).write(to: one + "/other.png")
    let oneOut = temporary("places-one-out")
    #expect(try canon("canonicalize", "pca-sign", one, oneOut, "--min-margin", "0").status == 0)
    #expect(try canon("restore", oneOut, folder).status == 0)
    #expect(try canon("restore", out, folder).status == 1)
    #expect(try canon("restore", oneOut, folder).status == 0)
  }

  @Test(
    "Of a model of poses alone the poses are held to the tolerance, not an output that it has not")
  func certificate() throws {
    let folder = temporary("certificate")
    try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try gradient(300, 200).write(to: folder + "/no-page.png")
    let result = try canon("verify", "photos", folder, "--group", "SO2")
    #expect(result.status == 1 && result.err.contains("Not equivariant"))
    // What it claims are quarter turns.
    for more in [["--group", "C4"], []] {
      let turns = try canon(["verify", "photos", folder] + more)
      #expect(turns.status == 0 && turns.err.contains("Poses are equivariant"), "\(turns.err)")
    }
  }
}
