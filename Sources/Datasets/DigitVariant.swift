import Glibc
import TensorCore

/// Harder versions of rotated MNIST, made of the same digits in the same order.
public enum DigitVariant: String, Codable, Sendable, CaseIterable {
  /// As it is.
  case plain
  /// Shifted by up to 4 pixels each way, after the turn.
  case offCenter = "off-center"
  /// With pieces of 4 other digits around it.
  case cluttered
  /// A square of 9 pixels near the middle erased.
  case occluded
  /// Only the digits 0, 1, 2, 5 and 8, which look much alike when turned half around.
  case nearSymmetric = "near-symmetric"
  /// All but the digit 9, which is a 6 half around.
  case withoutNine = "without-9"

  /// The names of the classes that are left.
  public var classNames: [String] {
    switch self {
    case .nearSymmetric: ["0", "1", "2", "5", "8"]
    case .withoutNine: Array(Digits.classNames.dropLast())
    case .plain, .offCenter, .cluttered, .occluded: Digits.classNames
    }
  }

  /// Changes an upright digit of side × side pixels.
  ///
  /// - Parameter other: Draws another digit to take a piece from.
  func change(
    _ digit: [Float], _ side: Int, using random: inout RandomStream,
    other: (inout RandomStream) -> [Float]
  ) -> [Float] {
    var digit = digit
    func draw(_ range: Range<Int>) -> Int {
      range.lowerBound + min(range.count - 1, Int(random.uniform() * Float(range.count)))
    }
    switch self {
    case .plain, .offCenter, .nearSymmetric, .withoutNine: break
    case .cluttered:
      let (piece, middle, ring) = (7, Double(side - 1) / 2, 10.0)
      for _ in 0..<4 {
        // From a digit's middle to a place on a ring about this one's.
        let (fromX, fromY) = (draw(8..<14), draw(8..<14))
        let angle = 2 * Double.pi * random.uniformDouble()
        let (toX, toY) = (
          Int((middle + ring * cos(angle)).rounded()) - piece / 2,
          Int((middle + ring * sin(angle)).rounded()) - piece / 2
        )
        let source = other(&random)
        for y in 0..<piece {
          for x in 0..<piece where (0..<side).contains(toX + x) && (0..<side).contains(toY + y) {
            let target = (toY + y) * side + toX + x
            digit[target] = max(digit[target], source[(fromY + y) * side + fromX + x])
          }
        }
      }
    case .occluded:
      let (left, top) = (draw(6..<14), draw(6..<14))
      for y in top..<top + 9 { for x in left..<left + 9 { digit[y * side + x] = 0 } }
    }
    return digit
  }

  /// Moves a turned digit.
  func shift(_ digit: [Float], _ side: Int, using random: inout RandomStream) -> [Float] {
    guard self == .offCenter else { return digit }
    let (dx, dy) = (Int(random.uniform() * 9) - 4, Int(random.uniform() * 9) - 4)
    return digit.indices.map { i in
      let (x, y) = (i % side - dx, i / side - dy)
      return (0..<side).contains(x) && (0..<side).contains(y) ? digit[y * side + x] : 0
    }
  }
}
