public import ArgumentParser
import Images
public import Symmetry
public import TensorCore

extension Interpolation: ExpressibleByArgument {}
extension Canvas: ExpressibleByArgument {}

/// How canonical images are written: flags of the commands that do.
struct PictureOptions: ParsableArguments {
  @Option(help: "How values between pixels are made.")
  var interpolation = Interpolation.bicubic

  @Option(
    help:
      "grow: nothing is cut off, and restore brings every pixel back; crop: the largest part without background; keep: the size stays."
  )
  var canvas = Canvas.grow

  @Option(
    help: ArgumentHelp(
      "What lies beside a turned image: auto (the color of its own edge; transparent where it has alpha), black, white, edge, reflect, or a color like ffcc00.",
      valueName: "color"))
  var background = "auto"

  @Flag(
    help:
      "Cut less than a block (8 to 32 pixels) off a JPEG file's sides where it can only so be turned without loss; else PNG is written."
  )
  var trim = false

  @Option(
    help: ArgumentHelp(
      "Write a JPEG file as JPEG again where it cannot be turned without loss, at this quality (1 to 100): smaller and faster than the PNG that keeps all else.",
      valueName: "quality"))
  var jpeg: Int?

  func validate() throws {
    _ = try PictureOptions.background(background, of: nil)
    if let jpeg, !(1...100).contains(jpeg) {
      throw ValidationError("--jpeg must be 1 to 100, not \(jpeg).")
    }
  }

  /// How an image is moved, by the words of flags or of a manifest.
  ///
  /// - Parameter image: Whose own color is meant by `auto`.
  /// - Throws: `ValidationError` for a word that is no color.
  static func background(_ word: String, of image: Image?) throws -> Background {
    func color(_ rgb: [Float]) -> Background {
      guard let image else { return .color(rgb) }
      let gray = 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]
      let own = image.channels >= 3 ? rgb : [gray]
      return .color(own + (image.channels % 2 == 0 ? [1] : []))
    }
    switch word {
    case "auto": return .color(image?.edgeColor ?? [])
    case "black": return color([0, 0, 0])
    case "white": return color([1, 1, 1])
    case "edge": return .edge
    case "reflect": return .reflect
    default:
      let digits = word.hasPrefix("#") ? String(word.dropFirst()) : word
      guard digits.utf8.count == 6, digits.allSatisfy(\.isHexDigit),
        let number = UInt32(digits, radix: 16)
      else {
        throw ValidationError(
          "--background must be auto, black, white, edge, reflect or a color like ffcc00, not '\(word)'."
        )
      }
      return color([16, 8, 0].map { Float(number >> $0 & 255) / 255 })
    }
  }

  func action(for image: Image) throws -> PictureAction {
    PictureAction(
      interpolation, canvas: canvas,
      background: try PictureOptions.background(background, of: image))
  }
}
