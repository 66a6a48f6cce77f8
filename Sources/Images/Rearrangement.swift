/// A quarter turn or flip of an image: its pixels are moved, and none is changed.
///
/// The eight of them are the symmetries of a square, here by where each pixel of the result comes from.
public struct Rearrangement: Hashable, Sendable {
  /// Whether rows become columns.
  public var isTransposed = false
  /// Whether columns of the given picture count from its right end.
  public var flipsX = false
  /// Whether its rows count from below.
  public var flipsY = false

  public init(isTransposed: Bool = false, flipsX: Bool = false, flipsY: Bool = false) {
    (self.isTransposed, self.flipsX, self.flipsY) = (isTransposed, flipsX, flipsY)
  }

  /// What brings a picture that is stored with an orientation of EXIF, 1…8, to how it is to be shown.
  public init(orientation: Int) {
    let table: [Rearrangement] = [
      .init(), .init(flipsX: true), .init(flipsX: true, flipsY: true), .init(flipsY: true),
      .init(isTransposed: true), .init(isTransposed: true, flipsY: true),
      .init(isTransposed: true, flipsX: true, flipsY: true),
      .init(isTransposed: true, flipsX: true),
    ]
    self = (1...8).contains(orientation) ? table[orientation - 1] : .init()
  }

  /// All eight.
  public static let all = (1...8).map { Rearrangement(orientation: $0) }

  /// This one, and another one of its result.
  public func followed(by next: Rearrangement) -> Rearrangement {
    let (alongX, alongY) = isTransposed ? (next.flipsY, next.flipsX) : (next.flipsX, next.flipsY)
    return Rearrangement(
      isTransposed: isTransposed != next.isTransposed, flipsX: flipsX != alongX,
      flipsY: flipsY != alongY)
  }

  /// What undoes it.
  public var inverse: Rearrangement {
    isTransposed ? .init(isTransposed: true, flipsX: flipsY, flipsY: flipsX) : self
  }
}

extension Image {
  /// The picture as EXIF's orientation wants it shown; samples are moved, none is changed.
  public var upright: Image {
    guard metadata.orientation > 1 else { return self }
    var image = rearranged(Rearrangement(orientation: metadata.orientation))
    image.metadata = image.metadata.oriented
    return image
  }

  /// The samples moved by a quarter turn or flip; resolutions along the sides move with them.
  public func rearranged(_ change: Rearrangement) -> Image {
    let (w, h) = change.isTransposed ? (height, width) : (width, height)
    // How far apart neighbors along the result's rows and columns lie in the given samples.
    let stepX = change.flipsX ? -channels : channels
    let stepY = (change.flipsY ? -1 : 1) * width * channels
    let start =
      (change.flipsX ? (width - 1) * channels : 0)
      + (change.flipsY ? (height - 1) * width * channels : 0)
    let (along, down) = change.isTransposed ? (stepY, stepX) : (stepX, stepY)
    let moved = unsafe [UInt16](unsafeUninitializedCapacity: samples.count) { target, count in
      unsafe samples.withUnsafeBufferPointer { source in
        var place = 0
        for y in 0..<h {
          var at = start + y * down
          for _ in 0..<w {
            for c in 0..<channels {
              unsafe target[place] = source[at + c]
              place += 1
            }
            at += along
          }
        }
      }
      count = samples.count
    }
    var image = Image(width: w, height: h, channels: channels, bitDepth: bitDepth, samples: moved)
    image.metadata = change.isTransposed ? metadata.transposed : metadata
    return image
  }
}
