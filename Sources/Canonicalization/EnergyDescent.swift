public import Autodiff
import Glibc
public import Layers
public import Settings
public import Symmetry
public import TensorCore

/// A canonicalizer of images by energy, over a Lie group of affine maps.
///
///     h(x) = argmin over g of E(g⁻¹·x),   g ← g exp(−rate ∇E)
///
/// Gradient descent in the group's algebra, from several starts, to the copy that a network or function
/// likes best (Kaba et al., ICML 2023; for affine maps Shumaylov et al. 2024, arXiv 2410.02698). The law holds as far
/// as the descent finds the same minimum from an input and from its copies: more starts, a better law.
///
/// In training the task's gradient reaches the energy's parameters through the minimum by the implicit
/// function theorem: dξ = −*H*⁻¹ d∇E, with the Hessian *H* by differences of gradients.
///
/// The margin is how far the lowest energy is below that of the next different minimum that was found.
public struct EnergyDescent: TrainableCanonicalizer {
  public let action: AffineImageAction
  /// From images to an energy each, `[batch, height, width, channels]` → `[batch, 1]`; treats each image on
  /// its own.
  public let energy: any Layer
  /// Where the descent begins.
  public let starts: [AffineMap]
  public let steps: Int
  /// The length of the first step in the algebra.
  public let rate: Double
  /// An image whose own energy is within this of the lowest is left alone; negative for none.
  public let gate: Float

  public init(
    _ action: AffineImageAction, energy: any Layer, starts: [AffineMap] = [.identity(2)],
    steps: Int = 30, rate: Double = 0.2, gate: Float = -1
  ) {
    require(!starts.isEmpty, "a descent without a start")
    self.action = action
    self.energy = energy
    self.starts = starts
    self.steps = steps
    self.rate = rate
    self.gate = gate
  }

  public var parameters: [(name: String, parameter: Parameter)] { energy.parameters }

  /// `count` rotations evenly around, to begin at.
  public static func turns(_ count: Int) -> [AffineMap] {
    (0..<count).map {
      AffineMap(matrix: PlanarIsometry(residual: 2 * .pi * Double($0) / Double(count)).matrix)
    }
  }

  /// The numbers of the maps by which forms are sampled, `[batch, 6]`.
  private func sampling(_ elements: [AffineMap], _ batch: Tensor) -> Tensor {
    let unit = AffineImageAction.unit(of: batch)
    let numbers = elements.flatMap { g in
      (g.matrix + g.translation.map { $0 * unit }).map { Float($0) }
    }
    return Tensor(numbers, shape: [elements.count, 6])
  }

  /// The energies of forms, and their gradients in the algebra.
  private func energies(
    _ batch: Tensor, _ elements: [AffineMap]
  ) -> (values: [Float], gradients: [[Double]]) {
    let maps = Variable(sampling(elements, batch), requiresGradient: true)
    let forms = Variable(batch).warped(by: maps, action.interpolation, border: action.border)
    let result = energy(forms, on: .inference()).reshaped([batch.shape[0]])
    let values = result.value.elements
    guard result.requiresGradient, let found = Gradients(of: result.sum())[maps] else {
      return (values, elements.map { _ in action.group.generators.map { _ in 0 } })
    }
    return (values, inAlgebra(found, elements, batch))
  }

  /// Gradients by maps as gradients in the algebra at some elements.
  private func inAlgebra(
    _ byMaps: Tensor, _ elements: [AffineMap], _ batch: Tensor
  ) -> [[Double]] {
    let unit = AffineImageAction.unit(of: batch)
    let numbers = byMaps.elements.map { Double($0) }
    return elements.indices.map { n in
      action.group.differential(at: elements[n]).map { change in
        (0..<6).reduce(0) { $0 + numbers[6 * n + $1] * change[$1] * ($1 < 4 ? 1 : unit) }
      }
    }
  }

  /// Descends from one start: a step that raises an image's energy is taken back, and halved.
  private func descend(from start: AffineMap, _ batch: Tensor) -> [(element: AffineMap, Float)] {
    let group = action.group
    var elements = [AffineMap](repeating: start, count: batch.shape[0])
    var lengths = [Double](repeating: rate, count: elements.count)
    var (values, gradients) = energies(batch, elements)
    for _ in 0..<steps {
      let tried = elements.indices.map { n -> AffineMap in
        let norm = gradients[n].reduce(0) { $0 + $1 * $1 }.squareRoot()
        guard norm > 0 else { return elements[n] }
        return group.compose(
          elements[n], group.exp(gradients[n].map { -lengths[n] * $0 / norm }))
      }
      let found = energies(batch, tried)
      for n in elements.indices {
        if found.values[n] < values[n] {
          (elements[n], values[n]) = (tried[n], found.values[n])
          gradients[n] = found.gradients[n]
        } else {
          lengths[n] /= 2
        }
      }
    }
    return zip(elements, values).map { ($0, $1) }
  }

