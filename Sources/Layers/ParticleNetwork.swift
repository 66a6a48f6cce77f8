public import Autodiff
public import TensorCore

/// A plain message-passing network on complete graphs of particles, which moves them round by round.
///
/// It knows nothing of geometry but what its numbers say (Gilmer et al. 2017, arXiv 1704.01212). Each
/// pair's message is made of both members' features and of what is between them: the step, its square,
/// the product of charges, and the force. Each member adds up the messages to it, and is moved; the next
/// round, with the same weights, sees it in its new place, as a simulation does (Sanchez-Gonzalez et al.
/// 2020, arXiv 2002.09405).
///
/// **Shapes.** `[batch, members, 2 d + 1]` (position, velocity, charge) → `[batch, members, d]`: the
/// change of each position.
public struct ParticleNetwork: Layer {
  private let dimension: Int
  /// How many rounds the particles are moved.
  public let rounds: Int
  private let embedding: Linear
  private let round: Round

  private struct Round: Sendable {
    let receiver, sender, edge, message, update, result, move: Linear

    init(_ width: Int, dimension: Int, using random: inout RandomStream) {
      receiver = Linear(width, width, using: &random)
      sender = Linear(width, width, using: &random)
      edge = Linear(2 * dimension + 2, width, using: &random)
      message = Linear(width, width, using: &random)
      update = Linear(2 * width, width, using: &random)
      result = Linear(width, width, using: &random)
      move = Linear(width, dimension, using: &random)
    }

    var parameters: [(name: String, parameter: Parameter)] {
      [
        ("receiver", receiver), ("sender", sender), ("edge", edge), ("message", message),
        ("update", update), ("result", result), ("move", move),
      ].flatMap { name, layer in layer.parameters.map { ("\(name).\($0.name)", $0.parameter) } }
    }

    func callAsFunction(_ features: Variable, edges: Variable, on tape: Tape) -> Variable {
      let (batch, members, width) = (features.shape[0], features.shape[1], features.shape[2])
      let hidden =
        receiver(features, on: tape).reshaped([batch, members, 1, width])
        + sender(features, on: tape).reshaped([batch, 1, members, width])
        + edge(edges, on: tape)
      let messages = message(hidden.silu(), on: tape).silu()
      // No message to oneself.
      let others = Tensor(
        (0..<members * members).map { $0 % (members + 1) == 0 ? 0 : 1 },
        shape: [members, members, 1])
      let received = (messages * Variable(others)).sum([2])
      let joined = Variable.concatenated([features, received], axis: 2)
      return features + result(update(joined, on: tape).silu(), on: tape)
    }
  }

  public init(
    dimension: Int = 3, width: Int = 64, rounds: Int = 5, using random: inout RandomStream
  ) {
    (self.dimension, self.rounds) = (dimension, rounds)
    embedding = Linear(dimension, width, using: &random)
    round = Round(width, dimension: dimension, using: &random)
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    embedding.parameters.map { ("embedding.\($0.name)", $0.parameter) }
      + round.parameters.map { ("round.\($0.name)", $0.parameter) }
  }

  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    let d = dimension
    let start = input.sliced(0..<d, axis: 2)
    let charges = input.sliced(2 * d..<2 * d + 1, axis: 2)
    let products = pairs(charges, *)
    var features = embedding(input.sliced(d..<2 * d, axis: 2), on: tape)
    var places = start
    for _ in 0..<rounds {
      features = round(features, edges: edges(places, products), on: tape)
      places = places + round.move(features, on: tape)
    }
    return places - start
  }

  /// What is between the members of each pair: the step, its square, the product of charges, the force.
  private func edges(_ places: Variable, _ products: Variable) -> Variable {
    let apart = pairs(places, -)
    let square = apart.squared().sum([3], keepingAxes: true)
    // Particles that meet would pull without bounds.
    let softened = square + 0.01
    let pull = apart / (softened * softened.squareRoot())
    return .concatenated([apart, square, products, pull * products], axis: 3)
  }

  /// `[batch, members, n]` → `[batch, members, members, n]`.
  private func pairs(_ x: Variable, _ combine: (Variable, Variable) -> Variable) -> Variable {
    let (batch, members) = (x.shape[0], x.shape[1])
    return combine(x.reshaped([batch, members, 1, -1]), x.reshaped([batch, 1, members, -1]))
  }
}
