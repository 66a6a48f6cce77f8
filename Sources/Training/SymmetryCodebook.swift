public import Autodiff
import Layers
public import TensorCore

/// A codebook of symmetries of codes, and the attention that composes one for each pair (Jung, Jeong & Kim, CFASL, TMLR 2024; reconstructed
/// from its public code and figures).
///
/// Of each section, one for each number of a code, it holds some matrices *g*, elements of an algebra that act on codes (rows) by
/// *z* exp(*g*). What lies between two inputs is put together in two steps from their posteriors [*μ*₁, *σ*₁, *μ*₂, *σ*₂], by one linear
/// layer: a softmax over the elements of each section makes its factor's symmetry, and a switch turns it on or off.
public struct SymmetryCodebook: Sendable {
  /// `[sections, elements, dimension, dimension]`.
  public let generators: Parameter
  let attention: Linear
  /// Of the Gumbel softmax that switches are drawn by.
  let temperature: Float

  public var sections: Int { generators.value.shape[0] }
  public var elements: Int { generators.value.shape[1] }
  public var dimension: Int { generators.value.shape[2] }

  /// - Parameters:
  ///   - dimension: The numbers of a code, each with a section.
  ///   - elements: The matrices of a section.
  ///   - deviation: Of the normal numbers that matrices begin with, cut off at twice that.
  ///   - temperature: Of the Gumbel softmax of switches.
  public init(
    dimension: Int, elements: Int, deviation: Float = 0.1, temperature: Float = 0.5,
    using random: inout RandomStream
  ) {
    let shape: Shape = [dimension, elements, dimension, dimension]
    let numbers = (0..<shape.count).map { _ in
      var number = random.normal()
      while abs(number) > 2 { number = random.normal() }
      return deviation * Float(number)
    }
    generators = Parameter(Tensor(numbers, shape: shape))
    attention = Linear(4 * dimension, dimension * (2 + elements), using: &random)
    self.temperature = temperature
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    [("generators", generators)]
      + attention.parameters.map { ("attention.\($0.name)", $0.parameter) }
  }

  /// What attention says of pairs.
  public struct Selection {
    /// How much of each element a section's symmetry has: sums of 1, `[pairs, sections, elements]`.
    public let weights: Variable
    /// Off and on, `[pairs, sections, 2]`.
    public let logits: Variable
    /// 1 for a section that acts, else 0, `[pairs, sections]`.
    public let switches: Variable
  }

  /// What attention says of pairs of posteriors.
  ///
  /// In training switches are drawn by the Gumbel softmax, hardened straight through: 0 or 1 forwards, the soft number's gradient
  /// backwards. In inference they are what is likelier.
  public func selection(
    _ first: Posterior, _ second: Posterior, on tape: Tape
  ) -> Selection {
    let pairs = first.mean.shape[0]
    let seen = Variable.concatenated(
      [first.mean, first.deviation, second.mean, second.deviation], axis: 1)
    let output = attention(seen, on: tape).reshaped([pairs, sections, 2 + elements])
    let logits = output.sliced(0..<2, axis: 2)
    return Selection(
      weights: output.sliced(2..<2 + elements, axis: 2).softmax(), logits: logits,
      switches: hardened(logits, on: tape).sliced(1..<2, axis: 2).reshaped([pairs, sections]))
  }

  private func hardened(_ logits: Variable, on tape: Tape) -> Variable {
    guard tape.isTraining else { return logits.firstLargest() }
    // Neither 0 nor 1, whose logarithms are no numbers to go on with.
    let uniform = tape.uniform(logits.shape) * (1 - 0x1p-22) + 0x1p-23
    let noise = -(-uniform.logarithm()).logarithm()
    let soft = ((logits + Variable(noise)) * (1 / temperature)).softmax()
    return (soft.firstLargest() - soft).detached + soft
  }

  /// The symmetry of each factor, Σ *w* *g* over a section's elements, `[pairs, sections, dimension, dimension]`.
  public func factors(_ selection: Selection, on tape: Tape) -> Variable {
    let (pairs, size) = (selection.weights.shape[0], dimension * dimension)
    let matrices = tape(generators).reshaped([sections, elements, size])
    return selection.weights.permuted([1, 0, 2]).matmul(matrices).permuted([1, 0, 2])
      .reshaped([pairs, sections, dimension, dimension])
  }

  /// The sum of what is switched on, whose exponential acts, `[pairs, dimension, dimension]`.
  public func composite(_ selection: Selection, on tape: Tape) -> Variable {
    let pairs = selection.switches.shape[0]
    return (factors(selection, on: tape) * selection.switches.reshaped([pairs, sections, 1, 1]))
      .sum([1])
  }

  /// Codes as matrices move them: rows *z* *A*.
  ///
  /// **Shapes.** `[pairs, dimension]` and `[pairs, dimension, dimension]` → `[pairs, dimension]`.
  public static func moved(_ codes: Variable, by matrices: Variable) -> Variable {
    let (pairs, dimension) = (codes.shape[0], codes.shape[1])
    return codes.reshaped([pairs, 1, dimension]).matmul(matrices).reshaped([pairs, dimension])
  }
}
