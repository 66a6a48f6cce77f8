import ArgumentParser
import Canon
import Foundation
import Synchronization

/// Pages of text in six scripts, drawn with real fonts and scanned badly.
struct GeneratedPages: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract:
      "Draws pages of text, as training and test data of the model `pages`, and measures it.",
    subcommands: [Parts.self, Whole.self, Demo.self, Measure.self])

  struct Parts: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "parts",
      abstract: "Writes parts of upright pages as IDX files, images and labels (the script).")

    @Argument(help: "The folder to write to.") var out: String
    @Option(help: "How many pages they are of.") var pages = 3000
    @Option(help: "What they are drawn from.") var seed: UInt64 = 0
    @Option(help: "The side of the square that a page is seen as, in pixels.") var size = 1024

    func run() throws {
      let scripts = try Script.all()
      let parts = Canon.Parts(Function { $0 }, size: 64, counts: [24, 10, 4])
      var (tiles, labels): ([UInt8], [UInt8]) = ([], [])
      try inOrder(pages, scripts, seed, isTest: false, skew: 1.2) { number, page in
        let tiles = parts.parts(of: page.image.modelInput(size: size, channels: 1))
        let bytes = tiles.elements.map { UInt8(min(max(128 + 32 * $0, 0), 255)) }
        return (bytes, [UInt8](repeating: UInt8(number % scripts.count), count: tiles.shape[0]))
      } use: { made in
        tiles += made.0
        labels += made.1
      }
      try FileManager.default.createDirectory(atPath: out, withIntermediateDirectories: true)
      try write(tiles, [labels.count, 64, 64], to: "\(out)/parts-images.idx")
      try write(labels, [labels.count], to: "\(out)/parts-labels.idx")
      print("\(labels.count) parts of \(pages) pages in \(out)")
    }

    private func write(_ bytes: [UInt8], _ extents: [Int], to path: String) throws {
      var data = Data([0, 0, 8, UInt8(extents.count)])
      for extent in extents {
        data.append(contentsOf: (0..<4).map { UInt8(extent >> (24 - 8 * $0) & 255) })
      }
      try (data + bytes).write(to: URL(fileURLWithPath: path))
    }
  }

  struct Whole: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "pages", abstract: "Writes upright pages, in one folder a script.")

    @Argument(help: "The folder to write to.") var out: String
    @Option(help: "How many pages.") var pages = 600
    @Option(help: "What they are drawn from.") var seed: UInt64 = 1
    @Flag(help: "With the fonts and layouts of test pages.") var test = false

    func run() throws {
      let scripts = try Script.all()
      for script in scripts {
        try FileManager.default.createDirectory(
          atPath: "\(out)/\(script.name)", withIntermediateDirectories: true)
      }
      try inOrder(pages, scripts, seed, isTest: test, skew: 0) { [out] number, page in
        let path = "\(out)/\(page.script)/\(page.layout)-\(number).jpg"
        try page.image.write(to: path)
      } use: {
      }
      print("\(pages) pages in \(out)")
    }
  }
}

/// A few small pages that lie in any way, to try the model on.
struct Demo: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo",
    abstract: "Writes a page of each script, at 75 dots per inch; its name says how it is turned.")

  @Argument(help: "The folder to write to.") var out: String
  @Option(help: "What they are drawn from.") var seed: UInt64 = 4

  func run() throws {
    try FileManager.default.createDirectory(atPath: out, withIntermediateDirectories: true)
    let scripts = try Script.all()
    for number in scripts.indices {
      let (page, skew) = Page.draw(number, of: scripts, seed: seed, isTest: true, skew: 12)
      // Twice in each quarter turn but the last two.
      let quarter = PlanarIsometry(quarterTurns: number % 4)
      let image = page.image.halved
      let turned = Image(ImageAction(SO2()).act([quarter], on: image.tensor)[0])
      let degrees = (quarter.angle + skew) * 180 / .pi
      let name = page.script + String(format: "%+.2f", degrees.remainder(dividingBy: 360))
      try turned.write(to: "\(out)/\(name).jpg")
    }
    print("\(scripts.count) pages in \(out)")
  }
}

extension Image {
  /// Means of 2 × 2 pixels.
  fileprivate var halved: Image {
    let (w, h) = (width / 2, height / 2)
    let samples = (0..<w * h).map { i -> UInt16 in
      let at = i / w * 2 * width + i % w * 2
      let sum =
        Int(self.samples[at]) + Int(self.samples[at + 1]) + Int(self.samples[at + width])
        + Int(self.samples[at + width + 1])
      return UInt16((sum + 2) / 4)
    }
    return Image(width: w, height: h, channels: 1, samples: samples)
  }
}

/// Draws pages on several threads, and hands what is made of them over in order.
func inOrder<Made: Sendable>(
  _ count: Int, _ scripts: [Script], _ seed: UInt64, isTest: Bool, skew: Double,
  _ make: @escaping @Sendable (Int, Page) throws -> Made, use: (Made) throws -> Void
) throws {
  let next = Mutex(0)
  let begin = Date()
  var done = 0
  try Parallel.pipeline(
    next: {
      next.withLock { n in
        defer { n += 1 }
        return n < count ? n : nil
      }
    },
    make: { number in
      try make(
        number,
        Page.draw(number, of: scripts, seed: seed, isTest: isTest, skew: skew).page)
    },
    use: { made in
      try use(made)
      done += 1
      if done % 200 == 0 {
        let rate = Double(done) / Date().timeIntervalSince(begin)
        FileHandle.standardError.write(
          Data(
            "\(done)/\(count) pages, \(String(format: "%.1f", rate)) a second, \(Int(Double(count - done) / rate)) s left\n"
              .utf8))
      }
    })
}

GeneratedPages.main()
