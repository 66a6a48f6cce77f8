import Foundation
import Images
import TensorCore
import Testing

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  .deletingLastPathComponent().deletingLastPathComponent().path
private let model = root + "/demo/model.safetensors"
private let manager = FileManager.default

@Suite struct PictureCommandTests {
  /// The peak signal-to-noise ratio over all samples, in dB.
  private func psnr(_ a: Image, _ b: Image) -> Double {
    let square = zip(a.samples, b.samples).reduce(0.0) {
      $0 + pow(Double($1.0) - Double($1.1), 2)
    }
    return 10 * log10(pow(Double(a.maximum), 2) / max(1e-9, square / Double(a.samples.count)))
  }

  /// A smooth picture that is no square.
  private func smooth(_ channels: Int, depth: Int = 8) -> Image {
    let top = Double(depth == 8 ? 255 : 65535)
    let samples = (0..<61 * 48 * channels).map { i -> UInt16 in
      let (x, y) = (Double(i / channels % 61), Double(i / channels / 61))
      let c = Double(i % channels)
      return UInt16(top * (0.5 + 0.45 * sin(x / 6 + c) * cos(y / 7 - c) * (x + 40) / 101))
    }
    return Image(width: 61, height: 48, channels: channels, bitDepth: depth, samples: samples)
  }

  @Test(
    "With a canvas that grows every pixel comes back; crop and keep say what they are",
    arguments: [1, 2, 3, 4])
  func canvas(channels: Int) throws {
    let folder = temporary("canvas\(channels)")
    try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let image = smooth(channels, depth: channels == 3 ? 16 : 8)
    try image.write(to: folder + "/x.png")
    for canvas in ["grow", "crop", "keep"] {
      let (out, back) = (temporary("canvas-out\(channels)"), temporary("canvas-back\(channels)"))
      let made = try canon(
        "canonicalize", "{kind: pca-sign, threshold: 0}", folder, out, "--canvas", canvas)
      #expect(made.status == 0, "\(made.err)")
      let form = try Image(path: out + "/x.png")
      #expect(try canon("restore", out, back).status == 0)
      let restored = try Image(path: back + "/x.png")
      #expect((restored.width, restored.height) == (61, 48) && restored.bitDepth == image.bitDepth)
      let area = form.width * form.height
      switch canvas {
      // Measured 52 to 60 dB; sampling twice without correction gives 45.
      case "grow": #expect(area > 61 * 48 && psnr(image, restored) > 45, "\(psnr(image, restored))")
      case "crop": #expect(area < 61 * 48)
      default: #expect(area == 61 * 48)
      }
    }
  }

  @Test(
    "Under C4 every picture is only turned by quarters, and comes back bit for bit",
    arguments: ["pca", "pca-sign", "gradient"])
  func quarters(kind: String) throws {
    let folder = try pictures("quarters" + kind, ["a.png", "b/c.png"])
    try noise(31, 44, 4, depth: 16).write(to: folder + "/d.png")
    let (out, back) = (temporary("quarters-out" + kind), temporary("quarters-back" + kind))
    let made = try canon("canonicalize", kind, folder, out, "--group", "C4", "--json")
    #expect(made.status == 0 && !made.out.contains("\"isExact\":false"))
    #expect(try canon("restore", out, back).out.contains("3 of them bit for bit"))
    for file in ["a.png", "b/c.png", "d.png"] {
      #expect(try Image(path: "\(back)/\(file)") == Image(path: "\(folder)/\(file)"))
    }
    #expect(try canon("canonicalize", kind, folder, out, "--group", "D4").status == 1)
    #expect(try canon("canonicalize", model, folder, out, "--group", "C4").status == 64)
  }

  @Test("The background is the picture's own, or the one asked for") func background() throws {
    let folder = temporary("background")
    try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
    // A slanted bar on paper of 230.
    let samples = (0..<40 * 40 * 3).map { i -> UInt16 in
      let (x, y) = (i / 3 % 40, i / 120)
      return abs(x - 2 * y + 15) < 6 && (8..<32).contains(x) ? 20 : 230
    }
    try Image(width: 40, height: 40, channels: 3, samples: samples).write(to: folder + "/x.png")
    func corner(_ color: String?) throws -> [UInt16] {
      let out = temporary("background-out")
      let extra = color.map { ["--background", $0] } ?? []
      let made = try canon(["canonicalize", "{kind: pca, threshold: 0}", folder, out] + extra)
      #expect(made.status == 0, "\(made.err)")
      let form = try Image(path: out + "/x.png")
      #expect(form.width > 40)
      return Array(form.samples.prefix(3))
    }
    #expect(try corner(nil) == [230, 230, 230])
    #expect(try corner("black") == [0, 0, 0])
    #expect(try corner("ffcc00") == [255, 204, 0])
    #expect(
      try canon("canonicalize", "pca", folder, temporary("b"), "--background", "pink").status == 64)
  }

  @Test("Hidden color under transparency stays hidden (correctness 11)") func premultiplied() throws
  {
    // White and opaque in the middle, transparent green around it.
    let samples = (0..<40 * 40).flatMap { i -> [UInt16] in
      let (x, y) = (i % 40 - 20, i / 40 - 20)
      return abs(x + y / 2) < 6 && abs(y) < 14 ? [255, 255, 255, 255] : [0, 255, 0, 0]
    }
    let folder = temporary("alpha")
    try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try Image(width: 40, height: 40, channels: 4, samples: samples).write(to: folder + "/x.png")
    let out = temporary("alpha-out")
    #expect(try canon("canonicalize", "{kind: pca, threshold: 0}", folder, out).status == 0)
    let form = try Image(path: out + "/x.png").samples
    var halfway = 0
    for i in stride(from: 0, to: form.count, by: 4) where form[i + 3] > 8 {
      // What is seen at all is white, at the edges too.
      #expect(form[i] >= 250 && form[i + 1] >= 250, "\(Array(form[i..<i + 4]))")
      if form[i + 3] < 250 { halfway += 1 }
    }
    #expect(halfway > 10)
  }

  @Test(
    "A picture and its half turn have one form, where sides differ by an odd number (correctness 5)"
  )
  func oddSides() throws {
    let folder = temporary("odd")
    try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let image = noise(33, 28, 3)
    let half = Image(
      width: 33, height: 28, channels: 3,
      samples: (0..<33 * 28).reversed().flatMap { Array(image.samples[3 * $0..<3 * $0 + 3]) })
    try image.write(to: folder + "/a.png")
    try half.write(to: folder + "/b.png")
    for size in [16, 28] {
      #expect(
        image.modelInput(size: size, channels: 3).elements
          == half.modelInput(size: size, channels: 3).reversedPixels)
    }
    let out = temporary("odd-out")
    #expect(try canon("canonicalize", "pca-sign", folder, out).status == 0)
    #expect(try Image(path: out + "/a.png") == Image(path: out + "/b.png"))
  }
}

extension Tensor {
  /// The elements of `[1, height, width, channels]` with the pixels from the last to the first.
  fileprivate var reversedPixels: [Float] {
    let channels = shape[3]
    return (0..<shape.count / channels).reversed().flatMap {
      Array(elements[channels * $0..<channels * $0 + channels])
    }
  }
}
