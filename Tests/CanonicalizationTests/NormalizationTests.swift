import Canonicalization
import Foundation
import Symmetry
import TensorCore
import TestSupport
import Testing

/// A smooth figure without symmetry, far from the borders, somewhat off the middle.
private func figure(_ side: Int = 41) -> Tensor {
  let middle = Double(side - 1) / 2
  let pixels = (0..<side * side).map { i -> Float in
    let (x, y) = (Double(i % side) - middle - 1.5, Double(i / side) - middle + 1)
    func blob(_ dx: Double, _ dy: Double, _ r: Double) -> Double {
      Foundation.exp(-((x - dx) * (x - dx) + (y - dy) * (y - dy)) / (2 * r * r))
    }
    return Float(0.9 * blob(0, 0, 2) + 0.6 * blob(4, 1, 1.6) + 0.5 * blob(-2, 3, 1.5))
  }
  return Tensor(pixels, shape: [1, side, side, 1])
}

@Suite struct NormalizationTests {
  @Test("The center of mass follows shifts, the spread scalings, the angle about it turns")
  func laws() {
    // Bilinear sampling widens blobs of 2 pixels by a tenth of a pixel: 0.06 of 1, and 1 % of size.
    let center = MomentNormalization(.center)
    let shifts = center.deviations(on: figure(), under: center.sampledElements(8))
    #expect(shifts.pose < 0.01 && shifts.form < 0.06 && shifts.restoration < 0.06, "\(shifts)")
    let rigid = NormalizationChain(
      [center, AffinePoses(PrincipalAxis())], .rigidMotions)
    let motions = rigid.deviations(on: figure(), under: rigid.sampledElements(8))
    #expect(motions.pose < 0.05 && motions.form < 0.1, "\(motions)")
    let similar = NormalizationChain(
      [center, MomentNormalization(.scale, spread: 0.3), AffinePoses(PrincipalAxis())],
      .similarities)
    let all = similar.deviations(on: figure(), under: similar.sampledElements(8))
    #expect(all.pose < 0.08 && all.form < 0.12, "\(all)")
    // Without the center, a shift is taken for something else.
    let bare = NormalizationChain([AffinePoses(PrincipalAxis())], .rigidMotions)
    #expect(bare.deviations(on: figure(), under: rigid.sampledElements(8)).form > 0.3)
  }

  @Test("Shifts by whole pixels are undone to rounding") func exact() {
    var numbers = [Float](repeating: 0, count: 16 * 16)
    for (y, x, v) in [(6, 6, 2), (6, 7, 1), (7, 6, 1), (9, 6, 1), (6, 10, 1)] {
      numbers[y * 16 + x] = Float(v) / 2
    }
    let x = Tensor(numbers, shape: [1, 16, 16, 1])
    let center = MomentNormalization(.center)
    let plain = center.canonicalize(x)
    let step = 1.0 / 8
    for (dx, dy) in [(1.0, 0.0), (-2.0, 3.0), (4.0, -1.0)] {
      let g = AffineMap(matrix: [1, 0, 0, 1], translation: [dx * step, dy * step])
      let moved = center.canonicalize(center.action.act([g], on: x))
      #expect(largestDifference(moved.form, plain.form) < 1e-5)
    }
  }

  @Test("Of an empty image the pose is the identity, without margin") func empty() {
    for moment in ImageMoment.allCases {
      let pose = MomentNormalization(moment).poses(of: .zeros([1, 6, 6, 1]))[0]
      #expect(pose.element == .identity(2) && pose.margin == 0)
    }
  }
}
