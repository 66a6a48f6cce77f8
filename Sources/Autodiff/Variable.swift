public import TensorCore

/// A tensor in a computation, with the record of how it came about.
///
/// Operations on variables compute at once and record a pullback, the map from the gradient by
/// their result to the gradients by their inputs; `Gradients` follows the record backwards.
/// Nothing is recorded behind constants, so that inference pays nothing. The record does not hold values: what a pullback
/// needs it keeps, and the others are free as soon as nobody looks at them.
///
///     let x = Variable(Tensor([3]), requiresGradient: true)
///     let y = (x * x).sum()
///     Gradients(of: y)[x]   // [6]
public final class Variable {
  /// The computed value.
  public let value: Tensor
  /// Whether it comes from an input whose computation is written down: see `init(traced:)`.
  public let isTraced: Bool
  /// What made it, where that is written down.
  public let operation: Operation?
  /// What it was computed from, where that is written down.
  public private(set) var inputs: [Variable]
  /// `nil` of a constant.
  fileprivate let record: Record?
  /// Makes the value again.
  let remake: (() -> Tensor)?

  /// Creates a leaf: a constant, or a variable that gradients are taken by.
  public init(_ value: Tensor, requiresGradient: Bool = false) {
    self.value = value
    isTraced = false
    operation = nil
    inputs = []
    record = requiresGradient ? Record(value.shape) : nil
    remake = nil
  }

  /// Creates a leaf whose whole computation is recorded, so that it can be written down in another form.
  ///
  /// Everything computed from it is traced too: shortcuts that predictions take are then left out.
  public init(traced value: Tensor) {
    self.value = value
    isTraced = true
    operation = nil
    inputs = []
    record = Record(value.shape)
    remake = nil
  }

  /// Creates the result of an operation: the way in which new differentiable operations are made.
  ///
  /// - Parameters:
  ///   - value: The result.
  ///   - inputs: What it was computed from.
  ///   - operation: What it is, for who writes computations down; one without can be trained, and not be exported.
  ///   - pullback: Gives, for the gradient by the result, the gradient by each input (of the
  ///     input's shape), or `nil` for one that has none. What it holds is held until then: values it needs, not variables.
  ///   - remake: Makes the value again, bit for bit, in one pass over what the pullback holds anyway: see `kept`.
  public init(
    _ value: Tensor, inputs: [Variable], operation: @autoclosure () -> Operation? = nil,
    remake: (() -> Tensor)? = nil, pullback: @escaping (Tensor) -> [Tensor?]
  ) {
    self.value = value
    isTraced = inputs.contains { $0.isTraced }
    self.operation = isTraced ? operation() : nil
    self.inputs = isTraced ? inputs : []
    guard inputs.contains(where: { $0.record != nil }) else {
      (record, self.remake) = (nil, nil)
      return
    }
    self.remake = remake
    let labeled = Profiler.label.map { name in
      { dy in Profiler.labeled(name) { pullback(dy) } }
    }
    record = Record(value.shape, inputs: inputs.map(\.record), pullback: labeled ?? pullback)
  }

  deinit {
    release(takeInputs()) { $0.takeInputs() }
  }

  private func takeInputs() -> [Variable?] {
    defer { inputs = [] }
    return inputs
  }

  /// The value for a pullback that needs it: where it can be made again it is, and not held until then.
  public var kept: () -> Tensor { remake ?? { [value] in value } }

  /// Whether a gradient may flow to here.
  public var requiresGradient: Bool { record != nil }

  /// The extents of the value.
  public var shape: Shape { value.shape }

  /// The same value as a constant: no gradient flows through it.
  public var detached: Variable {
    isTraced ? Variable(value, inputs: [self], operation: .same) { _ in [nil] } : Variable(value)
  }
}

/// Releases nodes of a graph one by one: released one inside the other, a long chain would overflow the stack.
///
/// - Parameters:
///   - nodes: What nobody else holds of it is taken apart.
///   - takeInputs: Takes a node's inputs away from it.
private func release<Node: AnyObject>(
  _ nodes: consuming [Node?], _ takeInputs: (Node) -> [Node?]
) {
  while var node = nodes.popLast() {
    guard isKnownUniquelyReferenced(&node), let node else { continue }
    nodes += takeInputs(node)
  }
}

/// How a variable that a gradient flows to came about.
private final class Record {
  let shape: Shape
  /// Those of constants are `nil`.
  private(set) var inputs: [Record?]
  private var pullback: ((Tensor) -> [Tensor?])?

  init(
    _ shape: Shape, inputs: [Record?] = [], pullback: ((Tensor) -> [Tensor?])? = nil
  ) {
    (self.shape, self.inputs, self.pullback) = (shape, inputs, pullback)
  }

