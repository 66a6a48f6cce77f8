import Images
import Testing

private let image = Image(width: 3, height: 2, channels: 2, samples: (0..<12).map { UInt16($0) })

@Suite struct RearrangementTests {
  @Test("Quarter turns and flips are a group that acts on images") func laws() {
    #expect(Set(Rearrangement.all).count == 8)
    for a in Rearrangement.all {
      #expect(image.rearranged(a).rearranged(a.inverse) == image)
      #expect(a.followed(by: a.inverse) == Rearrangement())
      for b in Rearrangement.all {
        #expect(image.rearranged(a).rearranged(b) == image.rearranged(a.followed(by: b)))
      }
    }
  }

  @Test(
    "Orientations are those of EXIF: where the first row and column of what is stored are shown")
  func orientations() {
    // Of the stored pixel (0, 0), in an image of 2 × 2: top left, top right, bottom right, bottom left, and so on.
    let square = Image(width: 2, height: 2, channels: 1, samples: [9, 1, 2, 3])
    let (places, second) = ([0, 1, 3, 2, 0, 1, 3, 2], [1, 0, 2, 3, 2, 3, 1, 0])
    for orientation in 1...8 {
      let shown = square.rearranged(Rearrangement(orientation: orientation)).samples
      #expect(shown[places[orientation - 1]] == 9, "\(orientation)")
      #expect(shown[second[orientation - 1]] == 1, "\(orientation)")
    }
    #expect(Rearrangement(orientation: 9) == Rearrangement())
  }
}
