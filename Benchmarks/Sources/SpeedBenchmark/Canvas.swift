import Images

/// A gray picture to draw lines and capitals on, white at first.
struct Canvas {
  private(set) var image: Image

  init(width: Int, height: Int) {
    image = Image(
      width: width, height: height, channels: 1,
      samples: [UInt16](repeating: 255, count: width * height))
  }

  private mutating func set(_ x: Int, _ y: Int, _ shade: Double) {
    guard 0..<image.width ~= x, 0..<image.height ~= y else { return }
    image.samples[y * image.width + x] = UInt16(255 * shade)
  }

  mutating func line(_ a: (Int, Int), _ b: (Int, Int), _ shade: Double) {
    let steps = max(abs(b.0 - a.0), abs(b.1 - a.1), 1)
    for i in 0...steps {
      let (x, y) = (a.0 + (b.0 - a.0) * i / steps, a.1 + (b.1 - a.1) * i / steps)
      set(x, y, shade)
      set(x, y + 1, shade)
    }
  }

  mutating func dot(_ center: (Int, Int)) {
    for y in -3...3 {
      for x in -3...3 where x * x + y * y <= 10 { set(center.0 + x, center.1 + y, 0) }
    }
  }

  /// Writes letters, digits, points and spaces, 8 pixels wide and 10 high.
  mutating func write(_ text: String, at origin: (x: Int, y: Int)) {
    for (place, letter) in text.uppercased().enumerated() {
      guard let rows = Canvas.letters[letter] else { continue }
      for (y, row) in rows.enumerated() {
        for x in 0..<3 where row >> (2 - x) & 1 == 1 {
          for (i, j) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            set(origin.x + 8 * place + 2 * x + i, origin.y + 2 * y + j, 0)
          }
        }
      }
    }
  }

  /// Five rows of three bits.
  private static let letters: [Character: [Int]] = [
    "0": [7, 5, 5, 5, 7], "1": [2, 6, 2, 2, 7], "2": [7, 1, 7, 4, 7], "3": [7, 1, 3, 1, 7],
    "4": [5, 5, 7, 1, 1], "5": [7, 4, 7, 1, 7], "6": [7, 4, 7, 5, 7], "7": [7, 1, 2, 2, 2],
    "8": [7, 5, 7, 5, 7], "9": [7, 5, 7, 1, 7], ".": [0, 0, 0, 0, 2], "A": [2, 5, 7, 5, 5],
    "B": [6, 5, 6, 5, 6], "C": [3, 4, 4, 4, 3], "D": [6, 5, 5, 5, 6], "E": [7, 4, 6, 4, 7],
    "F": [7, 4, 6, 4, 4], "G": [3, 4, 5, 5, 3], "H": [5, 5, 7, 5, 5], "I": [7, 2, 2, 2, 7],
    "J": [1, 1, 1, 5, 2], "K": [5, 5, 6, 5, 5], "L": [4, 4, 4, 4, 7], "M": [5, 7, 7, 5, 5],
    "N": [6, 5, 5, 5, 5], "O": [2, 5, 5, 5, 2], "P": [6, 5, 6, 4, 4], "Q": [2, 5, 5, 6, 3],
    "R": [6, 5, 6, 5, 5], "S": [3, 4, 2, 1, 6], "T": [7, 2, 2, 2, 2], "U": [5, 5, 5, 5, 7],
    "V": [5, 5, 5, 5, 2], "W": [5, 5, 7, 7, 5], "X": [5, 5, 2, 5, 5], "Y": [5, 5, 2, 2, 2],
    "Z": [7, 1, 2, 4, 7],
  ]
}
