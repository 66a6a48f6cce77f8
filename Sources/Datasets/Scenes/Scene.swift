public import Symmetry
public import TensorCore

/// Pictures of a few bodies, each in every pose of a group: some orbits, drawn as they are asked for.
///
/// What `draw` gives follows from body and pose alone, so that the group acts on the pictures: *g* takes the one of pose
/// *h* to that of *g* *h*.
public protocol Scene: Sendable {
  /// Its word in configurations.
  static var name: String { get }
  /// What moves the bodies.
  var group: AmbientGroup { get }
  /// Whether the group's first circle acts on pictures linearly, as turns act on pixels; true where nothing else is said.
  var isLinear: Bool { get }
  /// 1 gray, 3 color.
  var channels: Int { get }
  /// How many orbits there are.
  var orbitCount: Int { get }

  /// Draws a pose, uniform where all of a body is in the picture.
  func pose(using random: inout RandomStream) -> AmbientGroup.Element

  /// The picture of a body in a pose, `size · size · channels` numbers in 0…1, row by row.
  func draw(_ orbit: Int, _ pose: AmbientGroup.Element, size: Int) -> [Float]
}

extension Scene {
  public var isLinear: Bool { true }
}

/// All scenes, by name.
enum Scenes {
  static let all: [any Scene.Type] = [
    Sprites.self, SeveralSprites.self, Colors.self, Glyphs.self, Solids.self, Rooms.self,
    DSprites.self,
  ]

  static func named(_ name: String) -> any Scene {
    switch name {
    case SeveralSprites.name: SeveralSprites()
    case Glyphs.name: Glyphs()
    case Solids.name: Solids()
    case Rooms.name: Rooms()
    case Colors.name: Colors()
    case DSprites.name: DSprites()
    default: Sprites()
    }
  }
}

/// A color, or a gray value in the first place: numbers that need no allocation.
typealias Color = SIMD3<Double>

/// The mean, over a grid of so many times so many points of each pixel, of what is there.
///
/// `sample` gives the color at a place, in halves of the side from the middle, *x* to the right and *y* down.
func supersampled(
  _ size: Int, channels: Int, grid: Int, _ sample: (_ x: Double, _ y: Double) -> Color
) -> [Float] {
  supersampled(size, channels: channels, grid: grid, column: { $0 }, sample)
}

/// The same for pictures of which much is known once *x* is: `column` is asked once for each, and `sample` gets what it said.
func supersampled<Column>(
  _ size: Int, channels: Int, grid: Int, column: (_ x: Double) -> Column,
  _ sample: (_ column: Column, _ y: Double) -> Color
) -> [Float] {
  var pixels: [Float] = []
  pixels.reserveCapacity(size * size * channels)
  let (scale, share) = (2 / Double(size), 1 / Double(grid * grid))
  func place(_ pixel: Int, _ point: Int) -> Double {
    (Double(pixel) + (Double(point) + 0.5) / Double(grid)) * scale - 1
  }
  let columns = (0..<size * grid).map { column(place($0 / grid, $0 % grid)) }
  for row in 0..<size {
    for column in 0..<size {
      var sum = Color()
      for i in 0..<grid * grid {
        sum += sample(columns[column * grid + i % grid], place(row, i / grid))
      }
      for channel in 0..<channels { pixels.append(Float(sum[channel] * share)) }
    }
  }
  return pixels
}
