import Canon
import Foundation
import Synchronization

/// A page before it was scanned: dark on white, upright.
struct Sheet {
  let width, height: Int
  var pixels: [UInt8]
  let script: String
  let layout: String
}

/// How pages are arranged: those of training, and others that only test pages have.
enum Layout: String, CaseIterable {
  case article, columns, letter, list, report, book, slide
  case newspaper, form, invoice, dialog, catalog

  static let training: [Layout] = [.article, .columns, .letter, .list, .report, .book, .slide]
  static let test: [Layout] = [.newspaper, .form, .invoice, .dialog, .catalog]
}

extension RandomStream {
  mutating func pick<T>(_ list: [T]) -> T { list[Int.random(in: 0..<list.count, using: &self)] }
  mutating func within(_ range: ClosedRange<Double>) -> Double { .random(in: range, using: &self) }
  mutating func count(_ range: ClosedRange<Int>) -> Int { .random(in: range, using: &self) }
  mutating func happens(_ part: Double) -> Bool { uniformDouble() < part }
}

/// Draws one page.
struct Composer {
  let drawing: Drawing
  let script: Script
  var random: RandomStream
  let body: Drawing.Style
  let head: Drawing.Style
  var area: Drawing.Box
  /// The size of the body's font.
  var em: Double { body.size }

  /// Cairo's fonts are not made for several threads.
  private static let lock = Mutex(())

  /// - Parameter isTest: With fonts and layouts of test pages.
  static func sheet(_ script: Script, isTest: Bool, _ random: RandomStream) -> Sheet {
    lock.withLock { _ in drawn(script, isTest: isTest, random) }
  }

  private static func drawn(_ script: Script, isTest: Bool, _ random: RandomStream) -> Sheet {
    var random = random
    let layout = random.pick(isTest ? Layout.test : Layout.training)
    // A4, letter, or any other; at 150 dots per inch.
    let ratio = [1.414, 1.414, 1.414, 1.294, random.within(1.1...1.6)][random.count(0...4)]
    let isLandscape = layout == .slide || random.happens(0.08)
    let (short, long) = (1240, Int(1240 * ratio))
    let drawing = Drawing(
      width: isLandscape ? long : short, height: isLandscape ? short : long)
    var composer = Composer(drawing, script, isTest: isTest, random, layout)
    composer.draw(layout)
    return Sheet(
      width: Int(drawing.width), height: Int(drawing.height), pixels: drawing.pixels,
      script: script.name, layout: layout.rawValue)
  }

  private init(
    _ drawing: Drawing, _ script: Script, isTest: Bool, _ random: RandomStream, _ layout: Layout
  ) {
    var random = random
    // Points at 150 dots per inch; now and then a part of a page is seen enlarged.
    let zoom = random.happens(0.2) ? random.within(1.3...3.5) : 1
    let points = layout == .slide ? random.within(16...30) : random.within(8...12.5)
    let fonts = script.fonts(isTest: isTest)
    body = Drawing.Style(
      family: random.pick(fonts), size: points / 72 * 150 * zoom, isBold: random.happens(0.05),
      isItalic: random.happens(0.06), isJustified: random.happens(0.5),
      spacing: random.within(0.95...1.5), indent: random.happens(0.4) ? points * 4 * zoom : 0)
    head = Drawing.Style(
      family: random.happens(0.6) ? body.family : random.pick(fonts),
      size: body.size * random.within(1.2...2.2), isBold: random.happens(0.7), spacing: 1.1)
    let margin = drawing.width * random.within(zoom > 1 ? 0.01...0.06 : 0.05...0.13)
    area = Drawing.Box(
      x: margin, y: margin, width: drawing.width - 2 * margin, height: drawing.height - 2 * margin)
    (self.drawing, self.script, self.random) = (drawing, script, random)
  }

