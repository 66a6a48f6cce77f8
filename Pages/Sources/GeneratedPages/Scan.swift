import CDrawing
import Canon
import Foundation

/// What scanning and copying make of a page: its position under the glass, light, focus, noise, compression.
struct Scan {
  /// How far it is turned, in radians, counterclockwise.
  var skew = 0.0
  /// The keystone of a camera that is held at an angle, relative to half the width; the middle of the page stays as it is.
  var keystone = (x: 0.0, y: 0.0)
  /// What lies beside the page.
  var desk: Float = 255
  var (paper, ink): (Float, Float) = (255, 0)
  /// What is seen of the back of the page.
  var bleed: Float = 0
  /// How much darker one side is.
  var light = (x: Float(0), y: Float(0))
  /// A shadow along one edge, as of a book's spine: its depth, and its width in parts of the page's.
  var spine: (depth: Float, width: Float, isLeft: Bool) = (0, 0.1, true)
  /// Of the blur, in pixels.
  var sigma = 0.0
  var noise: Float = 0
  var specks = 0
  /// JPEG's quality; `nil` without.
  var quality: Int?
  /// The threshold of a scan in black and white; `nil` for gray.
  var threshold: Float?

  /// Draws one: most are mild, some are bad.
  init(skew: Double, using random: inout RandomStream) {
    self.skew = skew
    if random.happens(0.25) {
      keystone = (random.within(-0.04...0.04), random.within(-0.04...0.04))
    }
    desk = Float(random.happens(0.7) ? random.within(200...255) : random.within(0...120))
    paper = Float(random.within(190...255))
    ink = Float(random.within(0...70))
    if random.happens(0.3) { bleed = Float(random.within(0.05...0.25)) }
    if random.happens(0.4) {
      light = (Float(random.within(-0.25...0.25)), Float(random.within(-0.25...0.25)))
    }
    if random.happens(0.15) {
      spine = (
        Float(random.within(0.2...0.7)), Float(random.within(0.04...0.15)), random.happens(0.5)
      )
    }
    sigma = random.happens(0.6) ? random.within(0.3...1.3) : 0
    noise = random.happens(0.7) ? Float(random.within(1...14)) : 0
    specks = random.happens(0.3) ? random.count(20...400) : 0
    switch random.uniform() {
    case ..<0.12: threshold = Float(random.within(0.4...0.7))
    case ..<0.75: quality = random.count(25...95)
    default: break
    }
  }

  func apply(to sheet: Sheet, using random: inout RandomStream) -> Image {
    let (width, height) = (sheet.width, sheet.height)
    var gray = warped(sheet)
    if sigma > 0 { blur(&gray, width, height) }
    for y in 0..<height {
      let v = Float(y) / Float(height) - 0.5
      for x in 0..<width {
        let u = Float(x) / Float(width) - 0.5
        var factor = 1 + light.x * u + light.y * v
        if spine.depth > 0 {
          let away = (spine.isLeft ? u + 0.5 : 0.5 - u) / spine.width
          factor *= 1 - spine.depth * exp(-away * away)
        }
        gray[y * width + x] *= factor
      }
    }
    if noise > 0 {
      // The sum of four uniform numbers of 16 bits is normal enough.
      for i in gray.indices {
        let bits = random.next()
        let sum = (bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + (bits >> 48)
        gray[i] += (Float(sum) / 65_536 - 2) * 1.7 * noise
      }
    }
    for _ in 0..<specks {
      let (x, y, side) = (
        random.count(0...width - 4), random.count(0...height - 4), random.count(1...3)
      )
      let value = random.happens(0.7) ? ink : paper
      for j in 0..<side { for i in 0..<side { gray[(y + j) * width + x + i] = value } }
    }
    if let threshold {
      let limit = ink + (paper - ink) * threshold
      for i in gray.indices { gray[i] = gray[i] > limit ? 255 : 0 }
    }
    var bytes = gray.map { UInt8(min(max($0, 0), 255)) }
    if let quality { _ = cdrawing_jpeg(&bytes, Int32(width), Int32(height), Int32(quality)) }
    return Image(width: width, height: height, channels: 1, samples: bytes.map(UInt16.init))
  }

  /// The page with its back, turned and seen at an angle, in the grays of paper and ink.
  private func warped(_ sheet: Sheet) -> [Float] {
    let (width, height) = (sheet.width, sheet.height)
    let (c, s) = (cos(skew), sin(skew))
    let (cx, cy) = (Double(width - 1) / 2, Double(height - 1) / 2)
    let unit = Double(width) / 2
    func dark(_ x: Int, _ y: Int) -> Float {
      let front = 255 - Float(sheet.pixels[y * width + x])
      guard bleed > 0 else { return front }
      return max(front, bleed * (255 - Float(sheet.pixels[y * width + width - 1 - x])))
    }
    var result = [Float](repeating: 0, count: width * height)
    for y in 0..<height {
      for x in 0..<width {
        // Rows go down, angles counterclockwise as seen.
        let (dx, dy) = (Double(x) - cx, Double(y) - cy)
        let (rx, ry) = (c * dx - s * dy, s * dx + c * dy)
        let depth = 1 + (keystone.x * rx + keystone.y * ry) / unit
        let (sx, sy) = (rx / depth + cx, ry / depth + cy)
        guard sx >= 0, sy >= 0, sx < Double(width - 1), sy < Double(height - 1) else {
          result[y * width + x] = desk
          continue
        }
        let (ix, iy) = (Int(sx), Int(sy))
        let (fx, fy) = (Float(sx) - Float(ix), Float(sy) - Float(iy))
        let darkness =
          (dark(ix, iy) * (1 - fx) + dark(ix + 1, iy) * fx) * (1 - fy)
          + (dark(ix, iy + 1) * (1 - fx) + dark(ix + 1, iy + 1) * fx) * fy
        result[y * width + x] = paper - (paper - ink) * darkness / 255
      }
    }
    return result
  }

  private func blur(_ gray: inout [Float], _ width: Int, _ height: Int) {
    let reach = Int((2.5 * sigma).rounded(.up))
    let raw = (-reach...reach).map { Float(exp(-Double($0 * $0) / (2 * sigma * sigma))) }
    let weights = raw.map { $0 / raw.reduce(0, +) }
    for isRow in [true, false] {
      let source = gray
      for y in 0..<height {
        for x in 0..<width {
          var sum = Float(0)
          for (k, weight) in weights.enumerated() {
            let at =
              isRow
              ? y * width + min(max(x + k - reach, 0), width - 1)
              : min(max(y + k - reach, 0), height - 1) * width + x
            sum += weight * source[at]
          }
          gray[y * width + x] = sum
        }
      }
    }
  }
}

/// A page of a sequence, that follows from its number, with how it was turned.
struct Page: Sendable {
  let image: Image
  let script, layout: String

  /// - Parameter skew: The angle in degrees within which it is turned; the angle itself is drawn.
  static func draw(
    _ number: Int, of scripts: [Script], seed: UInt64, isTest: Bool, skew: Double
  ) -> (page: Page, angle: Double) {
    var random = RandomStream(seed: seed, name: "\(isTest ? "test" : "train")/\(number)")
    let script = scripts[number % scripts.count]
    let sheet = Composer.sheet(script, isTest: isTest, random)
    random = RandomStream(seed: seed, name: "scan/\(isTest)/\(number)")
    let angle = skew == 0 ? 0 : random.within(-skew...skew) * .pi / 180
    let scan = Scan(skew: angle, using: &random)
    return (
      Page(
        image: scan.apply(to: sheet, using: &random), script: sheet.script, layout: sheet.layout),
      angle
    )
  }
}
