public import Autodiff
public import TensorCore

/// A plain message-passing network on complete graphs of particles.
///
/// It knows nothing of geometry but what its numbers say (Gilmer et al. 2017, arXiv 1704.01212). Each pair's message is made of both members' features and of their squared distance and product of
/// charges; each member adds up the messages to it.
///
/// **Shapes.** `[batch, members, 2 d + 1]` (position, velocity, charge) → `[batch, members, d]`: the
/// change of each position.
public struct ParticleNetwork: Layer {
  private let dimension: Int
  private let embedding, head: Linear
  private let rounds: [Round]

  private struct Round: Sendable {
    let receiver, sender, edge, message, update: Linear
    let result: Linear

    init(_ width: Int, dimension: Int, using random: inout RandomStream) {
      receiver = Linear(width, width, using: &random)
      sender = Linear(width, width, using: &random)
      edge = Linear(2 * dimension + 2, width, using: &random)
      message = Linear(width, width, using: &random)
      update = Linear(2 * width, width, using: &random)
      result = Linear(width, width, using: &random)
    }

    var parameters: [(name: String, parameter: Parameter)] {
      [
        ("receiver", receiver), ("sender", sender), ("edge", edge), ("message", message),
        ("update", update), ("result", result),
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
    dimension: Int = 3, width: Int = 64, rounds: Int = 4, using random: inout RandomStream
  ) {
    self.dimension = dimension
    embedding = Linear(dimension, width, using: &random)
    var made: [Round] = []
    for _ in 0..<rounds { made.append(Round(width, dimension: dimension, using: &random)) }
    self.rounds = made
    head = Linear(width, dimension, using: &random)
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    embedding.parameters.map { ("embedding.\($0.name)", $0.parameter) }
      + rounds.enumerated().flatMap { i, round in
        round.parameters.map { ("rounds.\(i).\($0.name)", $0.parameter) }
      } + head.parameters.map { ("head.\($0.name)", $0.parameter) }
  }

  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    let (batch, members, d) = (input.shape[0], input.shape[1], dimension)
    let places = input.sliced(0..<d, axis: 2)
    let charges = input.sliced(2 * d..<2 * d + 1, axis: 2)
    func pairs(_ x: Variable, _ combine: (Variable, Variable) -> Variable) -> Variable {
      combine(x.reshaped([batch, members, 1, -1]), x.reshaped([batch, 1, members, -1]))
    }
    let apart = pairs(places, -)
    let square = apart.squared().sum([3], keepingAxes: true)
    let softened = square + 0.01
    let pull = apart / (softened * softened.squareRoot())
    let edges = Variable.concatenated(
      [apart, square, pairs(charges, *), pull * pairs(charges, *)], axis: 3)
    var features = embedding(input.sliced(d..<2 * d, axis: 2), on: tape)
    for round in rounds { features = round(features, edges: edges, on: tape) }
    return head(features, on: tape)
  }
}
