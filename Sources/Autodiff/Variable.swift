public import TensorCore

/// A tensor in a computation, with the record of how it came about.
///
/// Operations on variables compute at once and record a pullback, the map from the gradient by
/// their result to the gradients by their inputs; `gradients(of:)` follows the record backwards.
/// Nothing is recorded behind constants, so that inference pays nothing.
///
///     let x = Variable(Tensor([3]), requiresGradient: true)
///     let y = (x * x).sum()
///     Gradients(of: y)[x]   // [6]
public final class Variable {
  /// The computed value.
  public let value: Tensor
  /// Whether a gradient may flow to here.
  public let requiresGradient: Bool
  /// Whether it comes from an input whose computation is written down: see `init(traced:)`.
  public let isTraced: Bool
  /// What made it, where that is recorded.
  public let operation: Operation?
  /// What it was computed from, as far as that is recorded.
  public private(set) var inputs: [Variable]
  fileprivate var pullback: ((Tensor) -> [Tensor?])?

  /// Creates a leaf: a constant, or a variable that gradients are taken by.
  public init(_ value: Tensor, requiresGradient: Bool = false) {
    self.value = value
    self.requiresGradient = requiresGradient
    isTraced = false
    operation = nil
    inputs = []
    pullback = nil
  }

  /// Creates a leaf whose whole computation is recorded, so that it can be written down in another form.
  ///
  /// Everything computed from it is traced too: shortcuts that predictions take are then left out.
  public init(traced value: Tensor) {
    self.value = value
    requiresGradient = true
    isTraced = true
    operation = nil
    inputs = []
    pullback = nil
  }

  /// Creates the result of an operation: the way in which new differentiable operations are made.
  ///
  /// - Parameters:
  ///   - value: The result.
  ///   - inputs: What it was computed from.
  ///   - operation: What it is, for who writes computations down; one without can be trained, and not be exported.
  ///   - pullback: Gives, for the gradient by the result, the gradient by each input (of the
  ///     input's shape), or `nil` for one that has none.
  public init(
    _ value: Tensor, inputs: [Variable], operation: @autoclosure () -> Operation? = nil,
    pullback: @escaping (Tensor) -> [Tensor?]
  ) {
    self.value = value
    requiresGradient = inputs.contains { $0.requiresGradient }
    isTraced = requiresGradient && inputs.contains { $0.isTraced }
    self.operation = isTraced ? operation() : nil
    self.inputs = requiresGradient ? inputs : []
    let label = Profiler.label
    self.pullback =
      !requiresGradient
      ? nil : label.map { name in { dy in Profiler.labeled(name) { pullback(dy) } } } ?? pullback
  }

  /// Takes the record apart node by node: released one inside the other, a long chain would
  /// overflow the stack.
  deinit {
    var pending = inputs
    inputs = []
    while var node = pending.popLast() {
      guard isKnownUniquelyReferenced(&node) else { continue }
      pending += node.inputs
      node.inputs = []
    }
  }

  /// Gives its record away, and with it what that holds of the computation.
  fileprivate func takeRecord() -> (inputs: [Variable], pullback: (Tensor) -> [Tensor?])? {
    defer { (inputs, pullback) = ([], nil) }
    return pullback.map { (inputs, $0) }
  }

  /// The extents of the value.
  public var shape: Shape { value.shape }

  /// The same value as a constant: no gradient flows through it.
  public var detached: Variable {
    isTraced ? Variable(value, inputs: [self], operation: .same) { _ in [nil] } : Variable(value)
  }
}

/// The gradients of a scalar by the variables that it was computed from.
///
/// The record of the computation is used up: each operation's memory is free as soon as its gradient
/// is known.
public struct Gradients {
  private var byVariable: [ObjectIdentifier: Tensor] = [:]

  /// Computes the gradients of a scalar.
  ///
  /// - Parameter whenKnown: Called with each leaf as soon as nothing more is added to its gradient.
  /// - Precondition: `result` has one element.
  /// - Complexity: About twice the work of computing `result`; each recorded operation runs once.
  public init(
    of result: Variable, whenKnown: ((_ leaf: Variable, _ gradient: Tensor) -> Void)? = nil
  ) {
    require(result.shape.count == 1, "gradients of shape \(result.shape), not of a scalar")
    self.init(of: result, weights: .ones(result.shape), whenKnown: whenKnown)
  }

  /// Computes the gradients of Σ `weights` · `result`.
  ///
  /// - Precondition: The shapes are equal.
  public init(
    of result: Variable, weights: Tensor,
    whenKnown: ((_ leaf: Variable, _ gradient: Tensor) -> Void)? = nil
  ) {
    require(weights.shape == result.shape, "weights \(weights.shape) of \(result.shape)")
    guard result.requiresGradient else { return }
    byVariable[ObjectIdentifier(result)] = weights
    var pending = Gradients.order(from: result)
    // How many operations each leaf is still an input of.
    var uses: [ObjectIdentifier: Int] = [:]
    if whenKnown != nil {
      for input in pending.lazy.flatMap(\.inputs) where input.pullback == nil {
        uses[ObjectIdentifier(input), default: 0] += 1
      }
    }
    while let node = pending.popLast() {
      guard let (inputs, pullback) = node.takeRecord() else { continue }
      if let gradient = byVariable.removeValue(forKey: ObjectIdentifier(node)) {
        for (input, contribution) in zip(inputs, pullback(gradient)) {
          guard input.requiresGradient, let contribution else { continue }
          assert(contribution.shape == input.shape, "\(contribution.shape) for \(input.shape)")
          byVariable[ObjectIdentifier(input), default: .zeros([])].accumulate(contribution)
        }
      }
      guard let whenKnown else { continue }
      for input in inputs {
        let id = ObjectIdentifier(input)
        guard let left = uses[id] else { continue }
        uses[id] = left - 1
        if left == 1, let gradient = byVariable[id] { whenKnown(input, gradient) }
      }
    }
  }

  /// The gradient by a leaf, or `nil` where the result does not depend on it.
  public subscript(variable: Variable) -> Tensor? { byVariable[ObjectIdentifier(variable)] }

  /// The recorded variables, inputs before results.
  ///
  /// Iterative: a long chain needs no deep stack.
  private static func order(from result: Variable) -> [Variable] {
    var sorted: [Variable] = []
    var seen: Set<ObjectIdentifier> = [ObjectIdentifier(result)]
    var stack: [(node: Variable, next: Int)] = [(result, 0)]
    while let (node, next) = stack.last {
      guard next < node.inputs.count else {
        sorted.append(node)
        stack.removeLast()
        continue
      }
      stack[stack.count - 1].next += 1
      let input = node.inputs[next]
      if input.requiresGradient, seen.insert(ObjectIdentifier(input)).inserted {
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
