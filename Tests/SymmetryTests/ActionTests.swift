import Foundation
import Symmetry
import TensorCore
import TestSupport
import Testing

private func picture(_ height: Int, _ width: Int, channels: Int = 1) -> Tensor {
  var random = RandomStream(seed: 9, name: "picture")
  return .uniform([1, height, width, channels], using: &random)
}

@Suite struct ActionTests {
  @Test(
    "Quarter turns and flips obey (gh)·x = g·(h·x) bit for bit, for any size",
    arguments: [(1, 1), (4, 4), (5, 5), (16, 16), (3, 7), (6, 4), (1, 5)])
  func exactLaw(height: Int, width: Int) {
    let group = O2()
    for kind in Interpolation.allCases {
      let action = ImageAction(group, interpolation: kind)
      let x = picture(height, width, channels: 2)
      #expect(action.act([group.identity], on: x) == x)
      for g in group.exactElements {
        for h in group.exactElements {
          #expect(
            action.act([group.compose(g, h)], on: x) == action.act([g], on: action.act([h], on: x)))
        }
        #expect(Set(action.act([g], on: x).elements) == Set(x.elements))
      }
    }
  }

  @Test(
    "Rotations by any angle commute with quarter turns and flips bit for bit",
    arguments: Interpolation.allCases, [(9, 9), (28, 28), (12, 7)])
  func commutes(kind: Interpolation, size: (Int, Int)) {
    let group = O2()
    for border in BorderPolicy.allCases {
      let action = ImageAction(group, interpolation: kind, border: border)
      let x = picture(size.0, size.1)
      // An eighth of a turn has two nearest quarter turns: which canvas an oblong image then gets is
      // a choice that a reflection does not commute with.
      for angle in [0.1, 0.7, -0.35, 1.9] + (size.0 == size.1 ? [.pi / 4] : []) {
        let r = PlanarIsometry(residual: angle)
        for g in group.exactElements {
          let whole = group.compose(g, r)
          #expect(action.act([whole], on: x) == action.act([g], on: action.act([r], on: x)))
        }
      }
    }
  }

  @Test("A positive angle turns counterclockwise as seen") func sense() {
    // A bright pixel right of the center goes up: to the row above.
    var x = Tensor.zeros([1, 5, 5, 1])
    x.assign(.ones([1, 1, 1, 1]), at: [0, 2, 4, 0])
    let y = ImageAction(SO2()).act([PlanarIsometry(quarterTurns: 1)], on: x)
    #expect(y[0][0][2].elements == [1])
    let flipped = ImageAction(O2()).act([PlanarIsometry(isReflected: true)], on: x)
    #expect(flipped[0][2][0].elements == [1])
  }

  @Test(
    "Several elements on each image give what each gives alone, bit for bit",
    arguments: [(9, 9), (8, 8), (6, 9)])
  func onEach(height: Int, width: Int) {
    var random = RandomStream(seed: 3, name: "each")
    let x = Tensor.uniform([3, height, width, 2], using: &random)
    let angles: [Double] = height == width ? [0.3, 0.3 + .pi / 2, 2.8, 0.3 + .pi, 0] : [0.3, 0.1]
    let all = angles.map { PlanarIsometry(residual: $0) }
    let flipped = all.map { O2().compose($0, PlanarIsometry(isReflected: true)) }
    let elements = [all, Array(flipped.prefix(1)), flipped + all]
    for kind in Interpolation.allCases {
      let action = ImageAction(O2(), interpolation: kind, border: .edge)
      let together = action.act(onEach: elements, of: x)
      let apart = elements.enumerated().flatMap { n, some in
        some.map { action.act([$0], on: x.sliced(n..<n + 1)) }
      }
      #expect(together == Tensor.concatenated(apart), "\(kind)")
    }
  }

  @Test("Turning there and back loses no more than interpolation does") func thereAndBack() {
    // A band-limited image: of second derivatives below (π/8)², twice linear interpolation is off by
    // at most 2 · 2 · (π/8)² / 8 = 0.0772 inside the disc that both rotations see.
    let side = 32
    let x = Tensor(
      (0..<side * side).map { i in
        0.5 + 0.25 * (sin(Float.pi / 8 * Float(i % side)) + cos(Float.pi / 8 * Float(i / side)))
      }, shape: [1, side, side, 1])
    let action = ImageAction(SO2(), border: .reflect)
    let inside = Tensor(
      (0..<side * side).map { i -> Float in
        let (dx, dy) = (Double(i % side) - 15.5, Double(i / side) - 15.5)
        return dx * dx + dy * dy < 12 * 12 ? 1 : 0
      }, shape: [1, side, side, 1])
    for angle in [0.2, 0.7, 1.3] {
      let g = PlanarIsometry(residual: angle)
      let back = action.act([SO2().inverse(g)], on: action.act([g], on: x))
      #expect(((back - x).absolute() * inside).elements.max() ?? 1 < 0.0772)
    }
  }

  @Test("Keypoints land where the image's pixels do", arguments: [(5, 5), (4, 7)])
  func keypoints(height: Int, width: Int) {
    var x = Tensor.zeros([1, height, width, 1])
    x.assign(.ones([1, 1, 1, 1]), at: [0, 1, 3, 0])
    for g in O2().exactElements {
      let y = ImageAction(O2()).act([g], on: x)
      let points = KeypointAction(O2(), height: height, width: width)
        .act([g], on: Tensor([3, 1], shape: [1, 1, 2])).elements
      #expect(y[0][Int(points[1])][Int(points[0])].elements == [1])
    }
  }

  @Test("A turned box is the bound of its turned corners, not of two of them") func boxes() {
    // Methods, part 4, defect 3: a box of 10 × 10 turned by 45° about its center has side 10 √2.
    let action = BoxAction(SO2(), height: 30, width: 30)
    let box = Tensor([9.5, 9.5, 19.5, 19.5], shape: [1, 1, 4])
    let turned = action.act([PlanarIsometry(residual: .pi / 4)], on: box).elements
    let half = Float(10 * 2.0.squareRoot() / 2)
    #expect(
      zip(turned, [14.5 - half, 14.5 - half, 14.5 + half, 14.5 + half]).allSatisfy {
        abs($0 - $1) < 1e-4
      })
    for g in O2().exactElements {
      for h in O2().exactElements {
        let action = BoxAction(O2(), height: 30, width: 30),
          b = Tensor([1, 2, 7, 5], shape: [1, 1, 4])
        #expect(
          action.act([O2().compose(g, h)], on: b) == action.act([g], on: action.act([h], on: b)))
      }
    }
  }

  @Test("Vectors turn as displacements between keypoints do") func vectors() {
    var random = RandomStream(seed: 4, name: "vectors")
    for _ in 0..<20 {
      let g = O2().sample(using: &random)
      let (a, b) = (Tensor([1, 2], shape: [1, 1, 2]), Tensor([4, -3], shape: [1, 1, 2]))
      let points = KeypointAction(O2(), height: 9, width: 9)
      let moved = points.act([g], on: b) - points.act([g], on: a)
      #expect(largestDifference(VectorAction(O2()).act([g], on: b - a), moved) < 1e-5)
    }
  }

  @Test("A vector field turned by a quarter has its vectors turned where its pixels went")
  func field() {
    var x = Tensor.zeros([1, 3, 3, 2])
    // Right of the center, pointing to the right.
    x.assign(Tensor([1, 0], shape: [1, 1, 1, 2]), at: [0, 1, 2, 0])
    let y = VectorFieldAction(SO2()).act([PlanarIsometry(quarterTurns: 1)], on: x)
    #expect(y[0][0][1].elements == [0, -1])  // above the center, upwards
  }

  @Test("The disc mask is the same under quarter turns and flips", arguments: [1, 2, 7, 28])
  func disc(side: Int) {
    let mask = discMask(height: side, width: side)
    for g in O2().exactElements { #expect(ImageAction(O2()).act([g], on: mask) == mask) }
    #expect(mask.sum().scalar > 0.7 * Float(side * side))
  }
}
