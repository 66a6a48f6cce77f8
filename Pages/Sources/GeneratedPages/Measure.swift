import ArgumentParser
import Canon
import Foundation
import Synchronization

struct Measure: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measures a model on pages of fonts and layouts that no training page has.",
    discussion: """
      Each page is turned by a quarter turn and by an angle within ±15°, both drawn. Printed are, by script: pages whose quarter
      turn is right (the angle found is within 45° of the true one), how far the angle is off, and the same for the heuristics
      (projection profile, ascenders against descenders); with --tesseract what `tesseract --psm 0` says of so many pages.
      """)

  @Argument(help: "A model: a name, a file, or a folder of `canon train`.") var model: String
  @Option(help: "How many pages.") var pages = 2000
  @Option(help: "What they are drawn from.") var seed: UInt64 = 1000
  @Option(help: "Degrees within which they are turned beside quarter turns.") var skew = 15.0
  @Option(help: "How many of them Tesseract is asked about.") var tesseract = 0
  @Option(help: "A folder for the pages that were found wrong.") var wrong: String?
  @Flag(help: "Pages as training pages are, of another seed.") var training = false
  @Flag(help: "One line of JSON per page.") var json = false

  struct Result: Codable {
    var number: Int
    var script, layout: String
    var margin: Double
    /// Degrees that the angle found is off, −180…180.
    var off, heuristicOff: Double
    var tesseractOff: Double?
  }

  func run() throws {
    let predictor = try loadModel(model)
    guard let images = predictor.domain as? ImageDomain else {
      throw ValidationError("\(model) is not for images.")
    }
    let scripts = try Script.all()
    let done = Atomic(0)
    let begin = Date()
    let results = Parallel.map(Array(0..<pages)) { number in
      let (page, skew) = Page.draw(
        number, of: scripts, seed: seed, isTest: !training, skew: self.skew)
      var random = RandomStream(seed: seed, name: "turn/\(number)")
      let quarter = PlanarIsometry(quarterTurns: random.count(0...3))
      let turned = Image(ImageAction(SO2()).act([quarter], on: page.image.tensor)[0])
      let input = turned.modelInput(size: images.size, channels: images.channels)
      let pose = predictor.poses(of: input)[0]
      let truth = quarter.angle + skew
      func off(_ angle: Double) -> Double {
        (angle - truth).remainder(dividingBy: 2 * .pi) * 180 / .pi
      }
      var result = Result(
        number: number, script: page.script, layout: page.layout, margin: Double(pose.margin),
        off: off(pose.element.planarIsometry.angle),
        heuristicOff: off(AscenderHeuristic().angle(of: input)))
      if number < tesseract { result.tesseractOff = self.tesseract(turned).map { off($0) } ?? 180 }
      if let wrong, abs(result.off) > 2 {
        try? FileManager.default.createDirectory(atPath: wrong, withIntermediateDirectories: true)
        try? turned.write(to: "\(wrong)/\(page.script)-\(page.layout)-\(number).png")
      }
      let count = done.wrappingAdd(1, ordering: .relaxed).newValue
      if count % 200 == 0 {
        FileHandle.standardError.write(
          Data("\(count)/\(pages), \(Int(Date().timeIntervalSince(begin))) s\n".utf8))
      }
      return result
    }
    if json {
      let encoder = JSONEncoder()
      encoder.nonConformingFloatEncodingStrategy = .convertToString(
        positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
      for result in results { print(String(decoding: try encoder.encode(result), as: UTF8.self)) }
      return
    }
    report(results)
  }

  /// The angle that Tesseract's orientation and script detection finds, in radians.
  private func tesseract(_ page: Image) -> Double? {
    let path = NSTemporaryDirectory() + "/page-\(UUID().uuidString).png"
    defer { try? FileManager.default.removeItem(atPath: path) }
    guard (try? page.write(to: path)) != nil else { return nil }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["tesseract", path, "-", "--psm", "0"]
    let output = Pipe()
    (process.standardOutput, process.standardError) = (output, FileHandle.nullDevice)
    guard (try? process.run()) != nil else { return nil }
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    // "Rotate: 90" turns it clockwise to be upright: it lies counterclockwise by that.
    return text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("Rotate:") }
      .flatMap { Double($0.dropFirst(7).trimmingCharacters(in: .whitespaces)) }
      .map { $0 * .pi / 180 }
  }

  private func report(_ results: [Result]) {
    func line(_ name: String, _ some: [Result]) {
      func right(_ offs: [Double]) -> String {
        String(
          format: "%.2f %%", 100 * Double(offs.count { abs($0) < 45 }) / Double(max(1, offs.count)))
      }
      // Of pages whose quarter turn is right.
      let skews = some.map(\.off).filter { abs($0) < 45 }.map(abs).sorted()
      func quantile(_ part: Double) -> String {
        skews.isEmpty
          ? "–"
          : String(format: "%.2f°", skews[min(skews.count - 1, Int(part * Double(skews.count)))])
      }
      let others = some.compactMap(\.tesseractOff)
      print(
        [
          name, "\(some.count)", right(some.map(\.off)), quantile(0.5), quantile(0.95),
          quantile(0.99), right(some.map(\.heuristicOff)), others.isEmpty ? "–" : right(others),
        ].map { $0.padding(toLength: 12, withPad: " ", startingAt: 0) }.joined())
    }
    print(
      ["", "pages", "upright", "median", "95 %", "99 %", "heuristics", "tesseract"]
        .map { $0.padding(toLength: 12, withPad: " ", startingAt: 0) }.joined())
    for script in Set(results.map(\.script)).sorted() {
      line(script, results.filter { $0.script == script })
    }
    for layout in Set(results.map(\.layout)).sorted() {
      line(layout, results.filter { $0.layout == layout })
    }
    line("all", results)
    for least in [0.0, 1, 2, 4, 8] {
      let sure = results.filter { $0.margin >= least }
      let wrong = sure.count { abs($0.off) > 2 }
      print(
        "margin ≥ \(least): \(sure.count) of \(results.count), \(wrong) of them off by more than 2°"
      )
    }
  }
}
