import Autodiff
import Symmetry
import TensorCore
import Testing

@testable import Canonicalization

@Suite struct ReducedImagesTests {
  /// Images of samples of 8 bits, as files have them.
  private func images(_ count: Int, _ side: Int, _ channels: Int) -> Tensor {
    var random = RandomStream(seed: 11, name: "images")
    let numbers = (0..<count * side * side * channels).map { _ in
      Float(random.next() % 256) / 255
    }
    return Tensor(numbers, shape: [count, side, side, channels])
  }

  @Test(
    "Averages turn with the images bit for bit, by whole and by broken ratios, in gray and color",
    arguments: [(24, 8), (30, 8), (9, 16), (28, 28)])
  func averages(_ side: Int, _ size: Int) {
    let action = ImageAction(Dihedral(4))
    for (own, wanted) in [(1, 1), (3, 3), (3, 1), (1, 3)] {
      let batch = images(2, side, own)
      let small = batch.averaged(to: size, channels: wanted)
      #expect(small.shape == [2, size, size, wanted])
      for element in action.group.elements {
        let elements = [element, element]
        #expect(
          action.act(elements, on: batch).averaged(to: size, channels: wanted)
            == action.act(elements, on: small))
      }
    }
    let flat = Tensor(repeating: 0.25, shape: [1, side, side, 3])
    #expect(flat.averaged(to: size, channels: 1).elements.allSatisfy { abs($0 - 0.25) < 1e-6 })
    let batch = images(1, side, 1)
    #expect(side != size || batch.averaged(to: size, channels: 1) == batch)
  }

  @Test("Poses are those of the small images, and turn with the large ones")
  func poses() {
    let base = RestrictedPoses(GradientOrientation(), to: Cyclic(4))
    let reduced = ReducedImages(
      base, seeing: ImageDomain(size: 12, channels: 1), border: .zero)
    let batch = images(3, 36, 3)
    let poses = reduced.poses(of: batch)
    #expect(
      poses.map(\.element) == base.poses(of: batch.averaged(to: 12, channels: 1)).map(\.element))
    let quarter = Cyclic.Element(steps: 1)
    let turned = reduced.action.act([quarter, quarter, quarter], on: batch)
    #expect(reduced.canonicalize(turned).form == reduced.canonicalize(batch).form)
  }
}
