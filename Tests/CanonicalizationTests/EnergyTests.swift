import Autodiff
import Canonicalization
import Foundation
import Layers
import Symmetry
import TensorCore
import TestSupport
import Testing

/// A smooth figure without symmetry.
private func figure(_ side: Int = 25) -> Tensor {
  let middle = Double(side - 1) / 2
  let pixels = (0..<side * side).map { i -> Float in
    let (x, y) = (Double(i % side) - middle, Double(i / side) - middle)
    func blob(_ dx: Double, _ dy: Double, _ r: Double) -> Double {
      Foundation.exp(-((x - dx) * (x - dx) + (y - dy) * (y - dy)) / (2 * r * r))
    }
    return Float(0.9 * blob(0, 0, 2.2) + 0.7 * blob(5, 1, 1.8) + 0.5 * blob(-2, 4, 1.6))
  }
  return Tensor(pixels, shape: [1, side, side, 1])
}

/// The energy that is lowest for one picture: the squared distance from it.
private struct Distance: Layer {
  let target: Parameter

  var parameters: [(name: String, parameter: Parameter)] { [("target", target)] }

  func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    (input - tape(target)).squared().sum([1, 2, 3]).reshaped([-1, 1])
  }
}

@Suite struct EnergyTests {
  private let energy: @Sendable (Tensor) -> Tensor = { images in
    let weights = Tensor((0..<images.shape[2]).map { Float($0) }, shape: [images.shape[2], 1])
    return (images * weights).sum([1, 2, 3])
  }

  @Test("The laws of a search hold bit for bit, for any energy without ties") func search() {
    var random = RandomStream(seed: 1, name: "search")
    // Values that add up without rounding: equal sums of equal pixels then are equal.
    let x = Tensor(
      (0..<3 * 64).map { _ in Float(Int(random.uniform() * 256)) / 256 }, shape: [3, 8, 8, 1])
    let search = EnergySearch(ImageAction(Cyclic(4)), energy: energy)
    #expect(search.deviations(on: x) == LawDeviations())
    for (n, pose) in search.poses(of: x).enumerated() {
      let one = x.sliced(n..<n + 1)
      let energies = Cyclic(4).elements.map {
        energy(search.action.act([Cyclic(4).inverse($0)], on: one)).scalar
      }
      #expect(energies[pose.element.steps] == energies.min())
      #expect(pose.margin > 0)
    }
  }

  @Test("A gate leaves alone what is canonical enough, and nothing else") func gate() {
    var random = RandomStream(seed: 2, name: "gate")
    let x = Tensor.uniform([6, 8, 8, 1], using: &random)
    let open = EnergySearch(ImageAction(Cyclic(4)), energy: energy)
    let margins = open.poses(of: x).enumerated().map { n, pose -> Float in
      let one = x.sliced(n..<n + 1)
      return energy(one).scalar - energy(open.canonicalize(one).form).scalar
    }
    let gate = margins.sorted()[3]
    let gated = EnergySearch(ImageAction(Cyclic(4)), gate: gate, energy: energy).poses(of: x)
    for (n, pose) in gated.enumerated() {
      let stays = margins[n] <= gate
      #expect(pose.element == (stays ? Cyclic(4).identity : open.poses(of: x)[n].element))
    }
    #expect(Set(margins.map { $0 <= gate }).count == 2)
  }

  @Test("A descent finds the pose of a moved picture, for each group of maps")
  func descent() {
    let target = figure()
    let energy = Distance(target: Parameter(target))
    for group in [
      PlanarAffine([.rotation]), .translations, .rigidMotions, .similarities, .all,
    ] {
      let action = AffineImageAction(group)
      let turns = group.generators.contains(.rotation) ? EnergyDescent.turns(8) : [.identity(2)]
      let descent = EnergyDescent(action, energy: energy, starts: turns, steps: 60)
      var random = RandomStream(seed: 3, name: "descent")
      for _ in 0..<3 {
        let g = group.sample(using: &random)
        let pose = descent.poses(of: action.act([g], on: target))[0]
        #expect(group.distance(pose.element, g) < 0.06, "\(group) \(pose)")
      }
      #expect(descent.poses(of: target)[0].margin > 0)
    }
    let action = AffineImageAction(PlanarAffine([.rotation]))
    let turned = action.act([action.group.exp([0.05])], on: target)
    let gated = EnergyDescent(action, energy: energy, steps: 40, gate: 2)
    #expect(gated.poses(of: turned)[0].element == .identity(2))
    let free = EnergyDescent(action, energy: energy, steps: 40)
    #expect(abs(action.group.log(free.poses(of: turned)[0].element)[0] - 0.05) < 0.01)
  }

  @Test("The implicit gradient is that of descending again with other parameters") func implicit() {
    let action = AffineImageAction(.rigidMotions)
    // A smooth target that is not the picture: the minimum moves with it.
    var random = RandomStream(seed: 4, name: "implicit")
    let picture = figure()
    let start = action.act([action.group.exp([0.1, 0.02, -0.03])], on: picture)
    let parameter = Parameter(start)
    let descent = EnergyDescent(action, energy: Distance(target: parameter), steps: 150, rate: 0.1)
    let tape = Tape.training(random: RandomStream(seed: 0, name: "t"))
    let weights = Variable(picture - .uniform(picture.shape, to: 0.2, using: &random))
    let forms = descent.trainingForms(Variable(picture), on: tape)
    let gradient = tape.leaf(of: parameter).flatMap {
      Gradients(of: (forms.forms * weights).sum())[$0]
    }
    // Along a direction that is a turn of the target.
    let ahead = action.act([action.group.exp([0.15, 0.02, -0.03])], on: picture)
    let direction = ahead - start
    let found = ((gradient ?? .zeros(picture.shape)) * direction).sum().scalar
    func value(_ length: Float) -> Float {
      parameter.value = start + direction * length
      return (descent.canonicalize(picture).form * weights.value).sum().scalar
    }
    let expected = (value(0.5) - value(-0.5))
    #expect(abs(found - expected) < 0.15 * abs(expected), "\(found) \(expected)")
    #expect(abs(expected) > 0.05)
  }
}