  private mutating func draw(_ layout: Layout) {
    drawing.gray = random.within(0...0.25)
    switch layout {
    case .article: column(area, figures: 0.15, heading: true)
    case .columns: columns(random.count(2...3), figures: 0.15)
    case .letter: letter()
    case .list: list()
    case .report: report()
    case .book: book()
    case .slide: slide()
    case .newspaper: newspaper()
    case .form: form()
    case .invoice: invoice()
    case .dialog: dialog()
    case .catalog: catalog()
    }
  }

  mutating func title(_ box: inout Drawing.Box, _ words: ClosedRange<Int>, big: Double = 1) {
    var style = head
    style.size *= big
    style.alignment = random.happens(0.3) ? 1 : 0
    let used = drawing.text(script.words.phrase(random.count(words), &random), style, box)
    box.y += used + em * 0.6
    box.height -= used + em * 0.6
  }

  /// Paragraphs down a box, with headings and figures between.
  mutating func column(_ given: Drawing.Box, figures: Double, heading: Bool) {
    var box = given
    if heading { title(&box, 2...7) }
    while box.height > 2 * em {
      if random.happens(figures), box.height > 10 * em {
        let height = min(box.height * 0.6, em * random.within(6...16))
        figure(.init(x: box.x, y: box.y, width: box.width, height: height))
        box.y += height + em
        box.height -= height + em
        continue
      }
      if random.happens(0.12) { title(&box, 2...5, big: 0.75) }
      let used = drawing.text(
        script.words.sentences(random.count(15...110), &random), body, box)
      guard used > 0 else { return }
      let gap = body.indent > 0 ? em * 0.2 : em * random.within(0.4...1)
      box.y += used + gap
      box.height -= used + gap
    }
  }

  mutating func columns(_ count: Int, figures: Double) {
    var box = area
    title(&box, 3...8, big: 1.2)
    let gap = em * random.within(1.2...2.5)
    let width = (box.width - gap * Double(count - 1)) / Double(count)
    for n in 0..<count {
      column(
        .init(x: box.x + Double(n) * (width + gap), y: box.y, width: width, height: box.height),
        figures: figures, heading: false)
    }
  }

  /// A picture of no meaning: shapes, bars, or the grain of a photograph.
  mutating func figure(_ box: Drawing.Box) {
    // A title of many lines leaves no place.
    guard box.width > 0, box.height > 0 else { return }
    let ink = drawing.gray
    defer { drawing.gray = ink }
    switch random.count(0...2) {
    case 0:
      drawing.gray = random.within(0.5...0.95)
      drawing.fill(box)
      for _ in 0..<random.count(3...14) {
        drawing.gray = random.within(0...1)
        let (w, h) = (box.width * random.within(0.05...0.4), box.height * random.within(0.05...0.5))
        let shape = Drawing.Box(
          x: box.x + random.within(0...1) * (box.width - w),
          y: box.y + random.within(0...1) * (box.height - h), width: w, height: h)
        if random.happens(0.5) { drawing.fill(shape) } else { drawing.ellipse(shape) }
      }
    case 1:
      drawing.frame(box, line: 1.5)
      let bars = random.count(3...12)
      let width = box.width / Double(bars)
      // Bars stand or hang: a chart alone does not tell what is up.
      let hangs = random.happens(0.5)
      for n in 0..<bars {
        drawing.gray = random.within(0.1...0.8)
        let height = box.height * random.within(0.1...0.9)
        drawing.fill(
          .init(
            x: box.x + (Double(n) + 0.15) * width, y: hangs ? box.y : box.bottom - height,
            width: width * 0.7, height: height))
      }
    default:
      let cell = em * random.within(0.2...0.6)
      var gray = 0.5
      for row in 0..<Int(box.height / cell) {
        for c in 0..<Int(box.width / cell) {
          gray = min(max(gray + random.within(-0.2...0.2), 0), 1)
          drawing.gray = gray
          drawing.fill(
            .init(
              x: box.x + Double(c) * cell, y: box.y + Double(row) * cell, width: cell, height: cell)
          )
        }
      }
    }
  }

