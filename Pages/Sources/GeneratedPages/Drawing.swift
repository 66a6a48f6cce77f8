import CDrawing

/// A page that is drawn on.
final class Drawing {
  private let page: OpaquePointer
  let width, height: Double

  init(width: Int, height: Int) {
    guard let page = cdrawing_new(Int32(width), Int32(height)) else {
      fatalError("no memory for a page of \(width) × \(height)")
    }
    (self.page, self.width, self.height) = (page, Double(width), Double(height))
  }

  deinit { cdrawing_free(page) }

  struct Style {
    var family: String
    var size: Double
    var isBold = false
    var isItalic = false
    /// 0 start, 1 center, 2 end.
    var alignment: Int32 = 0
    var isJustified = false
    var spacing = 1.15
    var indent = 0.0
  }

  struct Box {
    var x, y, width, height: Double
    var bottom: Double { y + height }
  }

  var gray = 0.0 { didSet { cdrawing_gray(page, gray) } }

  /// Draws as many lines of a text as fit.
  ///
  /// - Returns: Their height.
  @discardableResult
  func text(_ text: String, _ style: Style, _ box: Box) -> Double {
    style.family.withCString { family in
      var raw = cdrawing_style(
        family: family, size: style.size, weight: style.isBold ? 700 : 400,
        is_italic: style.isItalic ? 1 : 0, alignment: style.alignment,
        is_justified: style.isJustified ? 1 : 0, line_spacing: style.spacing, indent: style.indent)
      return cdrawing_text(page, text, &raw, box.x, box.y, max(8, box.width), max(0, box.height))
    }
  }

  func fill(_ box: Box) { cdrawing_rectangle(page, box.x, box.y, box.width, box.height) }
  func frame(_ box: Box, line: Double) {
    cdrawing_frame(page, box.x, box.y, box.width, box.height, line)
  }
  func ellipse(_ box: Box) { cdrawing_ellipse(page, box.x, box.y, box.width, box.height) }
  func line(_ x0: Double, _ y0: Double, _ x1: Double, _ y1: Double, line: Double) {
    cdrawing_line(page, x0, y0, x1, y1, line)
  }

  var pixels: [UInt8] {
    [UInt8](unsafeUninitializedCapacity: Int(width * height)) { buffer, count in
      cdrawing_pixels(page, buffer.baseAddress)
      count = Int(width * height)
    }
  }
}