  var isLeaf: Bool { pullback == nil }

  deinit {
    release(takeInputs()) { $0.takeInputs() }
  }

  private func takeInputs() -> [Record?] {
    defer { inputs = [] }
    return inputs
  }

  /// Gives its inputs away, and with the pullback what that holds of the computation.
  func take() -> (inputs: [Record?], pullback: (Tensor) -> [Tensor?])? {
    defer { pullback = nil }
    return pullback.map { (takeInputs(), $0) }
  }
}

/// The gradients of a scalar by the variables that it was computed from.
///
/// The record of the computation is used up: each operation's memory is free as soon as its gradient
/// is known.
public struct Gradients {
  private var byRecord: [ObjectIdentifier: Tensor] = [:]
  /// Held, so that no later variable has the identity of one of these.
  private var leaves: [Record] = []

  /// Computes the gradients of a scalar.
  ///
  /// - Parameters:
  ///   - leaves: Variables that gradients are taken by, of which `whenKnown` is told.
  ///   - whenKnown: Called with the place of such a leaf as soon as nothing more is added to its gradient.
  /// - Precondition: `result` has one element.
  /// - Complexity: About twice the work of computing `result`; each recorded operation runs once.
  public init(
    of result: Variable, leaves: [Variable?] = [],
    whenKnown: ((_ leaf: Int, _ gradient: Tensor) -> Void)? = nil
  ) {
    require(result.shape.count == 1, "gradients of shape \(result.shape), not of a scalar")
    self.init(of: result, weights: .ones(result.shape), leaves: leaves, whenKnown: whenKnown)
  }

  /// Computes the gradients of Σ `weights` · `result`.
  ///
  /// - Precondition: The shapes are equal.
  public init(
    of result: Variable, weights: Tensor, leaves: [Variable?] = [],
    whenKnown: ((_ leaf: Int, _ gradient: Tensor) -> Void)? = nil
  ) {
    require(weights.shape == result.shape, "weights \(weights.shape) of \(result.shape)")
    guard let last = result.record else { return }
    byRecord[ObjectIdentifier(last)] = weights
    var pending = Gradients.order(from: last)
    self.leaves = pending.filter(\.isLeaf)
    let places = Dictionary(
      leaves.enumerated().compactMap { n, leaf in
        leaf?.record.map { (ObjectIdentifier($0), [n]) }
      }, uniquingKeysWith: +)
    if last.isLeaf { places[ObjectIdentifier(last)]?.forEach { whenKnown?($0, weights) } }
    // How many operations each leaf is still an input of.
    var uses: [ObjectIdentifier: Int] = [:]
    if whenKnown != nil {
      for case let input? in pending.lazy.flatMap(\.inputs) where input.isLeaf {
        uses[ObjectIdentifier(input), default: 0] += 1
      }
    }
    while let node = pending.popLast() {
      guard let (inputs, pullback) = node.take() else { continue }
      if let gradient = byRecord.removeValue(forKey: ObjectIdentifier(node)) {
        for (input, contribution) in zip(inputs, pullback(gradient)) {
          guard let input, let contribution else { continue }
          assert(contribution.shape == input.shape, "\(contribution.shape) for \(input.shape)")
          byRecord[ObjectIdentifier(input), default: .zeros([])].accumulate(contribution)
        }
      }
      guard let whenKnown else { continue }
      for case let input? in inputs {
        let id = ObjectIdentifier(input)
        guard let left = uses[id] else { continue }
        uses[id] = left - 1
        if left == 1, let gradient = byRecord[id] {
          places[id]?.forEach { whenKnown($0, gradient) }
        }
      }
    }
  }

  /// The gradient by a leaf, or `nil` where the result does not depend on it.
  public subscript(variable: Variable) -> Tensor? {
    variable.record.flatMap { byRecord[ObjectIdentifier($0)] }
  }

  /// The recorded variables, inputs before results.
  ///
  /// Iterative: a long chain needs no deep stack.
  private static func order(from result: Record) -> [Record] {
    var sorted: [Record] = []
    var seen: Set<ObjectIdentifier> = [ObjectIdentifier(result)]
    var stack: [(node: Record, next: Int)] = [(result, 0)]
    while let (node, next) = stack.last {
      guard next < node.inputs.count else {
        sorted.append(node)
        stack.removeLast()
        continue
      }
      stack[stack.count - 1].next += 1
      if let input = node.inputs[next], seen.insert(ObjectIdentifier(input)).inserted {
        stack.append((input, 0))
      }
    }
    return sorted
  }
}

extension Tensor {
  /// Adds in place; a scalar zero, the empty sum, is replaced.
  fileprivate mutating func accumulate(_ other: Tensor) {
    if shape == other.shape { add(other) } else { self = other }
  }
}