  mutating func letter() {
    var box = area
    var address = body
    address.isJustified = false
    for _ in 0..<2 {
      let lines = (0..<random.count(3...5)).map { _ in
        script.words.phrase(random.count(1...3), &random) + " \(random.count(1...999))"
      }
      let isRight = random.happens(0.4)
      let half = Drawing.Box(
        x: isRight ? box.x + box.width * 0.6 : box.x, y: box.y, width: box.width * 0.4,
        height: box.height)
      let used = drawing.text(lines.joined(separator: "\n"), address, half)
      box.y += used + 2 * em
      box.height -= used + 2 * em
    }
    box.height = min(box.height, box.height * random.within(0.4...1))
    column(box, figures: 0, heading: random.happens(0.5))
  }

  mutating func list() {
    var box = area
    title(&box, 2...6)
    var style = body
    style.indent = 0
    let mark = random.count(0...2)
    var number = 1
    while box.height > 2 * em {
      let sign = mark == 0 ? "•" : mark == 1 ? "–" : "\(number)."
      drawing.text(
        sign, style, .init(x: box.x, y: box.y, width: 3 * em, height: box.height))
      let used = drawing.text(
        script.words.sentences(random.count(4...40), &random), style,
        .init(x: box.x + 2.5 * em, y: box.y, width: box.width - 2.5 * em, height: box.height))
      guard used > 0 else { return }
      box.y += used + 0.5 * em
      box.height -= used + 0.5 * em
      number += 1
    }
  }

  /// Rows of words and numbers; with rules between as a rule.
  ///
  /// - Returns: Its height.
  mutating func table(_ box: Drawing.Box, rows: Int, columns: Int) -> Double {
    let height = em * random.within(1.6...2.2)
    let shown = min(rows, Int(box.height / height))
    let (across, down) = (random.happens(0.7), random.happens(0.5))
    var style = body
    (style.isJustified, style.indent) = (false, 0)
    let width = box.width / Double(columns)
    for row in 0..<max(0, shown) {
      let y = box.y + Double(row) * height
      if across { drawing.line(box.x, y, box.x + box.width, y, line: 1.5) }
      for c in 0..<columns {
        style.isBold = row == 0
        style.alignment = c == 0 ? 0 : 2
        let text =
          row == 0 || c == 0
          ? script.words.phrase(c == 0 ? random.count(1...3) : 1, &random)
          : "\(random.count(0...9999)).\(random.count(10...99))"
        drawing.text(
          text, style,
          .init(
            x: box.x + Double(c) * width + em * 0.3, y: y + height * 0.12, width: width - em * 0.6,
            height: height))
      }
    }
    if across {
      let y = box.y + Double(shown) * height
      drawing.line(box.x, y, box.x + box.width, y, line: 1.5)
    }
    if down {
      for c in 0...columns {
        let x = box.x + Double(c) * width
        drawing.line(x, box.y, x, box.y + Double(shown) * height, line: 1.5)
      }
    }
    return Double(shown) * height
  }

  private mutating func report() {
    var box = area
    title(&box, 2...6, big: 1.2)
    while box.height > 8 * em {
      let part = min(box.height, em * random.within(6...16))
      column(
        .init(x: box.x, y: box.y, width: box.width, height: part), figures: 0,
        heading: random.happens(0.5))
      box.y += part + em
      box.height -= part + em
      guard box.height > 8 * em else { return }
      let used = table(box, rows: random.count(4...14), columns: random.count(2...6))
      box.y += used + em
      box.height -= used + em
    }
  }

  private mutating func book() {
    var box = area
    var style = body
    (style.alignment, style.isItalic) = (1, random.happens(0.5))
    let used = drawing.text(script.words.phrase(random.count(2...5), &random), style, box)
    box.y += used + em
    box.height -= used + 3 * em
    column(box, figures: 0, heading: false)
    drawing.text(
      "\(random.count(1...800))", style,
      .init(x: box.x, y: box.bottom + em, width: box.width, height: 2 * em))
  }

  private mutating func slide() {
    if random.happens(0.3) {
      let ink = drawing.gray
      drawing.fill(.init(x: 0, y: 0, width: drawing.width, height: drawing.height))
      drawing.gray = 1 - ink
    }
    list()
  }
}