  /// - Complexity: `starts` · `steps` energies and gradients per image.
  public func poses(of batch: Tensor) -> [Pose<AffineMap>] {
    let found = starts.map { descend(from: $0, batch) }
    let own = gate >= 0 ? energies(batch, batch.identities).values : []
    return (0..<batch.shape[0]).map { n in
      let minima = found.map { $0[n] }.sorted { $0.1 < $1.1 }
      let best = minima[0]
      if gate >= 0, own[n] - best.1 <= gate {
        return Pose(.identity(2), margin: gate - (own[n] - best.1))
      }
      let other = minima.first { action.group.distance($0.element, best.element) > 0.1 }
      return Pose(best.element, margin: other.map { $0.1 - best.1 } ?? .infinity)
    }
  }

  public func trainingForms(_ batch: Variable, on tape: Tape) -> TrainingForms {
    let elements = poses(of: batch.value).map(\.element)
    let trainable = parameters.map(\.parameter).filter(\.isTrainable)
    let images = batch.value
    let maps = Variable(sampling(elements, images), inputs: trainable.map { tape($0) }) { dy in
      implicitGradients(inAlgebra(dy, elements, images), elements, images, trainable)
    }
    let border = action.border
    let forms = batch.warped(by: maps, action.interpolation, border: border)
    return TrainingForms(forms: forms, motions: [elements.map { Motion(map: $0.inverse) }])
  }

  /// The gradients by the energy's parameters, for the gradients by the minima in the algebra.
  ///
  /// With *v* = *H*⁻¹ *c* they are −∂⟨∇E, *v*⟩ by the parameters: a difference of energies a little to
  /// both sides along *v*.
  private func implicitGradients(
    _ cotangents: [[Double]], _ elements: [AffineMap], _ batch: Tensor, _ trainable: [Parameter]
  ) -> [Tensor?] {
    let (group, step) = (action.group, 1e-2)
    let d = group.dimension
    func moved(_ directions: [[Double]], _ length: Double) -> [AffineMap] {
      zip(elements, directions).map { g, v in
        group.compose(g, group.exp(v.map { length * $0 }))
      }
    }
    // Columns of the Hessians.
    let columns = (0..<d).map { k -> [[Double]] in
      let unit = elements.map { _ in (0..<d).map { $0 == k ? 1.0 : 0 } }
      let (above, below) = (
        energies(batch, moved(unit, step)).gradients, energies(batch, moved(unit, -step)).gradients
      )
      return zip(above, below).map { zip($0, $1).map { ($0 - $1) / (2 * step) } }
    }
    let directions = elements.indices.map { n -> [Double] in
      // Symmetric, and a little more than it is: at a minimum it is positive.
      let hessian = (0..<d * d).map { i in
        (columns[i % d][n][i / d] + columns[i / d][n][i % d]) / 2 + (i % (d + 1) == 0 ? 1e-3 : 0)
      }
      let map = AffineMap(matrix: hessian)
      return map.determinant == 0 ? cotangents[n] : map.inverse.linear(cotangents[n])
    }
    let longest = directions.joined().reduce(1e-12) { max($0, abs($1)) }
    let tape = Tape.training(random: RandomStream(seed: 0, name: "energy"))
    func total(_ length: Double) -> Variable {
      let maps = Variable(sampling(moved(directions, length), batch))
      let forms = Variable(batch).warped(by: maps, action.interpolation, border: action.border)
      return energy(forms, on: tape).sum()
    }
    let length = step / longest
    let difference = (total(length) - total(-length)) * Float(-1 / (2 * length))
    let gradients = Gradients(of: difference)
    return trainable.map { tape.leaf(of: $0).flatMap { gradients[$0] } }
  }
}

extension Tensor {
  fileprivate var identities: [AffineMap] { [AffineMap](repeating: .identity(2), count: shape[0]) }
}

/// The settings of `{kind: energy}`.
public struct EnergyOptions: CanonicalizerOptions {
  public static let kind = "energy"
  public static let summary = "Descends a learned energy over a Lie group of affine maps."
  public static let isLearned = true
  public var group = "SO2"
  /// Generators of one's own, six numbers each; those of the group where it is empty.
  public var generators: [Float] = []
  public var channels = 8
  public var descents = 4
  public var steps = 10

  public init() {}

  public mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {
    let images = try keys.images(domain, Self.kind)
    try keys.read("group", &group, among: ["SO2", "SE2", "similarity", "affine"], "the group")
    try keys.readGenerators(&generators)
    try keys.read("channels", &channels, in: 1...1024, "channels of the energy's network")
    try keys.read("descents", &descents, in: 1...256, "from how many angles it is descended")
    try keys.read("steps", &steps, in: 1...1000, "in how many steps")
    try keys.refuse(weights: images.size, images.size, channels)
    try keys.refuse(weights: 50, channels, channels)
  }

  public func make(_ build: CanonicalizerBuild) throws(SettingsError) -> any TrainableCanonicalizer
  {
    let images = try build.images(Self.kind)
    var random = build.random()
    let own = PlanarAffine(sixEach: generators)
    return EnergyDescent(
      AffineImageAction(own ?? PlanarAffine(named: group) ?? .all, border: images.border),
      energy: Backbone.scorer(
        size: images.size, channels: images.channels, width: channels, features: 1, using: &random),
      starts: own?.starts(descents) ?? EnergyDescent.turns(descents), steps: steps)
  }
}
