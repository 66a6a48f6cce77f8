import Datasets
import Foundation
import Images
import Symmetry
import Testing
import Training

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  .deletingLastPathComponent().deletingLastPathComponent().path
private let pages = root + "/demo/pages"
private let manager = FileManager.default

@Suite struct PageCommandTests {
  @Test("Pages of six scripts are turned upright by the model that comes with canon, by its name")
  func upright() throws {
    let (out, back) = (temporary("pages-out"), temporary("pages-back"))
    var files = try ImageFolder(path: pages).files
    #expect(files.count == 6)
    #if DEBUG
      // Twenty seconds a page.
      files.removeFirst(4)
    #endif
    let result = try canon(
      ["canonicalize", "pages", "-", out, "--json"], in: pages,
      input: files.joined(separator: "\n"))
    #expect(result.status == 0)
    struct Line: Decodable { var file: String, degrees: Double, margin: Double }
    let lines = try result.out.split(separator: "\n").map {
      try JSONDecoder().decode(Line.self, from: Data($0.utf8))
    }
    #expect(lines.count == files.count)
    // How each lies is in its name: arabic+97.3.jpg is turned by so many degrees.
    for line in lines {
      let degrees = try #require(
        Double(line.file.split(separator: ".jpg")[0].drop { $0 != "+" && $0 != "-" }))
      let off = (line.degrees - degrees).remainder(dividingBy: 360)
      #expect(abs(off) < 0.7, "\(line.file): \(line.degrees)°")
    }
    #expect(try canon("restore", out, back).status == 0)
    for line in lines {
      // What was resampled is a PNG file: arabic+97.3.jpg.png.
      let (before, after) = try (
        Image(path: "\(pages)/\(line.file.replacing(".jpg.png", with: ".jpg"))"),
        Image(path: "\(back)/\(line.file)")
      )
      #expect(after.width == before.width && after.height == before.height)
    }
  }

  @Test("What is no page is left alone, and listed; a margin of one's own decides otherwise")
  func unsure() throws {
    let folder = temporary("unsure")
    try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let white = Image(
      width: 300, height: 200, channels: 1, samples: [UInt16](repeating: 255, count: 60_000))
    try white.write(to: folder + "/white.png")
    let out = temporary("unsure-out")
    let result = try canon("canonicalize", "pages", folder, out)
    #expect(result.status == 0 && result.err.contains("white.png"))
    #expect(result.err.contains("1 image is left as it was"))
    #expect(try Image(path: out + "/white.png") == white)
    let told = try canon("predict", "photos", folder, "--format", "csv")
    #expect(told.out.hasPrefix("file,degrees,reflected,margin,unsure,ties"))
    #expect(told.out.contains("true,"))
    let all = try canon(
      "canonicalize", "pca-sign", folder, temporary("unsure-all"), "--min-margin", "inf")
    #expect(all.status == 0 && all.err.contains("white.png"))
    #expect(try canon("canonicalize", "pages", folder, out, "--min-margin", "nan").status == 64)
    #expect(
      try !canon("canonicalize", "pages", folder, out, "--min-margin", "0").err
        .contains("left as"))
  }

  @Test("A name that no model has is answered with those that there are") func names() throws {
    let result = try canon("canonicalize", "pagse", pages, temporary("names"))
    #expect(result.status == 1 && result.err.contains("Did you mean 'pages'?"))
    #expect(ShippedModels.names.contains("pages"))
    #expect(ShippedModels.path(of: "../pages") == nil && ShippedModels.path(of: "") == nil)
    #expect(try canon("info", "pages").status == 0)
  }

  @Test("A model is calibrated: a margin is chosen at which few poses are wrong") func calibrate()
    throws
  {
    let out = temporary("calibrated.safetensors")
    let model = root + "/demo/model.safetensors"
    let strict = try canon(
      "calibrate", model, digits, "--tolerance", "180", "--error", "0", "--out", out, "--json")
    struct Choice: Decodable { var poses: Int, minMargin, coverage, error, errorOfAll: Double }
    let choice = try JSONDecoder().decode(Choice.self, from: Data(strict.out.utf8))
    // Nothing is off by more than half a turn: everything is kept.
    #expect(choice.poses == 96 && choice.coverage == 1 && choice.error == 0)
    #expect(try ModelFile(path: out).figures["min margin"] == choice.minMargin)
    // No pose is exactly right.
    let none = try canon(
      "calibrate", model, digits, "--tolerance", "0", "--error", "0", "--skew", "10", "--out",
      temporary("none.safetensors"))
    #expect(none.status == 1 && none.err.contains("--error"))
    #expect(!manager.fileExists(atPath: temporaryPath("none.safetensors")))
    #expect(try canon("calibrate", model, digits, "--skew", "50", "--out", out).status == 64)
    #expect(try canon("calibrate", model, digits, "--out", model).status == 1)
  }

  @Test("A report is one page: figures, mistakes, calibration, angles, poses, examples")
  func report() throws {
    let folder = try classes("reported")
    let out = temporary("report.html")
    let model = root + "/demo/model.safetensors"
    let result = try canon("report", model, folder, "--out", out, "--angles", "4", "--images", "3")
    #expect(result.status == 0)
    let page = try String(contentsOfFile: out, encoding: .utf8)
    for title in [
      "Figures", "Which class is taken for which", "By the angle", "Poses and margins",
      "The worst", "The least sure", "How far from equivariance",
    ] { #expect(page.contains("<h2>\(title)"), "\(title)") }
    // Three of each, every one beside its form.
    #expect(page.components(separatedBy: "data:image/png;base64,").count == 13)
    // Nothing is fetched from elsewhere.
    #expect(!page.contains("src=\"http") && !page.contains("href=") && !page.contains("@import"))
    // A name is text.
    #expect(page.contains("&lt;b&gt;") && !page.contains("/<b>"))
    #expect(try canon("report", model, folder, "--out", "report.txt").status == 64)
    #expect(try canon("report", model, folder, "--out", folder + "/r.html").status == 1)
  }

  @Test("A report of a model of poses alone: what it acts on, and what it moves or is not sure of")
  func reportOfPoses() throws {
    let out = temporary("poses.html")
    let options = ["--out", out, "--angles", "4", "--images", "2"]
    let result = try canon(["report", "photos", root + "/demo/digits"] + options)
    #expect(result.status == 0 && result.out.contains("24 images"))
    let page = try String(contentsOfFile: out, encoding: .utf8)
    for title in [
      "Figures", "By the angle", "Poses and margins", "Moved with the smallest margins",
      "The least sure", "How far from equivariance",
    ] { #expect(page.contains("<h2>\(title)"), "\(title)") }
    #expect(page.contains(" of 24</td>") && page.contains("a margin of "))
    // Nothing is known of what would be right.
    #expect(!page.contains("<td>loss") && !page.contains("output, largest"))
    // Two of each, where there are two, every one beside its form.
    let moved = try #require(
      page.firstMatch(of: #/<td>moved</td><td class="number">(\d+)/#).flatMap { Int($0.1) })
    #expect(
      moved > 0
        && page.components(separatedBy: "data:image/png;base64,").count == 1 + 2
          * (2 + min(2, moved))
    )
  }

  /// The shipped digits, in a folder for each class, with names that are HTML.
  private func classes(_ name: String) throws -> String {
    let folder = temporary(name)
    for label in try manager.contentsOfDirectory(atPath: digits) {
      try manager.createDirectory(
        atPath: "\(folder)/\(label)", withIntermediateDirectories: true)
      for file in try manager.contentsOfDirectory(atPath: "\(digits)/\(label)") {
        try manager.copyItem(
          atPath: "\(digits)/\(label)/\(file)", toPath: "\(folder)/\(label)/<b>\(file)")
      }
    }
    return folder
  }
}
