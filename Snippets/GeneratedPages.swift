// Draws 173 pages of four kinds, each lying in one of four orientations, into a folder with one subfolder per kind:
// something to try `canon init`, `canon train` and `canon predict` on.
//
//     GeneratedPages pages [SEED]

import Canon
import Foundation

/// A page that is drawn on, dark on light, in 0…255.
struct Page {
  var (width, height) = (248, 351)
  var samples: [UInt16]

  init(_ random: inout RandomStream) {
    let paper = UInt16(225 + 30 * random.uniform())
    samples = (0..<248 * 351).map { _ in paper - UInt16(12 * random.uniform()) }
  }

  mutating func fill(_ x: Int, _ y: Int, _ w: Int, _ h: Int, _ value: UInt16 = 40) {
    for j in max(0, y)..<max(0, min(height, y + h)) {
      for i in max(0, x)..<max(0, min(width, x + w)) { samples[j * width + i] = value }
    }
  }

  mutating func frame(_ x: Int, _ y: Int, _ w: Int, _ h: Int) {
    fill(x, y, w, 1)
    fill(x, y + h, w, 1)
    fill(x, y, 1, h)
    fill(x + w, y, 1, h)
  }

  /// Lines of words from `y` on; the last one ends early.
  mutating func text(
    _ x: Int, _ y: Int, _ w: Int, lines: Int, size: Int = 4, _ random: inout RandomStream
  ) {
    for line in 0..<lines {
      let end = line == lines - 1 ? x + w / 2 : x + w
      var at = x
      while at < end {
        let word = min(end - at, 4 + Int(18 * random.uniform()))
        fill(at, y + line * 2 * size, word, size - 1, 60)
        at += word + 3
      }
    }
  }
}

/// A number from a range.
func pick(_ range: ClosedRange<Int>, _ random: inout RandomStream) -> Int {
  range.lowerBound + Int(random.uniform() * Float(range.count) * 0.999)
}

func draw(_ kind: String, _ random: inout RandomStream) -> Page {
  var page = Page(&random)
  let left = pick(18...30, &random)
  let width = page.width - 2 * left
  switch kind {
  case "letters":
    page.text(left, pick(20...30, &random), 70, lines: pick(3...4, &random), &random)
    page.text(page.width - left - 50, 70, 50, lines: 1, &random)
    var y = 100
    for _ in 0..<pick(2...4, &random) {
      let lines = pick(3...6, &random)
      page.text(left, y, width, lines: lines, &random)
      y += lines * 8 + 10
    }
    page.text(left, y + 12, 40, lines: 1, size: 6, &random)
  case "invoices":
    page.fill(left, 20, pick(40...60, &random), 16, 90)
    page.text(page.width - left - 60, 24, 60, lines: 3, &random)
    let rows = pick(5...12, &random)
    for row in 0...rows { page.fill(left, 90 + row * 14, width, 1) }
    for row in 0..<rows {
      page.text(left + 3, 95 + row * 14, width / 2, lines: 1, &random)
      page.text(page.width - left - 24, 95 + row * 14, 22, lines: 1, &random)
    }
    page.fill(page.width - left - 50, 100 + rows * 14, 50, 12, 70)
  case "forms":
    page.text(left, 20, width / 2, lines: 1, size: 8, &random)
    for row in 0..<pick(5...8, &random) {
      page.text(left, 56 + row * 34, 44, lines: 1, &random)
      page.frame(left + 50, 50 + row * 34, width - 50, pick(14...22, &random))
      if random.uniform() < 0.5 { page.frame(left, 66 + row * 34, 8, 8) }
    }
  default:
    page.text(left, 18, width, lines: 1, size: 14, &random)
    let columns = pick(2...3, &random)
    let column = (width - 8 * (columns - 1)) / columns
    let picture = pick(60...110, &random)
    page.fill(left, 56, columns == 2 ? column : 2 * column + 8, picture, 120)
    for c in 0..<columns {
      let top = c == columns - 1 ? 56 : 64 + picture
      page.text(left + c * (column + 8), top, column, lines: (page.height - top - 20) / 8, &random)
    }
  }
  return page
}

let arguments = Array(CommandLine.arguments.dropFirst())
guard let folder = arguments.first, !folder.hasPrefix("-") else {
  print("usage: GeneratedPages FOLDER [SEED]")
  exit(64)
}
var random = RandomStream(
  seed: arguments.dropFirst().first.flatMap { UInt64($0) } ?? 0, name: "pages")
let kinds = ["forms", "invoices", "letters", "magazines"]
for n in 0..<173 {
  let page = draw(kinds[n % 4], &random)
  let sheet = Image(width: page.width, height: page.height, channels: 1, samples: page.samples)
  let turn = PlanarIsometry(quarterTurns: pick(0...3, &random))
  let turned = ImageAction(SO2()).act([turn], on: sheet.tensor)
  try FileManager.default.createDirectory(
    atPath: "\(folder)/\(kinds[n % 4])", withIntermediateDirectories: true)
  try Image(turned[0]).write(to: "\(folder)/\(kinds[n % 4])/\(n).png")
}
print("173 pages in \(folder)")
