import Canon

/// The layouts of test pages, which no training page has.
extension Composer {
  mutating func newspaper() {
    var box = area
    title(&box, 2...4, big: 2)
    drawing.line(box.x, box.y, box.x + box.width, box.y, line: 2)
    box.y += em
    box.height -= em
    let count = random.count(3...5)
    let gap = em * 1.2
    let width = (box.width - gap * Double(count - 1)) / Double(count)
    let picture = random.happens(0.8) ? box.height * random.within(0.15...0.3) : 0
    let span = random.count(1...count)
    if picture > 0 {
      figure(
        .init(
          x: box.x, y: box.y, width: Double(span) * (width + gap) - gap, height: picture - em))
    }
    for n in 0..<count {
      let top = n < span ? picture : 0
      let x = box.x + Double(n) * (width + gap)
      column(
        .init(x: x, y: box.y + top, width: width, height: box.height - top), figures: 0.05,
        heading: random.happens(0.5))
      if n > 0 && random.happens(0.5) {
        drawing.line(x - gap / 2, box.y + picture, x - gap / 2, box.bottom, line: 1)
      }
    }
  }

  mutating func form() {
    var box = area
    title(&box, 2...6)
    var style = body
    (style.isJustified, style.indent) = (false, 0)
    while box.height > 5 * em {
      let label = drawing.text(
        script.words.phrase(random.count(1...4), &random) + ":", style,
        .init(x: box.x, y: box.y, width: box.width * 0.3, height: box.height))
      let field = Drawing.Box(
        x: box.x + box.width * 0.33, y: box.y, width: box.width * random.within(0.3...0.66),
        height: em * 1.8)
      if random.happens(0.5) {
        drawing.frame(field, line: 1.5)
      } else {
        drawing.line(field.x, field.bottom, field.x + field.width, field.bottom, line: 1.5)
      }
      if random.happens(0.5) {
        drawing.text(
          script.words.phrase(random.count(1...3), &random), style,
          .init(
            x: field.x + em * 0.4, y: field.y + em * 0.2, width: field.width, height: em * 1.8))
      }
      if random.happens(0.2) {
        drawing.frame(
          .init(x: field.x + field.width + em, y: box.y, width: em, height: em), line: 1.5)
      }
      let used = max(label, em * 1.8) + em * random.within(0.5...1.2)
      box.y += used
      box.height -= used
      if random.happens(0.12) {
        let used = drawing.text(
          script.words.sentences(random.count(20...50), &random), style, box)
        box.y += used + em
        box.height -= used + em
      }
    }
  }

  mutating func invoice() {
    var box = area
    var block = body
    (block.isJustified, block.indent) = (false, 0)
    let ink = drawing.gray
    drawing.gray = random.within(0.3...0.8)
    drawing.fill(.init(x: box.x, y: box.y, width: 6 * em, height: 3 * em))
    drawing.gray = ink
    let lines = (0..<random.count(3...5)).map { _ in
      script.words.phrase(random.count(1...3), &random) + " \(random.count(1...999))"
    }.joined(separator: "\n")
    let used = drawing.text(
      lines, block,
      .init(x: box.x + box.width * 0.6, y: box.y, width: box.width * 0.4, height: box.height))
    box.y += max(used, 3 * em) + 2 * em
    box.height -= max(used, 3 * em) + 2 * em
    title(&box, 1...3)
    let height = table(box, rows: random.count(6...22), columns: random.count(3...6))
    box.y += height + em
    box.height -= height + em
    block.isBold = true
    block.alignment = 2
    let total = drawing.text(
      "\(random.count(100...99999)).\(random.count(10...99))", block, box)
    box.y += total + 2 * em
    box.height -= total + 2 * em
    block.isBold = false
    block.alignment = 0
    drawing.text(script.words.sentences(random.count(20...80), &random), block, box)
  }

  mutating func dialog() {
    var box = area
    title(&box, 1...4)
    var (name, speech) = (body, body)
    (name.isBold, name.isJustified, name.indent) = (true, false, 0)
    (speech.isJustified, speech.indent) = (false, 0)
    let names = (0..<3).map { _ in script.words.phrase(1, &random) }
    let margin = box.width * random.within(0.12...0.25)
    while box.height > 2 * em {
      drawing.text(
        random.pick(names), name, .init(x: box.x, y: box.y, width: margin, height: box.height))
      let used = drawing.text(
        script.words.sentences(random.count(3...30), &random), speech,
        .init(x: box.x + margin, y: box.y, width: box.width - margin, height: box.height))
      guard used > 0 else { return }
      box.y += used + em * 0.4
      box.height -= used + em * 0.4
    }
  }

  mutating func catalog() {
    var box = area
    title(&box, 1...4)
    let (rows, columns) = (random.count(2...4), random.count(2...3))
    let (width, height) = (box.width / Double(columns), box.height / Double(rows))
    var caption = body
    (caption.isJustified, caption.indent) = (false, 0)
    for n in 0..<rows * columns {
      let cell = Drawing.Box(
        x: box.x + Double(n % columns) * width, y: box.y + Double(n / columns) * height,
        width: width - em, height: height - em)
      figure(.init(x: cell.x, y: cell.y, width: cell.width, height: cell.height * 0.55))
      drawing.text(
        script.words.sentences(random.count(8...40), &random), caption,
        .init(
          x: cell.x, y: cell.y + cell.height * 0.58, width: cell.width, height: cell.height * 0.42))
    }
  }
}
